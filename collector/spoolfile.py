"""The spool's file: its tables, opening it, and reading what is left of one that is damaged."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pulse.errors import Conflict, PulseError, StoreError, StoreUnavailable

FORMAT = 4
"""2: batches are columns; those of 1 can still be read. 3: the ledger's snapshot is a file of its own.
4: a batch may hold records of kinds of data; one without is as in 2 and 3."""
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
        if version < FORMAT:
            steps = {0: _TABLES, 1: _FROM_2, 2: _FROM_2}.get(version, "")
            db.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {FORMAT}; COMMIT;")
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


SALVAGED_AT_ONCE = 100
_BATCH_COLUMNS = "seq, written_us, count, oldest_us, checksum, body"


def readable_rows(path: Path) -> Iterator[BatchRow]:
    """The rows of a damaged file that can be read from its front, and then those from its end."""
    last = -1
    for order, beyond in (("ASC", ">"), ("DESC", "<")):
        edge = -1 if order == "ASC" else 1 << 62
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.DatabaseError):
            while True:
                row = db.execute(
                    f"SELECT {_BATCH_COLUMNS} FROM batch WHERE seq {beyond} ? ORDER BY seq {order} LIMIT 1",
                    (edge,),
                ).fetchone()
                if row is None or (order == "DESC" and row[0] <= last):
                    break
                if row[0] <= edge if order == "ASC" else row[0] >= edge:
                    # A torn tree may lead back to where one was.
                    break
                edge = row[0]
                last = edge if order == "ASC" else last
                yield row


def salvage(path: Path, aside: Path, whole: Callable[[BatchRow], bool]) -> int:
    """Put a damaged file aside and one with its rows that are `whole` in its place; how many those are.

    The damaged file stays in its place until all is saved, so that after a crash, or a disk that was full,
    it is done again. Raises `StoreUnavailable` when the disk refuses.
    """
    fresh = _salvaged(path)
    for file in _family(fresh):
        file.unlink(missing_ok=True)
    with disk(path), contextlib.closing(connect(fresh)) as db:
        rows = filter(whole, readable_rows(path))
        while some := list(islice(rows, SALVAGED_AT_ONCE)):
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO batch VALUES (?, ?, ?, ?, ?, ?)", some)
            db.execute("COMMIT")
        count: int = db.execute("SELECT count(*) FROM batch").fetchone()[0]
        # All of it into the file itself, which alone is renamed.
        db.execute("PRAGMA journal_mode = DELETE")
    path.rename(aside)
    _put_in_place(path, aside)
    return count


def finish_salvage(path: Path) -> None:
    """Do what is left of a salvage that a crash interrupted after the damaged file was put aside."""
    if not path.exists() and _salvaged(path).exists():
        aside = max(path.parent.glob(f"{path.name}.damaged-*[0-9]"), default=path)
        _put_in_place(path, aside)


def _put_in_place(path: Path, aside: Path) -> None:
    for file, beside in zip(_family(path)[1:], _family(aside)[1:], strict=True):
        if file.exists():
            file.rename(beside)
    _salvaged(path).rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _salvaged(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaged")


def _family(path: Path) -> list[Path]:
    """A database and the files that SQLite keeps beside it."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
