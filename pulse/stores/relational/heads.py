"""Ends of chains by hash, kept beside their tables: a chain that is cut off does not fit its head."""

from sqlalchemy import Connection, text

from pulse.chain import FIRST, Head
from pulse.stores.relational import meta


def ordered(connection: Connection, lock: int) -> None:
    """Let one transaction after the other append: each then sees what those before it added.

    `lock` names an advisory lock of PostgreSQL; SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})


def read(connection: Connection, key: str) -> Head:
    """The last link's number and digest as they were noted under `key`."""
    noted = meta.get(connection, key)
    if noted is None:
        return Head(0, FIRST)
    number, _, digest = noted.partition(" ")
    return Head(int(number), digest)


def write(connection: Connection, key: str, head: Head) -> None:
    """Note the end of a chain."""
    meta.put(connection, key, f"{head.number} {head.digest}")
