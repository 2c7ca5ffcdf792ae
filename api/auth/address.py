"""Where a request comes from, when proxies stand between; pure."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from pulse.errors import SettingsError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The networks whose word about others is believed."""

    def __init__(self, text: str | None, where: str = "PULSE_TRUSTED_PROXIES") -> None:
        """`text` holds addresses and networks by commas. Raises `SettingsError` naming `where`."""
        self._networks: list[_Network] = []
        for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
            try:
                self._networks.append(ipaddress.ip_network(part))
            except ValueError:
                raise SettingsError(
                    f"{part!r} is neither an address nor a network such as 10.0.0.0/8", where=where
                ) from None

    def trust(self, address: str) -> bool:
        """Whether a proxy at this address is one of ours."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)


class Origin(NamedTuple):
    """The client's address, and the scheme and host by which it reached us."""

    address: str
    scheme: str
    host: str


def origin(
    proxies: Proxies,
    peer: str,
    scheme: str,
    host: str,
    *,
    forwarded_for: Iterable[str] = (),
    forwarded_proto: str | None = None,
    forwarded_host: str | None = None,
) -> Origin:
    """What a trusted proxy says goes before what the connection says; anybody else's word counts nothing.

    `X-Forwarded-For` is read from its end: the last address that is not one of our proxies is the client,
    whatever the client itself wrote before it.
    """
    if not proxies.trust(peer):
        return Origin(peer, scheme, host)
    address = peer
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",") if hop.strip()]
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        address = hop
        if not proxies.trust(hop):
            break
    if forwarded_proto in {"http", "https"}:
        scheme = forwarded_proto
    return Origin(address, scheme, forwarded_host or host)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
