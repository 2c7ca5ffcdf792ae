"""How the feeder waits for a telemetry store that does not answer."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from collector.feeder import CURSOR_KEY, LONGEST_ASKED_S, LONGEST_WAIT_S, Feeder
from collector.spool import STORED, Spool
from pulse.errors import StoreRejected, StoreUnavailable
from pulse.messages import Record
from pulse.stores.base import Written
from pulse.stores.relational import events, meta, quarantine
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import NewEvent
from tests.collector.builders import NOON_US, SteppedClock, beat, reading


class CountedStop(threading.Event):
    """Waits for nothing, notes how long it should have, and is set after so many."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        if len(self.waited) == self._waits:
            self.set()
        return self.is_set()


class OpenStore:
    def open(self) -> None:
        return


class AbsentStore(OpenStore):
    def __init__(self, retry_after_s: float | None) -> None:
        self.asked = 0
        self._retry_after_s = retry_after_s

    def write_messages(self, _messages: object) -> None:
        self.asked += 1
        raise StoreUnavailable("overloaded", retry_after_s=self._retry_after_s)


class AnyLease:
    def check(self) -> None:
        return


@pytest.mark.parametrize(
    ("asked_s", "expected"),
    [
        (None, [0.25, 0.5, 1, 2, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S]),
        (3.0, [3, 3, 3, 3, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S]),
        (3600.0, [LONGEST_ASKED_S] * 8),
    ],
)
def test_a_store_is_asked_again_and_again_and_not_before_it_wants_to_be(
    tmp_path: Path, asked_s: float | None, expected: list[float]
) -> None:
    clock = SteppedClock()
    spool = Spool(tmp_path / "spool.db", clock)
    spool.append([beat()])
    store, stop = AbsentStore(asked_s), CountedStop(8)
    Feeder(spool, cast(Any, store), cast(Any, None), clock, cast(Any, AnyLease())).run(stop)
    assert stop.waited == expected
    assert store.asked == 8
    assert spool.mark(STORED) == 0
    assert spool.depth().messages == 1
    spool.close()


class ParticularStore(OpenStore):
    """Takes messages and records, and will never take a transition."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.asked = 0

    def write_records(self, records: Sequence[Record]) -> Written:
        good = [record for record in records if record.device != "gas-2"]
        self.records += good
        bad = tuple((at, "never") for at, record in enumerate(records) if record not in good)
        return Written(len(good), bad)

    def write_transitions(self, _points: object) -> None:
        self.asked += 1
        raise StoreRejected("before the retention")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    yield db
    db.close()


class HeldLease(AnyLease):
    def renew(self, _connection: object) -> None:
        return


def test_a_record_that_the_store_never_takes_goes_to_quarantine_and_holds_up_nothing(
    tmp_path: Path, db: Database
) -> None:
    clock = SteppedClock()
    spool, store = Spool(tmp_path / "spool.db", clock), ParticularStore()
    records = [reading("gas-1"), reading("gas-2", NOON_US + 1), reading("gas-3", NOON_US + 2)]
    batch = spool.append([], (), records)
    feeder = Feeder(spool, cast(Any, store), db, clock, cast(Any, HeldLease()))
    feeder.feed()
    assert store.records == [batch.records[0], batch.records[2]]
    assert spool.mark(STORED) == batch.seq
    with db.read() as connection:
        ((order, item),) = quarantine.recent(connection, 10)
    assert (order, item.reason, item.detail) == (batch.records[1].order, "refused_by_store", "never")
    assert item.topic == "community/xinjinglou/gas_alarm/gas-2/data/gas_reading"
    assert item.payload == records[1].body
    spool.close()


def test_transitions_that_the_store_never_takes_are_passed_over(tmp_path: Path, db: Database) -> None:
    body = {"device": "a", "community": "b", "kind": "c", "before": "x", "after": "y", "cause": "z"}
    with db.write() as connection:
        last = events.append(connection, [NewEvent(1, NOON_US, "transition", body)])
    clock = SteppedClock()
    spool, store, stop = Spool(tmp_path / "spool.db", clock), ParticularStore(), CountedStop(3)
    Feeder(spool, cast(Any, store), db, clock, cast(Any, HeldLease())).run(stop)
    assert store.asked == 1
    with db.read() as connection:
        assert meta.get(connection, CURSOR_KEY) == str(last)
    spool.close()
