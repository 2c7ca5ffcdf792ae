"""Small facts of the installation by name, and counters that tell readers whether something changed."""

from sqlalchemy import Connection, select, update

from pulse.stores.relational.tables import counters
from pulse.stores.relational.tables import meta as table
from pulse.stores.relational.values import upsert

REGISTRY = "registry"
"""Counter of changes to registry, policies and maintenance."""


def get(connection: Connection, key: str) -> str | None:
    """The value of `key`, None when there is none."""
    return connection.scalar(select(table.c.value).where(table.c.key == key))


def put(connection: Connection, key: str, value: str) -> None:
    """Set `key`, overwriting."""
    connection.execute(upsert(connection, table), {"key": key, "value": value})


def count(connection: Connection, counter: str) -> int:
    """The counter's value."""
    return connection.scalar(select(counters.c.value).where(counters.c.name == counter)) or 0


def grow(connection: Connection, counter: str) -> None:
    """Add one to a counter that a migration made."""
    connection.execute(update(counters).where(counters.c.name == counter).values(value=counters.c.value + 1))
