"""Where webhooks may go: addresses of the public internet, and networks that the operator has opened.

A URL is looked at when an endpoint is written, but what counts is the address that is dialled: each name is resolved
when a connection is made, is refused if any of its addresses is not public, and exactly those addresses are dialled.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# The addresses of a name, as texts. Raises OSError where there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

LONGEST_URL = 2_048
HTTPS_PORT = 443

# IANA's registries of special-purpose addresses, and what is routed to nobody or to many. Python's `is_global` says of
# some, such as those that NAT64 and 6to4 make of private ones, that they are public.
_NOT_PUBLIC: Sequence[Network] = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # this machine
        "169.254.0.0/16",  # this link, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnels
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to any address of IPv4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]
# All others of IPv6 are not given to anybody: this machine, links, sites, multicast.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# What stands for an address of IPv4 in its last 32 bits, and is judged as that one.
_OF_IPV4 = (ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("64:ff9b::/96"))

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_LOCAL = ("localhost", "local", "internal", "localdomain", "home.arpa", "onion")


class Refused(OSError):
    """An address that is not called; the words say why, and name no address that a name stands for."""


@dataclass(frozen=True)
class Target:
    """Of a URL. `address` is there where the host is one."""

    scheme: str
    host: str
    port: int
    address: Address | None


@dataclass(frozen=True)
class Targets:
    """`networks` are open whatever they are, on every port and without TLS where a URL names an address of theirs.

    `ports` are those that any other URL may have.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({HTTPS_PORT})

    def fault(self, url: str) -> str | None:
        """The rule that a URL breaks, as far as it can be told without a resolver; None if it breaks none."""
        try:
            target = parse(url)
        except ValueError as error:
            return str(error)
        address = target.address
        if address is not None and self._is_open(address):
            return None
        if target.scheme != "https":
            return "must be of https"
        if target.port not in self.ports:
            return f"must have the port {' or '.join(map(str, sorted(self.ports)))}"
        if address is not None and not is_public(address):
            return "must not lead to an address that is not public"
        if address is None and ("." not in target.host.rstrip(".") or _is_local(target.host)):
            return "must have a host of the public internet"
        return None

    def vet(self, address: Address) -> None:
        """Raises `Refused` for an address that is not dialled."""
        if not (self._is_open(address) or is_public(address)):
            raise Refused("the host has an address that is not public")

    def _is_open(self, address: Address) -> bool:
        plain = _plain(address)
        return any(plain in network for network in self.networks if network.version == plain.version)


def parse(url: str) -> Target:
    """Raises ValueError with the rule that a URL breaks as such."""
    if len(url) > LONGEST_URL:
        raise ValueError(f"must have at most {LONGEST_URL} characters")
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\\"<>^`{|}]", url):
        raise ValueError("must be a URL, with what is no ASCII percent-encoded and names of hosts in Punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").lower()
    except ValueError:
        raise ValueError("must be a URL such as https://hooks.example.com/orders") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("must be a URL such as https://hooks.example.com/orders")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password: give a header of your own for that")
    if "#" in url:
        raise ValueError("must not have a fragment")
    if port == 0:
        raise ValueError("must not have the port 0")
    address = address_of(host)
    if address is None and ("[" in parts.netloc or not _HOST.fullmatch(host)):
        raise ValueError("must have the name of a host, or an address")
    return Target(parts.scheme, host, port or (HTTPS_PORT if parts.scheme == "https" else 80), address)


def address_of(host: str) -> Address | None:
    """The address that a host is, in every way that resolvers read one: `127.1`, `0x7f000001`; None of a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if re.fullmatch(r"[0-9a-fx.]+", host) is None:
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, by the table of this module."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return False
    plain = _plain(address)
    if isinstance(plain, ipaddress.IPv6Address) and plain not in _PUBLIC_IPV6:
        return False
    return not any(plain in network for network in _NOT_PUBLIC if network.version == plain.version)


def _plain(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for, or itself."""
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _OF_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_local(host: str) -> bool:
    name = host.rstrip(".")
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in _LOCAL)
