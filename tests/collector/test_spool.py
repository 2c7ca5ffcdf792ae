"""The durable log: what it promises to the broker's acknowledgement and to those who read it."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector import spool as spool_module
from collector import spoolfile
from collector.spool import SNAPSHOT, STORED, Spool, SpoolFull, first_order, last_order
from pulse.errors import Conflict, StoreError, StoreUnavailable
from pulse.messages import Evidence
from tests.collector.builders import NOON_US, SECOND_US, SteppedClock, beat, reading, refused

LATER_US = NOON_US + 3600 * SECOND_US


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def opened(path: Path, **options: int) -> Spool:
    return Spool(path, SteppedClock(), **options)


def raw(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_what_was_appended_is_read_back_with_orders_of_reception(path: Path) -> None:
    spool = opened(path)
    messages = [beat("a"), beat("b", measured_us=NOON_US - 5, seq=7)]
    batch = spool.append(messages, [refused()])
    again = spool.append([beat("c")])
    order = first_order(batch.seq)
    assert [message.order for message in batch.messages] == [order, order + 1]
    assert batch.quarantined == [(order + 2, refused())]
    assert again.seq == batch.seq + 1
    assert again.messages[0].order > batch.quarantined[0][0]
    spool.close()
    reopened = opened(path)
    assert reopened.read_after(0) == [batch, again]
    assert reopened.read_after(batch.seq) == [again]
    assert reopened.read_after(0, limit=1) == [batch]
    reopened.close()


def test_records_share_the_order_of_reception_and_come_back_whole(path: Path) -> None:
    spool = opened(path)
    records = [reading(), reading("gas-2", measured_us=NOON_US - 5, body=b'{"a": "\xe5\x9d\x8f"}')]
    batch = spool.append([beat("a")], [refused()], records)
    alone = spool.append([], (), [reading(observed_us=NOON_US - 7)])
    order = first_order(batch.seq)
    assert [message.order for message in batch.messages] == [order]
    assert batch.records == [
        msgspec.structs.replace(record, order=order + at) for at, record in enumerate(records, 1)
    ]
    assert batch.quarantined == [(order + 3, refused())]
    assert order + 3 < last_order(batch.seq) < alone.records[0].order
    assert spool.depth()[:2] == (2, 5)
    assert spool.stored() == (0, NOON_US)
    spool.close()
    reopened = opened(path)
    assert reopened.read_after(0) == [batch, alone]
    reopened.advance(STORED, batch.seq)
    assert reopened.stored() == (batch.seq, NOON_US - 7)
    reopened.advance(STORED, alone.seq)
    assert reopened.stored() == (alone.seq, None)
    reopened.close()


def test_batches_of_the_format_before_records_are_read_and_a_batch_without_any_is_still_one(
    path: Path,
) -> None:
    spool = opened(path)
    batch = spool.append([beat("a")], [refused()])
    spool.close()
    with sqlite3.connect(path) as db:
        (body,) = db.execute("SELECT body FROM batch").fetchone()
        db.execute("PRAGMA user_version = 3")
    db.close()
    assert msgspec.msgpack.decode(body)[1:] == [[list(refused())]]
    upgraded = opened(path)
    assert upgraded.read_after(0) == [batch]
    upgraded.append([], (), [reading()])
    upgraded.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
    db.close()


def test_batches_of_the_format_before_columns_are_read_after_an_upgrade(path: Path) -> None:
    opened(path).close()
    messages = [beat("a", measured_us=NOON_US - 5, seq=7), beat("b", evidence=Evidence.FAULT)]
    body = msgspec.msgpack.encode((messages, [refused()]))
    checksum = zlib.crc32(body, zlib.crc32(b"5/3"))
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO batch VALUES (5, ?, 3, ?, ?, ?)", (NOON_US, NOON_US, checksum, body))
        db.execute("CREATE TABLE snapshot (one INTEGER PRIMARY KEY, seq INTEGER, body BLOB)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    spool = opened(path)
    (batch,) = spool.read_after(0)
    order = first_order(5)
    expected = [msgspec.structs.replace(m, order=order + at) for at, m in enumerate(messages)]
    assert list(batch.messages) == expected
    assert batch.quarantined == [(order + 2, refused())]
    newer = spool.append([beat("c")])
    assert newer.seq > 5
    spool.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (spoolfile.FORMAT,)
        assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'snapshot'").fetchall()
    db.close()


def test_a_committed_batch_survives_a_kill(path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from collector.spool import Spool\n"
        "from pulse.clock import SystemClock\n"
        "from tests.collector.builders import beat\n"
        f"spool = Spool(Path({str(path)!r}), SystemClock())\n"
        "while True:\n"
        "    print(spool.append([beat('a'), beat('b')]).seq, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(5)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    child.stdout.close()
    spool = opened(path)
    kept = spool.read_after(0, limit=100_000)
    assert [batch.seq for batch in kept][: len(acknowledged)] == acknowledged
    assert all(len(batch.messages) == 2 for batch in kept)
    spool.close()


def test_a_batch_leaves_once_both_consumers_have_passed_it(path: Path) -> None:
    spool = opened(path)
    first, second = spool.append([beat("a")]), spool.append([beat("b")])
    spool.advance(STORED, second.seq)
    assert spool.trim(LATER_US) == 0
    spool.save_snapshot([b"state"], first.seq)
    assert spool.trim(LATER_US) == 1
    spool.close()
    reopened = opened(path)
    assert [batch.seq for batch in reopened.read_after(0)] == [second.seq]
    assert reopened.mark(STORED) == second.seq
    assert reopened.mark(SNAPSHOT) == first.seq
    reopened.close()


def test_batches_that_the_broker_may_deliver_again_stay_a_while(path: Path) -> None:
    clock = SteppedClock()
    spool = Spool(path, clock)
    old = spool.append([beat("a")])
    clock.pass_s(60)
    recent = spool.append([beat("b")])
    spool.advance(STORED, recent.seq)
    spool.save_snapshot([b"state"], recent.seq)
    assert spool.trim(clock.now_us() - 30 * SECOND_US) == 1
    assert [batch.seq for batch in spool.read_after(old.seq - 1)] == [recent.seq]
    spool.close()


def test_orders_grow_even_when_the_spool_was_emptied_or_lost(path: Path) -> None:
    clock = SteppedClock()
    spool = Spool(path, clock)
    last = spool.append([beat("a")])
    spool.advance(STORED, last.seq)
    spool.save_snapshot([], last.seq)
    spool.trim(LATER_US)
    spool.close()
    emptied = Spool(path, clock)
    assert emptied.last_seq() == last.seq
    newer = emptied.append([beat("a")])
    assert newer.seq > last.seq
    emptied.close()
    for name in path.parent.glob("spool.db*"):
        name.unlink()
    clock.pass_s(1)
    anew = Spool(path, clock)
    assert anew.append([beat("a")]).seq > newer.seq
    anew.close()


def test_depth_counts_what_the_store_lacks(path: Path) -> None:
    spool = opened(path)
    assert spool.depth() == (0, 0, 0, None)
    spool.append([beat("a", NOON_US), beat("b", NOON_US + 5)])
    last = spool.append([beat("c", NOON_US + 9)], [refused(observed_us=NOON_US + 8)])
    depth = spool.depth()
    assert (depth.batches, depth.messages, depth.oldest_us) == (2, 4, NOON_US)
    assert depth.bytes > 0
    spool.advance(STORED, last.seq)
    assert spool.depth() == (0, 0, 0, None)
    spool.close()


def test_a_full_spool_takes_nothing_more_until_it_drains(path: Path) -> None:
    spool = opened(path, max_bytes=4_000)
    size = 0
    while size < 3_500:
        seq = spool.append([beat("a")] * 10).seq
        size = spool.depth().bytes
    with pytest.raises(SpoolFull, match="PULSE_SPOOL_MAX_BYTES"):
        spool.append([beat("a")] * 20)
    spool.advance(STORED, seq)
    spool.save_snapshot([], seq)
    spool.trim(LATER_US)
    assert spool.append([beat("a")] * 10).seq == seq + 1
    spool.close()


def test_a_full_disk_keeps_nothing_and_says_so(path: Path) -> None:
    spool = opened(path)
    kept = spool.append([beat("a")])
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"):
        spool.append([beat("b", measured_us=1)] * 5000)
    spool._db.execute("PRAGMA max_page_count = 1000000")
    after = spool.append([beat("c")])
    assert spool.read_after(0) == [kept, after]
    spool.close()
    reopened = opened(path)
    assert reopened.read_after(0) == [kept, after]
    reopened.close()


def test_a_damaged_batch_is_set_aside_and_reported(path: Path) -> None:
    spool = opened(path)
    first, second, third = (spool.append([beat(name)]) for name in "abc")
    spool.close()
    raw(path, f"UPDATE batch SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE seq = {second.seq}")
    reopened = opened(path)
    assert reopened.read_after(0) == [first, third]
    assert reopened.damages() == [(second.seq, 1, NOON_US, NOON_US)]
    assert reopened.damages() == []
    assert reopened.depth().batches == 2
    reopened.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT seq, count FROM damaged").fetchall() == [(second.seq, 1)]
    db.close()


@pytest.mark.parametrize("where", ["tail", "middle", "header"])
def test_a_torn_file_is_salvaged_and_the_loss_is_reported(path: Path, where: str) -> None:
    spool = opened(path)
    batches = [spool.append([beat("a", NOON_US + i * 50 + j) for j in range(50)]) for i in range(60)]
    spool.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        if where == "tail":
            file.truncate(size - size // 4)
        else:
            file.seek(size // 2 if where == "middle" else 0)
            file.write(b"\xa5" * 8192)
    reopened = opened(path)
    found = reopened.read_after(0, limit=1000)
    assert all(batch in batches for batch in found)
    if where == "middle":
        assert found
    assert reopened.salvaged == len(found) < len(batches)
    assert list(path.parent.glob("spool.db.damaged-*"))
    assert reopened.append([beat("z")]).seq > max((batch.seq for batch in found), default=0)
    reopened.close()


def test_a_snapshot_and_its_mark_are_kept_together(path: Path) -> None:
    spool = opened(path)
    assert spool.load_snapshot() is None
    batch = spool.append([beat("a")])
    assert spool.save_snapshot([b"on", memoryview(b"e")], batch.seq) > 3
    spool.close()
    reopened = opened(path)
    snapshot = reopened.load_snapshot()
    assert snapshot is not None
    assert (snapshot.seq, bytes(snapshot.body)) == (batch.seq, b"one")
    assert reopened.mark(SNAPSHOT) == batch.seq
    reopened.close()


def test_a_snapshot_that_is_not_what_was_written_is_not_used(path: Path) -> None:
    spool = opened(path)
    batch = spool.append([beat("a")])
    spool.save_snapshot([b"state"], batch.seq)
    file = path.with_suffix(".snapshot")
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:50], b"", whole[:-6] + b"?" + whole[-5:], b"x" + whole[1:]):
        file.write_bytes(damaged)
        assert spool.load_snapshot() is None
    file.write_bytes(whole)
    assert spool.load_snapshot() is not None
    spool.close()
    path.unlink()
    another = opened(path)
    assert another.load_snapshot() is None
    assert another.mark(SNAPSHOT) == 0
    another.close()


def test_a_snapshot_that_cannot_be_written_leaves_the_one_before(path: Path) -> None:
    spool = opened(path)
    first, second = spool.append([beat("a")]), spool.append([beat("b")])
    spool.save_snapshot([b"one"], first.seq)

    def pieces() -> Iterator[bytes]:
        yield b"half of it"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreUnavailable, match="No space left"):
        spool.save_snapshot(pieces(), second.seq)
    assert spool.mark(SNAPSHOT) == first.seq
    snapshot = spool.load_snapshot()
    assert snapshot is not None
    assert bytes(snapshot.body) == b"one"
    assert sorted(file.name for file in path.parent.glob("*.snapshot*")) == [f"{path.stem}.snapshot"]
    spool.close()


def test_the_newest_batches_that_hold_so_many_items(path: Path) -> None:
    spool = opened(path)
    assert spool.seq_before_newest(10) == spool.last_seq()
    batches = [spool.append([beat(f"d{n}") for n in range(3)]) for _ in range(4)]
    for items, chosen in ((1, 1), (3, 1), (4, 2), (9, 3), (12, 4), (100, 4)):
        found = spool.read_after(spool.seq_before_newest(items), limit=10)
        assert [batch.seq for batch in found] == [batch.seq for batch in batches[-chosen:]]
    spool.close()


def test_a_file_of_a_newer_version_is_refused_loudly(path: Path) -> None:
    opened(path).close()
    raw(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        opened(path)


def test_a_second_collector_on_the_same_folder_is_refused(path: Path) -> None:
    spool = opened(path)
    with pytest.raises(Conflict, match="another collector"):
        opened(path)
    spool.close()


def test_what_is_appended_is_on_disk_and_not_only_on_its_way(path: Path) -> None:
    spool = opened(path)
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    full = 2
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (full,)
    spool.close()


def test_a_salvage_that_a_crash_or_a_full_disk_interrupts_is_done_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(path)
    for number in range(60):
        spool.append([beat("a", NOON_US + number * 50 + at) for at in range(50)])
    spool.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 8192)
    connect = spoolfile.connect

    def full(file: Path) -> sqlite3.Connection:
        if file != path:
            raise sqlite3.OperationalError("database or disk is full")
        return connect(file)

    def killed(_path: Path, _aside: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spoolfile, "connect", full)
        with pytest.raises(StoreUnavailable, match="full"):
            opened(path)
    assert path.exists()
    assert not list(path.parent.glob("*.damaged-*"))
    with monkeypatch.context() as patch:
        patch.setattr(spoolfile, "_put_in_place", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(path)
    assert not path.exists()
    reopened = opened(path)
    assert 0 < len(reopened.read_after(0, limit=1_000)) < 60
    reopened.close()
    assert sorted(file.name.rstrip("0123456789") for file in path.parent.iterdir()) == [
        "spool.db",
        "spool.db.damaged-",
    ]


def test_of_a_torn_file_a_row_that_reads_as_null_is_not_saved_and_holds_up_nothing(path: Path) -> None:
    spool = opened(path)
    whole = spool.append([beat("a")])
    spool.close()
    with sqlite3.connect(path) as db:
        # What pages are torn like cannot be told to SQLite, so a table without its rules stands for it.
        db.execute("CREATE TABLE torn AS SELECT * FROM batch")
        db.execute("INSERT INTO torn SELECT seq + 1, written_us, count, oldest_us, checksum, NULL FROM batch")
        db.execute("DROP TABLE batch")
        db.execute("ALTER TABLE torn RENAME TO batch")
    db.close()
    assert spoolfile.salvage(path, path.with_name("aside"), spool_module._is_whole) == 1
    salvaged = opened(path)
    assert salvaged.read_after(0) == [whole]
    salvaged.close()
