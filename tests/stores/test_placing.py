"""Timestamps and redeliveries: what is decided without asking InfluxDB, and what it is asked."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.batches import columns_of
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.messages import Message
from pulse.stores.influx.ground import NOTHING, SPILL_NS, Mark, Probe, Stored
from pulse.stores.influx.lookup import clusters
from pulse.stores.influx.memory import Memory
from pulse.stores.influx.placing import Placer
from pulse.stores.influx.reading import in_order_of_reception
from pulse.stores.influx.rows import Point
from pulse.stores.influx.spans import Span, Spans, first_free, spans_of, stand, stands
from tests.stores.samples import T, message


class Bucket:
    """What InfluxDB would hold: the fake answers every probe, and writing replaces what lies there."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, int], Message] = {}
        self.probes = 0
        self.spans: list[tuple[str, Span]] = []

    def at(self, probes: list[Probe]) -> list[Stored]:
        self.probes += len(probes)
        return [
            stored_as(m, ns)
            for (device, ns), m in self.points.items()
            if any(p.device == device and p.from_ns <= ns <= p.to_ns for p in probes)
        ]

    def write(self, placer: Placer, batch: list[Message], *, answered: bool = True) -> None:
        if not batch:
            return
        columns = columns_of(batch)
        examined = placer.examine(columns)
        placed = placer.place(columns, examined, self.at(examined.probes))
        assert not placed.refused
        for at in np.flatnonzero(placed.written).tolist():
            self.points[batch[at].device, int(placed.ns[at])] = batch[at]
        self.spans.extend(
            (columns.origins[span.origin].device, span)
            for span in spans_of(columns, examined.device, placed.ns, placed.late)
        )
        if answered:
            placer.confirm(examined)

    def heartbeats(self) -> list[Message]:
        return [m for _, m in sorted(self.points.items())]

    def late(self) -> list[Message]:
        """What is found by the spans, each message once, in the order in which they were written."""
        found = {
            at: m
            for device, span in self.spans
            for at, m in sorted(self.points.items())
            if at[0] == device and span.first_ns <= at[1] <= span.last_ns
        }
        return list(found.values())


def stored_as(m: Message, ns: int) -> Stored:
    return Stored(m.device, ns, m.identity, m.measured_us, m.observed_us, m.order, m.retained)


def placer(trusted: bool = True) -> Placer:
    return Placer(Memory({}, {}), lambda _device: trusted)


# Which time


@pytest.mark.parametrize(
    ("measured_us", "trusted", "at_us"),
    [
        (T - SECOND_US, True, T - SECOND_US),
        (T, True, T),
        (T - 7 * DAY_US, True, T - 7 * DAY_US),
        (T - 7 * DAY_US - 1, True, T),
        (T + 1, True, T),
        (None, True, T),
        (T - SECOND_US, False, T),
    ],
)
def test_the_timestamp_is_the_measured_time_where_it_is_credible(
    measured_us: int | None, trusted: bool, at_us: int
) -> None:
    assert placer(trusted).at_us(message(measured_us=measured_us)) == at_us


def test_the_nanoseconds_are_the_identity() -> None:
    bucket = Bucket()
    bucket.write(placer(), [message(identity=123_456_789)])
    assert list(bucket.points) == [("cam-1", (T - 200_000) * 1000 + 789)]


# What is asked


def beats(count: int, **changes: object) -> list[Message]:
    return [
        message(device=f"d{n % 7}", observed_us=T + n * SECOND_US, identity=n * 7, seq=n, order=n, **changes)
        for n in range(count)
    ]


@pytest.mark.parametrize("skew_us", [-200_000, -3 * HOUR_US, 2 * HOUR_US, -30 * DAY_US])
def test_beats_in_order_need_no_lookup_whatever_the_clock_says(skew_us: int) -> None:
    bucket, own = Bucket(), placer()
    given_ = [msgspec.structs.replace(m, measured_us=m.observed_us + skew_us) for m in beats(100)]
    for start in range(0, 100, 10):
        bucket.write(own, given_[start : start + 10])
    assert bucket.probes == 0
    assert len(bucket.heartbeats()) == 100


def test_beats_without_a_time_need_no_lookup() -> None:
    for changes in ({"measured_us": None}, {"measured_us": None, "seq": None}):
        bucket, own = Bucket(), placer()
        for one in beats(50):
            bucket.write(own, [msgspec.structs.replace(one, **changes)])
        assert bucket.probes == 0
        assert len(bucket.heartbeats()) == 50


def test_a_batch_in_disorder_is_looked_up_only_where_it_reaches_back() -> None:
    bucket, own = Bucket(), placer()
    given_ = beats(20)
    bucket.write(own, given_[::-1])
    assert bucket.probes == 0
    bucket.write(own, [message(device="d1", observed_us=T + 30 * SECOND_US, identity=99, measured_us=T)])
    assert bucket.probes == 1


def test_an_unanswered_batch_is_looked_up_when_it_comes_again() -> None:
    bucket, own = Bucket(), placer()
    given_ = beats(10)
    bucket.write(own, given_, answered=False)
    before = dict(bucket.points)
    bucket.write(own, given_)
    assert bucket.probes == 10
    assert bucket.points == before


def test_a_batch_that_is_applied_once_more_keeps_its_places() -> None:
    bucket, own, given_ = Bucket(), placer(), message(order=5)
    bucket.write(own, [given_])
    columns = columns_of([given_, msgspec.structs.replace(given_, observed_us=T + 1, order=6)])
    examined = own.examine(columns)
    placed = own.place(columns, examined, bucket.at(examined.probes))
    assert list(bucket.points) == [("cam-1", placed.ns[0])]
    assert (placed.written.tolist(), placed.known.tolist()) == ([True, False], [True, False])


def test_only_what_came_late_or_out_of_order_is_told_by_a_span() -> None:
    bucket, own = Bucket(), placer()
    bucket.write(own, [message(order=1), message(observed_us=T + SECOND_US, identity=1, order=2)])
    late = message(observed_us=T + 2 * SECOND_US, measured_us=T - 2 * MINUTE_US, identity=2, order=3)
    disordered = message(observed_us=T + 3 * SECOND_US, measured_us=T, identity=3, order=4)
    bucket.write(own, [late, disordered])
    assert bucket.late() == [late, disordered]
    assert [(device, span.received_us) for device, span in bucket.spans] == [
        ("cam-1", late.observed_us),
        ("cam-1", disordered.observed_us),
    ]


def test_a_backlog_of_a_device_needs_one_span_and_no_lookup() -> None:
    bucket, own = Bucket(), placer()
    burst = [message(measured_us=T - HOUR_US + n * SECOND_US, identity=n, order=n) for n in range(300)]
    bucket.write(own, burst[:200])
    bucket.write(own, burst[200:])
    assert bucket.probes == 0
    assert [span.messages for _, span in bucket.spans] == [200, 100]
    assert bucket.late() == burst


def test_what_lies_far_apart_has_a_span_each() -> None:
    bucket, own = Bucket(), placer()
    bucket.write(own, [message(measured_us=T - hours * HOUR_US, identity=hours) for hours in (50, 4, 2)])
    assert [span.messages for _, span in bucket.spans] == [1, 1, 1]


def test_spans_stand_at_their_reception_one_behind_the_other() -> None:
    span = Span(0, T, 0, 0, 1)
    assert stand(span, NOTHING) == T * 1000
    assert stand(span, T * 1000 - 1) == T * 1000
    assert stand(span, T * 1000 + 7) == T * 1000 + 8
    assert stand(span, T * 1000 + SPILL_NS - 1) is None
    assert first_free(span, {T * 1000, T * 1000 + 1, T * 1000 + 3}) == T * 1000 + 2


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([T, T + 1, T + SECOND_US]),
            st.sampled_from([NOTHING, T * 1000 - 1, T * 1000 + 7, T * 1000 + SPILL_NS - 1, 2 * T * 1000]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_many_spans_stand_where_each_would_alone(given_: list[tuple[int, int, int]]) -> None:
    device, received_us, last_ns = np.array(sorted(given_), dtype=np.int64).T
    rest = np.zeros(len(device), dtype=np.int64)
    spans = Spans(device, rest, received_us, rest, rest, rest)
    ns, told = stands(spans, last_ns)
    for at, span in enumerate(spans):
        expected = stand(span, int(last_ns[at]))
        alone = np.count_nonzero(device == device[at]) == 1
        assert told[at] == (alone and expected is not None)
        assert not told[at] or ns[at] == expected


def test_more_messages_at_one_time_than_there_is_room_for_are_refused() -> None:
    own = placer()
    crowd = columns_of(
        [message(measured_us=T, identity=1000 * n + 999, order=n) for n in range(SPILL_NS + 1)]
    )
    placed = own.place(crowd, own.examine(crowd), [])
    assert len(set(placed.ns[placed.written].tolist())) == SPILL_NS
    assert "at one time" in placed.refused[SPILL_NS]


@given(data=st.data())
def test_no_order_of_batches_loses_doubles_or_replaces_a_message(data: st.DataObject) -> None:
    """Batches at random, repeated, cut, unanswered and after restarts store each message once, the first."""
    pool = data.draw(
        st.lists(
            st.builds(
                lambda at, age, identity, dated: message(
                    observed_us=T + at,
                    measured_us=T + at - age if dated else None,
                    seq=None if dated else identity,
                    identity=identity,
                ),
                st.sampled_from([0, 1, 150, 2 * MINUTE_US]),
                st.sampled_from([0, 1, -5, 2 * MINUTE_US, 8 * DAY_US, -HOUR_US]),
                st.sampled_from([1, 2, 1001, 2001]),
                st.booleans(),
            ),
            min_size=1,
            max_size=8,
            unique_by=lambda m: (m.identity, m.measured_us),
        )
    )
    pool = [
        msgspec.structs.replace(m, order=n)
        for n, m in enumerate(sorted(pool, key=lambda m: m.observed_us), 1)
    ]
    bucket, own = Bucket(), placer()
    firsts: dict[tuple[int, int | None], Message] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        batch = data.draw(st.lists(st.sampled_from(pool), max_size=5))
        if data.draw(st.booleans()):
            later = data.draw(st.sampled_from([0, 10, 30 * SECOND_US]))
            batch = [
                msgspec.structs.replace(m, observed_us=m.observed_us + later, order=m.order + 100)
                for m in batch
            ]
        bucket.write(own, batch, answered=data.draw(st.booleans()))
        for one in batch:
            firsts.setdefault((one.identity, one.measured_us), one)
    assert sorted(bucket.heartbeats(), key=str) == sorted(firsts.values(), key=str)


# Lookups joined


def test_near_lookups_are_joined_and_far_ones_are_not() -> None:
    near = [Probe(f"d{n}", n * 10, n * 10 + 5) for n in range(5)]
    far = Probe("d9", 10_000, 10_005)
    assert clusters([*near, far], 100) == {
        (0, 45): {"d0", "d1", "d2", "d3", "d4"},
        (10_000, 10_005): {"d9"},
    }


def test_a_long_lookup_reads_nobody_elses_past() -> None:
    probes = [
        Probe("a", 0, 1000),
        Probe("a", 500, 1500),
        Probe("b", 700, 710),
    ]
    assert clusters(probes, 100) == {(0, 1500): {"a"}, (700, 710): {"b"}}


# Order of reception


@given(
    received=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=40),
    newest_first=st.booleans(),
)
def test_points_in_order_of_time_come_out_in_order_of_reception(
    received: list[tuple[int, int]], newest_first: bool
) -> None:
    given_ = [
        message(observed_us=T + at * SECOND_US, measured_us=T + (at - age) * SECOND_US, identity=n, order=n)
        for n, (at, age) in enumerate(received)
    ]
    found = sorted((Point((m.measured_us or 0) * 1000 + m.identity, m) for m in given_), reverse=newest_first)
    expected = sorted(given_, key=lambda m: (m.observed_us, m.order), reverse=newest_first)
    assert list(in_order_of_reception(found, newest_first)) == expected


def test_a_stream_in_order_is_passed_on_as_it_comes() -> None:
    taken = 0

    def stream() -> Iterator[Point]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            at = T + n * SECOND_US
            yield Point(at * 1000, message(observed_us=at, measured_us=at, identity=n, order=n))

    assert next(in_order_of_reception(stream(), newest_first=False)).order == 0
    assert taken < 5


def test_marks_say_what_is_the_greatest() -> None:
    mark = Mark()
    mark.take(message(measured_us=T + 5, seq=9), T)
    mark.take(message(measured_us=None, seq=3), T - 1)
    assert (mark.tried_us, mark.measured_us, mark.ahead_us, mark.seq) == (T, T + 5, 5, 3)
