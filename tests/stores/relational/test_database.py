"""Connections: refused addresses, locks among threads and processes, outages, and what people are told."""

import multiprocessing
import os
import signal
import sqlite3
import threading
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from sqlalchemy import text

from pulse.errors import SettingsError, StoreRejected, StoreUnavailable
from pulse.stores.relational import database as module
from pulse.stores.relational import meta
from pulse.stores.relational.database import Database
from tests import servers
from tests.stores.relational.backends import opened


@pytest.mark.parametrize(
    "url",
    [
        "no address",
        "mysql://user:secret@host/name",
        "postgresql+asyncpg://user:secret@host/name",
        "postgresql://user:secret@host:port/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=ro&uri=true",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Database(url)
    assert caught.value.where == "PULSE_DATABASE_URL"
    assert "secret" not in str(caught.value)


def test_the_folder_is_made(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/a/b/pulse.db") as db:
        db.check()
    assert (tmp_path / "a/b/pulse.db").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=str(tmp_path / "file" / "sub")):
        Database(f"sqlite:///{tmp_path}/file/sub/pulse.db").open()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "pulse.db"
    path.write_bytes(b"precious notes" * 100)
    with pytest.raises(StoreRejected, match="not a database"):
        Database(f"sqlite:///{path}").open()
    assert path.read_bytes() == b"precious notes" * 100


def test_what_was_written_is_synchronised_to_disk_in_a_write_ahead_log(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/pulse.db") as db, db.write() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2


def test_a_closed_sqlite_database_is_one_whole_file(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/pulse.db") as db:
        with db.write() as connection:
            meta.put(connection, "a", "1")
        with db.read() as connection:
            assert meta.get(connection, "a") == "1"
    assert not (tmp_path / "pulse.db-wal").exists()
    with sqlite3.connect(tmp_path / "pulse.db") as plain:
        assert plain.execute("SELECT value FROM meta").fetchall() == [("1",)]
    plain.close()


def test_a_writer_that_never_ends_makes_others_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(f"sqlite:///{tmp_path}/pulse.db") as db:
        monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
        problems: list[BaseException] = []

        def write() -> None:
            try:
                with db.write():
                    pass
            except StoreUnavailable as error:
                problems.append(error)

        with db.write() as connection:
            meta.put(connection, "a", "1")
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(30)
        assert "another thread" in str(problems)
        with db.write() as connection:
            assert meta.get(connection, "a") == "1"


def test_another_process_that_never_ends_makes_others_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/pulse.db"
    with opened(url) as one, opened(url) as other, one.write():
        monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
        with pytest.raises(StoreUnavailable, match="another process"), other.write():
            pass


def _count(url: str, times: int) -> None:
    with opened(url) as db:
        for _ in range(times):
            with db.write() as connection:
                meta.grow(connection, meta.REGISTRY)


def _hold(url: str, told: Pipe) -> None:
    with opened(url) as db, db.write() as connection:
        meta.put(connection, "a", "lost")
        told.send("holding")
        signal.pause()


def test_writers_of_several_processes_take_turns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pulse.db"
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_count, args=(url, 25)) for _ in range(2)]
    for other in others:
        other.start()
    _count(url, 25)
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    with opened(url) as db, db.read() as connection:
        assert meta.count(connection, meta.REGISTRY) == 75


def test_a_process_killed_in_a_transaction_leaves_neither_lock_nor_change(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pulse.db"
    with opened(url) as db:
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        other = spawn.Process(target=_hold, args=(url, there))
        other.start()
        assert here.poll(60)
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        other.join(60)
        with db.write() as connection:
            assert meta.get(connection, "a") is None
            meta.put(connection, "a", "kept")
        with db.read() as connection:
            assert meta.get(connection, "a") == "kept"


def test_an_outage_of_postgresql_is_unavailability_and_ends_with_it(tmp_path: Path) -> None:
    with servers.postgres(tmp_path) as server, opened(server.fresh_database()) as db:
        server.stop()
        with pytest.raises(StoreUnavailable, match="PULSE_DATABASE_URL"):
            db.check()
        with pytest.raises(StoreUnavailable):
            db.open()
        server.start()
        db.check()
        with db.write() as connection:
            meta.put(connection, "a", "1")


def test_a_server_that_ends_in_a_transaction_undoes_it(tmp_path: Path) -> None:
    with servers.postgres(tmp_path) as server, opened(server.fresh_database()) as db:

        def write() -> None:
            with db.write() as connection:
                meta.put(connection, "a", "lost")
                server.kill()
                # The process that serves this connection notices it a moment later.
                while True:
                    meta.put(connection, "b", "lost")

        with pytest.raises(StoreUnavailable):
            write()
        server.start()
        with db.read() as connection:
            assert meta.get(connection, "a") is None


def test_what_people_are_told_holds_no_password() -> None:
    db = Database(f"postgresql://pulse:secret@127.0.0.1:{servers.free_port()}/pulse")
    with pytest.raises(StoreUnavailable) as caught:
        db.check()
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
