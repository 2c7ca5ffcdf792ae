"""Opening, migrating and using the relational database; the only place that makes connections."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.engine import URL

from pulse.errors import SettingsError, StoreRejected, StoreUnavailable
from pulse.stores.relational import migrate
from pulse.stores.relational.filelock import FileLock
from pulse.stores.relational.wrapping import wrapped

BUSY_TIMEOUT_S = 30.0
_WHERE = "PULSE_DATABASE_URL"


class Database:
    """One relational database. Methods may be called from any thread; connections stay in theirs.

    SQLite (`sqlite:////folder/pulse.db`): one writer at a time, in this process and among processes, on
    one connection; readers see the last commit, use connections of their own and never wait for the
    writer. Durable when `write()` ends. PostgreSQL (`postgresql://…`): a pool, through psycopg 3.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._lock = threading.Lock()
        self._file_lock: FileLock | None = None
        if self._url.get_backend_name() == "sqlite":
            self._path = Path(str(self._url.database)).resolve()
            self._file_lock = FileLock(self._path.with_name(self._path.name + ".lock"))
            self._reader = _sqlite(self._url, writer=False)
            self._writer = _sqlite(self._url, writer=True)
        else:
            self._writer = _postgresql(self._url)
            self._reader = self._writer.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def shown(self) -> str:
        """The address without its password, for logs and messages."""
        return self._url.render_as_string(hide_password=True)

    def open(self) -> None:
        """Make ready: create the folder and the tables, migrate to the newest revision. Idempotent.

        Raises `StoreUnavailable` when it cannot be reached or written, `StoreRejected` when it was made by
        a newer version of the program or holds something else.
        """
        if self._file_lock is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnavailable(f"cannot make the folder {self._path.parent}: {error}") from error
        with self._exclusive(), wrapped(self.shown), self._writer.connect() as connection:
            if self._file_lock is not None:
                # Rebuilding a table must not cascade; SQLite takes this outside of transactions only.
                _driver(connection).execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    migrate.upgrade(connection)
                    _check_references(connection)
            finally:
                if self._file_lock is not None:
                    _driver(connection).execute("PRAGMA foreign_keys=ON")

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on which every query sees the same state of the database; it cannot write."""
        with wrapped(self.shown), self._reader.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, undone when it raises. Not to be nested."""
        with self._exclusive(), wrapped(self.shown), self._writer.begin() as connection:
            yield connection

    def check(self) -> None:
        """Return if the database answers, else raise `StoreUnavailable`."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection that nobody uses; the database can be used again after it."""
        # The last connection to leave an SQLite file writes to it.
        with self._exclusive():
            self._reader.dispose()
            self._writer.dispose()

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """For SQLite, hold off every other writer.

        Waiting in turn is fairer than its busy timeout, and several writers at once can damage the file
        of a library with the WAL-reset bug (https://sqlite.org/wal.html#walresetbug).
        """
        if self._file_lock is None:
            yield
            return
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreUnavailable(
                f"{self.shown}: another thread has been writing for {BUSY_TIMEOUT_S:.0f} s; try again"
            )
        try:
            with self._file_lock.held(BUSY_TIMEOUT_S):
                yield
        finally:
            self._lock.release()


def _checked(url: str) -> URL:
    try:
        parts = make_url(url)
    except (exc.ArgumentError, ValueError):
        # The driver's words repeat the address, which may hold a password.
        raise SettingsError(
            "not a database address; use sqlite:////folder/pulse.db or postgresql://user:password@host/name",
            where=_WHERE,
        ) from None
    if parts.drivername in {"postgresql", "postgres"}:
        parts = parts.set(drivername="postgresql+psycopg")
    if parts.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingsError(f"{parts.drivername!r} is not supported; use sqlite or postgresql", where=_WHERE)
    if parts.get_backend_name() == "sqlite":
        name = parts.database or ""
        if name in {"", ":memory:"} or name.startswith("file:"):
            raise SettingsError("SQLite needs a file: sqlite:////folder/pulse.db", where=_WHERE)
    return parts


def _sqlite(url: URL, *, writer: bool) -> Engine:
    pool = (
        {"pool_size": 1, "max_overflow": 0}
        if writer
        # Starlette runs 40 threads; each may hold a reader.
        else {"pool_size": 8, "max_overflow": 56}
    )
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        pool_timeout=BUSY_TIMEOUT_S,
        **pool,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-8000")
        if not writer:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver's own way begins at the first change: too late for a view that stays the same.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        connect_args={"connect_timeout": 5, "application_name": "community-pulse"},
        pool_size=10,
        max_overflow=30,
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=True,
    )


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise StoreRejected(
                f"{len(broken)} rows refer to rows that are not there, the first in table {broken[0][0]!r}; "
                "restore a backup of this database"
            )
