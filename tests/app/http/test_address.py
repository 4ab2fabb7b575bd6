"""Where a request comes from: what the transport says, or a proxy that is trusted."""

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.http.address import Forwarded, client_address


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (None, ""),
        (("192.0.2.1", 80), "192.0.2.1"),
        (("::ffff:192.0.2.1", 80), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 80), "2001:db8:1:2::"),
        (("2001:db8:1:2::7", 80), "2001:db8:1:2::"),
        (("testclient", 80), "testclient"),
    ],
)
def test_client_address_is_what_one_client_has(client: Any, address: str) -> None:
    assert client_address({"client": client}) == address


async def seen(client: tuple[str, int], *headers: tuple[bytes, bytes], trusted: str = "127.0.0.1, 10.0.0.0/8") -> Scope:
    scopes: list[Scope] = []

    class App:
        async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
            scopes.append(scope)

        def find(self, _scope: Scope) -> None:
            return None

    async def no_message() -> Any:
        raise AssertionError

    scope: Scope = {"type": "http", "client": client, "scheme": "http", "headers": list(headers)}
    await Forwarded(App(), trusted)(scope, no_message, no_message)
    return scopes[0]


@pytest.mark.parametrize(
    ("client", "forwarded_for", "address"),
    [
        ("127.0.0.1", b"203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", b"198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("192.0.2.1", b"203.0.113.7", "192.0.2.1"),
    ],
)
async def test_a_trusted_proxy_names_the_client(client: str, forwarded_for: bytes, address: str) -> None:
    scope = await seen((client, 9), (b"x-forwarded-for", forwarded_for), (b"x-forwarded-proto", b"https"))
    assert client_address(scope) == address
    assert scope["scheme"] == ("https" if client == "127.0.0.1" else "http")


async def test_a_request_without_such_a_header_is_passed_on_as_it_is() -> None:
    scope = await seen(("127.0.0.1", 9), (b"accept", b"*/*"))
    assert (scope["client"], scope["scheme"]) == (("127.0.0.1", 9), "http")
