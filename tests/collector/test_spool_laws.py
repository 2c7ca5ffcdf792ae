"""The spool as a state machine: whatever happens, nothing committed is lost and nothing is stored twice.

What a disk forgot or garbled (`tear`, `rot`) may be missing; the spool says so, or the numbers.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from collector import spool as spool_module
from collector.feeder import Feeder
from collector.spool import SNAPSHOT, STORED, Batch, Spool
from pulse.errors import StoreUnavailable
from pulse.ledger.model import FOREVER
from pulse.messages import Message, Record
from pulse.stores.base import Written
from pulse.stores.sqlite.store import SqliteTelemetryStore
from tests.collector.builders import SECOND_US, SteppedClock, beat, reading, refused

SUFFIXES = ("", "-wal")
MOST = 100_000


class MoodyStore:
    """The embedded store, which may be away before it has written, or break off after it has."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteTelemetryStore(path)
        self.store.open()
        self.away_before = self.away_after = False

    def write_messages(self, messages: Sequence[Message]) -> Written:
        if self.away_before:
            raise StoreUnavailable("away")
        written = self.store.write_messages(messages)
        if self.away_after:
            raise StoreUnavailable("no answer")
        return written

    def write_records(self, records: Sequence[Record]) -> Written:
        if self.away_before:
            raise StoreUnavailable("away")
        written = self.store.write_records(records)
        if self.away_after:
            raise StoreUnavailable("no answer")
        return written

    def holds(self) -> list[int]:
        records = self.store.read_records(0, FOREVER, since_us=0, limit=MOST)
        assert [record.order for record in records] == sorted({record.order for record in records})
        messages = self.store.read_messages(0, FOREVER // 4)
        return [message.identity for message in messages] + [record.identity for record in records]


def identities(batch: Batch) -> list[int]:
    """Of everything that the store is given."""
    return [m.identity for m in batch.messages] + [r.identity for r in batch.records]


class SpoolLaws(RuleBasedStateMachine):
    """`committed` holds the identities of every batch that `append` gave back, whatever became of it."""

    @initialize()
    def begin(self) -> None:
        # So small that a few steps reach beyond them.
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(spool_module, "CACHED_BATCHES", 3)
        self.patched.setattr(spool_module, "TRIM_BATCHES", 2)
        self.root = Path(tempfile.mkdtemp(prefix="spool-laws-"))
        self.folders = 0
        self.clock = SteppedClock()
        self.store = MoodyStore(self.root / "telemetry.db")
        self.path = self.root / "0" / "spool.db"
        self.committed: dict[int, list[int]] = {}
        self.here: set[int] = set()
        self.lost: set[int] = set()
        self.stored = 0
        self.messages = 0
        self.open()

    def open(self) -> None:
        self.clock.pass_s(1)
        self.spool = Spool(self.path, self.clock)
        self.feeder = Feeder(self.spool, cast(Any, self.store), cast(Any, None), self.clock, cast(Any, None))

    def beats(self, count: int) -> list[Message]:
        made = []
        for _ in range(count):
            self.messages += 1
            at_us = self.clock.us + self.messages
            made.append(beat(f"d{self.messages % 5}", at_us, measured_us=at_us, seq=self.messages))
        return made

    def readings(self, count: int) -> list[Record]:
        made = []
        for _ in range(count):
            self.messages += 1
            at_us = self.clock.us + self.messages
            made.append(reading(f"d{self.messages % 5}", at_us, measured_us=at_us if count % 2 else None))
        return made

    def read(self) -> list[Batch]:
        return self.spool.read_after(0, limit=MOST)

    # -- what the collector does ---------------------------------------------------------------------

    @rule(messages=st.integers(0, 40), quarantined=st.integers(0, 2), records=st.sampled_from([0, 0, 1, 6]))
    def append(self, messages: int, quarantined: int, records: int) -> None:
        beats, readings = self.beats(messages), self.readings(records)
        batch = self.spool.append(beats, [refused()] * quarantined, readings)
        assert batch.seq > max(self.committed, default=0)
        self.committed[batch.seq] = identities(batch)
        assert len(self.committed[batch.seq]) == messages + records
        self.here.add(batch.seq)

    @rule(why=st.sampled_from(["full", "disk"]))
    def fail_to_append(self, why: str) -> None:
        limit, self.spool.max_bytes = self.spool.max_bytes, 0 if why == "full" else self.spool.max_bytes
        with pytest.raises(StoreUnavailable), full_disk(self.spool):
            self.spool.append(self.beats(3_000))
        self.spool.max_bytes = limit

    @rule(ending=st.sampled_from(["stored", "stored", "away", "no answer"]))
    def drain(self, ending: str) -> None:
        self.store.away_before, self.store.away_after = ending == "away", ending == "no answer"
        try:
            self.feeder.feed()
        except StoreUnavailable:
            assert ending != "stored"
        self.store.away_before = self.store.away_after = False
        mark = self.spool.mark(STORED)
        if ending != "stored":
            assert all(not self.committed[seq] for seq in self.here if self.stored < seq <= mark)
        self.stored = mark

    @precondition(lambda self: self.here)
    @rule(share=st.floats(0, 1))
    def cover(self, share: float) -> None:
        seqs = sorted(self.here)
        self.spool.save_snapshot([b"state"], max(seqs[int(share * (len(seqs) - 1))], self.covered()))

    @rule()
    def trim(self) -> None:
        passed = min(self.stored, self.covered())
        leaving = {seq for seq in self.here if seq <= passed}
        assert self.spool.trim(self.clock.us + 3600 * SECOND_US) == len(leaving)
        self.here -= leaving

    @rule()
    def probe(self) -> None:
        self.spool.probe()

    def covered(self) -> int:
        return self.spool.mark(SNAPSHOT)

    # -- what happens to it --------------------------------------------------------------------------

    @rule()
    def end_and_begin(self) -> None:
        self.spool.trim(0)
        before = self.spool.mark(STORED)
        self.spool.close()
        self.open()
        assert self.spool.mark(STORED) == before
        assert self.spool.salvaged is None

    @rule(within_append=st.booleans())
    def crash(self, within_append: bool) -> None:
        covered = self.covered()
        self.leave(within_append)
        self.open()
        assert self.spool.salvaged is None
        assert self.covered() == covered
        assert self.spool.last_seq() >= max(self.here, default=0)
        # What the store took since the last trim is given to it again.
        assert self.spool.mark(STORED) <= self.stored
        self.stored = self.spool.mark(STORED)

    @rule(
        suffix=st.sampled_from(SUFFIXES),
        cut=st.integers(1, 60_000),
        garble=st.sampled_from([b"", b"", b"\xa5" * 5_000]),
    )
    def tear(self, suffix: str, cut: int, garble: bytes) -> None:
        """The machine loses power, and the disk forgets or garbles the end of a file."""
        known = max(max(self.committed, default=0), self.covered())
        expected = {seq for seq in self.here if seq > self.stored}
        self.leave(False)
        torn = self.path.with_name(self.path.name + suffix)
        if not torn.exists():
            self.open()
            self.resume()
            return
        with torn.open("r+b") as file:
            size = torn.stat().st_size
            file.truncate(max(0, size - cut))
            file.seek(0, 2)
            file.write(garble[:cut])
        self.open()
        found = self.resume()
        missing = expected - found
        self.lost |= {identity for seq in missing for identity in self.committed[seq]}
        damaged = {damage.seq for damage in self.spool.damages()}
        if missing - damaged and self.spool.salvaged is None:
            assert self.spool.last_seq() < known
            assert min(missing) > max(found, default=0)

    @precondition(lambda self: self.here)
    @rule(share=st.floats(0, 1))
    def rot(self, share: float) -> None:
        """One batch is not what was written."""
        seqs = sorted(self.here)
        seq = seqs[int(share * (len(seqs) - 1))]
        self.leave(False)
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("UPDATE batch SET body = zeroblob(length(body)) WHERE seq = ?", (seq,))
        self.open()
        found = self.resume()
        assert found == set(seqs) - {seq}
        assert [damage.seq for damage in self.spool.damages()] == [seq]
        if seq > self.stored:
            self.lost.update(self.committed[seq])

    def resume(self) -> set[int]:
        """Take up what a spool holds after its disk forgot something: it may hold more than before, too."""
        found = {batch.seq for batch in self.read()}
        assert found <= set(self.committed)
        self.here = found
        self.stored = self.spool.mark(STORED)
        return found

    def leave(self, within_append: bool) -> None:
        """Go away as a killed process does: the files stay as they are."""
        if within_append:
            self.spool._db.execute("BEGIN IMMEDIATE")
            self.spool._db.execute("INSERT INTO batch VALUES (1, 0, 1, 0, 0, zeroblob(9000))")
        self.folders += 1
        folder = self.root / str(self.folders)
        shutil.copytree(self.path.parent, folder)
        if within_append:
            self.spool._db.execute("ROLLBACK")
        self.spool.close()
        self.path = folder / "spool.db"

    # -- what holds ----------------------------------------------------------------------------------

    @invariant()
    def what_is_here_is_what_was_committed(self) -> None:
        if not hasattr(self, "spool"):
            return
        found = {
            batch.seq: [one.identity for one in (*batch.messages, *batch.records)] for batch in self.read()
        }
        assert found == {seq: self.committed[seq] for seq in self.here}

    @invariant()
    def what_is_counted_is_what_is_here(self) -> None:
        if not hasattr(self, "spool"):
            return
        batches = self.read()
        waiting = [batch for batch in batches if batch.seq > self.stored]
        depth = self.spool.depth()
        assert depth.batches == len(waiting)
        assert depth.messages == sum(b.stored + len(b.quarantined) for b in waiting)
        assert (depth.bytes == 0) == (not waiting)
        assert (self.spool.used_bytes() == 0) == (not batches)
        if waiting:
            assert self.spool.first_waiting() == waiting[0].seq
        else:
            assert self.spool.first_waiting() > self.spool.last_seq()

    def teardown(self) -> None:
        if not hasattr(self, "spool"):
            return
        while self.feeder.feed() or self.spool.depth().batches:
            pass
        held = self.store.holds()
        everything = {identity for identities in self.committed.values() for identity in identities}
        assert len(held) == len(set(held))
        assert everything - self.lost <= set(held) <= everything
        self.spool.close()
        self.store.store.close()
        shutil.rmtree(self.root)
        self.patched.undo()


@contextmanager
def full_disk(spool: Spool) -> Iterator[None]:
    """Not a page more than there are."""
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        spool._db.execute("PRAGMA max_page_count = 1000000")


TestSpoolLaws = SpoolLaws.TestCase
TestSpoolLaws.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
