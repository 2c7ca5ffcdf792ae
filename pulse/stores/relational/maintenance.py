"""Maintenance as people recorded it: decided on, cancelled, never changed, never deleted."""

import json
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from pulse.errors import BadInput, NotFound
from pulse.ledger.model import FOREVER, Maintenance, Scope
from pulse.registry import plans
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational import decisions as deciding
from pulse.stores.relational import meta, pastdevices
from pulse.stores.relational.decisions import Decisions
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.tables import devices
from pulse.stores.relational.tables import maintenance as table
from pulse.stores.relational.values import from_null, to_null


class Entry(NamedTuple):
    """A plan with what people decided of it.

    It was written down at `recorded_us` by `author`.
    """

    id: int
    plan: Plan
    recorded_us: int
    author: str
    decisions: Decisions = Decisions()

    @property
    def status(self) -> str:
        """One of `decisions.STATUSES`."""
        return self.decisions.status

    @property
    def known_us(self) -> int:
        """Since when it counts, `FOREVER` while it does not."""
        return self.decisions.known_us

    @property
    def cancelled_us(self) -> int:
        """When it was withdrawn, `FOREVER` while it was not."""
        cancelled = self.decisions.cancelled
        return FOREVER if cancelled is None else cancelled.at_us


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

    `status` is one of `decisions.STATUSES`; only ids below `before_id`.
    """
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions += deciding.conditions(table, status)
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
    cancelled = Decision(window.cancelled, author) if window.cancelled < FOREVER else None
    decided = Decisions(window.recorded, cancelled=cancelled)
    return put(connection, Entry(0, plan, window.recorded, author, decided))


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
            **entry.decisions.columns(),
        )
    )
    if entry.known_us < FOREVER:
        meta.grow(connection, meta.REGISTRY)
    return int(done.scalar_one())


def decide(connection: Connection, entry: Entry) -> None:
    """Store the decisions of an entry; the running parts learn of it if it counts or did."""
    connection.execute(update(table).where(table.c.id == entry.id).values(**entry.decisions.columns()))
    if entry.known_us < FOREVER:
        meta.grow(connection, meta.REGISTRY)


def cancel(connection: Connection, entry_id: int, at_us: int) -> None:
    """Withdraw an entry whole, as known from `at_us` on; the first cancellation stays.

    Raises `NotFound` for an id that was never given.
    """
    entry = of(connection, entry_id, locked=True)
    if entry is None:
        raise NotFound(f"没有维护记录 {entry_id} / no maintenance entry has the id {entry_id}")
    if entry.decisions.cancelled is None:
        decided = entry.decisions._replace(cancelled=Decision(at_us, ""))
        decide(connection, entry._replace(decisions=decided))


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
        deciding.of_row(row),
    )
