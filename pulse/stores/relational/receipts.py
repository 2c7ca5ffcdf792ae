"""Receipts of departments: appended to, never changed; one chain by hash over all outlets."""

from collections.abc import Collection, Iterator
from itertools import chain, groupby, repeat
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, func, select

from pulse.chain import FIRST, Head
from pulse.errors import Conflict
from pulse.sharing.catalogue import DataKind
from pulse.sharing.receipts import Acknowledged, Part, Receipt, parts_of, parts_text, seal
from pulse.stores.relational import heads
from pulse.stores.relational.tables import communities, receipt_parts
from pulse.stores.relational.tables import receipts as table
from pulse.stores.relational.values import insert

_HEAD = "receipts_head"
"""The last receipt's number and link, kept beside the table: a chain cut off at its end does not fit it."""

_ORDER_LOCK = 0x50554C5349
"""PostgreSQL advisory lock under which one transaction after the other appends."""

_PAGE = 1000


def append(connection: Connection, receipt: Receipt) -> Receipt:
    """Store a receipt behind the last one, and give it back with its number and links.

    Raises `Conflict` for a delivery of that outlet that has one.
    """
    heads.ordered(connection, _ORDER_LOCK)
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
    heads.write(connection, _HEAD, Head(number, made.link))
    return made


def head(connection: Connection) -> Head:
    """The last receipt's number and link as they were noted beside the table."""
    return heads.read(connection, _HEAD)


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


class Split(NamedTuple):
    """A receipt as the ratio reads it: by kind and community, beside the chain."""

    receipt: int
    outlet: str
    acknowledged_us: int
    recorded_us: int
    parts: tuple[Part, ...]


def walk_parts(connection: Connection) -> Iterator[Split]:
    """Every receipt that has parts, in order of number, its parts by kind and community."""
    own = receipt_parts.c
    rows = connection.execute(
        select(receipt_parts)
        .order_by(own.receipt, own.data_kind, own.community)
        .execution_options(yield_per=_PAGE)
    )
    for number, found in groupby(rows, key=lambda row: row.receipt):
        listed = list(found)
        parts = [Part(**{name: getattr(row, name) for name in Part.__struct_fields__}) for row in listed]
        first = listed[0]
        yield Split(number, first.outlet, first.acknowledged_us, first.recorded_us, tuple(parts))


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
    return [_acknowledged(row) for row in rows]


class Known(NamedTuple):
    """What is known of receipts: those recorded by `known_us` and, with `head`, numbered up to it."""

    known_us: int
    head: int | None = None

    def conditions(self, data_kind: str, at_us: int) -> list[ColumnElement[bool]]:
        """Of the parts of a kind that were acknowledged by `at_us`."""
        part = receipt_parts.c
        found = [
            part.data_kind == data_kind,
            part.acknowledged_us <= at_us,
            part.recorded_us <= self.known_us,
        ]
        return found if self.head is None else [*found, part.receipt <= self.head]


def deciding(connection: Connection, kind: DataKind, at_us: int, known: Known) -> list[Acknowledged]:
    """Of what is acknowledged of a kind, what its standing at an instant can hang on, but for statements.

    In each community that is: of those acknowledged in the window whose records count the one measured last,
    or else of those with records the one measured last; and what was acknowledged last. In order of number.
    """
    part, after_us = receipt_parts.c, at_us - kind.freshness_us
    conditions = known.conditions(kind.id, at_us)
    own = part.community == communities.c.id
    newest = (part.acknowledged_us.desc(), part.receipt.desc())
    records = select(part.receipt).where(own, *conditions, part.acknowledged_us > after_us, part.count > 0)
    counting = records.where(part.last_us > after_us, part.last_us <= at_us)
    # The second looks at the whole window, and is only looked for where there is no first one.
    decides = func.coalesce(
        counting.order_by(part.last_us.desc(), *newest).limit(1).scalar_subquery(),
        records.order_by(part.last_us.is_(None), part.last_us.desc(), *newest).limit(1).scalar_subquery(),
    )
    last = select(part.receipt).where(own, *conditions).order_by(*newest).limit(1).scalar_subquery()
    rows = connection.execute(select(communities.c.id, decides.label("decides"), last.label("last"))).all()
    chosen = {(row.id, number) for row in rows for number in (row.decides, row.last) if number is not None}
    return _parts(connection, kind.id, chosen)


def statements(
    connection: Connection, kind: DataKind, community: str, at_us: int, known: Known
) -> Iterator[Acknowledged]:
    """What is stated of quiet in a community and was acknowledged in the window, the newest first.

    Read as far as it is asked for.
    """
    part, position = receipt_parts.c, 0
    query = (
        select(receipt_parts, table.c.delivery)
        .join(table, table.c.number == part.receipt)
        .where(
            *known.conditions(kind.id, at_us),
            part.acknowledged_us > at_us - kind.freshness_us,
            part.community == community,
            part.quiet_until_us.is_not(None),
        )
        .order_by(part.acknowledged_us.desc(), part.receipt.desc())
    )
    # A few at first: the newest one counts as a rule.
    for size in chain((8,), repeat(_PAGE)):
        rows = connection.execute(query.offset(position).limit(size)).all()
        for row in rows:
            yield _acknowledged(row, row.delivery)
        if len(rows) < size:
            return
        position += size


def since(connection: Connection, after_us: int, until_us: int, number: int | None, limit: int) -> list[int]:
    """When receipts numbered behind `number` (None: recorded after `after_us`) were recorded, by `until_us`.

    The first `limit` by number, in order of time.
    """
    query = select(table.c.recorded_us).where(table.c.recorded_us <= until_us).order_by(table.c.number)
    behind = table.c.recorded_us > after_us if number is None else table.c.number > number
    return sorted(connection.scalars(query.where(behind).limit(limit)))


def known_number(connection: Connection, head: int, known_us: int) -> int:
    """The greatest number up to `head` such that all receipts up to it were recorded by `known_us`.

    Looks back a thousand receipts: none waits longer to become visible.
    """
    last = select(table.c.number, table.c.recorded_us).where(table.c.number <= head)
    newest = last.order_by(table.c.number.desc()).limit(_PAGE).subquery()
    later = select(func.min(newest.c.number)).where(newest.c.recorded_us > known_us)
    found: int | None = connection.scalar(later)
    return head if found is None else found - 1


def numbered(connection: Connection, numbers: Collection[int]) -> dict[int, Receipt]:
    """The receipts of these numbers, by number."""
    wanted, found = sorted(numbers), dict[int, Receipt]()
    for first in range(0, len(wanted), _PAGE):
        some = select(table).where(table.c.number.in_(wanted[first : first + _PAGE]))
        found.update((row.number, _receipt(row)) for row in connection.execute(some))
    return found


def link_of(connection: Connection, number: int) -> str | None:
    """The link of the receipt of that number, of number 0 what stands before the first; None without one."""
    if number == 0:
        return FIRST
    return connection.scalar(select(table.c.link).where(table.c.number == number))


def _parts(connection: Connection, data_kind: str, chosen: Collection[tuple[str, int]]) -> list[Acknowledged]:
    """The parts of a kind in these communities of these receipts, in order of number."""
    numbers = sorted({number for _, number in chosen})
    found = []
    for first in range(0, len(numbers), _PAGE):
        rows = connection.execute(
            select(receipt_parts, table.c.delivery)
            .join(table, table.c.number == receipt_parts.c.receipt)
            .where(
                receipt_parts.c.data_kind == data_kind,
                receipt_parts.c.receipt.in_(numbers[first : first + _PAGE]),
            )
            .order_by(receipt_parts.c.receipt, receipt_parts.c.community)
        )
        found += [_acknowledged(row, row.delivery) for row in rows if (row.community, row.receipt) in chosen]
    return found


def _acknowledged(row: Row[Any], delivery: str = "") -> Acknowledged:
    return Acknowledged(
        row.receipt,
        row.outlet,
        row.acknowledged_us,
        row.recorded_us,
        Part(**{name: row._mapping[name] for name in Part.__struct_fields__}),
        delivery,
    )


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(**{**row._asdict(), "parts": parts_of(row.parts)})
