"""What the simulated devices tell: every kind, plausible, the same from the same seed, with their faults."""

import functools
from collections import Counter, defaultdict
from itertools import pairwise, takewhile

import jsonschema_rs
import pytest

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.errors import BadInput
from pulse.sharing import catalogue_file
from simulators import records
from simulators.faults import NEVER, Behaviour, Do, Fault, Step, Telling, Unit
from simulators.fleet import Fleet, device_key, fleet
from simulators.scenario import DEFAULT, parse
from simulators.telling import Duty, whole_plan

SEED = 1
# 3 and 8 in the morning of the communities' time.
NIGHT_US = 1_790_017_200 * SECOND_US - (1_790_017_200 * SECOND_US + 8 * HOUR_US) % DAY_US + 3 * HOUR_US
MORNING_US = NIGHT_US + 5 * HOUR_US
KINDS = {kind.id: kind for kind in catalogue_file.default()}

Heard = dict[str, list[tuple[int, str, records.Body]]]


@functools.cache
def demo() -> Fleet:
    return fleet(SEED)


@functools.cache
def hour(start_us: int) -> Heard:
    return heard(demo(), start_us, HOUR_US)


def heard(whole: Fleet, start_us: int, length_us: int) -> Heard:
    """What the fleet tells: by kind of data, when, who and what, in the order of time."""
    found: Heard = defaultdict(list)
    for device in whole.devices:
        key = device_key(whole.seed, device.id)
        steps = whole_plan(whole.unit(device), whole.duties.get(device.id, ()), whole.faults.get(device.id))
        for step in takewhile(lambda step: step.at_us < length_us, steps):
            if step.telling is None:
                continue
            telling = step.telling
            said = records.body(
                telling.data_kind, device.community, key, telling.number, start_us + telling.made_us
            )
            if said is not None:
                found[telling.data_kind].append((step.at_us, device.id, said))
    return {kind: sorted(told, key=lambda one: one[:2]) for kind, told in found.items()}


def test_sources_are_those_of_the_default_catalogue() -> None:
    assert {name: (source.kind,) for name, source in records.SOURCES.items()} == {
        name: kind.sources for name, kind in KINDS.items()
    }
    assert [entry.id for entry in DEFAULT.tellings] == list(records.SOURCES)


@pytest.mark.parametrize("start_us", [NIGHT_US, MORNING_US])
def test_every_kind_but_the_perimeters_comes_every_couple_of_minutes_and_fits_its_schema(
    start_us: int,
) -> None:
    found = hour(start_us)
    assert set(found) | {"perimeter_event"} == set(KINDS)
    for name, told in found.items():
        validator = jsonschema_rs.Draft202012Validator(KINDS[name].schema)
        for _, device, said in told:
            validator.validate({"ts": 1, **said})
            assert device not in demo().down
        if name != "perimeter_event":
            gaps = [later[0] - earlier[0] for earlier, later in pairwise(told)]
            assert max(gaps) < 3.5 * MINUTE_US, name
    assert sum(map(len, found.values())) < 2.5 * 3600


def test_the_perimeter_is_heard_of_some_times_a_day() -> None:
    fences = tuple(device for device in demo().devices if device.kind == "perimeter_alarm")
    assert 2 <= len(heard(demo()._replace(devices=fences), NIGHT_US, DAY_US)["perimeter_event"]) <= 10


def test_in_every_community_every_kind_has_somebody_who_tells_it() -> None:
    whole = fleet(SEED, 100)
    community = {device.id: device.community for device in whole.devices}
    told = {(community[device], duty.data_kind) for device, duties in whole.duties.items() for duty in duties}
    kinds = {(device.community, device.kind) for device in whole.devices}
    assert told == {
        (place, name)
        for name, source in records.SOURCES.items()
        for place, kind in kinds
        if kind == source.kind
    }


def test_doors_and_gates_are_livelier_by_day() -> None:
    night, morning = hour(NIGHT_US), hour(MORNING_US)
    for name in ("access_event", "vehicle_pass", "sorting_record"):
        assert len(morning[name]) > 2 * len(night[name])
    out = Counter(said["direction"] for _, _, said in morning["access_event"])
    assert out["out"] > out["in"]
    for name in ("gas_reading", "flow_reading", "video_status", "lock_status"):
        assert abs(len(morning[name]) - len(night[name])) < 0.1 * len(night[name])


def test_totals_of_flow_only_rise() -> None:
    by_device = defaultdict(list)
    for _, device, said in hour(MORNING_US)["flow_reading"]:
        if demo().faults.get(device) is None:
            by_device[device].append(said["total_m3"])
    assert len(by_device) > 80
    for totals in by_device.values():
        assert all(later > earlier for earlier, later in pairwise(totals))


def test_gas_alarms_are_rare_and_agree_with_the_concentration() -> None:
    said = [records.body("gas_reading", "a", device_key(SEED, "g"), n, MORNING_US + n) for n in range(8_000)]
    alarms = Counter(one["alarm"] for one in said if one is not None)
    assert 0 < alarms["low"] + alarms["high"] < 30
    for one in said:
        assert one is not None
        expected = "high" if one["lel_pct"] >= 25 else "low" if one["lel_pct"] >= 10 else "none"
        assert one["alarm"] == expected


def test_the_same_seed_tells_the_same_and_another_one_something_else() -> None:
    first = heard(fleet(SEED, 60), MORNING_US, HOUR_US)
    assert heard(fleet(SEED, 60), MORNING_US, HOUR_US) == first
    assert heard(fleet(SEED + 1, 60), MORNING_US, HOUR_US) != first


# What is wrong with a device


UNIT = Unit(device_key(SEED, "one"), 60 * SECOND_US, 180 * SECOND_US)
DUTIES = (Duty("flow_reading", 5 * MINUTE_US, False), Duty("access_event", 2 * MINUTE_US, True))


def told(fault: Fault | None, until_us: int = 3 * HOUR_US) -> list[tuple[int, Telling]]:
    steps = takewhile(lambda step: step.at_us < until_us, whole_plan(UNIT, DUTIES, fault))
    return [(step.at_us, step.telling) for step in in_order(list(steps)) if step.telling is not None]


def in_order(steps: list[Step]) -> list[Step]:
    assert all(later.at_us >= earlier.at_us for earlier, later in pairwise(steps))
    assert all((step.do is Do.TELL) == (step.telling is not None) for step in steps)
    return steps


def test_a_well_device_tells_when_it_happens() -> None:
    well = told(None)
    assert all(at == telling.made_us for at, telling in well)
    counts = Counter(telling.data_kind for _, telling in well)
    assert 35 <= counts["flow_reading"] <= 37
    assert 89 <= counts["access_event"] <= 91


@pytest.mark.parametrize("behaviour", [b for b in Behaviour if b.is_down])
def test_a_device_that_is_down_tells_nothing(behaviour: Behaviour) -> None:
    fault = Fault(behaviour, after_us=HOUR_US, for_us=NEVER, max_lateness_us=DAY_US)
    assert [at for at, _ in told(fault) if at >= HOUR_US] == []
    assert told(fault) == [one for one in told(None) if one[0] < HOUR_US]


@pytest.mark.parametrize("behaviour", [b for b in Behaviour if b.is_down and b != "cut_off_buffering"])
def test_a_device_that_is_repaired_tells_again(behaviour: Behaviour) -> None:
    fault = Fault(behaviour, after_us=HOUR_US, for_us=HOUR_US)
    assert told(fault) == [one for one in told(None) if not HOUR_US <= one[0] < 2 * HOUR_US]


def test_a_device_behind_a_dead_network_tells_everything_afterwards() -> None:
    fault = Fault(Behaviour.CUT_OFF_BUFFERING, after_us=HOUR_US, for_us=HOUR_US, max_lateness_us=2 * HOUR_US)
    made = sorted(telling.made_us for _, telling in told(fault))
    assert made == [at for at, _ in told(None)]
    late = [(at, telling) for at, telling in told(fault) if at != telling.made_us]
    assert {at for at, _ in late} == {2 * HOUR_US}
    assert all(telling.kept and HOUR_US <= telling.made_us < 2 * HOUR_US for _, telling in late)


def test_late_devices_tell_late_and_wrong_clocks_tell_wrong_times() -> None:
    fault = Fault(Behaviour.LATE, max_lateness_us=10 * MINUTE_US)
    delays = [at - telling.made_us for at, telling in told(fault)]
    assert 0 in delays
    assert MINUTE_US < max(delays) <= 9 * MINUTE_US
    off = told(Fault(Behaviour.WRONG_CLOCK, clock_offset_us=HOUR_US))
    assert {telling.clock_offset_us for _, telling in off} == {HOUR_US}
    assert [at for at, _ in off] == [at for at, _ in told(None)]


def test_a_device_that_repeats_itself_repeats_its_records() -> None:
    again = Counter(telling for _, telling in told(Fault(Behaviour.DUPLICATES, copies=2), 2 * HOUR_US))
    assert {telling for _, telling in told(None, HOUR_US)} <= set(again)
    assert max(again.values()) == 3


# The scenario


def test_a_scenario_says_who_tells_what_how_often() -> None:
    scenario = parse('[[data]]\nid = "vehicle_pass"\nevery_s = 30\nshare = 0.5\n', "x")
    whole = fleet(SEED, scenario=scenario)
    assert {duty for duties in whole.duties.values() for duty in duties} == {
        Duty("vehicle_pass", 30 * SECOND_US, True)
    }
    assert len(whole.duties) == pytest.approx(91, abs=2)
    assert fleet(SEED, scenario=parse("data = []", "x")).duties == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[data]]\nid = "weather"\nevery_s = 1', r"x: data\[0\].id: 'weather' is none of access_event, "),
        ('[[data]]\nid = "lock_status"\nevery_s = 0', r"x: data\[0\].every_s"),
        ('[[data]]\nid = "lock_status"\nevery_s = 9\nshare = 2', r"x: data\[0\].share"),
        ('[[data]]\nid = "lock_status"\nevery_s = 9\n' * 2, r"x: data\[1\].id: 'lock_status' is there twice"),
    ],
)
def test_a_mistake_in_it_is_named(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse(text, "x")
