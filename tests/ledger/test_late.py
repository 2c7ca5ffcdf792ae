"""Online time that became known late: what it counts, and that the rest was known in time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pulse.ledger.fleet import Fleet
from pulse.ledger.late import late_time, late_times
from pulse.ledger.model import EVER, Device, Evidence, Run, Terms
from pulse.ledger.runs import find_run, history_of, known_runs
from pulse.ledger.totals import RunColumns, in_service
from tests.ledger.strategies import HORIZON, World, worlds

CAMERA = Device("d0", "a", "camera", (Terms(EVER, 10), Terms(50, 20)), EVER)


def test_beats_received_as_they_are_sent_are_never_late() -> None:
    assert (
        late_time(CAMERA, [Run(0, 100, Evidence.BEAT, 0, 0), Run(100, 110, Evidence.BEAT, 100, 103)], 0, 200)
        == 0
    )


def test_what_was_known_more_than_a_timeout_later_counts() -> None:
    """Known at 45: of 20 to 40, whoever asked up to 35 had waited a whole timeout and heard nothing."""
    assert late_time(CAMERA, [Run(20, 40, Evidence.BEAT, 20, 45)], 0, 200) == 15
    assert late_time(CAMERA, [Run(20, 40, Evidence.BEAT, 20, 45)], 30, 33) == 3


def test_the_terms_in_force_at_each_instant_decide() -> None:
    assert late_time(CAMERA, [Run(40, 70, Evidence.BEAT, 40, 65)], 0, 200) == 10
    assert late_time(CAMERA, [Run(40, 70, Evidence.BEAT, 40, 75)], 0, 200) == 10 + 5


def test_faults_and_goodbyes_are_not_online() -> None:
    assert late_time(CAMERA, [Run(20, 40, Evidence.FAULT, 20, 90)], 0, 200) == 0
    assert late_time(CAMERA, [Run(20, 40, Evidence.OFFLINE, 20, 90)], 0, 200) == 0


@given(worlds(), st.integers(0, 40))
def test_what_does_not_count_was_known_a_timeout_later_and_instants_add_up(world: World, later: int) -> None:
    known_at = HORIZON + later
    for device in world.books.devices:
        ever = history_of(device, world.evidence(device)).runs()
        current = known_runs(ever, known_at)
        counted = [late_time(device, current, at, at + 1) for at in range(HORIZON)]
        assert late_time(device, current, 0, HORIZON) == sum(counted)
        for at, late in enumerate(counted):
            run = find_run(current, at)
            if run is not None and run.evidence is Evidence.BEAT and not late:
                then = find_run(known_runs(ever, at + device.terms_at(at).timeout), at)
                assert then is not None
                assert then.evidence is Evidence.BEAT
            else:
                assert late == 0 or (run is not None and run.evidence is Evidence.BEAT)


@given(worlds(), st.integers(0, HORIZON), st.integers(1, HORIZON), st.integers(0, 40))
def test_columns_give_the_same(world: World, start: int, length: int, later: int) -> None:
    devices, end = world.books.devices, start + length
    known_at, fleet = end + later, Fleet(world.books.devices)
    known = [known_runs(history_of(d, world.evidence(d)).runs(), known_at) for d in devices]
    rows = [
        (at, run.start, run.end, run.evidence, run.since, run.recorded)
        for at, own in enumerate(known)
        for run in own
    ]
    runs = RunColumns(*np.array(rows, dtype=np.int64).reshape(len(rows), 6).T)
    low, high = in_service(fleet, start, end, known_at)
    expected = [
        late_time(device, own, int(low[at]), int(high[at]))
        for at, (device, own) in enumerate(zip(devices, known, strict=True))
    ]
    assert late_times(fleet, runs, low, high).tolist() == expected
