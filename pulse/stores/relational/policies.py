"""Versions of what was agreed with devices: in force from a time on, never changing the past."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from pulse.ledger.model import EVER, Terms
from pulse.registry.model import Policy, seconds
from pulse.stores.relational.tables import policies as table
from pulse.stores.relational.values import upsert

DEVICE, COMMUNITY, KIND = "device", "community", "kind"


class Version(NamedTuple):
    """A row of the table: what a device, community or kind says from a time on; None says nothing."""

    scope: str
    subject: str
    since_us: int
    timeout_us: int | None = None
    max_lateness_us: int | None = None
    clock_untrusted: bool | None = None
    community: str | None = None
    kind: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What it says, without since when."""
        return self[3:]


def policies(connection: Connection) -> list[Policy]:
    """Every version ever in force, by scope, subject and time."""
    rows = connection.execute(select(table).order_by(table.c.scope, table.c.subject, table.c.since_us))
    return [
        Policy(
            row.scope,
            row.subject,
            row.since_us,
            seconds(row.timeout_us),
            seconds(row.max_lateness_us),
            row.clock_untrusted,
            row.community,
            row.kind,
        )
        for row in rows
    ]


def put(connection: Connection, versions: Iterable[Version]) -> None:
    """Store versions; one of the same scope, subject and time is overwritten."""
    rows = [version._asdict() for version in versions]
    if rows:
        connection.execute(upsert(connection, table), rows)


def latest(connection: Connection, scope: str, subjects: Sequence[str]) -> dict[str, Version]:
    """The newest version of each of these subjects that has any."""
    rows = connection.execute(
        select(table)
        .where(table.c.scope == scope, table.c.subject.in_(subjects))
        .order_by(table.c.subject, table.c.since_us)
    )
    return {row.subject: _version(row) for row in rows}


def following(before: Version | None, after: Version, now_us: int) -> Version | None:
    """The version to store so that `after` is in force from now on, from ever if it is the first.

    None when it says what is in force already. A clock that went back does not put it behind `before`.
    """
    if before is None:
        return after._replace(since_us=EVER)
    if before.content == after.content:
        return None
    return after._replace(since_us=max(now_us, before.since_us))


Said = tuple[int, int | None, int | None, bool | None, str | None, str | None]
"""What a device says: the members of `Version` from `since_us` on."""


class Resolver:
    """Works out the terms of devices: what the device says, else its community, its kind, the default.

    Devices that say the same since the same times get the same list, which is made once.
    """

    def __init__(self, connection: Connection, default_timeout_us: int) -> None:
        self._default_timeout_us = default_timeout_us
        self._histories: dict[tuple[str, str], list[Version]] = defaultdict(list)
        above = select(table).where(table.c.scope.in_((COMMUNITY, KIND))).order_by(table.c.since_us)
        for row in connection.execute(above):
            self._histories[row.scope, row.subject].append(_version(row))
        self._known: dict[tuple[Said, ...], tuple[Terms, ...]] = {}

    def terms(self, said: tuple[Said, ...]) -> tuple[Terms, ...]:
        """The terms of a device by its own versions, both in order of time; the first is from `EVER`."""
        known = self._known.get(said)
        if known is None:
            known = self._known[said] = self._terms([Version(DEVICE, "", *one) for one in said])
        return known

    def _terms(self, own: list[Version]) -> tuple[Terms, ...]:
        times = {EVER}
        for version in own:
            times.add(version.since_us)
            for above in self._above(version):
                times.update(v.since_us for v in above)
        terms: list[Terms] = []
        for since in sorted(times):
            found = self._at(own, since)
            if not terms or terms[-1][1:] != found[1:]:
                terms.append(found)
        return tuple(terms)

    def _at(self, own: list[Version], at_us: int) -> Terms:
        version = _in_force(own, at_us)
        if version is None:
            return Terms(at_us, self._default_timeout_us)
        timeouts = [version.timeout_us]
        for above in self._above(version):
            found = _in_force(above, at_us)
            timeouts.append(found.timeout_us if found else None)
        timeout = next((t for t in timeouts if t is not None), self._default_timeout_us)
        return Terms(at_us, timeout, version.max_lateness_us or 0, bool(version.clock_untrusted))

    def _above(self, version: Version) -> list[list[Version]]:
        return [
            self._histories[scope, subject]
            for scope, subject in ((COMMUNITY, version.community), (KIND, version.kind))
            if subject is not None and (scope, subject) in self._histories
        ]


def _in_force(history: list[Version], at_us: int) -> Version | None:
    position = bisect_right(history, at_us, key=lambda v: v.since_us)
    return history[position - 1] if position else None


def _version(row: Row[*tuple[Any, ...]]) -> Version:
    return Version(*row)
