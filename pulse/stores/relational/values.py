"""How values of the domain lie in columns."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

from pulse.errors import BadInput
from pulse.ledger.model import FOREVER

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def to_null(at_us: int) -> int | None:
    """`FOREVER` as NULL."""
    return None if at_us >= FOREVER else at_us


def from_null(at_us: int | None) -> int:
    """NULL as `FOREVER`."""
    return FOREVER if at_us is None else at_us


def canonical(body: dict[str, Any] | list[str]) -> str:
    """JSON with sorted keys, no spaces and no escapes but the necessary: equal values give equal text.

    Raises `BadInput` for what JSON in UTF-8 cannot hold (NaN, infinities, lone surrogates, other types).
    """
    try:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"cannot be written as JSON: {error}") from error
    return text


def storable(text: str) -> str:
    r"""`text` with NUL and lone surrogates, which databases refuse, written as `\x00` and `\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def upsert(
    connection: Connection, table: Table, *, update: Sequence[str] | None = None
) -> "sqlite.Insert | postgresql.Insert":
    """An insert that overwrites the row of the same primary key: its other columns, or those in `update`."""
    return _upsert(connection.dialect.name, table, None if update is None else tuple(update))


@cache
def _upsert(
    dialect: str, table: Table, update: tuple[str, ...] | None
) -> "sqlite.Insert | postgresql.Insert":
    keys = [column.name for column in table.primary_key]
    names = [c.name for c in table.columns if c.name not in keys] if update is None else update
    statement = _insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=keys, set_={name: statement.excluded[name] for name in names}
    )


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """The back end's own insert, which knows ON CONFLICT."""
    return _insert(connection.dialect.name, table)


def _insert(dialect: str, table: Table) -> "sqlite.Insert | postgresql.Insert":
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - loaded for the connection already

        return postgresql.insert(table)
    return sqlite.insert(table)
