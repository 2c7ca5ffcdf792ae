"""Deliveries that were made again of others, because the far side does not hold what it acknowledged."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, func, insert, select

from pulse.stores.relational.deliveries import ACKNOWLEDGED
from pulse.stores.relational.tables import deliveries, delivery_days
from pulse.stores.relational.tables import repeats as table


def note(connection: Connection, outlet: str, number: int, again_of: Iterable[int]) -> None:
    """Note that a delivery has records of others once more."""
    rows = [{"outlet": outlet, "number": number, "again_of": one} for one in sorted(set(again_of))]
    if rows:
        connection.execute(insert(table), rows)


def of(connection: Connection, outlet: str, numbers: Iterable[int]) -> dict[int, list[int]]:
    """Of these deliveries those that repeat others, with the numbers of those."""
    rows = connection.execute(
        select(table.c.number, table.c.again_of)
        .where(table.c.outlet == outlet, table.c.number.in_(list(numbers)))
        .order_by(table.c.number, table.c.again_of)
    )
    found: dict[int, list[int]] = {}
    for number, again_of in rows:
        found.setdefault(number, []).append(again_of)
    return found


def last_us(connection: Connection, outlet: str) -> int | None:
    """When something was last made again for an outlet, None if it never was."""
    found: int | None = connection.scalar(
        select(func.max(deliveries.c.made_us))
        .join(table, (table.c.outlet == deliveries.c.outlet) & (table.c.number == deliveries.c.number))
        .where(deliveries.c.outlet == outlet)
    )
    return found


def with_records_of(connection: Connection, outlet: str, day: str, data_kinds: Collection[str]) -> list[int]:
    """The acknowledged deliveries that brought records of these kinds and this day first, by number."""
    query = (
        select(delivery_days.c.delivery)
        .distinct()
        .join(
            deliveries,
            (deliveries.c.outlet == delivery_days.c.outlet)
            & (deliveries.c.number == delivery_days.c.delivery),
        )
        .where(
            delivery_days.c.outlet == outlet,
            delivery_days.c.day == day,
            delivery_days.c.data_kind.in_(sorted(data_kinds)),
            deliveries.c.state == ACKNOWLEDGED,
        )
        .order_by(delivery_days.c.delivery)
    )
    return list(connection.scalars(query))
