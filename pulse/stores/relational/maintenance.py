"""Maintenance as people recorded it: decided on, cancelled, never changed, never deleted."""

import json
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from pulse.errors import BadInput, NotFound
from pulse.ledger.model import FOREVER, Maintenance, Scope
from pulse.registry import plans
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational import meta, pastdevices
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.tables import devices
from pulse.stores.relational.tables import maintenance as table
from pulse.stores.relational.values import from_null, to_null

PENDING, RECORDED, REFUSED, CANCELLED = "pending", "recorded", "refused", "cancelled"
STATUSES = (PENDING, RECORDED, REFUSED, CANCELLED)


class Entry(NamedTuple):
    """A plan with what people decided of it.

    It was written down at `recorded_us` by `author`; it counts from `known_us` on, when it was approved if it
    had to be: `FOREVER` before that.
    """

    id: int
    plan: Plan
    recorded_us: int
    author: str
    known_us: int = FOREVER
    approved: Decision | None = None
    refused: Decision | None = None
    cancelled: Decision | None = None

    @property
    def status(self) -> str:
        """One of `STATUSES`; the last decision counts."""
        if self.cancelled is not None:
            return CANCELLED
        if self.refused is not None:
            return REFUSED
        return PENDING if self.known_us == FOREVER else RECORDED

    @property
    def cancelled_us(self) -> int:
        """When it was withdrawn, `FOREVER` while it was not."""
        return FOREVER if self.cancelled is None else self.cancelled.at_us


def entries(connection: Connection) -> list[Maintenance]:
    """Every window that ever counted, cancelled ones too, as the ledger takes them, in order of entries."""
    return [
        window
        for entry in _listed(connection, [table.c.known_us.is_not(None)])
        for window in ledger_windows(connection, entry)
    ]


def ledger_windows(connection: Connection, entry: Entry) -> list[Maintenance]:
    """The windows of an entry as the ledger takes them, known from `entry.known_us` on.

    Which devices are in a building or have a tag is answered for every instant by what the registry said
    then; before a device was registered, by what it said first.
    """
    spans = plans.windows(entry.plan)
    known = (entry.known_us, entry.cancelled_us)
    if not entry.plan.reach.is_resolved:
        return [Maintenance(start, end, *known, entry.plan.reach.scope) for start, end in spans]
    return [
        Maintenance(max(start, since), min(end, until), *known, Scope(device=device))
        for device, since, until in pastdevices.members(connection, entry.plan.reach)
        for start, end in spans
        if max(start, since) < min(end, until)
    ]


def listing(
    connection: Connection,
    within: frozenset[str] | None = None,
    *,
    status: str | None = None,
    before_id: int | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Entries, recorded last first: of the communities `within`, and those about no community in particular.

    `status` is one of `STATUSES`; only ids below `before_id`.
    """
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions += _OF_STATUS[status]
    if within is not None:
        own = sorted(within)
        visible = select(devices.c.id).where(devices.c.community.in_(own))
        conditions.append(or_(table.c.community.is_(None), table.c.community.in_(own)))
        conditions.append(or_(table.c.device.is_(None), table.c.device.in_(visible)))
    if before_id is not None:
        conditions.append(table.c.id < before_id)
    return _listed(connection, conditions, newest_first=True, limit=limit)


def of(connection: Connection, entry_id: int, *, locked: bool = False) -> Entry | None:
    """The entry of that id, None when there is none; `locked`: nobody else changes it meanwhile."""
    found = select(table).where(table.c.id == entry_id)
    row = connection.execute(found.with_for_update() if locked else found).one_or_none()
    return None if row is None else _entry(row)


def record(connection: Connection, window: Maintenance, reason: str, author: str) -> int:
    """Store one window that counts from `window.recorded` on, and give its id.

    Raises `BadInput` for one that ends before it starts.
    """
    if window.end <= window.start:
        raise BadInput("a maintenance window has to end after it starts", where="end")
    plan = Plan(Reach(*window.scope), window.start, window.end, reason)
    entry = Entry(0, plan, window.recorded, author, window.recorded)
    if window.cancelled < FOREVER:
        entry = entry._replace(cancelled=Decision(window.cancelled, author))
    return put(connection, entry)


def put(connection: Connection, entry: Entry) -> int:
    """Store a new entry, whose `id` does not matter, and give its id."""
    plan, weekly = entry.plan, entry.plan.weekly
    done = connection.execute(
        insert(table)
        .returning(table.c.id)
        .values(
            **plan.reach._asdict(),
            start_us=plan.start,
            end_us=to_null(plan.end),
            reason=plan.reason,
            weekdays=None if weekly is None else json.dumps(weekly.days),
            begins_min=None if weekly is None else weekly.begins_min,
            ends_min=None if weekly is None else weekly.ends_min,
            zone=None if weekly is None else weekly.zone,
            recorded_us=entry.recorded_us,
            author=entry.author,
            **_decided(entry),
        )
    )
    if entry.known_us < FOREVER:
        meta.grow(connection, meta.REGISTRY)
    return int(done.scalar_one())


def decide(connection: Connection, entry: Entry) -> None:
    """Store the decisions of an entry; the running parts learn of it if it counts or did."""
    connection.execute(update(table).where(table.c.id == entry.id).values(**_decided(entry)))
    if entry.known_us < FOREVER:
        meta.grow(connection, meta.REGISTRY)


def cancel(connection: Connection, entry_id: int, at_us: int) -> None:
    """Withdraw an entry whole, as known from `at_us` on; the first cancellation stays.

    Raises `NotFound` for an id that was never given.
    """
    entry = of(connection, entry_id, locked=True)
    if entry is None:
        raise NotFound(f"没有维护记录 {entry_id} / no maintenance entry has the id {entry_id}")
    if entry.cancelled is None:
        decide(connection, entry._replace(cancelled=Decision(at_us, "")))


_OF_STATUS: dict[str, list[ColumnElement[bool]]] = {
    CANCELLED: [table.c.cancelled_us.is_not(None)],
    REFUSED: [table.c.cancelled_us.is_(None), table.c.refused_us.is_not(None)],
    RECORDED: [
        table.c.cancelled_us.is_(None),
        table.c.refused_us.is_(None),
        table.c.known_us.is_not(None),
    ],
    PENDING: [table.c.cancelled_us.is_(None), table.c.refused_us.is_(None), table.c.known_us.is_(None)],
}


def _listed(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    *,
    newest_first: bool = False,
    limit: int | None = None,
) -> list[Entry]:
    query = select(table).where(*conditions).limit(limit)
    query = query.order_by(table.c.id.desc() if newest_first else table.c.id)
    return [_entry(row) for row in connection.execute(query)]


def _decided(entry: Entry) -> dict[str, object]:
    approved, refused, cancelled = entry.approved, entry.refused, entry.cancelled
    return {
        "known_us": to_null(entry.known_us),
        "approved_us": None if approved is None else approved.at_us,
        "approved_by": None if approved is None else approved.by,
        "refused_us": None if refused is None else refused.at_us,
        "refused_by": None if refused is None else refused.by,
        "refuse_reason": None if refused is None else refused.reason,
        "cancelled_us": None if cancelled is None else cancelled.at_us,
        "cancelled_by": None if cancelled is None else cancelled.by,
        "cancel_reason": None if cancelled is None else cancelled.reason,
    }


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    weekly = None
    if row.weekdays is not None:
        weekly = Weekly(tuple(json.loads(row.weekdays)), row.begins_min, row.ends_min, row.zone)
    reach = Reach(row.device, row.kind, row.community, row.building, row.tag)
    return Entry(
        row.id,
        Plan(reach, row.start_us, from_null(row.end_us), row.reason, weekly),
        row.recorded_us,
        row.author,
        from_null(row.known_us),
        _decision(row.approved_us, row.approved_by, ""),
        _decision(row.refused_us, row.refused_by, row.refuse_reason),
        _decision(row.cancelled_us, row.cancelled_by, row.cancel_reason),
    )


def _decision(at_us: int | None, by: str | None, reason: str | None) -> Decision | None:
    return None if at_us is None else Decision(at_us, by or "", reason or "")
