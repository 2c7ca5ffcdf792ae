"""Maintenance windows: recorded, cancelled, never changed."""

from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from pulse.errors import BadInput, NotFound
from pulse.ledger.model import Maintenance
from pulse.stores.relational import meta, scopes
from pulse.stores.relational.tables import maintenance as table
from pulse.stores.relational.values import from_null, to_null


class Entry(NamedTuple):
    """A window with what people said of it."""

    id: int
    window: Maintenance
    reason: str
    author: str


def entries(connection: Connection) -> list[Maintenance]:
    """Every window, cancelled ones too, in the order in which they were recorded."""
    return [entry.window for entry in listing(connection)]


def listing(connection: Connection) -> list[Entry]:
    """Every window with its id, reason and author, in the order in which they were recorded."""
    return [
        Entry(
            row.id,
            Maintenance(
                row.start_us,
                from_null(row.end_us),
                row.recorded_us,
                from_null(row.cancelled_us),
                scopes.scope(row),
            ),
            row.reason,
            row.author,
        )
        for row in connection.execute(select(table).order_by(table.c.id))
    ]


def record(connection: Connection, window: Maintenance, reason: str, author: str) -> int:
    """Store a window and give its id. Raises `BadInput` for one that ends before it starts."""
    if window.end <= window.start:
        raise BadInput("a maintenance window has to end after it starts", where="end")
    done = connection.execute(
        insert(table)
        .returning(table.c.id)
        .values(
            start_us=window.start,
            end_us=to_null(window.end),
            recorded_us=window.recorded,
            cancelled_us=to_null(window.cancelled),
            reason=reason,
            author=author,
            **scopes.columns(window.scope),
        )
    )
    meta.grow(connection, meta.REGISTRY)
    return int(done.scalar_one())


def cancel(connection: Connection, entry_id: int, at_us: int) -> None:
    """Withdraw a window whole, as known from `at_us` on; the first cancellation stays.

    Raises `NotFound` for an id that was never given.
    """
    first = update(table).where(table.c.id == entry_id, table.c.cancelled_us.is_(None))
    if connection.execute(first.values(cancelled_us=at_us)).rowcount:
        meta.grow(connection, meta.REGISTRY)
        return
    if connection.scalar(select(table.c.id).where(table.c.id == entry_id)) is None:
        raise NotFound(f"no maintenance window has the id {entry_id}")
