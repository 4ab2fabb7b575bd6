"""Child processes that end with us, each on a processor of its own, and what they have cost. For Linux: reads /proc."""

import ctypes
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE_SECONDS = 20


@dataclass
class Process:
    """A running child; leaving the `with` block ends it with `ending`, or by force after a while."""

    popen: subprocess.Popen[bytes]
    ending: signal.Signals = signal.SIGTERM

    @property
    def pid(self) -> int:
        return self.popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is not None:
            return
        self.popen.send_signal(self.ending)
        try:
            self.popen.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def spawn(
    command: Sequence[str],
    *,
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    cpu: int | None = None,
    user: str | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Process:
    """Starts `command`; what it says goes to `log`. The kernel sends it `ending` should we be killed."""
    output: Any = log or subprocess.DEVNULL
    popen = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C is ours alone: the children end in the order in which we let go of them.
        start_new_session=True,
        preexec_fn=_bound(cpu, ending),
        **as_user(user),
    )
    return Process(popen, ending)


def run(command: Sequence[str], *, cpu: int | None = None, user: str | None = None, **more: Any) -> str:
    """The standard output of `command`. Raises `RuntimeError` with the end of what it said where it fails."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        list(command),
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=_bound(cpu, signal.SIGTERM),
        **as_user(user),
        **more,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def as_user(name: str | None) -> dict[str, Any]:
    """The arguments of `subprocess` with which a child of root runs as somebody else."""
    return {} if name is None else {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """User and system time of a process; `children` adds that of the children it has already buried."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11 : 15 if children else 13]) / _TICKS


def family_cpu_seconds(pid: int) -> float:
    """The same of a process and all its children, the living and the dead."""
    total = cpu_seconds(pid, children=True)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            total += cpu_seconds(int(child))
    return total


def peak_mebibytes(pid: int) -> float:
    """The most memory that was ever resident."""
    return _mebibytes(pid, "VmHWM")


def resident_mebibytes(pid: int) -> float:
    """The memory that is resident now."""
    return _mebibytes(pid, "VmRSS")


def own_mebibytes(pid: int) -> float:
    """What of it is no file and not shared: all of a backend but PostgreSQL's buffers."""
    return _mebibytes(pid, "RssAnon")


def _mebibytes(pid: int, name: str) -> float:
    match = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else float("nan")


def _bound(cpu: int | None, ending: signal.Signals) -> Callable[[], None]:
    """What a child does before it becomes the command."""
    available = sorted(os.sched_getaffinity(0))

    def bind() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(ending))
        if cpu is not None:
            os.sched_setaffinity(0, {available[cpu % len(available)]})

    return bind
