"""Bringing a database to the newest revision, and refusing one that is from the future or not ours."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from pulse.errors import StoreRejected
from pulse.stores.relational.tables import metadata

FOLDER = Path(__file__).parent / "migrations"

_LOCK = 0x50554C5345
"""PostgreSQL advisory lock under which processes migrate one after the other."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the migrations of this package, on an open connection."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def head() -> str:
    """The newest revision that this version of the program knows."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    if found is None:
        raise StoreRejected(f"the migrations are missing from {FOLDER}; install the package again")
    return found


def current(connection: Connection) -> str | None:
    """The revision of the database, None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrate forward inside the connection's open transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    before = current(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if before is not None and before not in known:
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
        command.upgrade(config(connection), revision)
