"""How many requests are too many, counted by client address."""

import ipaddress
from typing import NamedTuple

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pulse.access.network import network

OFF = "off"
MOST_ADDRESSES = 50_000
"""Counted one by one; beyond that, newcomers are counted by large networks, so that a flood of addresses
takes no memory and clears nobody's count."""


class _Tight(NamedTuple):
    """A limit of its own for changes at these paths."""

    name: str
    paths: frozenset[str]
    rate: RateLimitItem


_TIGHT = (
    _Tight("sign-in", frozenset({"/sign-in", "/account/password"}), parse("20/minute")),
    _Tight("codes", frozenset({"/setup", "/welcome"}), parse("20/minute")),
)
_WRONG_TOKENS = parse("20/minute")


class Limits:
    """Counts by client address; an IPv6 client by its /64, of which it can take any address.

    `rate` is as in `PULSE_RATE_LIMIT`: `600/minute`, or `off` where a proxy in front limits.
    """

    def __init__(self, rate: str) -> None:
        self._general = None if rate == OFF else parse(rate)
        self._storage = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    def wait_s(self, method: str, path: str, address: str) -> int | None:
        """Count a request; the seconds to wait when it is one too many, None when it may go on."""
        if self._general is None:
            return None
        if method == "POST":
            for tight in _TIGHT:
                if path in tight.paths:
                    wait_s = self._count(tight.rate, tight.name, address)
                    if wait_s is not None:
                        return wait_s
        if path.startswith("/static/") or _is_loopback(address):
            # This machine's own programs; a proxy on it is to be named in PULSE_TRUSTED_PROXIES.
            return None
        return self._count(self._general, "all", address)

    def wrong_token_s(self, address: str) -> int | None:
        """Count a token that does not hold; the seconds to wait when there were too many."""
        return None if self._general is None else self._count(_WRONG_TOKENS, "tokens", address)

    def _count(self, rate: RateLimitItem, name: str, address: str) -> int | None:
        who = network(address)
        if len(self._storage.storage) > MOST_ADDRESSES:
            left = self._limiter.get_window_stats(rate, name, who).remaining
            who = network(address, large=left >= rate.amount)
        if self._limiter.hit(rate, name, who):
            return None
        # The whole window: by then every count of it is forgotten.
        return rate.get_expiry()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
