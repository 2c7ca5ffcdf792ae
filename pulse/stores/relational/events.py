"""What happened, in the order in which it became visible: the source of the live streams."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select, text

from pulse.errors import BadInput
from pulse.stores.relational.tables import events as table
from pulse.stores.relational.values import canonical

TOPICS = frozenset({"transition", "indicator", "coverage", "incident", "flapping", "sharing"})

_ORDER_LOCK = 0x50554C5346
"""PostgreSQL advisory lock that makes ids become visible in their order."""


class NewEvent(NamedTuple):
    """Something that happened at `at_us` and was known at `recorded_us`; `body` holds JSON members.

    With a `key`, an event of the same topic and key is stored once only, so that applying a message
    again after a crash tells nobody twice.
    """

    at_us: int
    recorded_us: int
    topic: str
    body: dict[str, Any]
    key: str | None = None


class Event(NamedTuple):
    """A stored event; ids grow, with gaps."""

    id: int
    at_us: int
    recorded_us: int
    topic: str
    body: dict[str, Any]


def append(connection: Connection, items: Sequence[NewEvent]) -> int:
    """Store events in their order and give the last id there is (0 when there are none)."""
    rows = [_row(item) for item in items]
    if rows:
        if connection.dialect.name == "postgresql":
            # Ids are drawn before the commit: a reader that saw 6 must never find 5 behind it.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
        # Straight to the driver: SQLAlchemy's preparation of each row takes longer than the database.
        connection.exec_driver_sql(_insertion(connection.dialect.paramstyle), rows)
    return last_id(connection)


@cache
def _insertion(paramstyle: str) -> str:
    """The statement that stores the rows of `_row`, in the words of SQLite and PostgreSQL both."""
    marks = ", ".join(["?" if paramstyle == "qmark" else "%s"] * len(NewEvent._fields))
    names = ", ".join(NewEvent._fields)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def after(connection: Connection, event_id: int, limit: int) -> list[Event]:
    """At most `limit` events whose id is greater than `event_id`, in order of id."""
    rows = connection.execute(
        select(table.c.id, table.c.at_us, table.c.recorded_us, table.c.topic, table.c.body)
        .where(table.c.id > event_id)
        .order_by(table.c.id)
        .limit(limit)
    )
    return [Event(row.id, row.at_us, row.recorded_us, row.topic, json.loads(row.body)) for row in rows]


def since(connection: Connection, topic: str, after_us: int) -> Iterator[Event]:
    """The events of a topic that were recorded after `after_us`, in order of id."""
    rows = connection.execute(
        select(table.c.id, table.c.at_us, table.c.recorded_us, table.c.topic, table.c.body)
        .where(table.c.recorded_us > after_us, table.c.topic == topic)
        .order_by(table.c.id)
        .execution_options(yield_per=1000)
    )
    return (Event(row.id, row.at_us, row.recorded_us, row.topic, json.loads(row.body)) for row in rows)


def times(connection: Connection, topic: str, after_us: int, limit: int) -> list[int]:
    """When events of a topic happened that were recorded after `after_us`: the first `limit`, in order."""
    rows = connection.scalars(
        select(table.c.at_us)
        .where(table.c.recorded_us > after_us, table.c.topic == topic)
        .order_by(table.c.recorded_us, table.c.id)
        .limit(limit)
    )
    return list(rows)


def first_id(connection: Connection) -> int:
    """The smallest id kept, 0 when there is none: who was told less than the one before it missed some."""
    return connection.scalar(select(func.min(table.c.id))) or 0


def last_id(connection: Connection) -> int:
    """The greatest id kept, 0 when there is none."""
    return connection.scalar(select(func.max(table.c.id))) or 0


def trim(connection: Connection, before_us: int) -> int:
    """Delete the events recorded before `before_us`, but for the last one, and say how many went."""
    # The last id has to stay known: clients come back with it.
    gone = delete(table).where(table.c.recorded_us < before_us, table.c.id < last_id(connection))
    return connection.execute(gone).rowcount


def _row(item: NewEvent) -> tuple[Any, ...]:
    """An event, a value for each member in its order."""
    at_us, recorded_us, topic, body, key = item
    if topic not in TOPICS:
        raise BadInput(f"{topic!r} is not one of {', '.join(sorted(TOPICS))}", where="topic")
    return at_us, recorded_us, topic, canonical(body), key
