"""What the embedded telemetry store adds to the contract: durability, and clear words when the file fails."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.clock import SECOND_US
from pulse.errors import StoreError, StoreRejected, StoreUnavailable
from pulse.ledger.model import FOREVER
from pulse.messages import Record
from pulse.stores.sqlite import SqliteTelemetryStore, connections
from pulse.stores.sqlite import store as store_module
from tests.stores.samples import T, message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteTelemetryStore]:
    store = SqliteTelemetryStore(path)
    store.open()
    yield store
    store.close()


def count(store: SqliteTelemetryStore) -> int:
    return sum(1 for _ in store.read_messages(-FOREVER, FOREVER))


_WRITER = """
import sys
from pathlib import Path
from pulse.stores.sqlite import SqliteTelemetryStore
from tests.stores.samples import T, message
store = SqliteTelemetryStore(Path(sys.argv[1]))
store.open()
number = 0
while True:
    batch = range(number, number + 50)
    store.write_messages([message(observed_us=T + n, identity=n, order=n) for n in batch])
    number += 50
    print(number, flush=True)
"""


def test_what_was_written_survives_a_kill(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 500:
                os.kill(writer.pid, signal.SIGKILL)
                break
        told = [int(line), *map(int, writer.stdout.read().split())][-1]
    store = SqliteTelemetryStore(path)
    store.open()
    kept = [m.order for m in store.read_messages(-FOREVER, FOREVER)]
    store.close()
    assert kept == list(range(len(kept)))
    assert len(kept) >= told
    assert len(kept) % 50 == 0


def test_a_commit_waits_for_the_disk(store: SqliteTelemetryStore) -> None:
    with store._connections.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_full_disk_keeps_what_was_there_and_takes_the_batch_later(store: SqliteTelemetryStore) -> None:
    first = [message(observed_us=T + n, identity=n, order=n) for n in range(10)]
    store.write_messages(first)
    batch = [
        message(
            device=f"new-{n % 70}", kind="gas_alarm", observed_us=T + SECOND_US + n, identity=n, order=100 + n
        )
        for n in range(3000)
    ]
    with store._connections.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StoreUnavailable, match="full"):
        store.write_messages(batch)
    assert count(store) == 10
    with store._connections.writing() as connection:
        connection.execute("PRAGMA max_page_count = 1073741823")
    store.write_messages(batch)
    assert list(store.read_messages(-FOREVER, FOREVER)) == first + batch
    assert len(store.latest()) == 71


def test_a_file_that_another_program_holds_is_unavailable_for_now(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_BUSY_TIMEOUT_S", 0.05)
    store = SqliteTelemetryStore(path)
    store.open()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.write_messages([message()])
        assert count(store) == 0
        other.execute("ROLLBACK")
    assert store.write_messages([message()]).stored == 1
    store.close()
    other.close()


def test_a_file_that_is_no_database_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(StoreError, match="restore a backup"):
        SqliteTelemetryStore(path).open()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="file/data"):
        SqliteTelemetryStore(tmp_path / "file" / "data" / "telemetry.db").open()


def test_a_file_of_a_newer_version_is_refused(path: Path, store: SqliteTelemetryStore) -> None:
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreRejected, match="newer version"):
        SqliteTelemetryStore(path).open()


def test_a_file_of_the_first_layout_is_brought_to_the_present_one(
    path: Path, store: SqliteTelemetryStore
) -> None:
    store.write_messages([message()])
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE record")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    upgraded = SqliteTelemetryStore(path)
    upgraded.open()
    upgraded.open()
    assert list(upgraded.read_messages(0, FOREVER)) == [message()]
    record = Record("cam-1", "a", "camera", "video_status", T, None, T, False, 1, b"{}", 1)
    assert upgraded.write_records([record]).stored == 1
    assert upgraded.read_records(0, 1, since_us=T, limit=1) == [record]
    upgraded.close()


def test_a_closed_store_says_so(store: SqliteTelemetryStore) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.ping()
    with pytest.raises(StoreError, match="closed"):
        store.write_messages([message()])


def test_who_only_reads_asks_for_no_lock_of_the_writer(path: Path, store: SqliteTelemetryStore) -> None:
    store.write_messages([message()])
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        reader = SqliteTelemetryStore(path)
        reader.open()
        assert count(reader) == 1
        assert len(reader.latest()) == 1
        reader.close()
        writer.execute("ROLLBACK")
    writer.close()


def test_deletion_lets_writers_pass(store: SqliteTelemetryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_DELETE_CHUNK", 10)
    store.write_messages([message(observed_us=T + n, identity=n, order=n) for n in range(4000)])
    deleted: list[int] = []
    deleting = threading.Thread(target=lambda: deleted.append(store.delete_before(T + 4000)))
    deleting.start()
    for n in range(4000, 4010):
        store.write_messages([message(observed_us=T + n, identity=n, order=n)])
        assert deleting.is_alive(), "the writes should have passed between two chunks"
    deleting.join(30)
    assert deleted == [4000]
    assert count(store) == 10


def test_a_wrong_time_long_ago_does_not_slow_the_reading_of_a_device(store: SqliteTelemetryStore) -> None:
    given = [message(observed_us=at, identity=n, order=n) for n, at in enumerate([-5, 0, 3, T, T + 1])]
    store.write_messages(given)
    statements: list[str] = []
    with store._connections.reading() as connection:
        connection.set_trace_callback(statements.append)
    assert list(store.read_messages(-FOREVER, FOREVER, device="cam-1")) == given
    assert list(store.read_messages(-FOREVER, FOREVER, device="cam-1", newest_first=True)) == given[::-1]
    assert len(statements) < 30
