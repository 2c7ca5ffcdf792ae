"""Backoff after failed sign-ins, by user and by address (NIST SP 800-63B-4, 3.2.2); pure."""

import hashlib
from typing import NamedTuple

from pulse.access.network import network
from pulse.clock import HOUR_US, SECOND_US

FREE = {"user": 5, "address": 20}
"""Failures without a wait: a person mistypes, and many people may share an address."""

FIRST_WAIT_US = 30 * SECOND_US
LONGEST_WAIT_US = HOUR_US
FORGOTTEN_AFTER_US = 24 * HOUR_US
"""A subject without failures for so long begins anew."""


def user_subject(name: str) -> str:
    """The subject of a user's name; a digest, since people type passwords where the name belongs."""
    return "user:" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def address_subject(address: str) -> str:
    """The subject of a client's address; whoever has an IPv6 network of their own is one client."""
    return f"address:{network(address)}"


class Attempts(NamedTuple):
    """Failures of a subject (`user:…`, `address:192.0.2.7/32`) and until when it is refused."""

    failures: int = 0
    last_us: int = 0
    until_us: int = 0


def refused_until(attempts: Attempts, now_us: int) -> int | None:
    """Until when the next attempt is refused unseen, None if it is not."""
    return attempts.until_us if now_us < attempts.until_us else None


def failed(subject: str, attempts: Attempts, now_us: int) -> Attempts:
    """After one more failure: past the free ones, each doubles the wait, from 30 s up to an hour."""
    if now_us - attempts.last_us >= FORGOTTEN_AFTER_US:
        attempts = Attempts()
    failures = attempts.failures + 1
    beyond = failures - FREE[subject.partition(":")[0]]
    wait_us = min(FIRST_WAIT_US << min(beyond - 1, 30), LONGEST_WAIT_US) if beyond > 0 else 0
    return Attempts(failures, now_us, now_us + wait_us)
