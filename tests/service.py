"""`python -m app serve` as a process of its own, for the tests that start, stop and kill it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET, connecting, reserved_port

ROOT = Path(__file__).parents[1]


class Service:
    """Started and ended at will, each time on the same port. `settings` are keys of the environment.

    `options` are those of `create_subprocess_exec`; and a `command`, the arguments of Python in place
    of `-m app serve`, and the `site` where it answers, in place of the port's.
    """

    def __init__(self, dsn: str, port: int, log: Path, settings: dict[str, str], options: dict[str, Any]) -> None:
        self._command = options.pop("command", ("-m", "app", "serve"))
        self.site = options.pop("site", f"http://127.0.0.1:{port}")
        self.log = log
        given = {"DATABASE_URL": dsn, "TOKEN_SECRET": TOKEN_SECRET, "HOST": "127.0.0.1", "PORT": str(port)}
        self._environment = {**os.environ, **given, **settings}
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._command),
                cwd=ROOT,
                env=self._environment,
                **{"stdout": output, "stderr": output, **self._options},
            )
        await self.become_ready()

    async def become_ready(self) -> None:
        async with asyncio.timeout(FAR_TOO_LONG), connecting() as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.site}/readyz")).status_code == 200:
                        return
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def end(self) -> int:
        async with asyncio.timeout(FAR_TOO_LONG):
            return await self.process.wait()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def serving(
    dsn: str, log: Path, options: dict[str, Any] | None = None, **settings: str
) -> AsyncIterator[Service]:
    """A service that answers. `options` are those of `Service`, such as streams in place of its log."""
    with reserved_port() as port:
        service = Service(dsn, port, log, settings, dict(options or {}))
        try:
            await service.start()
            yield service
        finally:
            await service.kill()
