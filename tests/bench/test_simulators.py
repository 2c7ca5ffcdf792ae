"""What the simulated fleet costs: 826 connections in one process at their normal pace."""

import time
from pathlib import Path

import pytest

from pulse.settings import Broker
from simulators.scenario import DEFAULT
from tests.servers import mosquitto
from tests.simulators.live import running, until

READY_S = 60.0
MOST_OF_A_CORE = 0.25


def test_826_connections_take_less_than_a_quarter_of_a_core(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path / "broker") as broker,
        running(Broker(broker.url), DEFAULT, seed=3) as simulation,
    ):
        assert until(lambda: bool(simulation.reports) and simulation.reports[-1].connected >= 810, READY_S)
        identity = simulation.thread.ident
        assert identity is not None
        cpu = time.pthread_getcpuclockid(identity)
        before_s, cpu_before_s = time.monotonic(), time.clock_gettime(cpu)
        reports = len(simulation.reports)
        assert until(lambda: len(simulation.reports) >= reports + 2, READY_S)
        share = (time.clock_gettime(cpu) - cpu_before_s) / (time.monotonic() - before_s)
        last = simulation.reports[-1]
        print(f"\n826 simulated devices: {share:.1%} of one core at {last.beats_per_s:.1f} heartbeats/s")
        assert share < MOST_OF_A_CORE
        assert last.wanted - 12 <= last.connected <= last.wanted
        assert last.beats_per_s == pytest.approx(21, rel=0.5)
        assert last.lost == 0
