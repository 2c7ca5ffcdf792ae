"""Outlets: versions that are only ever added, and how far each has come."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, or_, select, update

from pulse.errors import Conflict
from pulse.sharing.outlets import Outlet, Version, members
from pulse.stores.relational import meta
from pulse.stores.relational.tables import outlet_positions as positions
from pulse.stores.relational.tables import outlets as table
from pulse.stores.relational.values import canonical, insert


class Position(NamedTuple):
    """How far an outlet has come.

    Every record up to order `position` was looked at, and none behind it was received before `since_us`;
    quiet was stated up to `quiet_us`; the last delivery is `number`. `most_records` is less than the outlet
    says where its far side took no more. `withheld` counts by `kind/reason`; `stuck` is why no delivery is
    made, a slug.
    """

    outlet: str
    position: int
    since_us: int
    quiet_us: int
    number: int = 0
    built_us: int | None = None
    most_records: int | None = None
    withheld: Mapping[str, int] = MappingProxyType({})
    stuck: str | None = None


def append(connection: Connection, version: Version) -> None:
    """Add a version. Raises `Conflict` for an outlet of which one was recorded at that very time."""
    row = {
        "id": version.id,
        "recorded_us": version.recorded_us,
        "says": None if version.says is None else canonical(members(version.says)),
        "said_by": version.said_by,
    }
    fresh = insert(connection, table).on_conflict_do_nothing().returning(table.c.id)
    if connection.execute(fresh, row).first() is None:
        raise Conflict(f"outlet {version.id}: something else was said of it at the same microsecond")
    meta.grow(connection, meta.OUTLETS)


def history(connection: Connection, outlet: str | None = None) -> list[Version]:
    """Everything that was said of one outlet, or of all, in that order."""
    query = select(table).order_by(table.c.recorded_us, table.c.id)
    if outlet is not None:
        query = query.where(table.c.id == outlet)
    return [_version(row) for row in connection.execute(query)]


def current(connection: Connection) -> list[Outlet]:
    """The outlets that there are, by id."""
    last = {version.id: version.says for version in history(connection)}
    return [says for _, says in sorted(last.items()) if says is not None]


def of(connection: Connection, outlet: str) -> Outlet | None:
    """One outlet, None if there is none."""
    said = history(connection, outlet)
    return said[-1].says if said else None


def version(connection: Connection) -> int:
    """A number that grows with every change."""
    return meta.count(connection, meta.OUTLETS)


def begin(connection: Connection, position: Position) -> None:
    """Let an outlet begin at a position, unless it has one."""
    row = {**position._asdict(), "withheld": canonical(dict(position.withheld))}
    connection.execute(insert(connection, positions).on_conflict_do_nothing(), row)


def position_of(connection: Connection, outlet: str) -> Position | None:
    """How far an outlet has come, None before it began."""
    return all_positions(connection, [outlet]).get(outlet)


def all_positions(connection: Connection, outlets: Iterable[str] | None = None) -> dict[str, Position]:
    """How far outlets have come, by id."""
    columns = [positions.c[name] for name in Position._fields]
    query = select(*columns).order_by(positions.c.outlet)
    if outlets is not None:
        query = query.where(positions.c.outlet.in_(list(outlets)))
    found = (Position(*row) for row in connection.execute(query))
    return {p.outlet: p._replace(withheld=msgspec.json.decode(str(p.withheld))) for p in found}


def move(connection: Connection, before: Position, after: Position) -> bool:
    """Move an outlet on if it still is where it was; whether it was, whatever others do."""
    row = {**after._asdict(), "withheld": canonical(dict(after.withheld))}
    row.pop("outlet")
    change = (
        update(positions)
        .where(
            positions.c.outlet == before.outlet,
            positions.c.position == before.position,
            positions.c.number == before.number,
            positions.c.quiet_us == before.quiet_us,
        )
        .values(row)
    )
    return connection.execute(change).rowcount == 1


def set_stuck(connection: Connection, outlet: str, stuck: str | None) -> None:
    """Note why no delivery is made, None for nothing."""
    connection.execute(update(positions).where(positions.c.outlet == outlet).values(stuck=stuck))


def set_most(connection: Connection, outlet: str, most_records: int | None) -> None:
    """Note how many records the far side takes at most, None for as many as the outlet says."""
    connection.execute(
        update(positions).where(positions.c.outlet == outlet).values(most_records=most_records)
    )


def claim(connection: Connection, outlet: str, holder: str, now_us: int, until_us: int) -> bool:
    """Be the only one who sends to an outlet until then; False while somebody else is."""
    free = or_(
        positions.c.holder.is_(None), positions.c.holder == holder, positions.c.held_until_us <= now_us
    )
    change = (
        update(positions)
        .where(positions.c.outlet == outlet, free)
        .values(holder=holder, held_until_us=until_us)
    )
    return connection.execute(change).rowcount == 1


def held_by(connection: Connection, outlet: str) -> str | None:
    """Who sends to an outlet, or did when it was heard of last."""
    found: str | None = connection.scalar(select(positions.c.holder).where(positions.c.outlet == outlet))
    return found


def release(connection: Connection, outlet: str, holder: str) -> None:
    """Let others send, if it is still `holder` who does."""
    connection.execute(
        update(positions)
        .where(positions.c.outlet == outlet, positions.c.holder == holder)
        .values(holder=None, held_until_us=None)
    )


def _version(row: Row[Any]) -> Version:
    says = None if row.says is None else msgspec.json.decode(row.says, type=Outlet)
    return Version(row.id, row.recorded_us, says, row.said_by)
