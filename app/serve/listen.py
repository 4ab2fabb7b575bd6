"""Sockets to listen on: bound to HOST and PORT, or handed over by systemd (or whoever else speaks its protocol).

https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

import os
import socket
from collections.abc import MutableMapping

from app.settings import Settings

_FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def open_sockets(settings: Settings, environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Those that were handed to this process, whatever HOST and PORT say, or else the one that is bound to them.

    What names them is taken out of `environ`: they are not handed on. Raises OSError that names the address.
    """
    return _handed_over(environ) or [_bind(settings)]


def shown(sockets: list[socket.socket]) -> str:
    """Where they listen, for the log."""
    return ", ".join(_shown(each.getsockname()) for each in sockets)


def unusable(settings: Settings, error: OSError) -> OSError:
    """What to tell where the address is taken."""
    return OSError(f"{settings.host}, port {settings.port}: {error.strerror}. Set HOST or PORT.")


def _bind(settings: Settings) -> socket.socket:
    # The loop sends without delay over what is TCP by name.
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise unusable(settings, error) from error
    return listener


def _handed_over(environ: MutableMapping[str, str]) -> list[socket.socket]:
    process, number = (environ.get(name, "") for name in _VARIABLES[:2])
    for name in _VARIABLES:
        environ.pop(name, None)
    if process != str(os.getpid()) or not number.isdecimal():
        return []
    sockets = [_take_over(_FIRST_DESCRIPTOR + place) for place in range(int(number))]
    for each in sockets:
        each.set_inheritable(False)
    return sockets


def _take_over(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise OSError(f"LISTEN_FDS: descriptor {descriptor} is no socket ({error.strerror}).") from error
    if listener.type != socket.SOCK_STREAM:
        raise OSError(f"LISTEN_FDS: descriptor {descriptor} is no stream socket; use ListenStream=.")
    return listener


def _shown(address: object) -> str:
    if isinstance(address, tuple):
        host, port, *_ = address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
