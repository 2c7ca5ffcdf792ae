"""The catalogue of kinds of data: versions that are only ever added; a counter tells readers of changes."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, select

from pulse.errors import Conflict
from pulse.sharing.catalogue import Catalogue, DataKind, Version, members
from pulse.stores.relational import meta
from pulse.stores.relational.tables import data_kinds as table
from pulse.stores.relational.values import canonical, insert


def load(connection: Connection) -> Catalogue:
    """Every version of every kind."""
    rows = connection.execute(select(table).order_by(table.c.recorded_us, table.c.id))
    return Catalogue(
        Version(
            row.id,
            row.since_us,
            row.recorded_us,
            None if row.says is None else msgspec.json.decode(row.says, type=DataKind),
            row.said_by,
        )
        for row in rows
    )


def append(connection: Connection, versions: Iterable[Version]) -> None:
    """Add versions. Raises `Conflict` for a kind of which one was recorded at that very time."""
    rows = [
        {
            "id": version.id,
            "recorded_us": version.recorded_us,
            "since_us": version.since_us,
            "says": None if version.says is None else canonical(members(version.says)),
            "said_by": version.said_by,
        }
        for version in versions
    ]
    if not rows:
        return
    fresh = insert(connection, table).on_conflict_do_nothing().returning(table.c.id)
    for row in rows:
        if connection.execute(fresh, row).first() is None:
            raise Conflict(f"data kind {row['id']}: something else was said of it at the same microsecond")
    meta.grow(connection, meta.CATALOGUE)


def seed(connection: Connection, now_us: int) -> bool:
    """Let a catalogue in which nothing was ever said hold the default kinds from now on; whether it did."""
    anything = select(table.c.id).limit(1)
    if connection.execute(anything).first() is not None:
        return False
    # Processes that start together wait here for one another, and only the first finds it empty.
    meta.grow(connection, meta.CATALOGUE)
    if connection.execute(anything).first() is not None:
        return False
    from pulse.sharing import catalogue_file  # noqa: PLC0415 - with it comes YAML, for the very first start

    append(connection, [Version(k.id, now_us, now_us, k, "system:default") for k in catalogue_file.default()])
    return True


def version(connection: Connection) -> int:
    """A number that grows with every change."""
    return meta.count(connection, meta.CATALOGUE)
