"""Devices in columns are the devices that went in, and are found by their ids."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.batches import Origin
from pulse.ledger import fleet as fleet_module
from pulse.ledger import index as index_module
from pulse.ledger.columns import Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, Device, State, Terms
from pulse.ledger.rates import Figures, instant_figures
from pulse.ledger.tally import Tally
from pulse.messages import Channel
from tests.ledger.strategies import HORIZON, devices, instants

names = st.text(st.sampled_from("ab.-0é"), min_size=1, max_size=5)


@st.composite
def fleets(draw: st.DrawFn) -> list[Device]:
    models = draw(st.lists(devices(changing=True), max_size=6))
    chosen = draw(st.lists(names, unique=True, min_size=len(models), max_size=len(models)))
    return [model[0]._replace(id=name) for model, name in zip(models, chosen, strict=True)]


@given(fleets(), st.lists(names))
def test_every_device_is_found_by_its_id_and_nobody_else(listed: list[Device], others: list[str]) -> None:
    fleet = Fleet(listed)
    expected = {device.id: device for device in listed}
    assert list(fleet) == list(expected)
    assert dict(fleet) == expected
    assert list(fleet.devices()) == listed
    asked = [*expected, *others]
    order = {device: position for position, device in enumerate(expected)}
    assert fleet.positions(asked).tolist() == [order.get(device, -1) for device in asked]
    assert [device in fleet for device in others] == [device in expected for device in others]
    origins = [Origin(device, "", "", Channel.HEARTBEAT) for device in others]
    for device in asked:
        assert fleet.positions_of(origins).tolist() == fleet.positions([o.device for o in origins]).tolist()
        origins.append(Origin(device, "", "", Channel.STATUS))
    assert fleet.positions_of(origins[1:]).tolist() == fleet.positions([*others, *asked][1:]).tolist()
    assert fleet.ids(np.arange(len(listed))[::-1]) == list(expected)[::-1]
    assert fleet.places_of(list(expected)) == [(d.community, d.kind) for d in listed]
    numbers = fleet.place_numbers([(d.community, d.kind) for d in listed] + [("nowhere", "")]).tolist()
    assert [fleet.places[number] for number in numbers[:-1]] == [(d.community, d.kind) for d in listed]
    assert numbers[-1] == -1
    for stranger in set(others) - set(expected):
        with pytest.raises(KeyError):
            fleet[stranger]


@pytest.mark.parametrize("one_hash", [lambda _: 5, lambda _: (1 << 63) - 1, len])
def test_ids_that_share_a_hash_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, one_hash: Callable[[str], int]
) -> None:
    for module in (fleet_module, index_module):
        monkeypatch.setattr(module, "hash", one_hash, raising=False)
    ids = ["a", "b", "cc", "dd", "ee"]
    fleet = Fleet(Device(device, "", "", (Terms(EVER, 1),), EVER) for device in ids)
    assert fleet.positions([*reversed(ids), "x", "yy", ""]).tolist() == [4, 3, 2, 1, 0, -1, -1, -1]


@given(fleets(), fleets())
def test_devices_of_one_fleet_are_located_in_another(listed: list[Device], others: list[Device]) -> None:
    fleet, other = Fleet(listed), Fleet(others)
    expected = other.positions([device.id for device in listed]).tolist()
    assert fleet.index.located(other.index).tolist() == expected
    assert other.index.located_ids(fleet.index.ids).tolist() == expected
    assert fleet.index.located_ids(fleet.index.ids).tolist() == list(range(len(listed)))


def test_more_devices_than_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fleet_module, index_module):
        monkeypatch.setattr(module, "CHUNK", 4)
    listed = [Device(f"d{n}", "", "", (Terms(EVER, n),), EVER, retired=n) for n in range(11)]
    fleet, backwards = Fleet(listed), Fleet(reversed(listed))
    assert [fleet[device] for device in fleet] == listed
    assert fleet.index.located(backwards.index).tolist() == list(range(10, -1, -1))
    assert backwards.index.located_ids(fleet.index.ids).tolist() == list(range(10, -1, -1))


@given(fleets(), st.data())
def test_terms_in_columns_are_those_of_each_device(listed: list[Device], data: st.DataObject) -> None:
    terms = Fleet(listed).terms
    chosen = data.draw(st.lists(st.integers(0, len(listed) - 1), max_size=8)) if listed else []
    times = data.draw(st.lists(instants | st.just(EVER), min_size=len(chosen), max_size=len(chosen)))
    device, at = np.array(chosen, dtype=np.int64), np.array(times, dtype=np.int64)
    expected = [listed[one].terms_at(when) for one, when in zip(chosen, times, strict=True)]
    assert terms.timeout(device, at).tolist() == [agreed.timeout for agreed in expected]
    judging = terms.judging(device, at)
    assert judging.max_lateness.tolist() == [agreed.max_lateness for agreed in expected]
    assert judging.untrusted.tolist() == [agreed.clock_untrusted for agreed in expected]
    lists = [listed[one].terms for one in chosen]
    assert terms.longest_timeout(device).tolist() == [max(t.timeout for t in own) for own in lists]
    assert terms.may_be_late(device).tolist() == [any(t.max_lateness for t in own) for own in lists]
    assert terms.may_be_distrusted(device).tolist() == [any(t.clock_untrusted for t in own) for own in lists]
    for when in range(0, HORIZON, 7):
        now = terms.timeouts_of_lists(when)[terms.number]
        assert now.tolist() == [one.terms_at(when).timeout for one in listed]


def in_columns(rows: Sequence[tuple[int, State, State]]) -> tuple[Ints, Ints, Ints]:
    place, state, presence = np.array(rows, dtype=np.int64).reshape(len(rows), 3).T
    return place, state, presence


PLACES = [("a", "camera"), ("a", "lock"), ("b", "lock")]
one_device = st.tuples(
    st.integers(0, 2), st.sampled_from(State), st.sampled_from([s for s in State if s <= State.UNKNOWN])
)


@given(st.lists(st.tuples(one_device, one_device)), st.lists(st.tuples(one_device, st.sampled_from(State))))
def test_what_is_counted_as_it_changes_is_what_is_there(
    moves: list[tuple[tuple[int, State, State], tuple[int, State, State]]],
    told: list[tuple[tuple[int, State, State], State]],
) -> None:
    tally = Tally(PLACES)
    tally.add(*in_columns([before for before, _ in moves] + [one for one, _ in told]))
    tally.take(*in_columns([before for before, _ in moves]))
    tally.add(*in_columns([after for _, after in moves]))
    for (place, before, presence), after in told:
        tally.move(place, presence, before, after)
    expected: dict[tuple[str, str], Figures] = {}
    for place, state, presence in [a for _, a in moves] + [(p, after, q) for (p, _, q), after in told]:
        expected.setdefault(PLACES[place], Figures()).add(instant_figures(presence, state))
    assert tally.figures() == expected


def test_a_fleet_without_devices_knows_nobody() -> None:
    fleet = Fleet()
    assert len(fleet) == 0
    assert fleet.positions(["d0"]).tolist() == [-1]
    assert fleet.index.located(Fleet().index).tolist() == []
    assert "" not in fleet
