"""Correlated silences: what the detector found, and what people decided of it."""

from typing import NamedTuple

from sqlalchemy import Connection, Row, select, update

from pulse.clock import to_iso
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.tables import incidents as table
from pulse.stores.relational.values import from_null, insert, to_null

SUSPECTED, CONFIRMED, APPROVED, DISMISSED = "suspected", "confirmed", "approved", "dismissed"
STATUSES = (SUSPECTED, CONFIRMED, APPROVED, DISMISSED)
UNSETTLED = (SUSPECTED, CONFIRMED)


class Decision(NamedTuple):
    """Who decided when; `by` is the actor as in the audit log."""

    at_us: int
    by: str
    reason: str = ""


class Entry(NamedTuple):
    """An incident with its decisions; `recorded_us` is when the collector found it."""

    id: int
    found: Incident
    recorded_us: int
    confirmed: Decision | None = None
    approved: Decision | None = None
    dismissed: Decision | None = None
    blind_id: int | None = None
    """The blind interval that approval recorded, the closed one once the incident has ended."""

    @property
    def status(self) -> str:
        """One of `STATUSES`; the last decision counts."""
        if self.dismissed is not None:
            return DISMISSED
        if self.approved is not None:
            return APPROVED
        return SUSPECTED if self.confirmed is None else CONFIRMED

    @property
    def is_over(self) -> bool:
        """Whether its silence has ended."""
        return self.found.ended < FOREVER

    def said(self) -> dict[str, object]:
        """What is told of it: in live events, and as the state before and after in the audit log."""
        found = self.found
        return {
            "id": self.id,
            "community": found.community,
            "status": self.status,
            "opened": to_iso(found.opened),
            "start": to_iso(found.start),
            "ended": to_iso(found.ended) if self.is_over else None,
            "devices": found.devices,
            "silent": found.silent,
            "of": found.of,
        }


def put(connection: Connection, found: Incident, at_us: int) -> Entry:
    """Store what the detector found, over what it had found of it before; decisions stay. Gives the entry."""
    values = _found(found)
    statement = insert(connection, table).values(**values, recorded_us=at_us)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["community", "opened_us"],
            set_={
                name: statement.excluded[name] for name in values if name not in ("community", "opened_us")
            },
        )
    )
    row = connection.execute(
        select(table).where(table.c.community == found.community, table.c.opened_us == found.opened)
    ).one()
    return _entry(row)


def of(connection: Connection, entry_id: int, *, locked: bool = False) -> Entry | None:
    """The incident of that id, None when there is none; `locked`: nobody else changes it meanwhile."""
    found = select(table).where(table.c.id == entry_id)
    row = connection.execute(found.with_for_update() if locked else found).one_or_none()
    return None if row is None else _entry(row)


def listing(
    connection: Connection, within: frozenset[str] | None = None, *, limit: int = 1000
) -> list[Entry]:
    """The newest incidents of the communities `within`, by when they opened, newest first."""
    query = select(table).order_by(table.c.opened_us.desc(), table.c.id.desc()).limit(limit)
    if within is not None:
        query = query.where(table.c.community.in_(sorted(within)))
    return [_entry(row) for row in connection.execute(query)]


def unsettled(connection: Connection, within: frozenset[str] | None = None) -> list[Entry]:
    """Those that nobody has approved or dismissed, newest first."""
    query = (
        select(table)
        .where(table.c.approved_us.is_(None), table.c.dismissed_us.is_(None))
        .order_by(table.c.opened_us.desc(), table.c.id.desc())
    )
    if within is not None:
        query = query.where(table.c.community.in_(sorted(within)))
    return [_entry(row) for row in connection.execute(query)]


def ongoing(connection: Connection) -> list[Incident]:
    """What had not ended."""
    return [_entry(row).found for row in connection.execute(select(table).where(table.c.ended_us.is_(None)))]


def ended_after(connection: Connection, at_us: int) -> list[Incident]:
    """What ended later than `at_us`."""
    return [_entry(row).found for row in connection.execute(select(table).where(table.c.ended_us > at_us))]


def decide(connection: Connection, entry: Entry) -> None:
    """Store the decisions and the blind interval of an entry."""
    confirmed, approved, dismissed = entry.confirmed, entry.approved, entry.dismissed
    connection.execute(
        update(table)
        .where(table.c.id == entry.id)
        .values(
            confirmed_us=None if confirmed is None else confirmed.at_us,
            confirmed_by=None if confirmed is None else confirmed.by,
            confirm_reason=None if confirmed is None else confirmed.reason,
            approved_us=None if approved is None else approved.at_us,
            approved_by=None if approved is None else approved.by,
            dismissed_us=None if dismissed is None else dismissed.at_us,
            dismissed_by=None if dismissed is None else dismissed.by,
            dismiss_reason=None if dismissed is None else dismissed.reason,
            blind_id=entry.blind_id,
        )
    )


def event(entry: Entry, at_us: int) -> NewEvent:
    """The live event of an incident that opened, grew or ended, or of which people decided something.

    How many are silent still is no news of its own: the same stage is told once.
    """
    found = entry.found
    stage = f"{found.start}/{found.devices}/{to_null(found.ended)}/{entry.status}"
    return NewEvent(at_us, at_us, "incident", entry.said(), f"{entry.id}/{stage}")


def _found(found: Incident) -> dict[str, object]:
    return {
        "community": found.community,
        "opened_us": found.opened,
        "first_us": found.first,
        "start_us": found.start,
        "devices": found.devices,
        "silent": found.silent,
        "of": found.of,
        "ended_us": to_null(found.ended),
    }


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        row.id,
        Incident(
            row.community,
            row.opened_us,
            row.first_us,
            row.start_us,
            row.devices,
            row.silent,
            row.of,
            from_null(row.ended_us),
        ),
        row.recorded_us,
        _decision(row.confirmed_us, row.confirmed_by, row.confirm_reason),
        _decision(row.approved_us, row.approved_by, ""),
        _decision(row.dismissed_us, row.dismissed_by, row.dismiss_reason),
        row.blind_id,
    )


def _decision(at_us: int | None, by: str | None, reason: str | None) -> Decision | None:
    return None if at_us is None else Decision(at_us, by or "", reason or "")
