"""Line protocol: what InfluxDB must not misread."""

import re
from typing import Any

import pytest
from hypothesis import given

from pulse.errors import StoreRejected
from pulse.messages import Channel, Evidence
from pulse.stores.base import IndicatorPoint, TransitionPoint
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
from tests.stores.samples import METRIC_NAMES, T, message


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
    line = MessageLines().render(given_, T * 1000 + 711, None).decode()
    assert line == (
        'heartbeat,community=xinjinglou,device=cam-1,kind=camera status="ok",'
        f"observed_us={T}i,identity=4711i,measured_us={T - 200_000}i,order=3i,seq=7i,"
        r'fault="a \"b\" \\ c",queued=t,t\ 1=2.0,x\,y=1.5 ' + f"{T * 1000 + 711}"
    )


def test_a_late_message_has_the_same_fields_at_its_reception() -> None:
    late, line = MessageLines().render(message(), 17, 23).decode().split("\n")
    assert late.removeprefix("late").removesuffix(" 23") == line.removeprefix("heartbeat").removesuffix(" 17")


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
    line = indicator_line(INDICATOR).decode()
    assert line.startswith(
        "indicator,community=*,name=online-rate numerator=811i,denominator=826i,lower=0.5,"
    )
    for state in ("online=811i", "offline=15i", "fault=0i", "unknown=0i", "excluded=0i", "retired=0i"):
        assert state in line
    assert line.endswith(f" {T}000")
