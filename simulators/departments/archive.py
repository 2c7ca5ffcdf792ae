"""What a department accepted, in a SQLite file of its own (or in memory): it goes on where it ended."""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pulse.errors import BadInput
from pulse.sharing.reconciling import Holding, add, day_of, of_ids
from simulators.departments.content import Content, Record

_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT NOT NULL, accepted_us INTEGER NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holdings (
    data_kind TEXT NOT NULL, day TEXT NOT NULL, records INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (data_kind, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_CURSOR = "cursor"


class Outcome(StrEnum):
    """What became of a delivery."""

    NEW = "new"
    AGAIN = "again"
    """The same content under the same id came before: acknowledged, nothing is kept twice."""
    OTHER = "other"
    """The id came before with other content: refused."""


class Totals(NamedTuple):
    """What is held: deliveries, how many copies of them came again, records by kind."""

    deliveries: int
    copies: int
    records: Mapping[str, int]


class Archive:
    """May be used from any thread; every `accept` is on disk when it returns."""

    def __init__(self, path: Path | None, zone: ZoneInfo) -> None:
        self._zone = zone
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise BadInput(f"cannot be used: {error}", where=str(path)) from error

    def accept(
        self, delivery: str, digest: str, content: Content, now_us: int, *, forget: bool = False
    ) -> Outcome:
        """Keep a delivery's records, each once; with `forget` only that the delivery came."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            known = self._db.execute("SELECT digest FROM deliveries WHERE id = ?", (delivery,)).fetchone()
            if known is not None:
                if known[0] != digest:
                    return Outcome.OTHER
                self._db.execute("UPDATE deliveries SET copies = copies + 1 WHERE id = ?", (delivery,))
                return Outcome.AGAIN
            self._db.execute(
                "INSERT INTO deliveries (id, number, digest, accepted_us) VALUES (?, ?, ?, ?)",
                (delivery, number_of(delivery), digest, now_us),
            )
            if not forget:
                self._keep(content.records)
            return Outcome.NEW

    def _keep(self, records: Iterable[Record]) -> None:
        fresh: dict[tuple[str, str], list[str]] = {}
        for record in records:
            added = self._db.execute("INSERT OR IGNORE INTO records VALUES (?)", (record.id,))
            if added.rowcount == 1:
                key = (record.data_kind, day_of(record.at_us, record.received_us, self._zone))
                fresh.setdefault(key, []).append(record.id)
        for (data_kind, day), ids in fresh.items():
            held = add(self._held(data_kind, day), of_ids(ids))
            self._db.execute("INSERT OR REPLACE INTO holdings VALUES (?, ?, ?, ?)", (data_kind, day, *held))

    def _held(self, data_kind: str, day: str) -> Holding:
        found = self._db.execute(
            "SELECT records, digest FROM holdings WHERE data_kind = ? AND day = ?", (data_kind, day)
        ).fetchone()
        return of_ids(()) if found is None else Holding(*found)

    def standing(self, day: str) -> tuple[str | None, dict[str, Holding]]:
        """The last delivery that came, by its number, and what was held of a day then, by kind of data."""
        with self._lock:
            last = self._db.execute("SELECT id FROM deliveries ORDER BY number DESC LIMIT 1").fetchone()
            rows = self._db.execute(
                "SELECT data_kind, records, digest FROM holdings WHERE day = ? ORDER BY data_kind", (day,)
            ).fetchall()
        held = {data_kind: Holding(records, digest) for data_kind, records, digest in rows}
        return (None if last is None else str(last[0])), held

    def totals(self) -> Totals:
        """What is held in all."""
        with self._lock:
            deliveries, copies = self._db.execute(
                "SELECT COUNT(*), COALESCE(SUM(copies - 1), 0) FROM deliveries"
            ).fetchone()
            rows = self._db.execute(
                "SELECT data_kind, SUM(records) FROM holdings GROUP BY data_kind ORDER BY data_kind"
            ).fetchall()
        return Totals(deliveries, copies, dict(rows))

    def cursor(self) -> str | None:
        """The cursor that a puller committed last."""
        with self._lock:
            found = self._db.execute("SELECT value FROM facts WHERE name = ?", (_CURSOR,)).fetchone()
        return None if found is None else str(found[0])

    def put_cursor(self, cursor: str) -> None:
        """Note the cursor that was committed."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_CURSOR, cursor))

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()


def number_of(delivery: str) -> int:
    """The number at the end of a delivery's id; 0 for an id of another form."""
    number = delivery.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
