"""What every telemetry store promises of records of kinds of data."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.ledger.model import FOREVER
from pulse.messages import Record
from pulse.stores.acceptable import INT64_MAX, INT64_MIN
from pulse.stores.base import Collected, TelemetryStore, Written
from tests.contracts.test_telemetry_store import everything, opened
from tests.stores.backends import BACKENDS, Backend, fresh_names, made
from tests.stores.influx_server import influx_server
from tests.stores.samples import T, message

__all__ = ["influx_server"]

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with made(request.param, tmp_path, request) as backend:
        yield backend


@pytest.fixture
def store(backend: Backend) -> Iterator[TelemetryStore]:
    with opened(backend) as store:
        yield store


def record(**changes: Any) -> Record:
    """A door event of `door-1`, measured 0.2 s before its reception, with the members given."""
    plain = Record(
        "door-1",
        "xinjinglou",
        "access_control",
        "access_event",
        T,
        T - 200_000,
        T - 200_000,
        False,
        4711,
        b'{"ts":1790000000,"event":"granted","direction":"in"}',
        1,
    )
    if "observed_us" in changes and "measured_us" not in changes:
        changes["measured_us"] = changes["at_us"] = changes["observed_us"] - 200_000
    return msgspec.structs.replace(plain, **changes)


def numbered(count: int, **changes: Any) -> list[Record]:
    """Records a second apart, in the order of reception."""
    return [
        record(observed_us=T + i * SECOND_US, identity=i * 7919, order=1000 + i, **changes)
        for i in range(count)
    ]


def read(store: TelemetryStore, after: int = -1, through: int = INT64_MAX, **options: Any) -> list[Record]:
    return store.read_records(after, through, **{"since_us": T - 30 * DAY_US, "limit": 10_000, **options})


# What comes back


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"measured_us": None, "at_us": None, "queued": True},
        {"measured_us": None, "at_us": T},
        {"measured_us": INT64_MIN, "at_us": T},
        {"measured_us": INT64_MAX, "at_us": T},
        {"identity": INT64_MAX, "order": INT64_MAX},
        {"identity": 0, "order": 0},
        {"body": b"{}"},
        {"body": '{ "a b": "\\"\\\\ \\n",\n\t"镜头": "坏 🔧", "x": [1, {"y": null}] }\r\n'.encode()},
        {"body": b'{"a":1,"a.b":2.5,"c d":3,"device":4,"time":5,"big":1e400,"huge":' + b"9" * 400 + b"}"},
        {"body": b'{"text":"' + b"\\\\" * 32_762 + b'.."}'},
        {"body": b'{"' + b"n" * 65_530 + b'":1}'},
    ],
)
def test_every_member_of_a_record_comes_back(store: TelemetryStore, changes: dict[str, Any]) -> None:
    given_ = record(**changes)
    assert store.write_records([given_]) == Written(1)
    assert read(store) == [given_]


@shared
@given(data=st.data())
def test_any_records_come_back_whatever_their_batches(store: TelemetryStore, data: st.DataObject) -> None:
    community = next(fresh_names)
    receptions = data.draw(st.lists(st.integers(0, 3 * HOUR_US), max_size=8, unique=True).map(sorted))
    given_ = [
        record(
            device=data.draw(st.sampled_from(["a", "b"])) + community,
            community=community,
            data_kind=data.draw(st.sampled_from(["access_event", "x"])),
            observed_us=T + after,
            measured_us=data.draw(st.none() | st.integers(T - DAY_US, T + DAY_US)),
            at_us=data.draw(st.none() | st.integers(0, T)),
            identity=1000 * position,
            order=100 + position,
        )
        for position, after in enumerate(receptions)
    ]
    for batch in (
        data.draw(st.lists(st.lists(st.sampled_from(given_), max_size=4), max_size=4)) if given_ else ()
    ):
        store.write_records(sorted(batch, key=lambda one: one.order))
    store.write_records(given_)
    assert read(store, communities=[community]) == given_


def test_records_and_messages_are_apart(store: TelemetryStore) -> None:
    store.write_records([record()])
    assert everything(store) == []
    assert store.latest() == {}
    assert store.oldest_us() is None
    store.write_messages([message(device="door-1")])
    assert read(store) == [record()]
    assert everything(store) == [message(device="door-1")]
    assert store.latest() == {"door-1": message(device="door-1")}


# Reading


def test_records_are_read_after_one_order_and_through_another(store: TelemetryStore) -> None:
    given_ = numbered(20)
    store.write_records(given_)
    assert read(store, 1004, 1009) == given_[5:10]
    assert read(store, 999, 1000) == given_[:1]
    assert read(store, 1004, 1004) == []
    assert read(store, 1019) == []
    assert read(store, 1004, limit=3) == given_[5:8]
    assert read(store, limit=0) == []
    assert read(store, 1004, since_us=given_[5].observed_us) == given_[5:]


def test_reading_in_parts_gives_everything_once(store: TelemetryStore) -> None:
    given_ = numbered(250)
    store.write_records(given_)
    found: list[Record] = []
    while part := read(store, found[-1].order if found else 0, limit=60):
        found += part
    assert found == given_


def test_order_and_not_time_decides(store: TelemetryStore) -> None:
    """A clock that was set back by minutes, and records received in one microsecond."""
    times = [0, 10 * MINUTE_US, 20 * MINUTE_US, 5 * MINUTE_US, 5 * MINUTE_US, 50 * MINUTE_US]
    given_ = [
        record(observed_us=T + after, identity=i, order=10 + i, device=f"d{i % 2}")
        for i, after in enumerate(times)
    ]
    store.write_records(given_)
    for limit in range(1, 8):
        assert read(store, limit=limit) == given_[:limit]
    assert read(store, 12, since_us=given_[2].observed_us) == given_[3:]


def test_only_chosen_kinds_and_communities_are_read(store: TelemetryStore) -> None:
    given_ = [
        record(
            observed_us=T + i * SECOND_US,
            order=i,
            identity=i,
            data_kind=("access_event", "gas_reading", "x")[i % 3],
            community=("a", "b")[i % 2],
        )
        for i in range(12)
    ]
    store.write_records(given_)
    assert read(store, data_kinds=["x"]) == [one for one in given_ if one.data_kind == "x"]
    assert read(store, communities={"a"}) == given_[::2]
    both = read(store, data_kinds=["gas_reading", "x"], communities=["b"], limit=2)
    assert both == [one for one in given_ if one.community == "b" and one.data_kind != "access_event"][:2]
    assert read(store, data_kinds=[]) == read(store, communities=[]) == []
    assert read(store, communities=["' OR 1=1 --"]) == []


# Redelivery


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("delay_us", [1, SECOND_US, HOUR_US, 6 * DAY_US])
@pytest.mark.parametrize("skew_us", [-200_000, -2 * HOUR_US, HOUR_US, -300 * DAY_US])
def test_of_a_redelivered_record_the_first_stays(
    backend: Backend, store: TelemetryStore, restarted: bool, delay_us: int, skew_us: int
) -> None:
    first = record(measured_us=T + skew_us)
    between = record(observed_us=T + delay_us // 2, measured_us=T + skew_us + 5, identity=9, order=2)
    again = msgspec.structs.replace(first, observed_us=T + delay_us, order=3, queued=True)
    store.write_records([first])
    store.write_records([between])
    with opened(backend) if restarted else contextlib.nullcontext(store) as later:
        assert later.write_records([again]) == Written(1, known=1)
        assert read(later) == [first, between]


def test_of_a_record_twice_in_one_batch_the_first_stays(store: TelemetryStore) -> None:
    again = record(observed_us=T + 1, measured_us=T - 200_000, order=2)
    assert store.write_records([record(), again]) == Written(2, known=1)
    assert read(store) == [record()]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("measured_us", [T - 200_000, None])
def test_a_batch_written_again_changes_nothing(
    backend: Backend, store: TelemetryStore, restarted: bool, measured_us: int | None
) -> None:
    given_ = numbered(30, measured_us=measured_us)
    store.write_records(given_[:20])
    with opened(backend) if restarted else contextlib.nullcontext(store) as later:
        assert later.write_records(given_) == Written(30, known=20)
        assert read(later) == given_


@pytest.mark.parametrize(
    "changes",
    [{"device": "door-2"}, {"data_kind": "other"}, {"identity": 4712}, {"measured_us": T - 1, "at_us": T}],
)
def test_a_record_that_differs_is_another_one(store: TelemetryStore, changes: dict[str, Any]) -> None:
    other = msgspec.structs.replace(record(), order=2, **changes)
    store.write_records([record()])
    assert store.write_records([other]) == Written(1)
    assert read(store) == [record(), other]


def test_two_threads_that_write_the_same_store_it_once(store: TelemetryStore) -> None:
    given_ = numbered(300)
    writers = [threading.Thread(target=store.write_records, args=(given_,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert read(store) == given_


# What was collected, deletion, refusals


def test_what_was_collected_is_counted_by_kind_and_community(store: TelemetryStore) -> None:
    store.write_records(
        [
            record(observed_us=T, order=1, identity=1, at_us=T - 5, measured_us=None),
            record(observed_us=T + 1, order=2, identity=2, at_us=T - 9, measured_us=None),
            record(observed_us=T + 2, order=3, identity=3, at_us=None, measured_us=None),
            record(observed_us=T + 3, order=4, identity=4, community="b", at_us=None, measured_us=None),
            record(observed_us=T + 4, order=5, identity=5, data_kind="x", at_us=T + 4, measured_us=None),
            record(observed_us=T + 5, order=6, identity=6, at_us=T + 77, measured_us=None),
        ]
    )
    assert sorted(store.collected(T, T + 5)) == [
        Collected("access_event", "b", 1, None, None),
        Collected("access_event", "xinjinglou", 3, T - 9, T - 5),
        Collected("x", "xinjinglou", 1, T + 4, T + 4),
    ]
    assert store.collected(T + 5, T + 6) == [Collected("access_event", "xinjinglou", 1, T + 77, T + 77)]
    assert store.collected(T + 6, FOREVER) == store.collected(T, T) == []


def test_deletion_takes_records_received_before_the_cutoff(backend: Backend, store: TelemetryStore) -> None:
    given_ = numbered(5000)
    assert store.oldest_record_us() is None
    store.write_records(given_)
    store.write_messages([message()])
    assert store.oldest_record_us() == T
    cutoff = T + 4500 * SECOND_US
    if backend.own_retention:
        assert store.delete_records_before(cutoff) == -1
        assert len(read(store)) == 5000
        return
    assert store.delete_records_before(cutoff) == 4500
    assert read(store) == given_[4500:]
    assert store.oldest_record_us() == cutoff
    assert store.delete_records_before(cutoff) == 0
    assert len(everything(store)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "a,b=c d"},
        {"community": "新景楼"},
        {"kind": ""},
        {"data_kind": "a b"},
        {"data_kind": 'x"'},
        {"measured_us": 1 << 70},
        {"at_us": 1 << 70},
        {"identity": 1 << 64},
        {"observed_us": 1 << 62},
        {"body": b"\xff"},
    ],
)
def test_what_no_store_takes_is_refused_and_holds_up_nothing(
    store: TelemetryStore, changes: dict[str, Any]
) -> None:
    good = numbered(5)
    bad = msgspec.structs.replace(record(), **changes)
    written = store.write_records([*good[:3], bad, *good[3:]])
    assert written.stored == 5
    assert [position for position, _ in written.refused] == [3]
    assert written.refused[0][1].isprintable()
    assert read(store) == good


def test_nothing_written_is_nothing_stored(store: TelemetryStore) -> None:
    assert store.write_records([]) == Written(0)
    assert read(store) == []


def test_records_survive_reopening(backend: Backend) -> None:
    with opened(backend) as first:
        first.write_records([record()])
    with opened(backend) as second:
        assert read(second) == [record()]
