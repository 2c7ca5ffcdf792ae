"""The ledger's words: states, scopes, devices, coverage, maintenance and runs."""

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from pulse.messages import Evidence

__all__ = ["Blind", "Device", "Evidence", "Maintenance", "Run", "Scope", "State", "Terms"]

FOREVER = 1 << 62
"""Later than every time that fits the columns; stands for "no end" and for `known_at` absent."""

EVER = -FOREVER
"""Earlier than every time; stands for "known since ever"."""


class State(IntEnum):
    """Exactly one for every device and instant. The numbers are stored; never reorder them."""

    ONLINE = 0
    FAULT = 1
    OFFLINE = 2
    UNKNOWN = 3
    EXCLUDED = 4
    NOT_COMMISSIONED = 5
    RETIRED = 6

    @cached_property
    def slug(self) -> str:
        """The name used in files and answers, such as `not_commissioned`."""
        return self.name.lower()


class Scope(NamedTuple):
    """Which devices an entry is about: all given members must match; none given means every device."""

    device: str | None = None
    kind: str | None = None
    community: str | None = None

    def covers(self, device: "Device") -> bool:
        """Whether the entry is about this device."""
        return (
            (self.device is None or self.device == device.id)
            and (self.kind is None or self.kind == device.kind)
            and (self.community is None or self.community == device.community)
        )


class Terms(NamedTuple):
    """What is agreed with a device from `since` on, until the next terms of its list."""

    since: int
    timeout: int
    max_lateness: int = 0
    clock_untrusted: bool = False


class Device(NamedTuple):
    """What the ledger needs to know of a device. `terms` are in order of `since`, the first from `EVER`."""

    id: str
    community: str
    kind: str
    terms: tuple[Terms, ...]
    commissioned: int
    retired: int | None = None
    commissioned_recorded: int = EVER
    retired_recorded: int = EVER

    def terms_at(self, at: int) -> Terms:
        """The terms in force at `at` (rule 9)."""
        chosen = self.terms[0]
        for terms in self.terms[1:]:
            if terms.since > at:
                break
            chosen = terms
        return chosen


class Blind(NamedTuple):
    """An interval in which the collector could hear nothing of the devices in scope (rule 8)."""

    start: int
    end: int
    """`FOREVER` while it is open."""
    recorded: int
    revoked: int = FOREVER
    scope: Scope = Scope()
    cause: str = ""


class Maintenance(NamedTuple):
    """A window in which the devices in scope are excluded from the adjusted rate (rule 9)."""

    start: int
    end: int
    recorded: int
    cancelled: int = FOREVER
    scope: Scope = Scope()


class Run(NamedTuple):
    """A stretch in which evidence says one thing of a device without a break, as known for a while.

    `[start, end)` in valid time: for beats from the first evidence to the last one's deadline, for an
    explicit offline until the next evidence (`FOREVER` while there is none). Between runs there is
    silence, which coverage judges (rule 6). Known at k if `recorded <= k < superseded`. `since` is the time
    of the evidence that began it; rule 5 compares it with blind intervals.
    """

    start: int
    end: int
    evidence: Evidence
    since: int
    recorded: int = EVER
    superseded: int = FOREVER


def known_blinds(entries: Sequence[Blind], known_at: int) -> list[Blind]:
    """The entries known at `known_at`, empty intervals left out."""
    return [e for e in entries if e.recorded <= known_at < e.revoked and e.start < e.end]


def known_maintenance(entries: Sequence[Maintenance], known_at: int) -> list[Maintenance]:
    """The windows known at `known_at`, empty ones left out."""
    return [e for e in entries if e.recorded <= known_at < e.cancelled and e.start < e.end]
