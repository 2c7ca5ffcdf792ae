"""Receipts of departments: appended to, never changed; one chain by hash over all outlets."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, text

from pulse.chain import FIRST, Head
from pulse.errors import Conflict
from pulse.sharing.receipts import Part, Receipt, parts_of, parts_text, seal
from pulse.stores.relational import meta
from pulse.stores.relational.tables import receipt_parts
from pulse.stores.relational.tables import receipts as table
from pulse.stores.relational.values import insert

_HEAD = "receipts_head"
"""The last receipt's number and link, kept beside the table: a chain cut off at its end does not fit it."""

_ORDER_LOCK = 0x50554C5349
"""PostgreSQL advisory lock under which one transaction after the other appends."""

_PAGE = 1000


class Acknowledged(NamedTuple):
    """A part of a receipt, with when it was acknowledged and since when that is known."""

    number: int
    outlet: str
    acknowledged_us: int
    recorded_us: int
    part: Part


def append(connection: Connection, receipt: Receipt) -> Receipt:
    """Store a receipt behind the last one, and give it back with its number and links.

    Raises `Conflict` for a delivery of that outlet that has one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
    known = head(connection)
    # One that somebody slipped in behind the head must not stop the product; verifying shows it.
    number = max(known.number, connection.scalar(select(func.max(table.c.number))) or 0) + 1
    made = receipt._replace(number=number, previous=known.digest, link="")
    made = made._replace(link=seal(made))
    row = {**made._asdict(), "parts": parts_text(made.parts)}
    fresh = insert(connection, table).on_conflict_do_nothing().returning(table.c.number)
    if connection.execute(fresh, row).first() is None:
        raise Conflict(f"delivery {receipt.delivery} of {receipt.outlet} has its receipt already")
    rows = [
        {
            "receipt": number,
            "outlet": made.outlet,
            "acknowledged_us": made.acknowledged_us,
            "recorded_us": made.recorded_us,
            **{name: getattr(part, name) for name in Part.__struct_fields__},
        }
        for part in made.parts
    ]
    if rows:
        connection.execute(insert(connection, receipt_parts), rows)
    meta.put(connection, _HEAD, f"{number} {made.link}")
    return made


def head(connection: Connection) -> Head:
    """The last receipt's number and link as they were noted beside the table."""
    noted = meta.get(connection, _HEAD)
    if noted is None:
        return Head(0, FIRST)
    number, _, link = noted.partition(" ")
    return Head(int(number), link)


def walk(connection: Connection) -> Iterator[Receipt]:
    """Every receipt in order of number."""
    last = 0
    while True:
        rows = connection.execute(
            select(table).where(table.c.number > last).order_by(table.c.number).limit(_PAGE)
        ).all()
        for row in rows:
            yield _receipt(row)
        if len(rows) < _PAGE:
            return
        last = rows[-1].number


def listing(
    connection: Connection, *, outlet: str | None = None, before: int | None = None, limit: int = 100
) -> list[Receipt]:
    """The newest receipts, newest first; those numbered below `before`."""
    query = select(table).order_by(table.c.number.desc()).limit(limit)
    if outlet is not None:
        query = query.where(table.c.outlet == outlet)
    if before is not None:
        query = query.where(table.c.number < before)
    return [_receipt(row) for row in connection.execute(query)]


def of_delivery(connection: Connection, outlet: str, delivery: str) -> Receipt | None:
    """The receipt of a delivery, None if it has none."""
    row = connection.execute(
        select(table).where(table.c.outlet == outlet, table.c.delivery == delivery)
    ).one_or_none()
    return None if row is None else _receipt(row)


def acknowledged(
    connection: Connection, after_us: int, until_us: int, known_us: int, data_kind: str | None = None
) -> list[Acknowledged]:
    """The parts acknowledged in `(after_us, until_us]` as known at `known_us`, in order of number."""
    query = select(receipt_parts).where(
        receipt_parts.c.acknowledged_us > after_us,
        receipt_parts.c.acknowledged_us <= until_us,
        receipt_parts.c.recorded_us <= known_us,
    )
    if data_kind is not None:
        query = query.where(receipt_parts.c.data_kind == data_kind)
    rows = connection.execute(query.order_by(receipt_parts.c.receipt))
    return [
        Acknowledged(
            row.receipt,
            row.outlet,
            row.acknowledged_us,
            row.recorded_us,
            Part(**{name: getattr(row, name) for name in Part.__struct_fields__}),
        )
        for row in rows
    ]


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(**{**row._asdict(), "parts": parts_of(row.parts)})
