"""The spool's file: its tables, opening it, and reading what is left of one that is damaged."""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pulse.errors import Conflict, PulseError, StoreError, StoreUnavailable

FORMAT = 3
"""2: batches are columns; those of 1 can still be read. 3: the ledger's snapshot is a file of its own."""
"""Kept as the file's `user_version`; its `application_id` tells it from every other spool."""

_TABLES = """
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY, written_us INTEGER NOT NULL, count INTEGER NOT NULL,
    oldest_us INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE mark (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE damaged (seq INTEGER PRIMARY KEY, noticed_us INTEGER NOT NULL, count INTEGER, body BLOB);
"""

_FROM_2 = "DROP TABLE snapshot;"
"""A snapshot of another version cannot be used: the ledger is rebuilt from what is stored."""

BatchRow = tuple[int, int, int, int, int, bytes]


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for one process, making its tables if it is new; the file's pages are checked."""
    db = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
    try:
        # Another process on the same file would hand out the same orders of reception.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise StoreError(
                f"{path} was written by a newer version (format {version}, this one reads {FORMAT});"
                " upgrade this installation again, or move the file away and lose what waits in it"
            )
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 67108864")
        if db.execute("PRAGMA application_id").fetchone()[0] == 0:
            db.execute(f"PRAGMA application_id = {1 + secrets.randbelow(2**31 - 1)}")
        if version in (1, 2):
            db.executescript(f"BEGIN IMMEDIATE; {_FROM_2} PRAGMA user_version = {FORMAT}; COMMIT;")
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
        for (verdict,) in db.execute("PRAGMA quick_check(1)"):
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise wrapped(error, path) from error


def wrapped(error: sqlite3.Error, path: Path) -> PulseError:
    """Our error for one of SQLite's: refused for now, used by another, or damaged."""
    if "locked" in str(error):
        return Conflict(f"{path} is in use by another collector; one collector at a time uses a data folder")
    if isinstance(error, sqlite3.OperationalError):
        return StoreUnavailable(f"the spool {path} cannot be used: {error}; see its disk's space and health")
    return StoreError(f"the spool {path} is damaged: {error}; a restart salvages what is whole")


class Waiting(NamedTuple):
    """What a file holds that the telemetry store has not taken, and what counts against the limit."""

    batches: int
    messages: int
    bytes: int
    oldest_us: int | None
    used_bytes: int


def waiting(path: Path) -> Waiting:
    """Look into a file that no collector has open, changing nothing; `Conflict` if one has."""
    with (
        disk(path),
        contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db,
    ):
        stored = db.execute("SELECT seq FROM mark WHERE consumer = 'stored'").fetchone()
        batches, messages, size, oldest_us = db.execute(
            "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(length(body)), 0), min(oldest_us)"
            " FROM batch WHERE seq > ?",
            (stored[0] if stored else 0,),
        ).fetchone()
        used = db.execute("SELECT coalesce(sum(length(body)), 0) FROM batch").fetchone()[0]
        return Waiting(batches, messages, size, oldest_us, used)


_BATCH_COLUMNS = "seq, written_us, count, oldest_us, checksum, body"


def readable_rows(path: Path) -> list[BatchRow]:
    """The rows of a damaged file that can be read from its front, and then those from its end."""
    rows: dict[int, BatchRow] = {}
    for order, beyond in (("ASC", ">"), ("DESC", "<")):
        edge = -1 if order == "ASC" else 1 << 62
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.DatabaseError):
            while True:
                row = db.execute(
                    f"SELECT {_BATCH_COLUMNS} FROM batch WHERE seq {beyond} ? ORDER BY seq {order} LIMIT 1",
                    (edge,),
                ).fetchone()
                if row is None or row[0] in rows:
                    break
                edge = row[0]
                rows[edge] = row
    return [rows[seq] for seq in sorted(rows)]
