"""Who counts as one client by its address, for limits and lockout; pure."""

import ipaddress


def network(address: str, *, large: bool = False) -> str:
    """The network of a client: an IPv4 address alone, an IPv6 client's /64, of which it can take any address.

    With `large` that of many clients: /8 and /16. What is no address stands for itself.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown" if large else address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    bits = (8 if large else 32) if found.version == 4 else (16 if large else 64)
    return str(ipaddress.ip_network((found, bits), strict=False))
