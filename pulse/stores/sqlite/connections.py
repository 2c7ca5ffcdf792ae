"""Connections to the telemetry file: one that writes, behind a lock, and a pool of those that read."""

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pulse.errors import StoreError, StoreRejected, StoreUnavailable
from pulse.stores.sqlite import schema

_BUSY_TIMEOUT_S = 10.0
_IDLE_READERS = 8
_CHECKPOINT_PAGES = 4000


class Connections:
    """The file's connections. SQLite's errors leave as ours, with SQLite's as the cause."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    def open(self) -> None:
        """Make the folder and the file if they are missing, and bring an older file to the present layout.

        Whoever only reads never writes after it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"cannot make the folder {self.path.parent}: {error}") from error
        self._closed = False
        with self.reading() as connection:
            current = schema.version(connection)
        if current < schema.VERSION:
            with self._lock, self._errors():
                schema.lay_out(self._writer_connection())

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own until the block ends."""
        with self._errors():
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
            try:
                yield connection
            finally:
                if self._closed or len(self._idle) >= _IDLE_READERS:
                    connection.close()
                else:
                    self._idle.append(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writer in a transaction: on disk when the block ends, undone when it raises."""
        with self._lock, self._errors():
            connection = self._writer_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # SQLite ends the transaction itself when the disk is full; then there is none left to undo.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every connection that is not in use; those in use close when their block ends."""
        self._closed = True
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self.path} has been closed")
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    def _writer_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            connection = self._connect()
            # The spool forgets a batch once it is here, so a commit has to survive a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA cache_size = -16000")
            self._writer = connection
        return self._writer

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(
                f"{self.path}: {error}; check free space, permissions and who else uses the file"
            ) from error
        except sqlite3.IntegrityError as error:
            raise StoreRejected(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path}: {error}; the file is damaged or no database: move it away or restore a backup"
            ) from error
