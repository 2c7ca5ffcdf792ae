"""The durable log between the broker and everything after it: what is here may be acknowledged.

One SQLite file, one row a batch; the ledger's snapshot is a file beside it (`collector/snapshotfile`).
Consumers (`stored`: the telemetry store has it; `snapshot`: a snapshot of the ledger covers it) read in order
and advance; a batch leaves once both have passed it.

Numbers of batches start from the milliseconds of the file's opening and grow by one, so that neither a file
that was made anew nor one that lost its newest batches gives an order of reception twice.

What is held is counted, not listed: a store that is away for days leaves millions of small batches.
"""

import contextlib
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from collector import snapshotfile, spoolfile
from collector.snapshotfile import Snapshot
from collector.spoolfile import BatchRow
from pulse import logs
from pulse.batches import MessageColumns, Packing, columns_of
from pulse.clock import Clock
from pulse.errors import BadInput, StoreUnavailable
from pulse.messages import Message, Quarantined, Record

log = logs.get(__name__)

POSITION_BITS = 20
STORED: Final = "stored"
SNAPSHOT: Final = "snapshot"
CONSUMERS = (STORED, SNAPSHOT)
CACHED_MESSAGES = 16_384
CACHED_BATCHES = 256
BYTES_A_MESSAGE = 128
VACUUM_PAGES = 2_000
PROBE_SHARE = 0.9
TRIM_BATCHES = 500
"""So many leave in one transaction: whoever has a batch to commit waits for no more than that."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[bytes, list[Quarantined]])
_decoder_records = msgspec.msgpack.Decoder(tuple[bytes, list[Quarantined], list[Record]])
_OF_THREE = 0x93
"""First byte of a body that holds records too."""
_decoder_1 = msgspec.msgpack.Decoder(tuple[list[Message], list[Quarantined]])
"""Batches of format 1, a message after the other: a file may still hold some when it is upgraded."""


class SpoolFull(StoreUnavailable):
    """The spool has reached its size: nothing may be acknowledged until it drains."""


class Batch(NamedTuple):
    """A durable batch.

    The items' orders of reception follow its number: messages first, then records, then quarantine.
    """

    seq: int
    written_us: int
    messages: MessageColumns
    quarantined: list[tuple[int, Quarantined]]
    records: list[Record]

    @property
    def stored(self) -> int:
        """How many items the telemetry store is given."""
        return len(self.messages) + len(self.records)

    @property
    def weight(self) -> int:
        """What it takes to hold them, in messages: a record's body may be long."""
        return self.stored + sum(len(record.body) for record in self.records) // BYTES_A_MESSAGE


class Depth(NamedTuple):
    """What the telemetry store does not have yet; `oldest_us` is the earliest reception among it."""

    batches: int
    messages: int
    bytes: int
    oldest_us: int | None


class _Sums(NamedTuple):
    batches: int = 0
    items: int = 0
    bytes: int = 0

    def plus(self, other: "_Sums", sign: int = 1) -> "_Sums":
        return _Sums(*(a + sign * b for a, b in zip(self, other, strict=True)))


class Damage(NamedTuple):
    """A batch whose bytes are not what was written; it is kept aside in the file's table `damaged`.

    What it held was received between `oldest_us` and `written_us`.
    """

    seq: int
    items: int
    oldest_us: int
    written_us: int


def first_order(seq: int) -> int:
    """The order of reception of a batch's first item."""
    return seq << POSITION_BITS


def last_order(seq: int) -> int:
    """An order of reception that no item of a batch exceeds, and every one of the next does."""
    return first_order(seq + 1) - 1


class Spool:
    """See the module. Every method may be called from any thread; they take turns on one connection.

    Raises `StoreUnavailable` when the disk refuses (full, failing): the same call may succeed later and
    nothing of it was kept; `SpoolFull` when the size limit would be passed.
    """

    def __init__(self, path: Path, clock: Clock, *, max_bytes: int = 2_000_000_000) -> None:
        self.path = path
        self._snapshot_path = path.with_suffix(".snapshot")
        self.max_bytes = max_bytes
        self.salvaged: int | None = None
        """Batches saved out of a file that was damaged as a whole; None if the file was sound."""
        self.taken = 0
        """Items appended since the start."""
        self._clock = clock
        self._lock = threading.RLock()
        self._bytes = 0
        self._waiting = _Sums()
        self._first_waiting: tuple[int, int] | None = None
        """Number and earliest reception of the first batch that the telemetry store does not have."""
        self._cache: deque[Batch] = deque()
        self._cached = 0
        self._before_cache = 0
        """All batches after this number are in the cache."""
        self._damages: list[Damage] = []
        self._packing = Packing()
        self._last = 0
        self._next = 0
        self._marks = dict.fromkeys(CONSUMERS, 0)
        self._stored_on_disk = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            spoolfile.finish_salvage(path)
            self._db = spoolfile.connect(path)
        except sqlite3.OperationalError as error:
            raise spoolfile.wrapped(error, path) from error
        except sqlite3.DatabaseError as error:
            self._db = self._salvage(error)
        self._load()

    # -- writing -------------------------------------------------------------------------------------

    def append(
        self,
        messages: Sequence[Message],
        quarantined: Sequence[Quarantined] = (),
        records: Sequence[Record] = (),
    ) -> Batch:
        """Commit one batch to disk and give it back with the orders of reception that it got."""
        items = len(messages) + len(quarantined) + len(records)
        if items >= 1 << POSITION_BITS:
            raise ValueError("a batch holds at most 2^20 - 1 items")
        columns = columns_of(messages)
        with self._lock:
            packed = self._packing.packed(columns)
            body = _encoder.encode((packed, quarantined, records) if records else (packed, quarantined))
            if self._bytes + len(body) > self.max_bytes:
                raise SpoolFull(
                    f"the spool {self.path} holds {self._bytes} bytes, its limit is {self.max_bytes};"
                    " see why the telemetry store does not take them, or raise PULSE_SPOOL_MAX_BYTES"
                )
            seq, now_us = self._next, self._clock.now_us()
            observed = [one.observed_us for one in quarantined] + [one.observed_us for one in records]
            if len(columns):
                observed.append(int(columns.observed.min()))
            oldest_us = min(observed, default=now_us)
            with self._transaction():
                self._db.execute(
                    "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)",
                    (seq, now_us, items, oldest_us, _checksum(seq, items, body), body),
                )
            self._last, self._next = seq, seq + 1
            self._bytes += len(body)
            self._waiting = self._waiting.plus(_Sums(1, items, len(body)))
            self._first_waiting = self._first_waiting or (seq, oldest_us)
            self.taken += items
            batch = _batch(seq, now_us, columns, quarantined, records)
            self._remember(batch)
            return batch

    def probe(self) -> None:
        """Return if a batch would be taken now, with some room to spare; raises as `append` does."""
        with self._lock:
            if self._bytes > self.max_bytes * PROBE_SHARE:
                raise SpoolFull(f"the spool {self.path} still holds {self._bytes} of {self.max_bytes} bytes")
            with self._transaction():
                self._db.execute(
                    "INSERT OR REPLACE INTO damaged VALUES (-1, ?, NULL, zeroblob(65536))",
                    (self._clock.now_us(),),
                )
                self._db.execute("DELETE FROM damaged WHERE seq = -1")

    def advance(self, consumer: str, seq: int) -> None:
        """The consumer is done with every batch up to and with `seq`; on disk with the next `trim`."""
        with self._lock:
            mark = self._marks[consumer]
            if seq <= mark:
                return
            if consumer == STORED:
                self._waiting = self._waiting.plus(self._sums("seq > ? AND seq <= ?", mark, seq), -1)
                self._first_waiting = self._first_after(seq)
            self._marks[consumer] = seq

    def trim(self, keep_from_us: int) -> int:
        """Delete batches that both consumers passed, but those written since; say how many went.

        The newest are kept so that a restart still knows what the broker may deliver again.
        """
        count = 0
        while gone := self._trim_some(keep_from_us):
            count += gone
            if gone == TRIM_BATCHES:
                # A lock that is taken again at once never reaches who waits for it.
                time.sleep(0.001)
        return count

    def _trim_some(self, keep_from_us: int) -> int:
        with self._lock:
            passed, stored = min(self._marks.values()), self._marks[STORED]
            with spoolfile.disk(self.path):
                rows = self._db.execute(
                    "SELECT seq, written_us, length(body) FROM batch WHERE seq <= ? ORDER BY seq LIMIT ?",
                    (passed, TRIM_BATCHES),
                ).fetchall()
            leaving = list(takewhile(lambda row: row[1] < keep_from_us, rows))
            if not leaving and stored == self._stored_on_disk:
                return 0
            with self._transaction():
                # In one with the deletion: what is neither here nor passed was lost (`last_seq`).
                self._db.execute(
                    "INSERT INTO mark VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET seq = excluded.seq",
                    (STORED, stored),
                )
                if leaving:
                    self._db.execute("DELETE FROM batch WHERE seq <= ?", (leaving[-1][0],))
            self._stored_on_disk = stored
            if leaving:
                self._bytes -= sum(size for _, _, size in leaving)
                while self._cache and self._cache[0].seq <= leaving[-1][0]:
                    self._uncache()
                with spoolfile.disk(self.path):
                    self._db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
            return len(leaving)

    def save_snapshot(self, pieces: Iterable[memoryview | bytes], seq: int) -> int:
        """Keep the ledger's snapshot and its mark, together or not at all; gives its size in bytes.

        Nobody else has to wait for it. One thread at a time.
        """
        size = snapshotfile.write(self._snapshot_path, self.identity(), seq, self._clock.now_us(), pieces)
        with self._lock:
            self._marks[SNAPSHOT] = seq
        return size

    # -- reading -------------------------------------------------------------------------------------

    def read_after(self, seq: int, limit: int = 16, items: int | None = None) -> list[Batch]:
        """At most `limit` batches after `seq`, in order; none more once they weigh as many `items`.

        A batch whose checksum is wrong is set aside in the table `damaged`, logged, and told by `damages`.
        """
        with self._lock:
            if self._cache and seq >= self._before_cache:
                return _up_to(islice((b for b in self._cache if b.seq > seq), limit), items)
            batches: list[Batch] = []
            while len(batches) < limit:
                with spoolfile.disk(self.path):
                    rows = self._db.execute(
                        "SELECT seq, written_us, count, checksum, body FROM batch WHERE seq > ?"
                        " ORDER BY seq LIMIT ?",
                        (seq, limit - len(batches) if items is None else 1),
                    ).fetchall()
                if not rows:
                    break
                for number, written_us, count, checksum, body in rows:
                    seq = number
                    batch = _verified(number, written_us, count, checksum, body, self._packing)
                    if batch is None:
                        self._set_aside(number, count)
                    else:
                        batches.append(batch)
                if items is not None and sum(batch.weight for batch in batches) >= items:
                    break
            return batches

    def damages(self) -> list[Damage]:
        """What was found damaged since this was last asked."""
        with self._lock:
            found, self._damages = self._damages, []
            return found

    def load_snapshot(self) -> Snapshot | None:
        """The last snapshot, or None when there is none or its bytes are not what was written."""
        try:
            return snapshotfile.read(self._snapshot_path, self.identity())
        except snapshotfile.Unusable as error:
            log.error(
                "snapshot_damaged",
                path=str(self._snapshot_path),
                error=str(error),
                consequence="rebuilding from what is stored",
            )
            return None

    def mark(self, consumer: str) -> int:
        """The last batch that the consumer is done with; 0 before its first."""
        with self._lock:
            return self._marks[consumer]

    def identity(self) -> int:
        """A number that no other spool has, nor this one if its file is lost and made anew."""
        with self._lock, spoolfile.disk(self.path):
            number: int = self._db.execute("PRAGMA application_id").fetchone()[0]
            return number

    def first_waiting(self) -> int:
        """The number of the oldest batch that the telemetry store does not have, else the next to come."""
        with self._lock:
            return self._next if self._first_waiting is None else self._first_waiting[0]

    def stored(self) -> tuple[int, int | None]:
        """The last batch that the telemetry store has, and the earliest reception of what waits for it.

        None if nothing waits.
        """
        with self._lock:
            waiting = self._first_waiting
            return self._marks[STORED], None if waiting is None else waiting[1]

    def seq_before_newest(self, items: int, batches: int | None = None) -> int:
        """The number after which the newest batches begin that hold at most so many items; more in one do.

        At most so many `batches` if given.
        """
        with self._lock, spoolfile.disk(self.path):
            seq = self._last
            newest = self._db.execute("SELECT seq, count FROM batch ORDER BY seq DESC")
            for number, count in islice(newest, batches):
                items -= count
                seq = number - 1
                if items <= 0:
                    break
            newest.close()
            return seq

    def last_seq(self) -> int:
        """The number of the newest batch that the file knows of: it is here, or was stored and has left.

        If others know of a newer one, the file has lost it.
        """
        with self._lock:
            return self._last

    def depth(self) -> Depth:
        """What waits for the telemetry store."""
        with self._lock:
            return Depth(*self._waiting, None if self._first_waiting is None else self._first_waiting[1])

    def used_bytes(self) -> int:
        """What counts against `max_bytes`."""
        with self._lock:
            return self._bytes

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()

    # -- inside --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with spoolfile.disk(self.path):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _load(self) -> None:
        with spoolfile.disk(self.path):
            marks = dict(self._db.execute("SELECT consumer, seq FROM mark"))
            newest = self._db.execute("SELECT max(seq) FROM batch").fetchone()[0]
        covered = snapshotfile.covered(self._snapshot_path, self.identity())
        self._marks |= {STORED: marks.get(STORED, 0), SNAPSHOT: covered}
        self._stored_on_disk = self._marks[STORED]
        self._bytes = self._sums("seq <= ?", self._marks[STORED]).bytes
        self._waiting = self._sums("seq > ?", self._marks[STORED])
        self._bytes += self._waiting.bytes
        self._first_waiting = self._first_after(self._marks[STORED])
        self._last = self._before_cache = max(newest or 0, self._marks[STORED])
        self._next = max(self._last + 1, covered + 1, self._clock.now_us() // 1000)

    def _sums(self, where: str, *seqs: int) -> _Sums:
        with spoolfile.disk(self.path):
            row = self._db.execute(
                "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(length(body)), 0) FROM batch"
                f" WHERE {where}",
                seqs,
            ).fetchone()
        return _Sums(*row)

    def _first_after(self, seq: int) -> tuple[int, int] | None:
        with spoolfile.disk(self.path):
            row: tuple[int, int] | None = self._db.execute(
                "SELECT seq, oldest_us FROM batch WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)
            ).fetchone()
        return row

    def _remember(self, batch: Batch) -> None:
        self._cache.append(batch)
        self._cached += batch.weight
        while len(self._cache) > CACHED_BATCHES or (self._cached > CACHED_MESSAGES and len(self._cache) > 1):
            self._uncache()

    def _uncache(self) -> None:
        oldest = self._cache.popleft()
        self._cached -= oldest.weight
        self._before_cache = oldest.seq

    def _set_aside(self, seq: int, count: int) -> None:
        with self._transaction():
            lost = self._sums("seq = ?", seq)
            oldest_us, written_us = self._db.execute(
                "SELECT oldest_us, written_us FROM batch WHERE seq = ?", (seq,)
            ).fetchone()
            self._db.execute(
                "INSERT OR REPLACE INTO damaged SELECT seq, ?, count, body FROM batch WHERE seq = ?",
                (self._clock.now_us(), seq),
            )
            self._db.execute("DELETE FROM batch WHERE seq = ?", (seq,))
        self._bytes -= lost.bytes
        if seq > self._marks[STORED]:
            self._waiting = self._waiting.plus(lost, -1)
            self._first_waiting = self._first_after(self._marks[STORED])
        self._damages.append(Damage(seq, count, oldest_us, written_us))
        log.error("spool_batch_damaged", path=str(self.path), batch=seq, items=count)

    def _salvage(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Put the damaged file aside and save every batch that is whole into a new one."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{self._clock.now_us() // 1_000_000}")
        self.salvaged = spoolfile.salvage(self.path, aside, _is_whole)
        log.error(
            "spool_damaged",
            path=str(self.path),
            kept_as=str(aside),
            batches_saved=self.salvaged,
            error=str(error),
        )
        return spoolfile.connect(self.path)


def _checksum(seq: int, count: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{seq}/{count}".encode()))


def _is_whole(row: BatchRow) -> bool:
    seq, _, count, _, checksum, body = row
    # A torn page may read as NULL, whatever the column allows.
    return isinstance(body, bytes) and _checksum(seq, count, body) == checksum


def _up_to(batches: Iterable[Batch], items: int | None) -> list[Batch]:
    """The first batches, until they weigh as much as `items`."""
    taken: list[Batch] = []
    count = 0
    for batch in batches:
        taken.append(batch)
        count += batch.weight
        if items is not None and count >= items:
            break
    return taken


def _batch(
    seq: int,
    written_us: int,
    messages: MessageColumns,
    quarantined: Sequence[Quarantined],
    records: Sequence[Record],
) -> Batch:
    order = first_order(seq)
    of_records = order + len(messages)
    of_quarantined = of_records + len(records)
    return Batch(
        seq,
        written_us,
        messages.with_order(order),
        list(enumerate(quarantined, start=of_quarantined)),
        [msgspec.structs.replace(one, order=of_records + at) for at, one in enumerate(records)],
    )


def _verified(
    seq: int, written_us: int, count: int, checksum: int, body: bytes, packing: Packing
) -> Batch | None:
    if _checksum(seq, count, body) != checksum:
        return None
    if body[0] == _OF_THREE:
        packed, quarantined, records = _decoder_records.decode(body)
        return _batch(seq, written_us, packing.unpacked(packed), quarantined, records)
    try:
        packed, quarantined = _decoder.decode(body)
        messages = packing.unpacked(packed)
    except (msgspec.ValidationError, BadInput):
        older, quarantined = _decoder_1.decode(body)
        messages = columns_of(older)
    return _batch(seq, written_us, messages, quarantined, ())
