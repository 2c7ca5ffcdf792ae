"""People who can sign in."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import IntegrityError

from pulse.access.roles import Role
from pulse.errors import Conflict
from pulse.stores.relational.tables import users as table
from pulse.stores.relational.values import canonical, insert


class User(NamedTuple):
    """`communities` None means all; `password_hash` None until one is chosen."""

    id: int
    name: str
    display: str
    role: Role
    communities: frozenset[str] | None
    outlets: frozenset[str]
    password_hash: str | None
    password_us: int | None
    created_us: int
    disabled_us: int | None

    def said(self) -> dict[str, Any]:
        """What the audit log and lists say of a user: no secret."""
        return {
            "name": self.name,
            "display": self.display,
            "role": str(self.role),
            "communities": None if self.communities is None else sorted(self.communities),
            "outlets": sorted(self.outlets),
            "disabled": self.disabled_us is not None,
        }


def all_of(connection: Connection) -> list[User]:
    """Every user, by name."""
    return [_user(row) for row in connection.execute(select(table).order_by(table.c.name))]


def named(connection: Connection, name: str) -> User | None:
    """The user of that name, None when there is none."""
    row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    return None if row is None else _user(row)


def of(connection: Connection, user_id: int) -> User | None:
    """The user of that number, None when there is none."""
    row = connection.execute(select(table).where(table.c.id == user_id)).one_or_none()
    return None if row is None else _user(row)


def active_of_role(connection: Connection, role: Role) -> int:
    """How many can sign in (or could, once they chose a password) with that role."""
    query = select(func.count()).where(table.c.role == str(role), table.c.disabled_us.is_(None))
    return connection.scalar(query) or 0


def add(
    connection: Connection,
    name: str,
    role: Role,
    now_us: int,
    *,
    display: str = "",
    communities: Iterable[str] | None = None,
    outlets: Iterable[str] = (),
    password_hash: str | None = None,
) -> User:
    """Store a new user. Raises `Conflict` when the name is taken."""
    values = {
        "name": name,
        "display": display,
        "role": str(role),
        "communities": None if communities is None else canonical(sorted(communities)),
        "outlets": canonical(sorted(outlets)),
        "password_hash": password_hash,
        "password_us": None if password_hash is None else now_us,
        "created_us": now_us,
    }
    try:
        with connection.begin_nested():
            row = connection.execute(insert(connection, table).returning(*table.c), values).one()
    except IntegrityError as error:
        raise Conflict(f"用户名 {name} 已被使用 / the user name {name} is taken") from error
    return _user(row)


def change(connection: Connection, user: User) -> None:
    """Store what may change of a user: display, role, communities, outlets, password, whether disabled."""
    connection.execute(
        update(table)
        .where(table.c.id == user.id)
        .values(
            display=user.display,
            role=str(user.role),
            communities=None if user.communities is None else canonical(sorted(user.communities)),
            outlets=canonical(sorted(user.outlets)),
            password_hash=user.password_hash,
            password_us=user.password_us,
            disabled_us=user.disabled_us,
        )
    )


def _user(row: Row[Any]) -> User:
    return User(
        row.id,
        row.name,
        row.display,
        Role(row.role),
        None if row.communities is None else frozenset(json.loads(row.communities)),
        frozenset(json.loads(row.outlets)),
        row.password_hash,
        row.password_us,
        row.created_us,
        row.disabled_us,
    )
