"""Sessions of signed-in people: found by the digest of the secret that only their browser has."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select, update

from pulse.stores.relational.tables import sessions as table
from pulse.stores.relational.values import insert


class Session(NamedTuple):
    """One sign-in. `last_us` is its last use, to the minute; `expires_us` its end whatever happens."""

    id: int
    user_id: int
    created_us: int
    last_us: int
    expires_us: int
    revoked_us: int | None
    address: str
    agent: str


def add(
    connection: Connection, digest: str, user_id: int, now_us: int, expires_us: int, address: str, agent: str
) -> Session:
    """Store a new session."""
    row = connection.execute(
        insert(connection, table).returning(*table.c),
        {
            "digest": digest,
            "user_id": user_id,
            "created_us": now_us,
            "last_us": now_us,
            "expires_us": expires_us,
            "address": address,
            "agent": agent,
        },
    ).one()
    return _session(row)


def found(connection: Connection, digest: str) -> Session | None:
    """The session of a secret's digest, ended or not; None when there never was one."""
    row = connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
    return None if row is None else _session(row)


def of(connection: Connection, session_id: int) -> Session | None:
    """The session of that number, None when there is none."""
    row = connection.execute(select(table).where(table.c.id == session_id)).one_or_none()
    return None if row is None else _session(row)


def of_user(connection: Connection, user_id: int) -> list[Session]:
    """A user's sessions that were not revoked, the last used first."""
    query = select(table).where(table.c.user_id == user_id, table.c.revoked_us.is_(None))
    return [_session(row) for row in connection.execute(query.order_by(table.c.last_us.desc()))]


def last_sign_ins(connection: Connection) -> dict[int, int]:
    """When each user last signed in, by the user's number, as far as sessions are kept."""
    query = select(table.c.user_id, func.max(table.c.created_us).label("last_us")).group_by(table.c.user_id)
    return {row.user_id: row.last_us for row in connection.execute(query)}


def touch(connection: Connection, session_id: int, now_us: int) -> None:
    """Note that a session was used."""
    used = update(table).where(table.c.id == session_id, table.c.last_us < now_us)
    connection.execute(used.values(last_us=now_us))


def revoke(connection: Connection, session_id: int, now_us: int) -> bool:
    """End a session; False when it had ended."""
    ended = update(table).where(table.c.id == session_id, table.c.revoked_us.is_(None))
    return connection.execute(ended.values(revoked_us=now_us)).rowcount > 0


def revoke_all(connection: Connection, user_id: int, now_us: int, *, but: int | None = None) -> int:
    """End every session of a user, `but` one; gives how many were."""
    ended = update(table).where(table.c.user_id == user_id, table.c.revoked_us.is_(None))
    if but is not None:
        ended = ended.where(table.c.id != but)
    return connection.execute(ended.values(revoked_us=now_us)).rowcount


def trim(connection: Connection, before_us: int) -> int:
    """Forget sessions that ended before `before_us`; the audit log keeps that they were."""
    return connection.execute(delete(table).where(table.c.expires_us < before_us)).rowcount


def _session(row: Row[Any]) -> Session:
    return Session(
        row.id,
        row.user_id,
        row.created_us,
        row.last_us,
        row.expires_us,
        row.revoked_us,
        row.address,
        row.agent,
    )
