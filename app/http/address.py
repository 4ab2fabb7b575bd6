"""Where a request comes from, as far as its attempts to log in are counted together."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.types import Scope

_IPV6_HOST_BITS = 64


def client_address(scope: Scope) -> str:
    """The client's address, empty where the transport has none; of IPv6 the network, all of which is one client's.

    The server has put the address of X-Forwarded-For in the place of a proxy's that it trusts (`FORWARDED_ALLOW_IPS`).
    """
    return _network((scope.get("client") or ("",))[0])


@lru_cache(1_000)
def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))
