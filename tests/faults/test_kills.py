"""Fault 6: the collector killed at random moments, again and again; nothing lost, nothing twice."""

import os
import random
import threading
from itertools import pairwise

import pytest

from pulse.ledger.model import FOREVER
from tests.collector.station import TIMEOUT_S, Station, field
from tests.collector.test_faults import assert_replay_agrees, chatter
from tests.collector.test_mqtt import eventually
from tests.faults.house import SECOND_US, collecting, look, seqs, states_said, stored

NAMES = [f"dev-{number:02}" for number in range(20)]


TIMEOUT_US = round(TIMEOUT_S * SECOND_US)


def silence_us(station: Station, name: str) -> int:
    """The longest time without evidence of a device: on a machine that has no time for the ones that
    talk or listen, longer than a timeout; then offline is the truth."""
    times = sorted((m.measured_us or 0) if m.queued else m.observed_us for m in stored(station, name))
    return max(after - before for before, after in pairwise(times))


def killed(station: Station, times: int) -> None:
    """Kill the collector while devices talk; then every acknowledged message is stored once."""
    seed = int(os.environ.get("PULSE_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"PULSE_TEST_SEED={seed}")
    dice = random.Random(seed)
    station.register(*NAMES)
    with collecting(station) as collector:
        eventually(station.listening, "the first start", 30)
        assert collector.end() == 0
    with field(station.url) as devices, chatter(devices, NAMES, station, 0.1) as acknowledged:
        for _ in range(times):
            with collecting(station) as collector:
                # From the start of the process, through its recovery and the backlog, into live traffic.
                threading.Event().wait(dice.uniform(0.3, 3.5))
                assert collector.process.poll() is None, collector.said()
                collector.kill()
    with collecting(station) as collector:
        eventually(lambda: collector.said().count("session_present"), "the last start", 30)
        everything = list(acknowledged)
        eventually(
            lambda: all(len(seqs(station, name)) >= len(everything) for name in NAMES), "everything", 60
        )
        eventually(lambda: look(station)["messages"] == 0, "an empty spool", 30)
        eventually(lambda: all(station.runs(n)[-1].end < FOREVER for n in NAMES), "silence told", 30)
        assert collector.end() == 0
    for name in NAMES:
        assert seqs(station, name) == everything
        # One life from the first beat to the end, as without a single kill.
        if silence_us(station, name) < TIMEOUT_US:
            said = states_said(station, name)
            # No life of a collector may have been long enough to say it of a device at all.
            last = len(said) - said[::-1].index("online") if "online" in said else 0
            assert "offline" not in said[:last]
    assert_replay_agrees(station, *NAMES)
    wide = [b for b in station.blinds() if not any(b.scope)]
    assert [b.cause for b in wide if b.revoked == FOREVER and b.end < FOREVER] == []


@pytest.mark.slow
def test_fault_06_a_collector_killed_three_times_loses_and_doubles_nothing(station: Station) -> None:
    killed(station, 3)


@pytest.mark.slow
def test_fault_06_a_collector_killed_fifty_times_loses_and_doubles_nothing(station: Station) -> None:
    killed(station, 50)
