"""Several processes that answer on one socket, and one that looks after them and answers nobody.

The socket is one, opened here: who has connected and is not accepted yet waits for any worker, so that none of them is
lost with a process. (With `SO_REUSEPORT` each process has a queue of its own, which ends with it.)

A worker that ends is started anew, at once, and then after longer and longer pauses. SIGHUP replaces all of them, one
after the other: the new one, which reads the settings' files and the program anew, answers before the old one is told
to go. SIGTERM and SIGINT are passed on, and waited for. What workers share lies in a folder that goes with them:
metrics, rate limits and the sockets by which they reach each other (see `Worker`).
"""

import asyncio
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.serve import notify
from app.serve.channel import ALIVE, FAILED, READY, RETIRE, STOP, command
from app.serve.hangup import on_hangup
from app.serve.listen import shown
from app.settings import Settings
from app.telemetry import forget_worker, log_to_stderr

logger = logging.getLogger("waybill.serve")

# Until a worker answers, and between two words of one that does.
START_SECONDS, SILENT_SECONDS = 60.0, 30.0
# Beyond the time that a worker has for its open requests.
_EXIT_SECONDS = 20.0
# Between the end of a worker and the start of the next in its place, twice as long each time, unless it lasted.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, LASTING_SECONDS = 0.5, 30.0, 10.0
# So many starts in a row that failed, while nobody answers, are enough.
MOST_FAILURES = 5


class WorkersError(Exception):
    """No worker can be started; the message is one line that says why."""


def supervise(settings: Settings, sockets: list[socket.socket], environ: Mapping[str, str]) -> None:
    """Serves by `settings.workers` processes, which get `environ`, until SIGINT or SIGTERM; KeyboardInterrupt then.

    Raises `WorkersError` where they cannot be started.
    """
    log_to_stderr(settings.log_format)
    with tempfile.TemporaryDirectory(prefix="waybill-", ignore_cleanup_errors=True) as folder:
        asyncio.run(_run(settings, sockets, environ, Path(folder)))
    raise KeyboardInterrupt


async def _run(settings: Settings, sockets: list[socket.socket], environ: Mapping[str, str], folder: Path) -> None:
    await Supervisor(settings, sockets, environ, folder).run()


@dataclass(eq=False)
class _Process:
    """One worker. `ready` is done when it answers, or never will; `failure` is what it said of why."""

    number: int
    process: asyncio.subprocess.Process
    channel: asyncio.StreamWriter
    began: float
    heard: float
    ready: asyncio.Future[bool]
    failure: str = ""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def has_answered(self) -> bool:
        return self.ready.done() and not self.ready.cancelled() and self.ready.result()

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        status = self.process.returncode
        if status is not None and status < 0:
            return f"by {signal.Signals(-status).name}"
        return f"with status {status}"

    def say(self, word: bytes) -> None:
        if not self.channel.is_closing():
            self.channel.write(b"%b\n" % word)

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """`folder` is empty, and the workers'."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], environ: Mapping[str, str], folder: Path
    ) -> None:
        self._most = settings.workers
        self._leave_seconds = settings.drain_seconds + _EXIT_SECONDS
        self._sockets = sockets
        self._folder = folder
        self._environ = _environment(environ, folder)
        self._metrics = Path(self._environ["PROMETHEUS_MULTIPROC_DIR"])
        self._places: list[_Process | None] = [None] * self._most
        self._running: set[_Process] = set()
        self._numbers: set[int] = set()
        self._failures = 0
        self._stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._replace = asyncio.Event()
        self._hung_up_at = 0.0

    async def run(self) -> None:
        """Until a signal. Raises `WorkersError`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        on_hangup(partial(loop.call_soon_threadsafe, self._hang_up))
        work = asyncio.create_task(self._work())
        ends: list[asyncio.Future[Any]] = [self._stop, work]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            notify.stopping()
            work.cancel()
            await asyncio.wait([work])
            await self._end_all()
        if not work.cancelled():
            work.result()

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                for place in range(self._most):
                    starting.create_task(self._begin(place))
            logger.info(f"{self._most} workers answer at {shown(self._sockets)}")
            notify.ready(self._status())
            async with asyncio.TaskGroup() as going_on:
                for place in range(self._most):
                    going_on.create_task(self._keep(place))
                going_on.create_task(self._replace_all())
                going_on.create_task(notify.keep_alive(self._is_well))
        except ExceptionGroup as group:
            [first, *_] = group.exceptions
            raise first if isinstance(first, WorkersError) else group from None

    def _end(self, number: int) -> None:
        if not self._stop.done():
            self._stop.set_result(number)
        elif number == signal.SIGINT:  # again: somebody waits at a terminal
            for worker in self._running:
                worker.send_signal(number)

    def _hang_up(self) -> None:
        self._hung_up_at = asyncio.get_running_loop().time()
        self._replace.set()

    # -------------------------------------------------------------------------------------------- starting

    async def _begin(self, place: int) -> None:
        self._places[place] = await self._start()

    async def _start(self) -> _Process:
        """A worker that answers. Raises `WorkersError`."""
        try:
            worker = await self._spawn()
        except OSError as error:
            raise WorkersError(f"A worker cannot be started: {error}.") from error
        try:
            async with asyncio.timeout(START_SECONDS):
                is_ready = await worker.ready
        except TimeoutError:
            worker.failure = f"A worker did not answer within {START_SECONDS:g} s of its start."
            is_ready = False
        if not is_ready:
            worker.send_signal(signal.SIGKILL)
            await asyncio.wait(worker.tasks)
            raise WorkersError(worker.failure or f"A worker ended {worker.ending} before it answered.")
        return worker

    async def _spawn(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            number = next(each for each in range(len(self._numbers) + 1) if each not in self._numbers)
            self._numbers.add(number)
            descriptors = [listener.fileno() for listener in self._sockets]
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(number, self._folder, theirs.fileno(), descriptors),
                    env=self._environ,
                    pass_fds=(theirs.fileno(), *descriptors),
                    process_group=0,  # Ctrl-C goes to the whole foreground group; it is passed on to them, once
                )
            except BaseException:
                ours.close()
                self._numbers.discard(number)
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        loop = asyncio.get_running_loop()
        worker = _Process(number, process, writer, loop.time(), loop.time(), loop.create_future())
        self._running.add(worker)
        worker.tasks = [asyncio.create_task(self._listen(worker, reader)), asyncio.create_task(self._bury(worker))]
        return worker

    async def _listen(self, worker: _Process, reader: asyncio.StreamReader) -> None:
        """Hears what a worker says, and kills one that says nothing any more: it answers nobody."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS if worker.ready.done() else None):
                    line = await reader.readline()
            except TimeoutError:
                logger.error(f"worker {worker.process.pid} is silent, and is killed")
                worker.send_signal(signal.SIGKILL)
                return
            except ConnectionError:
                line = b""
            if not line:
                return
            word, _, rest = line.rstrip(b"\n").partition(b" ")
            worker.heard = loop.time()
            if word == READY and not worker.ready.done():
                worker.ready.set_result(True)
            elif word == FAILED:
                worker.failure = rest.decode(errors="replace")
            elif word not in (READY, ALIVE):
                logger.error(f"worker {worker.process.pid} says what nobody understands")

    async def _bury(self, worker: _Process) -> None:
        await worker.process.wait()
        await asyncio.wait(worker.tasks[:1])  # its last words
        worker.channel.close()
        forget_worker(self._metrics, worker.number if self._metrics == self._folder else worker.process.pid)
        self._running.discard(worker)
        self._numbers.discard(worker.number)
        if not worker.ready.done():
            worker.ready.set_result(False)

    # -------------------------------------------------------------------------------------------- going on

    async def _keep(self, place: int) -> None:
        """One worker after another. Raises `WorkersError`."""
        pauses = _pauses()
        while True:
            worker = self._places[place]
            if worker is None:
                try:
                    worker = await self._start()
                except WorkersError as error:
                    logger.error(str(error))
                    self._failures += 1
                    if self._failures >= MOST_FAILURES and not any(self._places):
                        raise
                    await asyncio.sleep(next(pauses))
                    continue
                self._failures = 0
                self._places[place] = worker
                notify.ready(self._status())
                if worker.began < self._hung_up_at:
                    self._replace.set()
            await asyncio.wait(worker.tasks)
            if self._places[place] is worker:
                self._places[place] = None
                # Somebody has told it to: by SIGTERM it ends its requests, and then by itself.
                log = logger.info if worker.process.returncode == 0 else logger.error
                log(f"worker {worker.process.pid} ended {worker.ending}")
                if asyncio.get_running_loop().time() - worker.began < LASTING_SECONDS:
                    await asyncio.sleep(next(pauses))
                else:
                    pauses = _pauses()

    async def _replace_all(self) -> None:
        while True:
            await self._replace.wait()
            self._replace.clear()
            notify.reloading()
            if await self._replace_old():
                logger.info("all workers are replaced")
            notify.ready(self._status())

    async def _replace_old(self) -> bool:
        """Whether all that were started before the signal are gone. Where one cannot be replaced, the others stay."""
        for place in range(self._most):
            old = self._places[place]
            if old is None or old.began > self._hung_up_at:
                continue  # it is being started
            try:
                new = await self._start()
            except WorkersError as error:
                logger.error(f"worker {old.process.pid} and those after it stay: {error}")
                return False
            if self._places[place] is old:
                self._places[place] = new
                old.say(RETIRE)
                await self._await_end([old])
            else:  # it has ended meanwhile, and another is being started
                new.say(RETIRE)
        return True

    # -------------------------------------------------------------------------------------------- ending

    async def _end_all(self) -> None:
        for listener in self._sockets:
            listener.close()  # or who has connected would be reset when we end
        is_interrupted = self._stop.done() and self._stop.result() == signal.SIGINT
        for worker in self._running:
            if worker.has_answered and not is_interrupted:
                worker.say(STOP)
            else:
                worker.send_signal(signal.SIGINT if is_interrupted else signal.SIGTERM)
        await self._await_end(list(self._running))

    async def _await_end(self, workers: list[_Process]) -> None:
        """Kills those who take longer than they may."""
        waiting = [task for worker in workers for task in worker.tasks]
        if waiting:
            await asyncio.wait(waiting, timeout=self._leave_seconds)
        for worker in workers:
            if worker.process.returncode is None:
                logger.error(f"worker {worker.process.pid} does not end, and is killed")
                worker.send_signal(signal.SIGKILL)
        if waiting:
            await asyncio.wait(waiting)

    def _is_well(self) -> bool:
        now = asyncio.get_running_loop().time()
        return any(worker is not None and now - worker.heard < SILENT_SECONDS for worker in self._places)

    def _status(self) -> str:
        return f"{sum(worker is not None for worker in self._places)} of {self._most} workers answer"


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """That of the workers: systemd listens to us alone, and `app` is what it is here, wherever that was found."""
    ours = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (ours, environ.get("PYTHONPATH", ""))))
    not_theirs = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    inherited = {name: value for name, value in environ.items() if name not in not_theirs}
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder), **inherited, "PYTHONPATH": path}
