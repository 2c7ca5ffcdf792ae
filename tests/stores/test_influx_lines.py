"""Line protocol: what InfluxDB must not misread."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from pulse.batches import columns_of
from pulse.errors import StoreRejected
from pulse.messages import Channel, Evidence, Message
from pulse.stores.base import IndicatorPoint, TransitionPoint
from pulse.stores.influx import receipts
from pulse.stores.influx.lines import (
    OWN_FIELDS,
    STATUS,
    TAGS,
    MessageLines,
    indicator_line,
    metric_field,
    metric_name,
    transition_line,
)
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
    (receipt,) = receipts.packed(columns)
    assert MessageLines().render(columns, np.array([(T - 200_000) * 1000 + 711])) == [
        f'heartbeat,community=xinjinglou,device=cam-1,kind=camera status="ok",receipt="{receipt}",seq=7i'
        rf',t\ 1=2.0,x\,y=1.5,fault="a \"b\" \\ c" {T - 200_000}711'
    ]


def test_each_message_of_a_batch_has_the_line_that_it_has_alone() -> None:
    given_ = [
        message(metrics={"50%": 1.0}, seq=1),
        message(retained=True, seq=None),
        message(measured_us=None, metrics={"50%": 0.1, "b": 2e300}),
        message(fault="x", device="other", evidence=Evidence.FAULT, metrics={"50%": 3.0}),
    ]
    at = np.array([m.measured_us or m.observed_us for m in given_]) * 1000
    at[1] += 1000
    lines = MessageLines()
    alone = [lines.render(columns_of([m]), at[n : n + 1])[0] for n, m in enumerate(given_)]
    assert lines.render(columns_of(given_), at) == alone
    assert f",measured_us={T - 200_000}i,retained=t " in alone[1]
    assert alone[2].endswith(f'",50%=0.1,b=2e300 {T}000')


@given(messages())
def test_a_receipt_says_again_what_was_put_into_it(given_: Message) -> None:
    (text,) = receipts.packed(columns_of([given_]))
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
