"""What a fleet costs one collector, from a thousand devices to a million: memory, restart, sweeps, deadlines.

The real `pulse collector` with a real mosquitto and a generator of heartbeats beside it, all on this machine.
Figures are printed, never compared with a clock: `make bench`.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from pulse.clock import SECOND_US, parse_time
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Device, State, Terms
from pulse.stores.relational import coverage
from tests.bench import city
from tests.bench.test_ledger import TIMEOUT_S, took
from tests.collector.station import Station
from tests.faults.house import ROOT, Process
from tests.servers import RunningBroker, mosquitto

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RATE = 20_000
SECONDS = 60
"""Every device of the largest fleet is heard in that time."""
SETTLE_S = 10
SILENT = 6_000
"""At most so many devices fall silent in the measured time, a tenth of a small fleet."""

FIGURES: dict[int, dict[str, float]] = {}
ROWS = (
    ("memory, registered: MB over none", "registered_mb"),
    ("memory at 20,000/s: MB over none", "busy_mb"),
    ("memory, highest: MB over none", "peak_mb"),
    ("restart until connected, s", "connected_s"),
    ("restart until up to date, s", "current_s"),
    ("restart after a kill under load, s", "crashed_connected_s"),
    ("... until up to date, s", "crashed_current_s"),
    ("a sweep with nothing due, µs", "idle_sweep_us"),
    ("a beat in the ledger, µs", "beat_us"),
    ("figures of the moment, µs", "counts_us"),
    ("a change of coverage, ms", "coverage_ms"),
    ("a snapshot, MB", "snapshot_mb"),
    ("CPU of the collector a heartbeat, µs", "cpu_us"),
    ("deadlines that passed", "silent"),
    ("... noticed", "noticed"),
    ("... after, median, s", "lag_p50_s"),
    ("... after, p99, s", "lag_p99_s"),
    ("... after, at most, s", "lag_max_s"),
)


# The ledger alone.


def the_ledger(count: int) -> dict[str, float]:
    """Milliseconds and microseconds of an engine's steps."""
    second = SECOND_US
    devices = (
        Device(city.name(n), *city.place(n), (Terms(-(1 << 62), TIMEOUT_S * second),), 0)
        for n in range(count)
    )
    fleet = Fleet(devices)
    engine = city.engine_of(fleet, 0)
    interval_us = 50 * second
    times = np.arange(count, dtype=np.int64) * interval_us // count + second
    now = second + interval_us
    list(city.heard(engine, times, now))
    assert sum(f.online_raw for f in engine.counts().values()) == count
    some = max(1, min(count, 1000))
    batches = [
        city.beats(first, now + times[first : first + some], count + first)
        for first in range(0, min(count, 200_000), some)
    ]
    beats_s = took(lambda: [engine.apply(batch, int(batch.observed[-1])) for batch in batches])
    now += interval_us
    engine.sweep(now)
    idle_s = took(lambda: [engine.sweep(now + step) for step in range(1000)])
    counts_s = took(lambda: [engine.counts() for _ in range(100)])
    coverage_s = took(lambda: engine.set_coverage(0, [], now + 2000))
    saved = memoryview(b"".join(engine.snapshot()))
    again = city.engine_of(fleet, now)
    restore_s = took(lambda: again.restore(saved, now))
    status = again.status(city.name(count - 1))
    assert status is not None
    assert status.state is State.ONLINE
    return {
        "beat_us": beats_s * 1e6 / sum(map(len, batches)),
        "idle_sweep_us": idle_s * 1e3,
        "counts_us": counts_s * 1e4,
        "coverage_ms": coverage_s * 1e3,
        "restore_ms": restore_s * 1e3,
        "snapshot_mb": len(saved) / 1e6,
    }


# The process.


def resident(process: Process, what: str = "VmRSS") -> float:
    """Megabytes of a process."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024 / 1e6


def cpu_s(process: Process) -> float:
    """Seconds of processor time that it used."""
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_for(what: Callable[[], bool], process: Process, began: float, within_s: float = 300) -> float:
    """Seconds since `began` until something is so."""
    while not what():
        assert process.process.poll() is None, process.said()
        assert time.monotonic() - began < within_s, process.said()
        time.sleep(0.02)
    return time.monotonic() - began


class Start(NamedTuple):
    """A collector that hears, and the seconds from its start to its connection and to hearing everything."""

    process: Process
    connected_s: float
    current_s: float


def started(station: Station) -> Start:
    """Start a collector and wait until its watermark is of now."""
    began, began_us = time.monotonic(), station.clock.now_us()
    process = Process(station, "collector", PULSE_CANARY_INTERVAL_S="10")
    connected_s = waited_for(lambda: '"connected"' in process.said(), process, began)

    def current() -> bool:
        with station.db.read() as connection:
            mark = coverage.watermark(connection)
        return mark is not None and mark.listening and mark.through_us > began_us + connected_s * SECOND_US

    return Start(process, connected_s, waited_for(current, process, began))


class Listener:
    """Notes when each device is published as offline for its deadline, and what the deadline was."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []

    def heard(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        now_us = time.time_ns() // 1000
        body = json.loads(message.payload)
        if body["cause"] == "deadline_passed" and not message.retain:
            self.lags_s.append((now_us - parse_time(body["since"], "since")) / SECOND_US)


@contextmanager
def listening(broker: RunningBroker) -> Iterator[Listener]:
    listener = Listener()
    client = Client(CallbackAPIVersion.VERSION2, "bench-listener")
    client.on_message = listener.heard
    client.connect(broker.host, broker.port)
    client.subscribe("pulse/devices/+/state", 1)
    client.loop_start()
    try:
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()


class Memory(threading.Thread):
    """Watches the resident memory of a process."""

    def __init__(self, process: Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._over = threading.Event()
        self.seen_mb: list[float] = []

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.seen_mb.append(resident(self._process))

    def stop(self) -> None:
        self._over.set()
        self.join()


def the_process(folder: Path, count: int) -> dict[str, float]:
    with mosquitto(folder / "broker") as broker:
        broker.start()
        station = city.installation(folder / "pulse", broker.url)
        empty = started(station)
        time.sleep(3)
        none_mb = resident(empty.process)
        assert empty.process.end() == 0
        city.register(station, count)
        silent = min(SILENT, count // 10)
        # Made for a moment to come: it takes a while. Those that fall silent do so one after the other while
        # the others are heard.
        begin_us = station.clock.now_us() + (2 + count // 16_000) * SECOND_US
        lead_s = 15 + count // 40_000
        times = begin_us - SECOND_US + np.arange(count, dtype=np.int64) * SECOND_US // count
        times[:silent] = (
            begin_us
            + (lead_s + SETTLE_S - TIMEOUT_S) * SECOND_US
            + np.arange(silent, dtype=np.int64) * ((SECONDS - SETTLE_S) * SECOND_US) // silent
        )
        city.settle(station, times, begin_us)
        time.sleep(max(0, (begin_us - station.clock.now_us()) / SECOND_US))
        start = started(station)
        process = start.process
        try:
            peak_mb = resident(process, "VmHWM")
            time.sleep(max(0, lead_s - (station.clock.now_us() - begin_us) / SECOND_US))
            registered_mb = resident(process)
            memory = Memory(process)
            memory.start()
            used_s = cpu_s(process)
            with listening(broker) as listener:
                command = [sys.executable, "-m", "tests.bench.heartbeats"]
                told = subprocess.run(
                    [*command, *map(str, (broker.port, silent, count, RATE, SECONDS))],
                    cwd=ROOT, check=True, capture_output=True,
                )  # fmt: skip
                used_s = cpu_s(process) - used_s
                time.sleep(5)
            memory.stop()
            sent = json.loads(told.stdout)
            lags = np.array(listener.lags_s)
            process.kill()
            again = started(station)
            process = again.process
            assert sent["latest_s"] < 2, f"the generator could not keep its pace: {sent}"
            return {
                "registered_mb": registered_mb - none_mb,
                "busy_mb": float(np.median(memory.seen_mb)) - none_mb,
                "peak_mb": max(peak_mb, *memory.seen_mb, resident(process, "VmHWM")) - none_mb,
                "connected_s": start.connected_s,
                "current_s": start.current_s,
                "crashed_connected_s": again.connected_s,
                "crashed_current_s": again.current_s,
                "cpu_us": used_s * 1e6 / sent["sent"],
                "silent": silent,
                "noticed": len(lags),
                "lag_p50_s": float(np.quantile(lags, 0.5)),
                "lag_p99_s": float(np.quantile(lags, 0.99)),
                "lag_max_s": float(lags.max()),
            }
        finally:
            process.kill()


def table() -> str:
    """What is known so far, a column for each size; and what each device more takes."""
    lines = ["".join([f"{'devices':<40}", *(f"{count:>12,}" for count in FIGURES)])]
    lines += [
        "".join([f"{title:<40}", *(f"{own[member]:>12.3g}" for own in FIGURES.values())])
        for title, member in ROWS
    ]
    (small, before), (large, after) = (min(FIGURES.items()), max(FIGURES.items()))
    if large > small:
        for member, state in (("registered_mb", "registered"), ("busy_mb", "at 20,000/s")):
            each = (after[member] - before[member]) * 1e6 / (large - small)
            lines.append(f"bytes for each device from {small:,} to {large:,}, {state}: {each:.0f}")
    return "\n".join(lines)


@pytest.mark.parametrize("count", SIZES)
def test_what_a_fleet_costs(tmp_path: Path, count: int) -> None:
    FIGURES[count] = {**the_ledger(count), **the_process(tmp_path, count)}
    print(f"\n{table()}")
    assert FIGURES[count]["noticed"] == FIGURES[count]["silent"]
