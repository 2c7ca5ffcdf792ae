"""Values as they were published: append-only, each with a digest of what it said."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from pulse.clock import to_iso
from pulse.errors import BadInput, Conflict
from pulse.stores.relational.tables import published as table
from pulse.stores.relational.values import canonical


class PublishedValue(NamedTuple):
    """One value of the indicator `name` at `at_us`, as known at `known_us`.

    `figures` is the whole answer (JSON members). `digest` is the SHA-256, hexadecimal, of `figures` as
    canonical JSON in UTF-8; left empty, `append` works it out.
    """

    name: str
    at_us: int
    known_us: int
    numerator: int
    denominator: int
    figures: dict[str, Any]
    digest: str = ""


def digest(figures: dict[str, Any]) -> str:
    """SHA-256, hexadecimal, of the canonical bytes of `figures`."""
    return hashlib.sha256(canonical(figures).encode()).hexdigest()


def append(connection: Connection, value: PublishedValue) -> None:
    """Store a value for good. Raises `Conflict` when one of that name and time is there already."""
    append_many(connection, [value])


def append_many(connection: Connection, values: Iterable[PublishedValue]) -> None:
    """Store values for good, all or none. Raises `Conflict` when one is there already."""
    rows = [_row(value) for value in values]
    if not rows:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(table), rows)
    except IntegrityError as error:
        raise Conflict(
            f"{rows[0]['name']}: a value of that time is published already "
            f"(first of these: {to_iso(rows[0]['at_us'])}); what was published stays as it is"
        ) from error


def series(
    connection: Connection, name: str, from_us: int, to_us: int, *, step_us: int | None = None
) -> list[PublishedValue]:
    """The values of `name` with `from_us <= at_us < to_us`, in order of time.

    With `step_us`, only the first one of every step; steps are counted from 1970.
    """
    within = and_(table.c.name == name, table.c.at_us >= from_us, table.c.at_us < to_us)
    if step_us is not None:
        steps = (
            select(func.min(table.c.at_us)).where(within).group_by(table.c.at_us - table.c.at_us % step_us)
        )
        within = and_(table.c.name == name, table.c.at_us.in_(steps))
    rows = connection.execute(select(table).where(within).order_by(table.c.at_us))
    return [_value(row) for row in rows]


def latest(connection: Connection, name: str) -> PublishedValue | None:
    """The value of `name` with the greatest time, None when there is none."""
    row = connection.execute(
        select(table).where(table.c.name == name).order_by(table.c.at_us.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _value(row)


def _row(value: PublishedValue) -> dict[str, Any]:
    text = canonical(value.figures)
    worked_out = hashlib.sha256(text.encode()).hexdigest()
    if value.digest not in {"", worked_out}:
        raise BadInput(f"{value.digest} is not the digest of the figures", where=f"{value.name} digest")
    return {**value._asdict(), "figures": text, "digest": worked_out}


def _value(row: Row[Any]) -> PublishedValue:
    return PublishedValue(
        row.name,
        row.at_us,
        row.known_us,
        row.numerator,
        row.denominator,
        json.loads(row.figures),
        row.digest,
    )
