"""The lease: one collector at a time, by compare-and-set in both databases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from collector.flow import Flow
from collector.lease import KEY, Lease, LeaseLost, holder_of
from pulse import processes
from pulse.clock import SystemClock
from pulse.errors import StoreUnavailable
from pulse.stores.relational import meta
from pulse.stores.relational.database import Database
from tests.collector.test_mqtt import eventually
from tests.servers import postgres

NEVER = threading.Event()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'pulse.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(postgres(tmp_path / "postgres")).fresh_database()
        database = stack.enter_context(closing(Database(url)))
        database.open()
        yield database


def lease(db: Database, session: str, lease_s: float = 60.0) -> Lease:
    return Lease(db, SystemClock(), session, lease_s=lease_s)


def waiting(one: Lease, stop: threading.Event) -> Callable[[], bool]:
    """Let it wait in a thread; whether it has the lease by now."""
    had = threading.Event()

    def wait() -> None:
        if one.acquire(stop):
            had.set()

    threading.Thread(target=wait, daemon=True).start()
    return had.is_set


def renewed(db: Database, one: Lease) -> None:
    with db.write() as connection:
        one.renew(connection)


def test_a_lease_that_was_given_back_is_had_at_once(db: Database) -> None:
    first, second = lease(db, "a"), lease(db, "b")
    assert first.acquire(NEVER)
    first.release()
    with db.read() as connection:
        assert holder_of(connection) is None
    assert second.acquire(NEVER)
    with pytest.raises(LeaseLost, match="session b"):
        renewed(db, first)
    renewed(db, second)


def test_of_many_that_find_the_place_empty_one_has_the_lease(db: Database) -> None:
    stop = threading.Event()
    ready = threading.Barrier(4)
    had: list[str] = []

    def ask(session: str) -> None:
        one = lease(db, session)
        ready.wait(10)
        if one.acquire(stop):
            had.append(session)

    threads = [threading.Thread(target=ask, args=(session,)) for session in "abcd"]
    for thread in threads:
        thread.start()
    eventually(lambda: len(had) == 1, "one has it")
    stop.set()
    for thread in threads:
        thread.join(10)
    with db.read() as connection:
        holder = holder_of(connection)
    assert holder is not None
    assert [holder.session] == had


def test_a_lease_that_is_not_renewed_runs_out_and_its_holder_can_commit_nothing(db: Database) -> None:
    first, second = lease(db, "a", 1.0), lease(db, "b", 1.0)
    assert first.acquire(NEVER)
    stop = threading.Event()
    has = waiting(second, stop)
    eventually(has, "the second one's turn")
    with pytest.raises(LeaseLost):
        written_by(first, db)
    with db.read() as connection:
        assert meta.get(connection, "written") is None
    with pytest.raises(LeaseLost):
        first.check()
    first.release()
    renewed(db, second)


def written_by(one: Lease, db: Database) -> None:
    with db.write() as connection:
        meta.put(connection, "written", "by the first")
        one.renew(connection)


def test_a_lease_that_is_renewed_stays(db: Database) -> None:
    first, second = lease(db, "a", 1.0), lease(db, "b", 1.0)
    assert first.acquire(NEVER)
    stop = threading.Event()
    has = waiting(second, stop)
    for _ in range(30):
        renewed(db, first)
        assert not has()
        threading.Event().wait(0.1)
    stop.set()


def test_the_lease_of_a_dead_process_of_this_machine_is_had_at_once(db: Database) -> None:
    first = lease(db, "a")
    assert first.acquire(NEVER)
    with db.write() as connection:
        text = meta.get(connection, KEY) or ""
        here = processes.this_process()
        boot, _, _ = here.split(" ")
        meta.put(connection, KEY, text.replace(here, f"{boot} 999999999 1"))
    with db.read() as connection:
        assert holder_of(connection) is None
    assert lease(db, "b").acquire(NEVER)


def test_a_process_of_another_machine_is_never_known_to_be_dead() -> None:
    assert not processes.is_gone("another-boot/pid:[1] 999999999 1")
    assert not processes.is_gone(processes.this_process())


def test_rates_are_those_of_the_last_half_minute() -> None:
    flow = Flow()
    assert flow.counted(0.0, 0, 0) is None
    assert flow.counted(1.0, 100, 100) is None
    assert flow.counted(10.0, 1000, 500) == (100.0, 50.0)
    for second in range(11, 61):
        rates = flow.counted(float(second), 1000, 500)
    assert rates == (0.0, 0.0)


def test_a_database_that_does_not_answer_gives_the_lease_to_nobody(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lease(db, "a", 0.0)
    assert one.acquire(NEVER)

    def away() -> None:
        raise StoreUnavailable("away for this test")

    monkeypatch.setattr(db, "write", away)
    one.check()
