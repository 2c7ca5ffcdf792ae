"""The fleet of the demo and fleets of other sizes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.errors import BadInput
from pulse.ids import is_id
from pulse.registry.model import check_community, check_device, check_kind, check_planned
from simulators import chance
from simulators.faults import Behaviour, buffered_us
from simulators.fleet import apportion, fleet, half_up
from simulators.places import PUBLIC_AREA
from simulators.scenario import DEFAULT, FaultEntry, Scenario, parse


def test_the_demo_fleet_is_that_of_the_evaluation() -> None:
    whole = fleet(1)
    assert Counter(device.kind for device in whole.devices) == {
        "camera": 182,
        "access_control": 118,
        "smart_lock": 117,
        "gas_alarm": 300,
        "flow_meter": 100,
        "sorting_bin": 7,
        "perimeter_alarm": 2,
    }
    assert {c.id for c in whole.communities} == {"xinjinglou", "rongxinyuan", "yiminyuan"}
    assert (whole.running, len(whole.devices)) == (811, 826)


@pytest.mark.parametrize("seed", [0, 1, 20201123])
def test_fifteen_are_down_in_all_five_ways_and_others_misbehave_without_being_down(seed: int) -> None:
    whole = fleet(seed)
    ways = Counter(fault.behaviour for fault in whole.faults.values())
    down = {behaviour: n for behaviour, n in ways.items() if behaviour.is_down}
    assert set(down) == {b for b in Behaviour if b.is_down}
    assert sum(down.values()) == len(whole.down) == 15
    assert all(ways[b] >= 6 for b in Behaviour if not b.is_down)


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another() -> None:
    assert fleet(7) == fleet(7)
    assert fleet(7).down != fleet(8).down


def test_everything_can_be_registered_and_is_told_apart() -> None:
    whole = fleet(1)
    for community in whole.communities:
        check_community(community)
    for kind in whole.kinds:
        check_kind(kind)
    for planned in whole.planned:
        check_planned(planned)
    for device in whole.devices:
        check_device(device)
        assert is_id(device.id)
        assert device.building
        assert device.location
    assert len({device.id for device in whole.devices}) == 826
    assert len({(device.community, device.name_zh) for device in whole.devices}) == 826
    assert len({(device.community, device.name_en) for device in whole.devices}) == 826
    assert len({device.serial for device in whole.devices}) == 826


def test_the_plan_is_what_was_installed() -> None:
    whole = fleet(1)
    installed = Counter((device.community, device.kind) for device in whole.devices)
    assert {(p.community, p.kind): p.quantity for p in whole.planned if p.quantity} == installed


def test_what_is_declared_agrees_with_how_devices_behave() -> None:
    whole = fleet(1)
    for device in whole.devices:
        fault = whole.faults.get(device.id)
        buffers = fault is not None and fault.behaviour in {Behaviour.LATE, Behaviour.CUT_OFF_BUFFERING}
        assert (device.max_lateness_s > 0) == buffers
        if fault is not None and buffers:
            assert buffered_us(fault) < device.max_lateness_s * 1_000_000
        if device.clock_untrusted:
            assert fault is not None
            assert fault.behaviour is Behaviour.WRONG_CLOCK


def test_devices_of_one_dead_network_hang_in_one_building() -> None:
    whole = fleet(1)
    cut_off = [
        d for d in whole.devices if d.id in whole.faults
        and whole.faults[d.id].behaviour is Behaviour.CUT_OFF_BUFFERING
    ]  # fmt: skip
    assert len({(d.community, d.building) for d in cut_off}) == 1
    assert cut_off[0].building != PUBLIC_AREA


@given(st.integers(1, 3000), st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_other_sizes_keep_the_proportions(devices: int, seed: int) -> None:
    whole = fleet(seed, devices)
    assert len(whole.devices) == devices
    assert len(whole.down) == max(half_up(devices * 15, 826), 1)
    per_kind = Counter(device.kind for device in whole.devices)
    if devices >= 7:
        assert len(per_kind) == 7
    for kind in DEFAULT.kinds:
        assert abs(per_kind[kind.id] - devices * kind.count / 826) < 7


def test_a_size_out_of_bounds_is_refused() -> None:
    with pytest.raises(BadInput, match="devices: 0 devices; use 1 to 50000"):
        fleet(1, 0)


def test_named_devices_get_their_fault_and_unknown_ones_are_refused() -> None:
    scenario = Scenario(fault=(FaultEntry(Behaviour.SILENT, devices=("xjl-cam-001",)),))
    assert fleet(1, scenario=scenario).down == {"xjl-cam-001"}
    with pytest.raises(
        BadInput, match=r"fault\[0\].devices: 'xjl-cam-001' is not in this fleet of 1 devices"
    ):
        fleet(1, 1, scenario)


def test_more_faults_than_devices_that_fit_are_refused() -> None:
    text = '[[fault]]\nbehaviour = "silent"\ncount = 3\nkind = "perimeter_alarm"\n'
    with pytest.raises(BadInput, match=r"fault\[0\]: 3 devices wanted for silent, 2 are left that fit"):
        fleet(1, scenario=parse(text, "x.toml"))


def test_time_scale_divides_what_the_registry_holds() -> None:
    whole = fleet(1)
    scaled = whole.scaled(10)
    for kind, fast in zip(whole.kinds, scaled.kinds, strict=True):
        assert kind.interval_s is not None
        assert kind.timeout_s is not None
        assert (fast.interval_s, fast.timeout_s) == (kind.interval_s / 10, kind.timeout_s / 10)
    for device, fast_device in zip(whole.devices, scaled.devices, strict=True):
        assert fast_device.max_lateness_s == device.max_lateness_s / 10
    gas = next(d for d in scaled.ledger_devices() if d.kind == "gas_alarm")
    assert gas.terms[0].timeout == 9_000_000


@given(st.integers(0, 500), st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_apportionment_gives_everything_away_and_nobody_gets_less_than_the_whole_part(
    total: int, weights: list[float]
) -> None:
    shares = apportion(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / sum(weights)) < 1 + 1e-6


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(-(2**40), 2**60), min_size=1, max_size=20))
def test_chance_in_arrays_is_chance_one_by_one(key: int, indexes: list[int]) -> None:
    array = chance.uniform_array(key, np.array(indexes, dtype=np.int64))
    assert array.tolist() == [chance.uniform(key, index) for index in indexes]
    assert all(0 <= value < 1 for value in array)
