"""Small facts of the installation by name, and counters that tell readers whether something changed."""

from sqlalchemy import Connection, bindparam, delete, select, update

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


# Made once, as every step of the ledger asks: making them takes as long as the database does.
_GET = select(table.c.value).where(table.c.key == bindparam("named"))
_GET_LOCKED = _GET.with_for_update()
_OWN = (table.c.key == bindparam("named")) & (table.c.value == bindparam("expected"))
_REPLACE = update(table).where(_OWN).values(value=bindparam("fresh"))
_REMOVE = delete(table).where(_OWN)
_COUNT = select(counters.c.value).where(counters.c.name == bindparam("named"))


def get(connection: Connection, key: str, *, locked: bool = False) -> str | None:
    """The value of `key`, None when there is none; `locked`: nobody else changes it in this transaction."""
    return connection.scalar(_GET_LOCKED if locked else _GET, {"named": key})


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
    own = {"named": key, "expected": expected}
    if value is None:
        return connection.execute(_REMOVE, own).rowcount == 1
    return connection.execute(_REPLACE, {**own, "fresh": value}).rowcount == 1


def count(connection: Connection, counter: str) -> int:
    """The counter's value."""
    return connection.scalar(_COUNT, {"named": counter}) or 0


def grow(connection: Connection, counter: str) -> None:
    """Add one to a counter that a migration made."""
    connection.execute(update(counters).where(counters.c.name == counter).values(value=counters.c.value + 1))
