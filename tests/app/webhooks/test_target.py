"""Nobody is made to call inside: by a URL, by a name, or by a name that means something else when it is called."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from app.webhooks.sender import Outcome, Sender
from app.webhooks.target import Targets, address_of, is_public, parse
from tests.app.webhooks.conftest import Receiver

# Each is some host's, some link's, some site's or nobody's.
INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.8.8.8"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.1", "192.0.2.1", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.1", "192.168.0.1", "192.168.255.254", "192.175.48.1", "198.18.0.1", "198.19.255.254"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1"),
]
OUTSIDE = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "93.184.215.14",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.169.0.1",
    ),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8"),
]
# Other ways to write an address of this machine, as resolvers read them.
DISGUISED = ["127.1", "127.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.0.0.1.", "017700000001"]


def test_table_has_forty_addresses_and_more() -> None:
    assert len(INSIDE) >= 40
    assert {ip_address(each).version for each in INSIDE} == {4, 6}


@pytest.mark.parametrize("address", INSIDE)
def test_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_address_is_known(address: str) -> None:
    assert is_public(ip_address(address))


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("host", [*map(_host, INSIDE), *DISGUISED, "[fe80::1%25eth0]"])
def test_url_with_an_address_inside_is_refused(host: str) -> None:
    assert Targets().fault(f"https://{host}/")


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a socket is made for: nothing is dialled without one."""
    made: list[Any] = []
    original = socket.socket

    class Noted(original):  # type: ignore[misc, valid-type]
        def connect(self, address: Any) -> None:
            made.append(address)
            raise OSError("not in this test")

    monkeypatch.setattr(socket, "socket", Noted)
    return made


async def _post(url: str, targets: Targets, *addresses: str) -> Outcome:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    async with Sender(targets, 5, resolve) as sender:
        return await sender.post(url, {}, b"{}")


@pytest.mark.parametrize("address", INSIDE)
async def test_name_of_an_address_inside_is_refused_and_nothing_is_dialled(dialled: list[Any], address: str) -> None:
    for addresses in ([address], ["93.184.215.14", address], [address, "93.184.215.14"]):
        outcome = await _post("https://hooks.example.com/", Targets(), *addresses)
        assert (outcome.status, outcome.error) == (None, "the host has an address that is not public")
    assert dialled == []


@pytest.mark.parametrize("host", [*map(_host, INSIDE), *DISGUISED])
async def test_address_inside_is_refused_when_it_is_called_and_nothing_is_dialled(
    dialled: list[Any], host: str
) -> None:
    outcome = await _post(f"https://{host}/", Targets())
    assert outcome.status is None
    assert outcome.error
    assert outcome.error.startswith("the URL must ")
    assert dialled == []


async def test_last_look_is_at_the_address_that_is_dialled(dialled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the looks before were taken in."""
    monkeypatch.setattr(Targets, "fault", lambda _self, _url: None)
    outcome = await _post("https://127.0.0.1/", Targets())
    assert outcome.error == "the host has an address that is not public"
    assert dialled == []


async def test_exactly_the_vetted_address_is_dialled(receiver: Receiver) -> None:
    port = int(receiver.site.rpartition(":")[2])
    targets = Targets((ip_network("127.0.0.0/8"),), frozenset({port}))
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with Sender(targets, 0.5, resolve) as sender:
        # The name resolves to nothing anywhere else. There is nobody who speaks TLS behind the connection.
        outcome = await sender.post(f"https://hooks.invalid.example:{port}/", {}, b"{}")
    assert asked == ["hooks.invalid.example"]
    assert outcome.error == "no answer within the time"
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://hooks.example.com/", "must be of https"),
        ("ftp://hooks.example.com/", "must be a URL"),
        ("hooks.example.com", "must be a URL"),
        ("https://", "must be a URL"),
        ("https:///path", "must be a URL"),
        ("https://user@hooks.example.com/", "must not hold a user"),
        ("https://user:password@hooks.example.com/", "must not hold a user"),
        ("https://hooks.example.com:22/", "must have the port 443"),
        ("https://hooks.example.com:99999/", "must be a URL"),
        ("https://hooks.example.com/#a", "must not have a fragment"),
        ("https://hooks.example.com/a b", "must be a URL, with what is no ASCII percent-encoded"),
        ("https://hooks.example.com\\@10.0.0.1/", "must be a URL, with what is no ASCII percent-encoded"),
        ("https://hooks.example.com/\r\nHost: a", "must be a URL, with what is no ASCII percent-encoded"),
        ("https://höhle.example/", "must be a URL, with what is no ASCII percent-encoded"),
        ("https://localhost/", "must have a host of the public internet"),
        ("https://intranet/", "must have a host of the public internet"),
        ("https://db.internal/", "must have a host of the public internet"),
        ("https://printer.local./", "must have a host of the public internet"),
        ("https://-a.example.com/", "must have the name of a host"),
        ("https://hooks..example.com/", "must have the name of a host"),
        (f"https://hooks.example.com/{'a' * 2048}", "must have at most 2048 characters"),
    ],
)
def test_unusable_url_is_refused_with_its_rule(url: str, rule: str) -> None:
    fault = Targets().fault(url)
    assert fault is not None
    assert fault.startswith(rule)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "https://HOOKS.example.com:443/a?b=c%20d",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
    ],
)
def test_usable_url_has_no_fault(url: str) -> None:
    assert Targets().fault(url) is None


def test_operator_opens_ports_and_networks() -> None:
    targets = Targets((ip_network("10.1.0.0/16"), ip_network("fd00::/8")), frozenset({443, 8443}))
    assert targets.fault("https://hooks.example.com:8443/") is None
    for url in ("http://10.1.2.3:9000/", "https://10.1.2.3/", "http://[fd00::1]:80/", "http://[::ffff:10.1.2.3]/"):
        assert targets.fault(url) is None
    for url in ("http://10.2.0.1/", "https://10.2.0.1/", "http://8.8.8.8/", "https://hooks.example.com:9000/"):
        assert targets.fault(url)


def test_address_is_read_as_resolvers_read_it() -> None:
    assert {str(address_of(host)) for host in DISGUISED} == {"127.0.0.1"}
    assert address_of("hooks.example.com") is None
    assert address_of("face.example") is None
    assert parse("https://HOOKS.example.com").port == 443
