"""One-time codes with which somebody chooses a password: the first administrator, or an invited user."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from pulse.stores.relational.tables import invitations as table
from pulse.stores.relational.values import insert


class Invitation(NamedTuple):
    """`user_id` None is for the first administrator, whose name is still to be chosen."""

    id: int
    user_id: int | None
    created_us: int
    expires_us: int
    used_us: int | None


def add(connection: Connection, digest: str, user_id: int | None, now_us: int, expires_us: int) -> None:
    """Store an invitation; those given before for the same purpose no longer hold."""
    withdraw(connection, user_id, now_us)
    connection.execute(
        insert(connection, table),
        {"digest": digest, "user_id": user_id, "created_us": now_us, "expires_us": expires_us},
    )


def open_with(connection: Connection, digest: str, now_us: int) -> Invitation | None:
    """The invitation of that digest, None when there is none, or it was used or is too old."""
    row = connection.execute(
        select(table).where(table.c.digest == digest, table.c.used_us.is_(None), table.c.expires_us > now_us)
    ).one_or_none()
    return None if row is None else _invitation(row)


def use(connection: Connection, invitation_id: int, now_us: int) -> bool:
    """Mark as used; False when somebody else was quicker."""
    fresh = update(table).where(table.c.id == invitation_id, table.c.used_us.is_(None))
    return connection.execute(fresh.values(used_us=now_us)).rowcount > 0


def withdraw(connection: Connection, user_id: int | None, now_us: int) -> None:
    """Open invitations of a user no longer hold; None: those for the first administrator."""
    same = table.c.user_id.is_(None) if user_id is None else table.c.user_id == user_id
    connection.execute(update(table).where(same, table.c.used_us.is_(None)).values(used_us=now_us))


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(row.id, row.user_id, row.created_us, row.expires_us, row.used_us)
