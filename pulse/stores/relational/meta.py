"""Small facts of the installation by name, and counters that tell readers whether something changed."""

from sqlalchemy import Connection, delete, select, update

from pulse.stores.relational.tables import counters
from pulse.stores.relational.tables import meta as table
from pulse.stores.relational.values import insert, upsert

REGISTRY = "registry"
"""Counter of changes to registry, policies and maintenance."""

CATALOGUE = "catalogue"
"""Counter of changes to the catalogue of kinds of data."""

OUTLETS = "outlets"
"""Counter of changes to outlets."""

COVERAGE = "coverage"
"""Counter of changes to coverage by people: the running collector takes it anew when it has grown."""


def get(connection: Connection, key: str, *, locked: bool = False) -> str | None:
    """The value of `key`, None when there is none; `locked`: nobody else changes it in this transaction."""
    found = select(table.c.value).where(table.c.key == key)
    return connection.scalar(found.with_for_update() if locked else found)


def put(connection: Connection, key: str, value: str) -> None:
    """Set `key`, overwriting."""
    connection.execute(upsert(connection, table), {"key": key, "value": value})


def exchange(connection: Connection, key: str, expected: str | None, value: str | None) -> bool:
    """Set `key` if its value is the expected one (None: not there), whatever others do; whether it was."""
    if expected is None:
        if value is None:
            return get(connection, key) is None
        # Counted by what comes back: PostgreSQL's driver tells no row count of such an insertion.
        fresh = insert(connection, table).values(key=key, value=value).on_conflict_do_nothing()
        return connection.execute(fresh.returning(table.c.key)).first() is not None
    own = (table.c.key == key) & (table.c.value == expected)
    change = delete(table).where(own) if value is None else update(table).where(own).values(value=value)
    return connection.execute(change).rowcount == 1


def count(connection: Connection, counter: str) -> int:
    """The counter's value."""
    return connection.scalar(select(counters.c.value).where(counters.c.name == counter)) or 0


def grow(connection: Connection, counter: str) -> None:
    """Add one to a counter that a migration made."""
    connection.execute(update(counters).where(counters.c.name == counter).values(value=counters.c.value + 1))
