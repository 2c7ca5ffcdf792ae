"""Line protocol: what InfluxDB must not misread."""

import re
import struct
from base64 import b64encode
from math import isfinite
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.batches import ABSENT, Origin, columns_of
from pulse.errors import StoreRejected
from pulse.messages import Channel, Evidence, Message
from pulse.stores.acceptable import INT64_MAX, INT64_MIN
from pulse.stores.base import IndicatorPoint, TransitionPoint
from pulse.stores.influx import receipts
from pulse.stores.influx.lines import (
    OWN_FIELDS,
    STATUS,
    TAGS,
    indicator_line,
    metric_field,
    metric_name,
    string,
    transition_line,
)
from pulse.stores.influx.rendering import MessageLines
from pulse.stores.influx.spans import Spans
from pulse.stores.influx.texts import Lines
from tests.stores.samples import METRIC_NAMES, T, message, messages


@given(name=METRIC_NAMES)
def test_a_metric_finds_back_to_its_name_and_takes_nobody_elses(name: str) -> None:
    field = metric_field(name)
    assert metric_name(field) == name
    assert field not in {*TAGS, *OWN_FIELDS, "time"}
    assert not re.search(r"[\\\x00-\x1f]", field)
    assert not field.startswith("_")


def test_ordinary_metrics_keep_their_names() -> None:
    for name in ("temperature", "rssi", "温度", "battery.level", "a b", "co2-ppm", "x,y=z"):
        assert metric_field(name) == name


def test_a_line_has_tags_fields_and_nanoseconds() -> None:
    given_ = message(seq=7, order=3, fault='a "b" \\ c', metrics={"t 1": 2, "x,y": 1.5}, queued=True)
    columns = columns_of([given_])
    receipt = receipts.packed(columns).tobytes().decode()
    assert split(MessageLines().render(columns, np.array([(T - 200_000) * 1000 + 711]))) == [
        f'heartbeat,community=xinjinglou,device=cam-1,kind=camera status="ok",receipt="{receipt}",seq=7i'
        rf',t\ 1=2.0,x\,y=1.5,fault="a \"b\" \\ c" {T - 200_000}711'
    ]


def split(lines: Lines) -> list[str]:
    """The lines one by one, after a look at what they are together."""
    alone = [lines.text(at, at + 1) for at in range(len(lines))]
    assert not alone or lines.text(0, len(lines)) == b"\n".join(alone)
    return [line.decode() for line in alone]


def plain_line(m: Message, ns: int) -> str:
    """The line of a message, put together for itself."""
    measured = ABSENT if m.measured_us is None else m.measured_us
    packed = struct.pack("<qqqqB", m.observed_us, measured, m.identity, m.order, m.retained + 2 * m.queued)
    fields = [f'status="{STATUS[m.channel, m.evidence]}"', f'receipt="{b64encode(packed).decode()}"']
    if m.seq is not None:
        fields.append(f"seq={m.seq}i")
    for name, value in (m.metrics or {}).items():
        key = metric_field(name).replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")
        fields.append(f"{key}={msgspec.json.encode(value).decode()}")
    if m.measured_us is not None and m.measured_us != ns // 1000:
        fields.append(f"measured_us={m.measured_us}i")
    if m.fault is not None:
        fields.append(f"fault={string(m.fault)}")
    if m.retained:
        fields.append("retained=t")
    return f"heartbeat,community={m.community},device={m.device},kind={m.kind} {','.join(fields)} {ns}"


FINITE = st.floats(allow_nan=False, allow_infinity=False)
READINGS = st.one_of(
    FINITE,
    st.builds(lambda digits, places: digits / 10**places, st.integers(-(10**17), 10**17), st.integers(0, 22)),
    st.builds(lambda digits, places: digits / 10**places, st.integers(-2000, 2000), st.integers(0, 4)),
    st.sampled_from([0.0, -0.0, 0.1, -0.5, 1e14, 1e15, 1e16, 1e17, 99999999999999.9, 1e-5, 5e-324, 1.8e308]),
    st.sampled_from([2.0**53, 2.0**53 + 2, 1e22, 1e23, 4.35, 0.3, 0.1 + 0.2, -1e15, 9.5, 9.95, 9.995]),
).filter(isfinite)


@st.composite
def batches(draw: st.DrawFn) -> list[Message]:
    """Messages as a fleet sends them: with the same metrics, and with others."""
    devices = st.sampled_from(["cam-1", "d", "a-very-long-name" * 4])
    some = draw(st.lists(devices.flatmap(messages), min_size=1, max_size=12))
    alike = draw(
        st.lists(st.tuples(st.booleans(), READINGS, READINGS), min_size=len(some), max_size=len(some))
    )
    return [
        msgspec.structs.replace(m, metrics={"t": one, "u v": other}) if chosen else m
        for m, (chosen, one, other) in zip(some, alike, strict=False)
    ]


NANOSECONDS = st.one_of(st.integers(INT64_MIN, INT64_MAX), st.integers(T * 1000, T * 1000 + 10**15))


@given(batch=batches(), data=st.data())
def test_each_message_of_a_batch_has_the_line_that_it_would_have_alone(
    batch: list[Message], data: st.DataObject
) -> None:
    at = data.draw(st.lists(NANOSECONDS, min_size=len(batch), max_size=len(batch)))
    for position, m in enumerate(batch):
        if m.measured_us is not None and abs(m.measured_us) < 10**16 and data.draw(st.booleans()):
            at[position] = m.measured_us * 1000 + 7
    expected = [plain_line(m, ns) for m, ns in zip(batch, at, strict=True)]
    lines, columns = MessageLines(remembered=3), columns_of(batch)
    assert split(lines.render(columns, np.array(at))) == expected
    assert split(lines.render(columns, np.array(at))) == expected


@given(st.lists(READINGS, min_size=1, max_size=30))
def test_a_number_is_read_as_the_same_number(values: list[float]) -> None:
    given_ = [message(metrics={"v": value}) for value in values]
    lines = split(MessageLines().render(columns_of(given_), np.full(len(values), T * 1000)))
    read = [float(line.partition(",v=")[2].partition(",")[0]) for line in lines]
    assert np.array(read).tobytes() == np.array(values).tobytes()


def test_a_fleet_with_rare_messages_has_the_lines_that_they_have_alone() -> None:
    dice = Random(7)
    batch = [
        message(
            device=f"d{dice.randrange(200)}",
            identity=dice.getrandbits(63),
            seq=dice.choice([None, n, n * n]) if n % 7 else n,
            fault="rare" if n == 77 else None,
            retained=n == 78,
            evidence=Evidence.FAULT if n % 50 == 0 else Evidence.BEAT,
            metrics={"t": round(dice.uniform(-20, 120), n % 3)}
            | ({"x": dice.random()} if n % 90 == 0 else {}),
        )
        for n in range(2000)
    ]
    at = [T * 1000 - n for n in range(2000)]
    expected = [plain_line(m, ns) for m, ns in zip(batch, at, strict=True)]
    assert split(MessageLines().render(columns_of(batch), np.array(at))) == expected


SPANS = st.lists(
    st.tuples(
        st.integers(0, 2), *[st.integers(INT64_MIN, INT64_MAX)] * 3, st.integers(1, 10**6), NANOSECONDS
    ),
    min_size=1,
    max_size=5,
)


@given(SPANS)
def test_each_span_has_the_line_that_it_would_have_alone(given_: list[tuple[int, ...]]) -> None:
    origins = [Origin(f"d{'x' * n}", "c", "k", Channel.HEARTBEAT) for n in range(3)]
    columns = [np.array(column, dtype=np.int64) for column in zip(*given_, strict=True)]
    spans = Spans(columns[0], *columns[:5])
    assert split(MessageLines().render_spans(origins, spans, columns[5])) == [
        f"late,community=c,device=d{'x' * origin},kind=k received_us={received}i"
        f",first_ns={first}i,last_ns={last}i,messages={count}i {ns}"
        for origin, received, first, last, count, ns in given_
    ]


@given(st.lists(st.text(st.sampled_from("a\n é"), max_size=5), min_size=1, max_size=5))
def test_lines_are_kept_apart_whatever_is_in_them(given_: list[str]) -> None:
    assert split(Lines.of(given_)) == given_


def test_the_lines_of_a_smaller_batch_are_no_rest_of_the_one_before() -> None:
    lines, batch = MessageLines(), [message(device=f"d{n}", fault="x" * n) for n in range(9)]
    at = np.full(9, T * 1000)
    for count in (9, 3, 7):
        expected = [plain_line(m, T * 1000) for m in batch[:count]]
        assert split(lines.render(columns_of(batch[:count]), at[:count])) == expected


def test_no_message_has_no_line() -> None:
    assert split(MessageLines().render(columns_of(()), np.empty(0, dtype=np.int64))) == []


@given(messages())
def test_a_receipt_says_again_what_was_put_into_it(given_: Message) -> None:
    text = receipts.packed(columns_of([given_])).tobytes().decode()
    told = receipts.unpacked(text)
    assert told is not None
    assert tuple(told) == tuple(getattr(given_, name) for name in told._fields)


@pytest.mark.parametrize("text", [None, 7, "", "A" * 43, "A" * 45, "é" * 44, "=" * 44])
def test_what_is_no_receipt_is_no_point_of_ours(text: object) -> None:
    assert receipts.unpacked(text) is None


def test_every_word_of_status_means_one_thing() -> None:
    assert set(STATUS) == {(channel, evidence) for channel in Channel for evidence in Evidence}
    assert len(set(STATUS.values())) == len(STATUS)
    assert STATUS[Channel.HEARTBEAT, Evidence.BEAT] == "ok"
    assert STATUS[Channel.HEARTBEAT, Evidence.FAULT] == "fault"
    assert STATUS[Channel.STATUS, Evidence.OFFLINE] == "offline"


TRANSITION = TransitionPoint(
    "cam-1", "xinjinglou", "camera", T, T + 5, "online", "offline", "deadline_passed"
)
INDICATOR = IndicatorPoint("online-rate", "", T, 811, 826, 0.5, 0.75, {"online": 811, "offline": 15})


@pytest.mark.parametrize(
    "changes", [{"device": "a b"}, {"community": ""}, {"kind": "a,b=c"}, {"at_us": 1 << 62}]
)
def test_a_transition_with_what_cannot_be_written_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(StoreRejected):
        transition_line(TRANSITION._replace(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"name": "a b"}, {"community": "a,b"}, {"states": {"on line": 1}}, {"at_us": -(1 << 62)}],
)
def test_an_indicator_with_what_cannot_be_written_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(StoreRejected):
        indicator_line(INDICATOR._replace(**changes))


def test_an_indicator_value_always_has_all_states() -> None:
    line = indicator_line(INDICATOR)
    assert line.startswith(
        "indicator,community=*,name=online-rate numerator=811i,denominator=826i,lower=0.5,"
    )
    for state in ("online=811i", "offline=15i", "fault=0i", "unknown=0i", "excluded=0i", "retired=0i"):
        assert state in line
    assert line.endswith(f" {T}000")
