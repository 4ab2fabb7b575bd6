"""Where a request comes from, as far as its attempts to log in are counted together."""

from collections.abc import Awaitable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.http.reply import Answering, Reply

_IPV6_HOST_BITS = 64
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})


class Finding(Protocol):
    """An ASGI application that tells the server what answers a request; see `app.http.protocol`."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]: ...
    def find(self, scope: Scope) -> Answering | None: ...
    def at_once(self, scope: Scope) -> Reply | None: ...


class Forwarded:
    """An ASGI application that takes the word of the proxies `trusted` for where a request comes from.

    uvicorn's middleware does it, but works out whether to trust the client even where it has nothing to say.
    """

    def __init__(self, app: Finding, trusted: str) -> None:
        self._app = app
        middleware: Any = ProxyHeadersMiddleware  # it has its own names for the types of ASGI
        self._forwarded: ASGIApp = middleware(app, trusted)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (self._forwarded if _is_forwarded(scope) else self._app)(scope, receive, send)

    def find(self, scope: Scope) -> Answering | None:
        """See `Service.find`; a request that was forwarded goes its way by ASGI."""
        return None if _is_forwarded(scope) else self._app.find(scope)

    def at_once(self, scope: Scope) -> Reply | None:
        """See `Service.at_once`: where a request comes from makes no difference to it."""
        return self._app.at_once(scope)


def _is_forwarded(scope: Scope) -> bool:
    return not _FORWARDED.isdisjoint([name for name, _ in scope.get("headers", ())])


def peer_address(scope: Scope) -> str:
    """The client's address as it is, empty where the transport has none; see `client_address` for proxies."""
    host: str = (scope.get("client") or ("",))[0]
    return host


def client_address(scope: Scope) -> str:
    """The client's address, empty where the transport has none; of IPv6 the network, all of which is one client's.

    The server has put the address of X-Forwarded-For in the place of a proxy's that it trusts (`FORWARDED_ALLOW_IPS`).
    """
    return network(peer_address(scope))


@lru_cache(1_000)
def network(host: str) -> str:
    """Whom an address is counted with."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))
