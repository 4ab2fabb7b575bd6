"""Where a key may come from: networks, as CIDR writes them."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_within(address: str, networks: Sequence[Network] | None) -> bool:
    """Whether a client's address is of one of the `networks`; None of them is any address.

    What is no address, such as that of a socket of this machine, is of none.
    """
    if networks is None:
        return True
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


@lru_cache(1_000)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # A socket of both families tells IPv4 so.
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
