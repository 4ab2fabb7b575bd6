"""What systemd is told, where it has asked (`Type=notify`); nothing is said elsewhere.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress


def ready(status: str) -> None:
    _tell("READY=1", f"STATUS={status}")


def reloading() -> None:
    _tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping() -> None:
    _tell("STOPPING=1")


async def keep_alive(is_well: Callable[[], bool]) -> None:
    """Tells the watchdog that all is well twice in its time, as long as it is; returns where there is no watchdog."""
    seconds = watchdog_seconds(os.environ)
    while seconds is not None:
        if is_well():
            _tell("WATCHDOG=1")
        await asyncio.sleep(seconds / 2)


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How long this process may be silent; None where nobody listens."""
    process, text = environ.get("WATCHDOG_PID", str(os.getpid())), environ.get("WATCHDOG_USEC", "")
    is_ours = process == str(os.getpid()) and text.isdecimal() and int(text) > 0
    return int(text) / 1_000_000 if is_ours else None


def _tell(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):  # its listener may have gone
        sender.sendto("\n".join(lines).encode(), f"\0{address[1:]}" if address.startswith("@") else address)
