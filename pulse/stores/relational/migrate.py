"""Bringing a database to the newest revision, and refusing one that is from the future or not ours.

Alembic is loaded only where there is something to migrate: it takes 10 MB, and nearly no start needs it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from pulse.errors import StoreRejected
from pulse.stores.relational.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"r([0-9]{4})_[a-z0-9_]+\.py")
_VERSIONS = "alembic_version"
"""The table in which Alembic notes the revision."""

_LOCK = 0x50554C5345
"""PostgreSQL advisory lock under which processes migrate one after the other."""


def config(connection: Connection | None = None) -> "Config":
    """Alembic's configuration for the migrations of this package, on an open connection."""
    from alembic.config import Config  # noqa: PLC0415 - see the module

    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def revisions() -> list[str]:
    """The revisions that this program knows, in their order; the file of each has its number."""
    names = map(_FILE.fullmatch, (path.name for path in (FOLDER / "versions").iterdir()))
    found = sorted(name[1] for name in names if name is not None)
    if not found:
        raise StoreRejected(f"the migrations are missing from {FOLDER}; install the package again")
    return found


def head() -> str:
    """The newest revision that this version of the program knows."""
    return revisions()[-1]


def current(connection: Connection) -> str | None:
    """The revision of the database, None when it is empty."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSIONS}"))
    return revision


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrate forward inside the connection's open transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    before = current(connection)
    if before is not None and before not in revisions():
        raise StoreRejected(
            f"the database is at revision {before}, newer than this program knows (up to {head()}); "
            "install the version that wrote it, or a later one, or restore a backup"
        )
    if before is None:
        foreign = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
        if foreign:
            raise StoreRejected(
                f"the database already holds a table {foreign[0]!r} that this program did not make; "
                "give it a database of its own in PULSE_DATABASE_URL"
            )
    if before != head():
        from alembic import command  # noqa: PLC0415 - see the module

        command.upgrade(config(connection), revision)
