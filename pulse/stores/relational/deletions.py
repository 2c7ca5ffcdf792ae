"""What retention deleted: the reason why an older question has no answer."""

from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from pulse.stores.relational.tables import deletions as table


class Deletion(NamedTuple):
    """At `at_us`, `deleted` things named `what` from before `before_us` were deleted (-1: uncounted)."""

    id: int
    what: str
    before_us: int
    deleted: int
    at_us: int


def record(connection: Connection, what: str, before_us: int, count: int, at_us: int) -> None:
    """Note a deletion."""
    connection.execute(insert(table).values(what=what, before_us=before_us, count=count, at_us=at_us))


def recent(connection: Connection, limit: int = 100) -> list[Deletion]:
    """At most `limit` deletions, the last first."""
    rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(limit))
    return [Deletion(*row) for row in rows]
