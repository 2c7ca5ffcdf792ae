"""Steps in the lives of devices, as people recorded and decided them; none is ever deleted."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from pulse.registry.lives import REPLACE, Step
from pulse.stores.relational import decisions as deciding
from pulse.stores.relational.decisions import RECORDED, Decisions
from pulse.stores.relational.tables import devices
from pulse.stores.relational.tables import life_changes as table


class Entry(NamedTuple):
    """A step, written down at `recorded_us` by `author`, with what people decided of it."""

    id: int
    step: Step
    recorded_us: int
    author: str
    decisions: Decisions = Decisions()

    @property
    def status(self) -> str:
        """One of `decisions.STATUSES`."""
        return self.decisions.status


def put(connection: Connection, entry: Entry) -> int:
    """Store a new entry, whose `id` does not matter, and give its id."""
    done = connection.execute(
        insert(table)
        .returning(table.c.id)
        .values(
            **entry.step._asdict(),
            recorded_us=entry.recorded_us,
            author=entry.author,
            **entry.decisions.columns(),
        )
    )
    return int(done.scalar_one())


def decide(connection: Connection, entry: Entry) -> None:
    """Store the decisions of an entry."""
    connection.execute(update(table).where(table.c.id == entry.id).values(**entry.decisions.columns()))


def of(connection: Connection, entry_id: int, *, locked: bool = False) -> Entry | None:
    """The entry of that id, None when there is none; `locked`: nobody else changes it meanwhile."""
    found = select(table).where(table.c.id == entry_id)
    row = connection.execute(found.with_for_update() if locked else found).one_or_none()
    return None if row is None else _entry(row)


def listing(
    connection: Connection,
    within: frozenset[str] | None = None,
    *,
    status: str | None = None,
    before_id: int | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Entries about devices of the communities `within`, recorded last first, of ids below `before_id`."""
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions += deciding.conditions(table, status)
    if within is not None:
        visible = select(devices.c.id).where(devices.c.community.in_(sorted(within)))
        conditions.append(table.c.device.in_(visible))
    if before_id is not None:
        conditions.append(table.c.id < before_id)
    query = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def about(connection: Connection, device: str) -> list[Entry]:
    """Every entry that names a device, as the one replaced or the one that follows, in order."""
    named = or_(table.c.device == device, table.c.successor == device)
    return [_entry(row) for row in connection.execute(select(table).where(named).order_by(table.c.id))]


def place(connection: Connection, device: str) -> list[str]:
    """The devices that stood one after the other in the place of one, the first of them first."""
    known = [*deciding.conditions(table, RECORDED), table.c.what == REPLACE]
    chain = [device]
    for own, other, end in (
        (table.c.successor, table.c.device, 0),
        (table.c.device, table.c.successor, None),
    ):
        at: str | None = device
        while at is not None:
            query = select(other).where(own == at, *known).order_by(table.c.id.desc()).limit(1)
            at = connection.scalar(query)
            if at is None or at in chain:
                break
            chain.insert(len(chain) if end is None else end, at)
    return chain


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        row.id,
        Step(row.what, row.device, row.at_us, row.reason, row.successor),
        row.recorded_us,
        row.author,
        deciding.of_row(row),
    )
