"""Outlets, their deliveries and accesses on every relational back end."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pulse.clock import SECOND_US
from pulse.errors import Conflict, PulseError
from pulse.sharing.deliveries import Day, Delivery
from pulse.sharing.outlets import Outlet, Version
from pulse.sharing.receipts import Part
from pulse.stores.relational import deliveries, outlets, recordmark
from pulse.stores.relational.database import Database
from pulse.stores.relational.deliveries import Attempt, Waiting
from pulse.stores.relational.outlets import Position
from pulse.stores.relational.recordmark import RecordMark
from tests import servers
from tests.stores.relational.backends import BACKENDS, empty_url, opened

T = 1_700_000_000 * SECOND_US
PART = Part(data_kind="gas_reading", community="xinjinglou", count=2, first_us=T, last_us=T + 1)
DAY = Day("gas_reading", "2023-11-15", 2, "0f" * 32)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened(empty_url(request, tmp_path)) as database:
        yield database


def outlet(**changes: Any) -> Outlet:
    return Outlet(**({"id": "fire", "mode": "http", "url": "https://fire.example/"} | changes))


def add(db: Database, number: int, content: bytes = b"{}", now_us: int = T, of: str = "fire") -> None:
    with db.write() as connection:
        deliveries.add(connection, of, "json", Delivery(number, content, (PART,), (DAY,), 2), now_us)


def test_the_last_word_on_an_outlet_holds_and_all_words_are_kept(db: Database) -> None:
    said = [
        Version("fire", T, outlet(), "cli:root"),
        Version("gas", T, outlet(id="gas"), "cli:root"),
        Version("fire", T + 1, outlet(disabled=True), "user:wang"),
        Version("gas", T + 2, None, "user:wang"),
    ]
    with db.write() as connection:
        before = outlets.version(connection)
        for version in said:
            outlets.append(connection, version)
    with db.read() as connection:
        assert outlets.current(connection) == [outlet(disabled=True)]
        assert outlets.of(connection, "gas") is None
        assert outlets.of(connection, "none") is None
        assert outlets.history(connection, "fire") == [said[0], said[2]]
        assert outlets.version(connection) == before + 4


def test_two_words_at_one_microsecond_conflict(db: Database) -> None:
    with db.write() as connection:
        outlets.append(connection, Version("fire", T, outlet()))
    with pytest.raises(Conflict), db.write() as connection:
        outlets.append(connection, Version("fire", T, outlet(disabled=True)))


@pytest.mark.parametrize("table", ["outlets", "delivery_attempts"])
@pytest.mark.parametrize("change", ["UPDATE {} SET outlet_or_id = 'x'", "DELETE FROM {}"])
def test_what_was_said_and_who_had_access_cannot_be_changed(db: Database, table: str, change: str) -> None:
    column = "id" if table == "outlets" else "outlet"
    statement = change.format(table).replace("outlet_or_id", column)
    with db.write() as connection:
        outlets.append(connection, Version("fire", T, outlet()))
        deliveries.note(connection, Attempt(T, "fire", None, "test", "cli:root", "", "done", ""))
    with pytest.raises(PulseError), db.write() as connection:
        connection.execute(text(statement))


def test_a_position_begins_once_and_moves_only_from_where_it_is(db: Database) -> None:
    begun = Position("fire", 5, T, T)
    moved = begun._replace(position=9, number=1, built_us=T + 1, withheld={"gas_reading/not_in_service": 3})
    with db.write() as connection:
        outlets.begin(connection, begun)
        outlets.begin(connection, begun._replace(position=7))
        assert outlets.position_of(connection, "fire") == begun
        assert outlets.move(connection, begun, moved)
        assert not outlets.move(connection, begun, moved._replace(position=11))
        outlets.set_stuck(connection, "fire", "full")
        outlets.set_most(connection, "fire", 50)
    with db.read() as connection:
        assert outlets.all_positions(connection) == {"fire": moved._replace(stuck="full", most_records=50)}
        assert outlets.position_of(connection, "gas") is None


def test_of_many_that_claim_an_outlet_one_gets_it(db: Database) -> None:
    with db.write() as connection:
        outlets.begin(connection, Position("fire", 0, T, T))
    got: list[str] = []

    def claim(name: str) -> None:
        with db.write() as connection:
            if outlets.claim(connection, "fire", name, T, T + 10):
                got.append(name)

    threads = [threading.Thread(target=claim, args=(f"process-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    with db.write() as connection:
        assert outlets.claim(connection, "fire", got[0], T + 5, T + 20), "its holder may prolong it"
        assert not outlets.claim(connection, "fire", "other", T + 19, T + 40)
        outlets.release(connection, "fire", "other")
        assert not outlets.claim(connection, "fire", "other", T + 19, T + 40)
        assert outlets.claim(connection, "fire", "other", T + 20, T + 40), "whoever died holds it no longer"
        outlets.release(connection, "fire", "other")
        assert outlets.claim(connection, "fire", "third", T + 21, T + 40)


def test_a_delivery_is_kept_as_it_was_made(db: Database) -> None:
    content = bytes(range(256))
    add(db, 1, content)
    with db.read() as connection:
        kept = deliveries.one(connection, "fire", 1)
        assert kept is not None
        assert (kept.id, kept.size, kept.parts, kept.state) == ("fire-1", 256, (PART,), "waiting")
        assert deliveries.content(connection, "fire", 1) == content
        assert deliveries.days_of(connection, "fire", 1) == [DAY]
        assert deliveries.one(connection, "fire", 2) is None
        assert deliveries.outstanding(connection) == {"fire": Waiting(1, 2, 256, T)}


def test_no_number_is_given_twice(db: Database) -> None:
    add(db, 1)
    with pytest.raises(PulseError):
        add(db, 1)


def test_what_failed_waits_until_it_may_be_tried_again(db: Database) -> None:
    add(db, 1)
    with db.write() as connection:
        deliveries.sent(connection, "fire", 1, T + 1)
        deliveries.failed(connection, "fire", 1, "500\0 " + "x" * 1000, T + 60)
        (kept,) = deliveries.waiting(connection, "fire")
        assert (kept.attempts, kept.sent_us, kept.next_us) == (1, T + 1, T + 60)
        assert kept.error is not None
        assert len(kept.error) == 500
        assert deliveries.retry(connection, "fire", T + 2) == 1
        assert deliveries.waiting(connection, "fire")[0].next_us == T + 2
        assert deliveries.retry(connection, "fire", T + 2) == 0


def test_an_acknowledgement_counts_once(db: Database) -> None:
    add(db, 1)
    add(db, 2)
    with db.write() as connection:
        assert deliveries.acknowledged(connection, "fire", 1, T + 5)
        assert not deliveries.acknowledged(connection, "fire", 1, T + 6)
        deliveries.failed(connection, "fire", 1, "late", T + 9)
        kept = deliveries.one(connection, "fire", 1)
        assert kept is not None
        assert (kept.state, kept.acknowledged_us, kept.error) == ("acknowledged", T + 5, None)
        assert [d.number for d in deliveries.waiting(connection, "fire")] == [2]
        assert [d.number for d in deliveries.waiting(connection, "fire", until=1)] == []
        assert [d.number for d in deliveries.following(connection, "fire", 0, 9)] == [1, 2]


def test_what_was_split_is_neither_sent_nor_counted(db: Database) -> None:
    add(db, 1)
    add(db, 2)
    with db.write() as connection:
        assert deliveries.split(connection, "fire", 1)
        assert not deliveries.split(connection, "fire", 1)
        assert not deliveries.acknowledged(connection, "fire", 1, T)
        assert deliveries.days_of(connection, "fire", 1) == []
        assert [d.number for d in deliveries.waiting(connection, "fire")] == [2]
        assert [d.number for d in deliveries.following(connection, "fire", 0, 9)] == [2]
    with db.read() as connection:
        assert [d.number for d in deliveries.made_in(connection, T, T + 1)] == [2]
        assert [d.number for d in deliveries.listing(connection, "fire")] == [2, 1]
        assert [d.number for d in deliveries.listing(connection, "fire", state="split")] == [1]
        assert [d.number for d in deliveries.listing(connection, "fire", before=2)] == [1]


def test_contents_are_forgotten_some_time_after_their_receipt_and_never_before(db: Database) -> None:
    for number in (1, 2, 3):
        add(db, number)
    with db.write() as connection:
        deliveries.acknowledged(connection, "fire", 1, T + 5)
        deliveries.split(connection, "fire", 2)
        assert deliveries.trim(connection, T + 5) == 1
        assert deliveries.trim(connection, T + 6) == 1
        assert [deliveries.content(connection, "fire", n) for n in (1, 2, 3)] == [None, None, b"{}"]
        kept = deliveries.one(connection, "fire", 1)
        assert kept is not None
        assert (kept.records, kept.parts) == (2, (PART,))


def test_every_access_is_listed_newest_first(db: Database) -> None:
    noted = [
        Attempt(
            T + n, of, f"{of}-{n}", "send", "system:scheduler", "fire.example:443", "failed", "500 内部错误"
        )
        for n, of in enumerate(("fire", "gas", "fire"))
    ]
    with db.write() as connection:
        for attempt in noted:
            deliveries.note(connection, attempt)
    with db.read() as connection:
        found = deliveries.accesses(connection)
        assert [a._replace(id=0) for a in found] == noted[::-1]
        assert [a.delivery for a in deliveries.accesses(connection, outlets=["fire"])] == ["fire-2", "fire-0"]
        assert [a.delivery for a in deliveries.accesses(connection, before=found[0].id, limit=1)] == ["gas-1"]


def test_the_mark_of_records_is_the_last_one(db: Database) -> None:
    with db.write() as connection:
        assert recordmark.read(connection) is None
        recordmark.write(connection, RecordMark(5, T))
        recordmark.write(connection, RecordMark(9, T + 1))
        assert recordmark.read(connection) == RecordMark(9, T + 1)
