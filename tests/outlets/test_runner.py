"""From the store to the receipt with everything running: the scheduler's own threads, jobs and clocks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api import scheduler
from api.context import Context
from api.jobs.running import is_missed
from api.outlets.outbox import Outbox
from api.outlets.timetable import Every, job_of
from pulse.clock import DAY_US, HOUR_US, SECOND_US, SystemClock, parse_time
from pulse.indicators.online_rate import OnlineRate
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import jobs
from tests.outlets import department
from tests.outlets.department import Department, Reply
from tests.outlets.house import GO_ON, House

PATIENCE_S = 30.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


class Live:
    """A house with the real clock."""

    def __init__(self, house: House) -> None:
        self.house = house
        clock = SystemClock()
        context = house.context
        self.context = Context(
            context.settings, context.db, context.store, clock, OnlineRate(context.db, clock)
        )
        self.clock = clock

    def hear(self, count: int) -> None:
        self.house.clock.now = self.clock.now_us()
        self.house.hear(*(self.house.record() for _ in range(count)), after_s=0.001)

    def put(self, **members: Any) -> Outlet:
        self.house.clock.now = self.clock.now_us()
        return self.house.put(members)


@pytest.fixture
def live(house: House) -> Live:
    return Live(house)


class Running:
    """A scheduler in a thread; `end` asks it to stop and waits."""

    def __init__(self, live: Live) -> None:
        self.stop = threading.Event()
        self._thread = threading.Thread(
            target=scheduler.run, args=(live.context, self.stop, (), lambda _context, stop: stop.wait())
        )
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.fixture
def running(live: Live) -> Iterator[Running]:
    made = Running(live)
    yield made
    made.end()


def members(fire: Department, **changes: Any) -> dict[str, Any]:
    base = {
        "id": "fire",
        "mode": "http",
        "url": fire.url,
        "signature": "none",
        "data_kinds": ("gas_reading",),
    }
    return base | changes


def test_records_become_receipts_within_seconds(live: Live, fire: Department, running: Running) -> None:
    assert running is not None
    live.put(**members(fire))
    live.hear(3)
    until(lambda: len(live.house.receipts()) == 1)
    (receipt,) = live.house.receipts()
    assert [part.count for part in receipt.parts] == [3]
    assert fire.ids() == ["fire-1"]
    live.hear(2)
    until(lambda: len(live.house.receipts()) == 2)


def test_what_was_not_acknowledged_when_the_process_ended_is_sent_after_the_next_start(
    live: Live, fire: Department
) -> None:
    live.put(**members(fire))
    live.hear(1)
    fire.answer = lambda _got: Reply(drop=True)
    first = Running(live)
    until(lambda: len(fire.received) >= 1)
    first.end()
    assert live.house.receipts() == []
    fire.answer = lambda _got: Reply()
    second = Running(live)
    try:
        until(lambda: len(live.house.receipts()) == 1)
    finally:
        second.end()
    assert set(fire.ids()) == {"fire-1"}
    assert len({got.body for got in fire.received}) == 1


def test_two_schedulers_on_one_database_deliver_each_once(live: Live, fire: Department) -> None:
    live.put(**members(fire, most_records=1))
    live.hear(20)
    both = [Running(live), Running(live)]
    try:
        until(lambda: len(live.house.receipts()) == 20)
    finally:
        for one in both:
            one.end()
    assert sorted(fire.ids()) == sorted(f"fire-{n}" for n in range(1, 21)), "each was sent once"
    records = [record["id"] for got in fire.received for record in json.loads(got.body)["records"]]
    assert len(set(records)) == len(records) == 20


def test_a_department_that_hangs_holds_up_nobody_else(live: Live, running: Running) -> None:
    assert running is not None
    released = threading.Event()

    def hang(_got: object) -> Reply:
        released.wait(PATIENCE_S)
        return Reply()

    with department.serving() as slow, department.serving() as quick:
        slow.answer = hang
        live.put(**members(slow, id="slow"))
        live.put(**members(quick, id="quick"))
        live.hear(1)
        until(lambda: len(slow.received) == 1 and [r.outlet for r in live.house.receipts()] == ["quick"])
        released.set()
        until(lambda: len(live.house.receipts()) == 2)


def test_an_outlet_with_a_schedule_is_taken_up_changed_and_given_up(
    live: Live, fire: Department, running: Running
) -> None:
    assert running is not None
    live.put(**members(fire, every_s=1))
    live.hear(2)
    until(lambda: len(live.house.receipts()) == 1)
    live.put(**members(fire, every_s=1, disabled=True))
    live.hear(1)
    with live.house.db.read() as connection:
        before = len(jobs.recent(connection, 100, "outlet-fire"))
    assert before >= 1
    live.put(**members(fire, every_s=1))
    until(lambda: len(live.house.receipts()) == 2)
    assert live.house.receipts()[1].parts[0].count == 1


def test_a_time_that_was_missed_is_caught_up(house: House) -> None:
    outlet = house.put(Outlet(id="fire", mode="pull", at="08:30", data_kinds=("gas_reading",)))
    job = job_of(outlet, Outbox(house.context))
    assert job is not None
    morning = parse_time("2026-11-24T08:30:00+08:00", "")
    house.clock.now = morning + SECOND_US
    assert is_missed(house.context, job, house.clock.now)
    house.hear(house.record())
    assert scheduler.perform(house.context, job, GO_ON)
    assert [stored.number for stored in house.deliveries("fire")] == [1]
    assert not is_missed(house.context, job, house.clock.now)
    assert not is_missed(house.context, job, morning + DAY_US - SECOND_US)
    assert is_missed(house.context, job, morning + DAY_US)


def test_a_run_that_could_make_nothing_is_tried_again(house: House) -> None:
    outlet = house.put(Outlet(id="fire", mode="pull", every_s=3600, data_kinds=("gas_reading",)))
    job = job_of(outlet, Outbox(house.context))
    assert job is not None
    house.hear(house.record())
    house.keys.masking()
    (house.keys.folder / "masking.key").chmod(0o644)
    assert not scheduler.perform(house.context, job, GO_ON)
    assert is_missed(house.context, job, house.clock.now)
    with house.db.read() as connection:
        assert "masking_key" in (jobs.recent(connection, 1)[0].error or "")


def test_outlets_that_deliver_at_once_or_are_disabled_have_no_job(house: House) -> None:
    outbox = Outbox(house.context)
    assert job_of(Outlet(id="fire", mode="pull"), outbox) is None
    assert job_of(Outlet(id="fire", mode="pull", every_s=60, disabled=True), outbox) is None


def test_every_so_often_is_counted_from_1970(tmp_path: Path) -> None:
    del tmp_path
    every = Every(7200)
    now = parse_time("2026-11-24T03:30:00Z", "")
    assert every.last_due(now, None) == now - 90 * 60 * SECOND_US  # type: ignore[arg-type]
    assert every.last_due(now + HOUR_US, None) == now + 30 * 60 * SECOND_US  # type: ignore[arg-type]
