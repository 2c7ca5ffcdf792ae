"""Plans of devices: what each behaviour does, without a network."""

from collections.abc import Iterator
from itertools import pairwise, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import HOUR_US, SECOND_US
from simulators.faults import NEVER, Beat, Behaviour, Do, Fault, Step, Unit, plan
from simulators.rhythm import Rhythm

INTERVAL_US = 30 * SECOND_US
TIMEOUT_US = 90 * SECOND_US
keys = st.integers(0, 2**64 - 1)


def unit(key: int = 1) -> Unit:
    return Unit(key, INTERVAL_US, TIMEOUT_US)


def steps(fault: Fault | None, until_us: int = 2 * HOUR_US, key: int = 1) -> list[Step]:
    return list(takewhile(lambda step: step.at_us < until_us, plan(unit(key), fault)))


def beats(of: list[Step]) -> Iterator[tuple[int, Beat]]:
    for step in of:
        if step.do is Do.BEAT:
            assert step.beat is not None
            yield step.at_us, step.beat


def proofs(of: list[Step]) -> list[int]:
    """When the collector hears something that proves life: beats, and `online` at connecting."""
    return [step.at_us for step in of if step.do in {Do.BEAT, Do.CONNECT}]


@given(keys)
def test_a_device_that_is_well_beats_at_its_interval(key: int) -> None:
    done = steps(None, key=key)
    assert done[0] == Step(0, Do.CONNECT)
    times = [at for at, _ in beats(done)]
    assert all(0.9 * INTERVAL_US <= b - a <= 1.1 * INTERVAL_US for a, b in pairwise(times))
    assert [beat.seq for _, beat in beats(done)] == list(range(len(times)))
    assert 0 <= times[0] < 1.1 * INTERVAL_US


@given(keys)
def test_devices_that_misbehave_without_being_down_are_heard_well_within_their_timeout(key: int) -> None:
    for behaviour in (Behaviour.FLAPPING, Behaviour.WRONG_CLOCK, Behaviour.LATE, Behaviour.DUPLICATES):
        fault = Fault(behaviour, max_lateness_us=600 * SECOND_US, clock_offset_us=8 * HOUR_US)
        heard = proofs(steps(fault, key=key))
        assert max(b - a for a, b in pairwise(heard)) <= 0.8 * TIMEOUT_US, behaviour


@given(keys)
def test_steps_come_in_order_of_time(key: int) -> None:
    for behaviour in Behaviour:
        fault = Fault(behaviour, max_lateness_us=600 * SECOND_US)
        times = [step.at_us for step in steps(fault, key=key)]
        assert times == sorted(times), behaviour


def test_a_silent_device_connects_and_says_nothing() -> None:
    assert steps(Fault(Behaviour.SILENT)) == [Step(0, Do.CONNECT_QUIETLY)]


def test_a_killed_device_lives_until_it_dies_without_a_goodbye() -> None:
    done = steps(Fault(Behaviour.KILLED, after_us=100 * SECOND_US))
    assert done[0].do is Do.CONNECT
    assert len(list(beats(done))) >= 2
    assert done[-1] == Step(100 * SECOND_US, Do.KILL)


def test_a_faulty_device_never_says_that_it_is_well() -> None:
    done = steps(Fault(Behaviour.FAULT, code="sensor_drift"))
    assert done[0].do is Do.CONNECT_QUIETLY
    said = list(beats(done))
    assert said[0][0] == 0
    assert {beat.fault for _, beat in said} == {"sensor_drift"}
    assert len({beat.seq for _, beat in said}) == len(said)


def test_a_device_never_activated_does_nothing() -> None:
    assert steps(Fault(Behaviour.NEVER_ACTIVATED)) == []


def test_a_device_cut_off_for_good_is_never_heard() -> None:
    assert steps(Fault(Behaviour.CUT_OFF_BUFFERING, max_lateness_us=HOUR_US)) == []


def test_a_device_cut_off_for_a_while_delivers_what_it_kept_and_goes_on() -> None:
    until = HOUR_US
    fault = Fault(
        Behaviour.CUT_OFF_BUFFERING, after_us=300 * SECOND_US, for_us=until, max_lateness_us=6 * until
    )
    done = steps(fault)
    cut = next(step for step in done if step.do is Do.CUT)
    back = fault.until_us
    assert cut.at_us == fault.after_us
    assert not [s for s in done if cut.at_us < s.at_us < back]
    kept = [beat for at, beat in beats(done) if at == back]
    assert len(kept) == pytest.approx(until / INTERVAL_US, abs=2)
    assert all(fault.after_us <= beat.made_us < back and beat.kept for beat in kept)
    assert [at for at, _ in beats(done) if at > back]


def test_a_buffering_device_forgets_what_is_too_old_to_count() -> None:
    fault = Fault(Behaviour.CUT_OFF_BUFFERING, for_us=2 * HOUR_US, max_lateness_us=HOUR_US)
    kept = [beat for at, beat in beats(steps(fault, until_us=3 * HOUR_US)) if at == 2 * HOUR_US]
    assert min(beat.made_us for beat in kept) >= HOUR_US


def test_a_flapping_device_says_goodbye_and_comes_back_before_half_its_timeout() -> None:
    done = steps(Fault(Behaviour.FLAPPING, every_beats=3))
    goodbyes = [i for i, step in enumerate(done) if step.do is Do.DISCONNECT]
    assert len(goodbyes) > 20
    for i in goodbyes:
        assert done[i + 1].do is Do.CONNECT
        assert done[i + 1].at_us - done[i - 1].at_us <= TIMEOUT_US / 2
    assert not [step for step in done if step.do in {Do.KILL, Do.CUT}]


def test_a_wrong_clock_is_wrong_by_as_much_as_declared_in_the_scenario() -> None:
    done = steps(Fault(Behaviour.WRONG_CLOCK, clock_offset_us=-8 * HOUR_US))
    assert {beat.clock_offset_us for _, beat in beats(done)} == {-8 * HOUR_US}


@given(keys)
def test_a_late_device_delivers_out_of_order_within_its_lateness(key: int) -> None:
    lateness = 600 * SECOND_US
    done = steps(Fault(Behaviour.LATE, max_lateness_us=lateness), key=key)
    late = [at - beat.made_us for at, beat in beats(done)]
    assert max(late) > 100 * SECOND_US
    assert max(late) < lateness
    made = [beat.made_us for _, beat in beats(done)]
    assert made != sorted(made)
    assert all(beat.kept for _, beat in beats(done))


@given(keys, st.integers(1, 4))
def test_duplicates_are_the_same_beat_again_some_after_the_next(key: int, copies: int) -> None:
    done = [b for _, b in beats(steps(Fault(Behaviour.DUPLICATES, copies=copies), key=key))]
    whole = [beat for beat in set(done) if beat.made_us < HOUR_US]
    assert all(done.count(beat) == 1 + copies for beat in whole)
    assert any(later.seq < earlier.seq for earlier, later in pairwise(done))


def test_what_ends_is_followed_by_health() -> None:
    for behaviour in Behaviour:
        fault = Fault(behaviour, for_us=HOUR_US, max_lateness_us=HOUR_US, clock_offset_us=HOUR_US)
        assert not fault.is_down_for_good
        after = [s for s in steps(fault, until_us=2 * HOUR_US) if s.at_us >= HOUR_US]
        assert Step(HOUR_US, Do.CONNECT) in after, behaviour
        well = [beat for at, beat in beats(after) if at > HOUR_US]
        assert len(well) > 100
        assert not [b for b in well if b.fault or b.clock_offset_us]


@given(keys, st.integers(1, 3600), st.integers(-(10**6), 10**8))
def test_a_rhythm_in_arrays_is_the_rhythm_one_by_one(key: int, interval_s: int, start_s: int) -> None:
    rhythm = Rhythm(key, interval_s)
    start = start_s * SECOND_US
    numbers = rhythm.numbers(start, start + 20 * rhythm.interval_us)
    times = rhythm.times(numbers)
    assert times.tolist() == [rhythm.at(k) for k in numbers.tolist()]
    assert np.all((times >= start) & (times < start + 20 * rhythm.interval_us))
    assert 18 <= len(times) <= 22
    assert rhythm.at(int(numbers[0]) - 1) < start


def test_never_is_later_than_every_time() -> None:
    assert Fault(Behaviour.SILENT, after_us=HOUR_US).until_us == NEVER
