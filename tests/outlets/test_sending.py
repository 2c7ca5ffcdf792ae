"""Who sends, when, and what a crash leaves: nothing lost, nothing twice under one id."""

import json
import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.outlets import answers, holder
from api.outlets.answers import Answer
from api.outlets.parcel import Parcel
from pulse.chain import first_broken
from pulse.clock import MINUTE_US, SECOND_US
from pulse.errors import StoreUnavailable
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.sharing.receipts import links
from pulse.stores.relational import outlets, receipts
from tests.outlets.house import GO_ON, House

FIRE = Outlet(id="fire", mode="http", url="https://fire.example/in", signature="none")


class Killed(BaseException):
    """The process ends here."""


class FarSide:
    """A department in memory: keeps every parcel, and answers as it is told."""

    def __init__(self, *answered: Answer | BaseException) -> None:
        self.parcels: list[Parcel] = []
        self.answers = list(answered)

    def __call__(self, outlet: Outlet, keys: Keys) -> "FarSide":
        del outlet, keys
        return self

    def __enter__(self) -> "FarSide":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def send(self, parcel: Parcel) -> Answer:
        self.parcels.append(parcel)
        answer = self.answers.pop(0) if self.answers else Answer(True, "200", {"status": 200})
        if isinstance(answer, BaseException):
            raise answer
        return answer


def waiting(house: House, count: int = 1, **changes: Any) -> Outlet:
    """An outlet for which that many deliveries wait."""
    outlet = house.put(FIRE if not changes else Outlet(**{**_members(), **changes}))
    for _ in range(count):
        house.hear(house.record())
        house.build(outlet)
    return outlet


def _members() -> dict[str, Any]:
    return {"id": "fire", "mode": "http", "url": FIRE.url, "signature": "none"}


def test_killed_between_sending_and_acknowledgement_the_same_goes_out_again(house: House) -> None:
    outlet = waiting(house, 2)
    far = FarSide(Killed())
    with pytest.raises(Killed):
        house.drain(outlet, house.post(far, "first"))
    assert house.receipts() == []
    assert house.drain(outlet, house.post(far, "second")).received == 2
    assert [parcel.id for parcel in far.parcels] == ["fire-1", "fire-1", "fire-2"]
    assert far.parcels[0] == far.parcels[1]
    assert [receipt.delivery for receipt in house.receipts()] == ["fire-1", "fire-2"]


def test_a_process_that_died_with_its_claim_holds_up_the_others_for_a_while_only(house: House) -> None:
    outlet = waiting(house)
    with house.db.write() as connection:
        assert outlets.claim(connection, "fire", "dead", house.clock.now, house.clock.now + MINUTE_US)
    far = FarSide()
    assert house.drain(outlet, house.post(far)).received == 0
    house.clock.now += MINUTE_US
    assert house.drain(outlet, house.post(far)).received == 1


def test_one_that_was_killed_here_holds_up_nobody(house: House) -> None:
    outlet = waiting(house)
    ended = subprocess.run(
        [sys.executable, "-c", "from api.outlets.holder import holder_name; print(holder_name())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    own = holder.holder_name()
    with house.db.write() as connection:
        assert outlets.claim(connection, "fire", ended, house.clock.now, house.clock.now + MINUTE_US)
    assert house.drain(outlet, house.post(FarSide(), own)).received == 1


def test_who_may_be_there_still_is_waited_for() -> None:
    own = holder.holder_name()
    place, pid, _ = own.rsplit(":", 2)
    assert not holder.is_gone(own)
    assert not holder.is_gone(holder.holder_name()), "another scheduler of this process"
    assert holder.is_gone(f"{place}:{pid}:before"), "what ran before in this container"
    assert not holder.is_gone(f"{place}:{os.getppid()}:x")
    assert not holder.is_gone(f"elsewhere:{place.partition(':')[2]}:999999999:x")
    for garbled in ("", "here", "a:b", f"{place}:x:y", f"{place}:-1:y"):
        assert not holder.is_gone(garbled)


def test_two_schedulers_do_not_send_one_delivery_at_the_same_time(house: House) -> None:
    outlet = waiting(house, 3)
    second = FarSide()

    class Slow(FarSide):
        def send(self, parcel: Parcel) -> Answer:
            assert house.drain(outlet, house.post(second, "second")).received == 0
            return super().send(parcel)

    first = Slow()
    assert house.drain(outlet, house.post(first, "first")).received == 3
    assert second.parcels == []
    assert len(house.receipts()) == 3


def test_threads_of_many_schedulers_give_each_delivery_one_receipt(house: House) -> None:
    outlet = waiting(house, 10)
    far = FarSide()
    threads = [
        threading.Thread(target=house.drain, args=(outlet, house.post(far, f"process-{n}"))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.drain(outlet, house.post(far))
    assert sorted({parcel.id for parcel in far.parcels}) == sorted(f"fire-{n}" for n in range(1, 11))
    found = house.receipts()
    assert len(found) == 10
    with house.db.read() as connection:
        assert first_broken(links(found), receipts.head(connection)) is None


def test_the_receipt_and_the_mark_of_the_delivery_are_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = waiting(house)
    far = FarSide()

    def fails(*_args: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(receipts, "append", fails)
    with pytest.raises(StoreUnavailable):
        house.drain(outlet, house.post(far))
    assert house.deliveries("fire")[0].state == "waiting"
    assert house.accesses() == []
    monkeypatch.undo()
    assert house.drain(outlet, house.post(far)).received == 1
    assert far.parcels[0] == far.parcels[1]


def test_an_outlet_that_is_changed_while_it_sends_sends_no_further(house: House) -> None:
    outlet = waiting(house, 3)

    class Changing(FarSide):
        def send(self, parcel: Parcel) -> Answer:
            if len(self.parcels) == 0:
                house.put({**_members(), "url": "https://elsewhere.example/"})
            return super().send(parcel)

    far = Changing()
    assert house.drain(outlet, house.post(far)).received == 1


def test_a_stop_ends_it_between_two_deliveries(house: House) -> None:
    outlet = waiting(house, 3)
    stop = threading.Event()

    class Stopping(FarSide):
        def send(self, parcel: Parcel) -> Answer:
            stop.set()
            return super().send(parcel)

    assert house.post(Stopping()).drain(outlet, stop).received == 1
    assert house.post(FarSide(), "next").drain(outlet, GO_ON).received == 2


def test_a_withdrawn_personal_field_does_not_leave_with_what_waits(house: House) -> None:
    """What was made stays as it is: under one id there is one content."""
    outlet = waiting(house)
    before = house.content("fire", 1)
    house.put({**_members(), "fields": {"gas_reading": ["alarm"]}})
    assert house.content("fire", 1) == before
    house.hear(house.record())
    with house.db.read() as connection:
        changed = outlets.of(connection, "fire")
    assert changed is not None
    house.build(changed)
    assert json.loads(house.content("fire", 2))["records"][0]["data"] == {"alarm": "none"}
    assert outlet.fields == {}


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_five_minutes_and_keep_to_what_was_asked(
    attempts: int, asked_s: float | None, jitter: float
) -> None:
    pause_s = answers.pause_s(attempts, asked_s, jitter)
    assert 0.5 <= pause_s <= answers.MOST_WAIT_S
    if asked_s is None:
        assert pause_s <= answers.LONGEST_S
        assert pause_s >= min(2.0 ** min(attempts - 1, 20), answers.LONGEST_S) / 2
    else:
        assert pause_s >= min(asked_s, answers.MOST_WAIT_S)


@pytest.mark.parametrize(
    ("field", "wait_s"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("99999999999999", answers.MOST_WAIT_S),
        ("Thu, 01 Jan 1970 00:16:45 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_a_wait_is_seconds_or_a_date(field: str | None, wait_s: float | None) -> None:
    assert answers.retry_after_s(field, 1000.0) == wait_s


def test_the_second_is_the_unit_of_the_clock(house: House) -> None:
    outlet = waiting(house)
    far = FarSide(Answer(False, "500"))
    house.drain(outlet, house.post(far))
    assert house.deliveries("fire")[0].next_us - house.clock.now == SECOND_US
    house.drain(outlet, house.post(far))
    assert len(far.parcels) == 1, "not before its time"
