"""What every telemetry store promises to the collector, the API and replay."""

import contextlib
import json
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.ledger.model import FOREVER
from pulse.ledger.replay_file import replay
from pulse.messages import Channel, Evidence, Message
from pulse.stores.acceptable import INT64_MAX, INT64_MIN
from pulse.stores.base import IndicatorPoint, TelemetryStore, TransitionPoint, Written
from tests.stores.backends import BACKENDS, Backend, fresh_names, made
from tests.stores.influx_server import influx_server
from tests.stores.samples import T, message, messages

__all__ = ["influx_server"]

VECTORS = Path(__file__).parent.parent / "ledger" / "vectors"

# One store serves all examples of a property; each example has devices of its own.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with made(request.param, tmp_path, request) as backend:
        yield backend


@pytest.fixture
def store(backend: Backend) -> Iterator[TelemetryStore]:
    with opened(backend) as store:
        yield store


@contextlib.contextmanager
def opened(backend: Backend) -> Iterator[TelemetryStore]:
    store = backend.store()
    store.open()
    try:
        yield store
    finally:
        store.close()


def everything(store: TelemetryStore, **options: Any) -> list[Message]:
    return list(store.read_messages(-FOREVER, FOREVER, **options))


def in_order(messages: Sequence[Message]) -> list[Message]:
    return sorted(messages, key=lambda m: (m.observed_us, m.order))


def as_set(messages: Sequence[Message]) -> set[tuple[Any, ...]]:
    """Messages to be compared whatever their order."""
    return {
        (
            frozenset((m.metrics or {}).items()),
            *msgspec.structs.astuple(msgspec.structs.replace(m, metrics=None)),
        )
        for m in messages
    }


# What comes back


@shared
@given(data=st.data())
def test_every_member_of_a_message_comes_back(store: TelemetryStore, data: st.DataObject) -> None:
    device = next(fresh_names)
    given_ = data.draw(st.lists(messages(device), min_size=1, max_size=5, unique_by=lambda m: m.identity))
    written = store.write_messages(given_)
    assert written == Written(len(given_))
    assert as_set(everything(store, device=device)) == as_set(given_)
    for one in given_:
        assert one in store.read_measured(device, one.observed_us, one.observed_us + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"fault": ""},
        {"fault": 'lens "A"\\ cracked, 镜头=坏 🔧\nline two\r\x00\t'},
        {"fault": "trailing backslash\\"},
        {"metrics": {"温度": 21.5, "a b": -0.0, "c=d": 5e-324, "e,f": 1.7976931348623157e308}},
        {"metrics": {"back\\slash": 1.0, "end\\": 2.0, "\\": 3.0, "line\nfeed": 4.0, "🌡️": 5.0, "": 6.0}},
        {
            "metrics": {
                "seq": 1.5,
                "status": 2.5,
                "device": 3.5,
                "time": 4.5,
                "_field": 5.5,
                "metric.seq": 6.5,
            }
        },
        {"metrics": {"level": 7.0}, "seq": INT64_MIN},
        {"seq": INT64_MAX, "identity": INT64_MAX, "order": INT64_MAX},
        {"seq": -1, "identity": 0, "order": 0},
        {"measured_us": None, "seq": None},
        {"measured_us": INT64_MIN},
        {"measured_us": INT64_MAX},
        {"evidence": Evidence.OFFLINE, "channel": Channel.STATUS, "retained": True, "measured_us": None},
        {"evidence": Evidence.FAULT, "channel": Channel.HEARTBEAT, "queued": True, "fault": "E42"},
    ],
)
def test_awkward_values_come_back(store: TelemetryStore, changes: dict[str, Any]) -> None:
    given_ = message(**changes)
    assert store.write_messages([given_]) == Written(1)
    assert everything(store) == [given_]


def test_no_metrics_come_back_as_none(store: TelemetryStore) -> None:
    store.write_messages([message(metrics={})])
    assert everything(store) == [message(metrics=None)]


def test_all_words_of_evidence_and_channel_come_back(store: TelemetryStore) -> None:
    given_ = [
        message(
            evidence=evidence,
            channel=channel,
            identity=10 * evidence + channel,
            order=10 * evidence + channel,
        )
        for evidence in Evidence
        for channel in Channel
    ]
    store.write_messages(given_)
    assert everything(store) == given_


def test_the_fleets_hour_comes_back_in_order_of_reception(store: TelemetryStore) -> None:
    chance = random.Random(5)
    given_ = [
        message(
            device=f"d{number % 40}",
            observed_us=T + number * SECOND_US // 2,
            measured_us=T + number * SECOND_US // 2 - chance.choice([0, 3, 400]) * SECOND_US,
            identity=number,
            order=number,
        )
        for number in range(6000)
    ]
    shuffled = chance.sample(given_, len(given_))
    for start in range(0, len(given_), 1500):
        store.write_messages(shuffled[start : start + 1500])
    assert everything(store) == given_
    assert everything(store, newest_first=True) == given_[::-1]
    assert everything(store, device="d7") == [m for m in given_ if m.device == "d7"]


# Order, ranges and limits


@pytest.fixture
def five(store: TelemetryStore) -> list[Message]:
    """Five messages of two devices, two of them received at the same instant, written in disorder."""
    given_ = [
        message(device="a", observed_us=T, identity=1, order=11),
        message(device="b", observed_us=T + 1, measured_us=T - 3 * DAY_US, identity=2, order=12),
        message(device="a", observed_us=T + 1, identity=3, order=13),
        message(device="b", observed_us=T + HOUR_US, measured_us=None, identity=4, order=14),
        message(device="a", observed_us=T + 3 * HOUR_US, measured_us=T + 9 * HOUR_US, identity=5, order=15),
    ]
    store.write_messages([given_[i] for i in (3, 2, 0)])
    store.write_messages([given_[i] for i in (4, 1)])
    return given_


def test_messages_come_in_order_of_reception(store: TelemetryStore, five: list[Message]) -> None:
    assert everything(store) == five
    assert everything(store, newest_first=True) == five[::-1]


def test_a_range_is_half_open_in_reception_time(store: TelemetryStore, five: list[Message]) -> None:
    assert list(store.read_messages(T + 1, T + HOUR_US)) == five[1:3]
    assert list(store.read_messages(T + 1, T + HOUR_US + 1)) == five[1:4]
    assert list(store.read_messages(T + 1, T + 1)) == []
    assert list(store.read_messages(T + 2, T)) == []


def test_one_device_is_read_alone(store: TelemetryStore, five: list[Message]) -> None:
    assert everything(store, device="b") == [five[1], five[3]]
    assert everything(store, device="a", newest_first=True) == [five[4], five[2], five[0]]
    assert everything(store, device="never-heard") == []


def test_a_limit_takes_the_first_of_the_order(store: TelemetryStore, five: list[Message]) -> None:
    assert everything(store, limit=2) == five[:2]
    assert everything(store, limit=2, newest_first=True) == [five[4], five[3]]
    assert everything(store, device="a", limit=1, newest_first=True) == [five[4]]
    assert everything(store, limit=0) == []
    assert everything(store, limit=99) == five


def test_a_reader_may_stop_in_the_middle_and_others_go_on(store: TelemetryStore, five: list[Message]) -> None:
    reading = store.read_messages(-FOREVER, FOREVER)
    assert next(reading) == five[0]
    store.write_messages([message(observed_us=T + DAY_US, identity=6, order=16)])
    reading.close()  # type: ignore[attr-defined]
    assert len(everything(store)) == 6


def test_evidence_of_a_time_is_found_by_reception_and_by_measurement(
    store: TelemetryStore, five: list[Message]
) -> None:
    found = store.read_measured("b", T - 3 * DAY_US, T - 3 * DAY_US + 1)
    assert found == [five[1]]
    assert store.read_measured("b", T, T + MINUTE_US) == [five[1]]
    assert store.read_measured("b", T - 4 * DAY_US, FOREVER) == [five[1], five[3]]
    assert store.read_measured("a", T - HOUR_US, T + 2) == [five[0], five[2]]
    assert store.read_measured("a", T + 9 * HOUR_US, T + 9 * HOUR_US + 1) == [five[4]]
    assert store.read_measured("never-heard", -FOREVER, FOREVER) == []


# Redelivery


def test_a_batch_written_again_changes_nothing(backend: Backend, store: TelemetryStore) -> None:
    batch = [
        message(
            device=f"d{i % 7}",
            observed_us=T + i * SECOND_US,
            identity=i,
            order=i,
            seq=i,
            metrics={"v": i / 7},
        )
        for i in range(50)
    ] + [
        message(device="will", evidence=Evidence.OFFLINE, channel=Channel.STATUS, measured_us=None, order=99)
    ]
    store.write_messages(batch)
    assert store.write_messages(batch) == Written(len(batch), known=len(batch))
    assert everything(store) == in_order(batch)
    with opened(backend) as restarted:
        restarted.write_messages(batch[10:30])
        assert everything(restarted) == in_order(batch)


@pytest.mark.parametrize("delay_us", [SECOND_US, 90 * SECOND_US, 3 * HOUR_US, 3 * DAY_US])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("skew_us", [-200_000, -2 * HOUR_US, HOUR_US, -300 * DAY_US])
def test_of_a_redelivered_message_the_first_observation_stays(
    backend: Backend, store: TelemetryStore, delay_us: int, restarted: bool, skew_us: int
) -> None:
    first = message(measured_us=T + skew_us, seq=1, order=1)
    between = message(
        observed_us=T + delay_us // 2, measured_us=T + delay_us // 2 + skew_us, identity=9, order=2
    )
    again = message(observed_us=T + delay_us, measured_us=first.measured_us, seq=1, order=3, queued=True)
    store.write_messages([first])
    store.write_messages([between])
    with opened(backend) if restarted else contextlib.nullcontext(store) as later:
        assert later.write_messages([again]) == Written(1, known=1)
        assert everything(later) == [first, between]


def test_of_a_message_twice_in_one_batch_the_first_stays(store: TelemetryStore) -> None:
    first, again = message(order=1), message(observed_us=T + 1, measured_us=T - 200_000, order=2)
    assert store.write_messages([first, again]) == Written(2, known=1)
    assert everything(store) == [first]


def test_seen_tells_what_is_stored(backend: Backend, store: TelemetryStore) -> None:
    stored = [message(seq=1), message(device="b", measured_us=None, seq=5, identity=3)]
    store.write_messages(stored)
    asked = [
        msgspec.structs.replace(stored[0], observed_us=T + HOUR_US, queued=True),
        msgspec.structs.replace(stored[0], identity=4712),
        msgspec.structs.replace(stored[0], measured_us=T - 200_001),
        msgspec.structs.replace(stored[0], device="c"),
        msgspec.structs.replace(stored[1], observed_us=T + SECOND_US),
    ]
    assert store.seen(asked) == [True, False, False, False, True]
    assert store.seen([]) == []
    with opened(backend) as restarted:
        assert restarted.seen(asked) == [True, False, False, False, True]


def test_a_sequence_number_without_a_time_is_recognised_for_a_while(store: TelemetryStore) -> None:
    first = message(measured_us=None, seq=1, order=1)

    def received(after_us: int, **changes: Any) -> Message:
        return message(observed_us=T + after_us, measured_us=None, seq=1, **changes)

    store.write_messages([first])
    store.write_messages([received(30 * SECOND_US, order=2)])
    assert everything(store) == [first]
    # The device was restarted and counts anew: its beat is no redelivery of the one of yesterday.
    restarted = received(DAY_US, order=3)
    store.write_messages([restarted])
    assert everything(store) == [first, restarted]
    # Out of the broker's backlog, the same thing is a redelivery.
    store.write_messages([received(2 * DAY_US, order=4, queued=True)])
    assert everything(store) == [first, restarted]


def test_without_time_and_sequence_each_reception_is_a_message(store: TelemetryStore) -> None:
    given_ = [
        message(observed_us=T + i * SECOND_US, measured_us=None, identity=100 + i, order=i) for i in range(3)
    ]
    store.write_messages(given_)
    store.write_messages(given_)
    assert everything(store) == given_


@pytest.mark.parametrize("measured_us", [T - 200_000, None])
def test_a_retained_copy_does_not_stand_in_the_way_of_the_live_message(
    store: TelemetryStore, measured_us: int | None
) -> None:
    retained = message(measured_us=measured_us, seq=1, retained=True, order=1)
    live = message(observed_us=T + SECOND_US, measured_us=measured_us, seq=1, order=2)
    store.write_messages([retained])
    store.write_messages([live])
    assert everything(store) == [retained, live]
    later = msgspec.structs.replace(retained, observed_us=T + 30 * SECOND_US, order=3)
    assert store.seen([later]) == [True]
    store.write_messages([later])
    assert everything(store) == [retained, live]


# Different messages at one time


@pytest.mark.parametrize("together", [True, False])
def test_different_messages_of_one_device_at_one_time_are_all_kept(
    backend: Backend, store: TelemetryStore, together: bool
) -> None:
    # Equal in the last three digits of the identity, where a nanosecond could not tell them apart.
    given_ = [message(identity=5 + 1000 * i, order=i, metrics={f"m{i}": 1.0}) for i in range(4)]
    given_.append(message(identity=6, order=4))
    if together:
        store.write_messages(given_)
    else:
        for one in given_[:3]:
            store.write_messages([one])
        with opened(backend) as restarted:
            restarted.write_messages(given_[3:])
    store.write_messages(given_)
    assert everything(store) == given_


def test_a_clock_that_stands_still_loses_nothing(store: TelemetryStore) -> None:
    given_ = [
        message(observed_us=T + i * SECOND_US, measured_us=T, identity=i * 7919, order=i) for i in range(2300)
    ]
    for start in range(0, len(given_), 460):
        store.write_messages(given_[start : start + 460])
    store.write_messages(given_[1000:1100])
    assert everything(store) == given_


@shared
@given(data=st.data())
def test_any_splitting_and_repetition_of_batches_stores_the_same(
    store: TelemetryStore, data: st.DataObject
) -> None:
    device = next(fresh_names)
    given_ = data.draw(
        st.lists(
            st.builds(
                lambda at, age, identity: message(
                    device=device, observed_us=T + at, measured_us=T + at - age, identity=identity
                ),
                st.integers(0, 3),
                st.integers(0, 3),
                st.sampled_from([1, 2, 1001, 1002, 2001]),
            ),
            min_size=1,
            max_size=12,
            unique_by=lambda m: (m.identity, m.measured_us),
        )
    )
    given_ = [msgspec.structs.replace(m, order=i) for i, m in enumerate(given_)]
    batches = data.draw(
        st.lists(st.lists(st.sampled_from(given_), max_size=6), max_size=6).map(lambda some: [*some, given_])
    )
    for batch in batches:
        store.write_messages(batch)
    assert as_set(everything(store, device=device)) == as_set(given_)


# The last of every device, the oldest, deletion


def test_latest_is_the_last_received_of_every_device(backend: Backend, store: TelemetryStore) -> None:
    assert store.latest() == {}
    late = message(device="a", observed_us=T + 5 * SECOND_US, measured_us=T - DAY_US, identity=2, order=2)
    slow = message(device="b", observed_us=T + 2, measured_us=T - 3 * HOUR_US, identity=4, order=4)
    ahead = message(device="c", observed_us=T + 3, measured_us=T + 3 * HOUR_US, identity=5, order=5)
    store.write_messages(
        [
            message(device="a", observed_us=T, identity=1, order=1),
            message(device="b", observed_us=T + 1, measured_us=T - 2 * HOUR_US, identity=3, order=3),
            ahead,
        ]
    )
    store.write_messages([slow, late])
    old = message(device="dead", observed_us=T - 200 * DAY_US, identity=6, order=0)
    store.write_messages([old])
    expected = {"a": late, "b": slow, "c": ahead, "dead": old}
    assert store.latest() == expected
    with opened(backend) as restarted:
        assert restarted.latest() == expected
        newer = message(device="a", observed_us=T + 6 * SECOND_US, measured_us=None, identity=7, order=7)
        restarted.write_messages([newer])
        assert restarted.latest() == {**expected, "a": newer}


def test_of_messages_received_at_one_instant_the_greatest_order_is_the_latest(store: TelemetryStore) -> None:
    given_ = [message(identity=i, measured_us=T - i, order=i) for i in range(5)]
    store.write_messages(given_)
    assert store.latest() == {"cam-1": given_[-1]}


def test_the_oldest_is_told_by_its_reception(store: TelemetryStore) -> None:
    assert store.oldest_us() is None
    store.write_messages([message(observed_us=T + SECOND_US, measured_us=T - 3 * DAY_US, identity=1)])
    assert store.oldest_us() == T + SECOND_US
    store.write_messages([message(observed_us=T, measured_us=None, identity=2)])
    assert store.oldest_us() == T


def test_deletion_takes_what_was_received_before_the_cutoff(backend: Backend, store: TelemetryStore) -> None:
    given_ = [
        message(device=f"d{i % 3}", observed_us=T + i * SECOND_US, identity=i, order=i) for i in range(5000)
    ]
    store.write_messages(given_)
    cutoff = T + 4500 * SECOND_US
    if backend.own_retention:
        assert store.delete_before(cutoff) == -1
        assert len(everything(store)) == 5000
        return
    assert store.delete_before(cutoff) == 4500
    assert everything(store) == given_[4500:]
    assert store.oldest_us() == cutoff
    assert store.delete_before(cutoff) == 0
    assert store.delete_before(FOREVER) == 500
    assert store.latest() == {}
    assert store.oldest_us() is None


# What is refused


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "a,b=c d"},
        {"device": 'x" or true //'},
        {"community": "新景楼"},
        {"kind": ""},
        {"kind": "a\nb"},
        {"seq": INT64_MAX + 1},
        {"seq": INT64_MIN - 1},
        {"measured_us": 1 << 70},
        {"identity": 1 << 64},
        {"observed_us": 1 << 62},
        {"fault": "\ud800"},
        {"metrics": {"v": float("nan")}},
        {"metrics": {"v": float("-inf")}},
        {"metrics": {"\udfff": 1.0}},
    ],
)
def test_what_no_store_takes_is_refused_and_holds_up_nothing(
    store: TelemetryStore, changes: dict[str, Any]
) -> None:
    good = [message(identity=i, order=i) for i in range(5)]
    written = store.write_messages([*good[:3], message(**changes), *good[3:]])
    assert written.stored == 5
    assert [position for position, _ in written.refused] == [3]
    assert written.refused[0][1].isprintable()
    assert everything(store) == good


def test_nothing_written_is_nothing_stored(store: TelemetryStore) -> None:
    assert store.write_messages([]) == Written(0)
    assert everything(store) == []


@pytest.mark.parametrize("device", ['x" or true', "a' OR '1'='1", "", "x\n|> drop()", "设备"])
def test_an_id_that_is_none_finds_nothing(store: TelemetryStore, device: str) -> None:
    store.write_messages([message()])
    assert everything(store, device=device) == []
    assert store.read_measured(device, -FOREVER, FOREVER) == []
    assert store.seen([message(device=device)]) == [False]


# Transitions and indicator values


def test_a_transition_written_again_is_one_transition(backend: Backend, store: TelemetryStore) -> None:
    down = TransitionPoint("cam-1", "xinjinglou", "camera", T, T + 5, "online", "offline", "deadline_passed")
    points = [
        down,
        down._replace(before="offline", after="online", cause="heartbeat"),
        down._replace(at_us=T + 1),
    ]
    store.write_transitions(points)
    store.write_transitions(points[::-1])
    store.write_transitions([])
    found = backend.points("transition")
    assert sorted(
        (p["device"], p["before"], p["after"], p["cause"], p["recorded_us"]) for p in found
    ) == sorted((p.device, p.before, p.after, p.cause, p.recorded_us) for p in points)


def test_an_indicator_value_again_overwrites_the_whole_value(backend: Backend, store: TelemetryStore) -> None:
    states = {"online": 811, "offline": 15}
    whole = IndicatorPoint("online-rate", "", T, 811, 826, 811 / 826, 811 / 826, states)
    one = IndicatorPoint("online-rate", "xinjinglou", T, 270, 275, 270 / 275, 270 / 275, {"online": 270})
    store.write_indicators([whole, one, whole._replace(at_us=T + MINUTE_US)])
    store.write_indicators([one._replace(numerator=0, denominator=0, lower=None, upper=None, states={})])
    store.write_indicators([])
    found = {(p["community"] or "", p["numerator"]): p for p in backend.points("indicator")}
    assert len(backend.points("indicator")) == 3
    assert set(found) == {("", 811), ("xinjinglou", 0)}
    assert found["", 811]["lower"] == 811 / 826
    assert found["", 811]["denominator"] == 826
    assert found["xinjinglou", 0].get("lower") is None
    assert found["xinjinglou", 0].get("upper") is None


# Life cycle, threads, replay


def test_opening_twice_and_reopening_keep_everything(backend: Backend) -> None:
    with opened(backend) as first:
        first.open()
        first.write_messages([message()])
        first.ping()
    with opened(backend) as second:
        assert everything(second) == [message()]


def test_many_threads_read_while_one_writes(store: TelemetryStore) -> None:
    batches = [
        [
            message(
                device=f"d{i % 9}", observed_us=T + (b * 100 + i) * SECOND_US, identity=i, order=b * 100 + i
            )
            for i in range(100)
        ]
        for b in range(12)
    ]
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        known = 0
        try:
            while not done.is_set():
                found = everything(store)
                assert found == in_order(found)
                assert len(found) >= known
                known = len(found)
                assert set(store.latest()) <= {f"d{i}" for i in range(9)}
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for batch in batches:
            store.write_messages(batch)
            assert all(store.seen(batch))
    finally:
        done.set()
        for reader in readers:
            reader.join(30)
    assert failures == []
    assert everything(store) == [m for batch in batches for m in batch]


def test_two_threads_that_write_the_same_store_it_once(store: TelemetryStore) -> None:
    batch = [message(observed_us=T + i * SECOND_US, identity=i, order=i) for i in range(300)]
    writers = [threading.Thread(target=store.write_messages, args=(batch,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert everything(store) == batch


@pytest.mark.parametrize("vector", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_a_replay_of_what_was_stored_gives_the_same_ledger(store: TelemetryStore, vector: Path) -> None:
    file = json.loads(vector.read_bytes())
    given_ = [_as_message(line, order) for order, line in enumerate(file["messages"], 1)]
    place = {(d["id"]): (d["community"], d["kind"]) for d in file["devices"]}
    given_ = [
        msgspec.structs.replace(m, community=place[m.device][0], kind=place[m.device][1]) for m in given_
    ]
    for start in range(0, len(given_), 7):
        assert store.write_messages(given_[start : start + 7]).refused == ()
    file["messages"] = [_as_line(m) for m in sorted(everything(store), key=lambda m: m.order)]
    assert replay(json.dumps(file).encode()) == replay(vector.read_bytes()) == file["expected"]


_WORDS = {"beat": Evidence.BEAT, "fault": Evidence.FAULT, "offline": Evidence.OFFLINE}


def _as_message(line: dict[str, Any], order: int) -> Message:
    measured = line["measured_at"]
    return Message(
        line["device"],
        "-",
        "-",
        _WORDS[line["kind"]],
        Channel.STATUS if line["kind"] == "offline" else Channel.HEARTBEAT,
        line["observed_at"] * SECOND_US,
        None if measured is None else measured * SECOND_US,
        line.get("retained", False),
        line.get("queued", False),
        order * 1000,
        order=order,
    )


def _as_line(message: Message) -> dict[str, Any]:
    return {
        "device": message.device,
        "kind": message.evidence.name.lower(),
        "observed_at": message.observed_us // SECOND_US,
        "measured_at": None if message.measured_us is None else message.measured_us // SECOND_US,
        "retained": message.retained,
        "queued": message.queued,
    }
