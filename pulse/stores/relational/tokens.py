"""API tokens: found by their digest; what they may is a part of what their owner may."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from pulse.stores.relational.tables import tokens as table
from pulse.stores.relational.values import canonical, insert


class Token(NamedTuple):
    """`hint` is its beginning; `communities` None means all of its owner's; `last_us` its last use."""

    id: int
    hint: str
    label: str
    user_id: int
    scopes: frozenset[str]
    communities: frozenset[str] | None
    created_us: int
    expires_us: int
    last_us: int | None
    last_address: str | None
    revoked_us: int | None

    def said(self) -> dict[str, Any]:
        """What the audit log says of a token: nothing that could be used."""
        return {
            "label": self.label,
            "hint": self.hint,
            "scopes": sorted(self.scopes),
            "communities": None if self.communities is None else sorted(self.communities),
            "expires_us": self.expires_us,
        }


def add(
    connection: Connection,
    digest: str,
    hint: str,
    label: str,
    user_id: int,
    scopes: Iterable[str],
    communities: Iterable[str] | None,
    now_us: int,
    expires_us: int,
) -> Token:
    """Store a new token."""
    row = connection.execute(
        insert(connection, table).returning(*table.c),
        {
            "digest": digest,
            "hint": hint,
            "label": label,
            "user_id": user_id,
            "scopes": canonical(sorted(scopes)),
            "communities": None if communities is None else canonical(sorted(communities)),
            "created_us": now_us,
            "expires_us": expires_us,
        },
    ).one()
    return _token(row)


def found(connection: Connection, digest: str) -> Token | None:
    """The token of that digest, valid or not; None when there never was one."""
    row = connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
    return None if row is None else _token(row)


def of(connection: Connection, token_id: int) -> Token | None:
    """The token of that number, None when there is none."""
    row = connection.execute(select(table).where(table.c.id == token_id)).one_or_none()
    return None if row is None else _token(row)


def listing(connection: Connection, user_id: int | None = None) -> list[Token]:
    """Every token, or those of a user, the newest first."""
    query = select(table).order_by(table.c.id.desc())
    if user_id is not None:
        query = query.where(table.c.user_id == user_id)
    return [_token(row) for row in connection.execute(query)]


def touch(connection: Connection, token_id: int, now_us: int, address: str) -> None:
    """Note that a token was used, and from where."""
    connection.execute(
        update(table).where(table.c.id == token_id).values(last_us=now_us, last_address=address)
    )


def revoke(connection: Connection, token_id: int, now_us: int) -> bool:
    """Make a token invalid; False when it was."""
    ended = update(table).where(table.c.id == token_id, table.c.revoked_us.is_(None))
    return connection.execute(ended.values(revoked_us=now_us)).rowcount > 0


def revoke_all(connection: Connection, user_id: int, now_us: int) -> int:
    """Make every token of a user invalid; gives how many were valid."""
    ended = update(table).where(table.c.user_id == user_id, table.c.revoked_us.is_(None))
    return connection.execute(ended.values(revoked_us=now_us)).rowcount


def _token(row: Row[Any]) -> Token:
    return Token(
        row.id,
        row.hint,
        row.label,
        row.user_id,
        frozenset(json.loads(row.scopes)),
        None if row.communities is None else frozenset(json.loads(row.communities)),
        row.created_us,
        row.expires_us,
        row.last_us,
        row.last_address,
        row.revoked_us,
    )
