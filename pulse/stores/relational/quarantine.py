"""What could not be accepted, for people to look at."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from pulse.messages import Quarantined
from pulse.stores.relational.tables import quarantine as table
from pulse.stores.relational.values import insert, storable


def put(connection: Connection, items: Sequence[tuple[int, Quarantined]]) -> None:
    """Store items under their order of reception; one whose order is there already stays as it is."""
    rows = [
        {
            "number": order,
            **item._asdict(),
            # A topic may be any bytes; what a database refuses must not stop the others.
            "topic": storable(item.topic),
            "detail": storable(item.detail),
        }
        for order, item in items
    ]
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def recent(connection: Connection, limit: int, reason: str | None = None) -> list[tuple[int, Quarantined]]:
    """At most `limit` items with their order, the last received first; those of one reason if given."""
    query = select(table).order_by(table.c.number.desc()).limit(limit)
    if reason is not None:
        query = query.where(table.c.reason == reason)
    return [
        (
            row.number,
            Quarantined(row.observed_us, row.reason, row.detail, row.topic, bytes(row.payload), row.size),
        )
        for row in connection.execute(query)
    ]


def counts(connection: Connection) -> dict[str, int]:
    """How many items are kept, by reason."""
    rows = connection.execute(
        select(table.c.reason, func.count().label("kept")).group_by(table.c.reason).order_by(table.c.reason)
    )
    return {row.reason: row.kept for row in rows}


def trim(connection: Connection, before_us: int) -> int:
    """Delete the items received before `before_us` and say how many went."""
    return connection.execute(delete(table).where(table.c.observed_us < before_us)).rowcount
