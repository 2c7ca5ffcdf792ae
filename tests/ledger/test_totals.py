"""The figures of many devices in columns are those of each device by the readable rules."""

from collections.abc import Mapping, Sequence
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.ledger import totals as module
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import (
    EVER,
    FOREVER,
    Blind,
    Device,
    Evidence,
    Run,
    Scope,
    State,
    Terms,
    known_maintenance,
)
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, ColumnMessages, Known, Query, device_figures
from pulse.ledger.totals import RunColumns, Totals, totals
from tests.ledger.strategies import HORIZON, World, worlds
from tests.ledger.test_twins import in_columns


def as_columns(runs: Mapping[int, Sequence[Run]]) -> RunColumns:
    rows = [
        (device, run.start, run.end, run.evidence, run.since, run.recorded)
        for device in sorted(runs)
        for run in runs[device]
    ]
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), 6).T
    return RunColumns(*columns)


@settings(max_examples=400)
@given(worlds(numbers=(1, 2, 4, 6), size=24), st.data())
def test_totals_of_a_fleet_are_the_figures_of_its_devices(world: World, data: st.DataObject) -> None:
    books = world.books
    fleet = Fleet(books.devices)
    source = ColumnMessages(books, in_columns(world.heard()))
    for _ in range(4):
        known_at = data.draw(st.integers(0, HORIZON + 30))
        end = data.draw(st.integers(1, known_at + 1))
        start = data.draw(st.integers(0, end - 1) | st.just(end - 1))
        runs = source.runs(known_at)
        entries = books.coverage_known(known_at), known_maintenance(books.maintenance, known_at)
        with mock.patch.object(module, "CHUNK", data.draw(st.sampled_from([1, module.CHUNK]))):
            found = totals(fleet, as_columns(runs), *entries, start, end, known_at)
        known = Known(books, known_at)
        queries = [Query(start, end, known_at)]
        if end == start + 1:
            queries.append(Query(start, None, known_at))
        expected: dict[tuple[str, str], Figures] = {place: Figures() for place in fleet.places}
        for position, device in enumerate(books.devices):
            for query in queries:
                own = device_figures(device, runs.get(position, ()), known, query)
                assert found.device(position) == own
            expected[device.community, device.kind].add(own)
        assert found.by_place() == list(expected.values())


def two(blinds: Sequence[Blind], runs: Mapping[int, Sequence[Run]], start: int, end: int) -> Totals:
    """Totals of two devices of different kinds with timeouts of 10, over coverage from 0 on."""
    devices = [Device(kind, "a", kind, (Terms(EVER, 10),), 0) for kind in ("camera", "lock")]
    books = Books(devices, -1000, blinds)
    return totals(Fleet(devices), as_columns(runs), books.coverage_known(end), [], start, end, end)


def test_a_gap_before_the_period_ends_a_goodbye_before_it() -> None:
    goodbye = Run(80, FOREVER, Evidence.OFFLINE, 80)
    gap = Blind(90, 97, 97)
    found = two([gap], {0: [goodbye], 1: [goodbye._replace(start=98, since=98)]}, 100, 130)
    assert (found.device(0).of(State.UNKNOWN), found.device(0).of(State.OFFLINE)) == (7, 23)
    assert (found.device(1).of(State.UNKNOWN), found.device(1).of(State.OFFLINE)) == (0, 30)


def test_a_goodbye_stands_where_only_other_devices_went_unheard_after_it() -> None:
    goodbye = Run(80, FOREVER, Evidence.OFFLINE, 80)
    before, after = Blind(60, 78, 78), Blind(90, 97, 97, scope=Scope(kind="lock"))
    found = two([before, after], {0: [goodbye], 1: [goodbye]}, 80, 130)
    assert (found.device(0).of(State.UNKNOWN), found.device(0).of(State.OFFLINE)) == (0, 50)
    assert (found.device(1).of(State.UNKNOWN), found.device(1).of(State.OFFLINE)) == (17, 33)


def test_sums_past_64_bits_are_exact() -> None:
    devices = [Device(f"d{i}", "a", "camera", (Terms(EVER, 1),), 0) for i in range(5)]
    fleet = Fleet(devices)
    end = (1 << 61) + 12_345
    nothing = as_columns({})
    (summed,) = totals(fleet, nothing, Books(devices, 0).coverage_known(0), [], 0, end, 0).by_place()
    assert summed.of(State.UNKNOWN) + summed.of(State.OFFLINE) == 5 * end
