"""What the ledger costs: ratios between fleets of 826 and 82,600 devices, and a replay of a million messages.

Figures are printed, never compared with a clock: `make bench`.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, Blind, Device, Evidence, Run, State, Terms
from pulse.ledger.outcome import Outcome
from pulse.messages import Channel, Message

SECOND = 1_000_000
KINDS = (
    "camera",
    "access_control",
    "smart_lock",
    "gas_alarm",
    "flow_meter",
    "sorting_bin",
    "perimeter_alarm",
)
COMMUNITIES = ("xinjinglou", "rongxinyuan", "yiminyuan")
SMALL, LARGE = 826, 82_600
INTERVAL_S, TIMEOUT_S = 60, 180


class Memory:
    """An archive of the messages and runs that a benchmark has made."""

    def __init__(self) -> None:
        self.log: dict[str, list[Message]] = {}
        self.rows: dict[str, list[Run]] = {}

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        return [m for m in self.log.get(device, ()) if from_us <= m.observed_us < to_us]

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        return [run for run in self.rows.get(device, ()) if run.end > from_us]


def fleet(count: int) -> list[Device]:
    terms = (Terms(EVER, TIMEOUT_S * SECOND, 3600 * SECOND),)
    return [
        Device(f"dev-{i}", COMMUNITIES[i % 3], KINDS[i % 7], terms, commissioned=EVER) for i in range(count)
    ]


def an_engine(count: int, memory: Memory) -> Engine:
    return Engine(
        Fleet(fleet(count)),
        memory,
        start=0,
        blinds=(),
        maintenance=(),
        backlog_lateness=7 * 86_400 * SECOND,
        now=0,
    )


def beat(device: int, at: int, order: int, measured: int | None = None) -> Message:
    evidence, channel = Evidence.BEAT, Channel.HEARTBEAT
    return Message(f"dev-{device}", "", "", evidence, channel, at, measured, False, False, order, order=order)


def rounds(count: int, number: int, start_s: int = 0) -> Iterator[list[Message]]:
    """Batches of 1,000 beats: every device once in each round, evenly through its interval."""
    batch: list[Message] = []
    for turn in range(number):
        for device in range(count):
            at = (start_s + turn * INTERVAL_S) * SECOND + device * INTERVAL_S * SECOND // count
            batch.append(beat(device, at, turn * count + device, at - 20_000))
            if len(batch) == 1000:
                yield batch
                batch = []
    if batch:
        yield batch


def took(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def tell(what: str, small: float, large: float, unit: str) -> None:
    print(
        f"\n{what}: {small:.3g} {unit} at {SMALL}, {large:.3g} {unit} at {LARGE}: ratio {large / small:.2f}"
    )


def alive(count: int, memory: Memory | None = None) -> tuple[Engine, int]:
    """An engine all of whose devices have beaten twice, and the time."""
    engine = an_engine(count, memory or Memory())
    for batch in rounds(count, 2):
        engine.apply(batch, batch[-1].observed_us)
    now = 2 * INTERVAL_S * SECOND
    engine.sweep(now)
    assert sum(f.online_raw for f in engine.counts().values()) == count
    return engine, now


def beats_in_order(count: int) -> float:
    """Microseconds for a beat in order."""
    engine, _ = alive(count)
    batches = list(rounds(count, max(2, 165_200 // count), start_s=2 * INTERVAL_S))
    seconds = took(lambda: [engine.apply(batch, batch[-1].observed_us) for batch in batches])
    assert sum(f.online_raw for f in engine.counts().values()) == count
    return seconds * 1e6 / sum(map(len, batches))


def test_a_beat_in_order_costs_the_same_in_a_larger_fleet() -> None:
    tell("a beat in order, in batches of 1,000", beats_in_order(SMALL), beats_in_order(LARGE), "µs")


def idle_sweeps(count: int) -> float:
    engine, now = alive(count)
    outcomes: list[Outcome] = []
    seconds = took(lambda: outcomes.extend(engine.sweep(now + i * 1000) for i in range(10_000)))
    assert not any(map(any, outcomes))
    return seconds * 1e6 / 10_000


def test_a_sweep_with_nothing_due_costs_nothing() -> None:
    tell("a sweep with nothing due", idle_sweeps(SMALL), idle_sweeps(LARGE), "µs")


def due_sweeps(count: int) -> float:
    engine, now = alive(count)
    told = 0

    def sweep() -> None:
        nonlocal told
        for second in range(TIMEOUT_S + INTERVAL_S):
            told += len(engine.sweep(now + second * SECOND).transitions)

    seconds = took(sweep)
    assert told == count
    return seconds * 1e6 / count


def test_a_sweep_costs_the_devices_that_are_due() -> None:
    small, large = due_sweeps(SMALL), due_sweeps(LARGE)
    tell("a device that falls silent, in sweeps of one second", small, large, "µs")


def due_at_once(count: int) -> float:
    engine, now = alive(count)
    seconds = took(lambda: engine.sweep(now + TIMEOUT_S * SECOND))
    return seconds * 1e6 / count


def test_a_fleet_that_falls_silent_at_once_costs_its_devices() -> None:
    tell("a device of a fleet that falls silent at once", due_at_once(SMALL), due_at_once(LARGE), "µs")


def late_beats(count: int) -> float:
    """Beats that close a gap half an hour ago."""
    memory = Memory()
    engine = an_engine(count, memory)
    for second in (0, 1800):
        batch = [beat(device, second * SECOND + device, device) for device in range(count)]
        for device, run in engine.apply(batch, batch[-1].observed_us).runs:
            memory.rows.setdefault(device, []).append(run)
        for message in batch:
            memory.log.setdefault(message.device, []).append(message)
        for device, run in engine.sweep((second + 300) * SECOND).runs:
            memory.rows[device] = [r for r in memory.rows[device] if r.start != run.start] + [run]
    late = [beat(device, 2101 * SECOND, LARGE + device, 900 * SECOND) for device in range(500)]
    seconds = took(lambda: engine.apply(late, 2101 * SECOND))
    return seconds * 1e6 / len(late)


def test_a_late_beat_costs_the_stretch_that_it_touches() -> None:
    tell("a late beat (its archive in memory)", late_beats(SMALL), late_beats(LARGE), "µs")


def coverage_changes(count: int) -> float:
    engine, now = alive(count)
    blinds = [Blind(i * SECOND, i * SECOND + 1, i * SECOND) for i in range(100)]
    seconds = took(lambda: [engine.set_coverage(0, blinds[: i + 1], now) for i in range(20)])
    return seconds * 1e3 / 20


def test_coverage_changes_cost_one_look_at_every_device() -> None:
    tell("a change of coverage", coverage_changes(SMALL), coverage_changes(LARGE), "ms")


def test_restoring_every_device_from_a_snapshot() -> None:
    figures: list[float] = []
    for count in (SMALL, LARGE):
        engine, now = alive(count)
        snapshot = memoryview(b"".join(engine.snapshot()))
        again = an_engine(count, Memory())
        figures.append(took(lambda: again.restore(snapshot, now)) * 1e3)  # noqa: B023 - called at once
        status = again.status("dev-0")
        assert status is not None
        assert status.state is State.ONLINE
    tell("restoring a snapshot", figures[0], figures[1], "ms")


def replay_file(path: Path, count: int, *, fractions: bool) -> None:
    """A file of `count` messages of 826 devices: beats every minute with their own clock's time."""
    chance = random.Random(2020)
    devices = [
        {
            "id": d.id,
            "community": d.community,
            "kind": d.kind,
            "timeout_s": TIMEOUT_S,
            "commissioned_at": 0,
            "retired_at": None,
            "max_lateness_s": 3600,
        }
        for d in fleet(SMALL)
    ]
    end = count * INTERVAL_S // SMALL
    queries = [{"at": end // 2}, {"from": 0, "to": end}, {"from": 0, "to": end // 2, "known_at": end // 2}]
    with path.open("w", encoding="utf-8") as file:
        head = {"devices": devices, "coverage": {"start": 0}, "queries": queries}
        file.write(json.dumps(head)[:-1] + ', "messages": [')
        for i in range(count):
            at = i * INTERVAL_S / SMALL
            shown = f"{at:.6f}" if fractions else f"{int(at)}"
            own = f"{at - chance.random():.6f}" if fractions else f"{int(at) - chance.randrange(2)}"
            comma = "," if i else ""
            times = f'"observed_at":{shown},"measured_at":{own}'
            file.write(f'{comma}{{"device":"dev-{i % SMALL}","kind":"beat",{times}}}')
        file.write("]}")


@pytest.mark.parametrize("fractions", [False, True], ids=["whole", "fractions"])
def test_a_replay_of_a_million_messages(tmp_path: Path, fractions: bool) -> None:
    figures = []
    for count in (100_000, 1_000_000):
        path = tmp_path / f"{count}.json"
        replay_file(path, count, fractions=fractions)
        command = [sys.executable, "-m", "pulse", "replay", str(path)]
        done = None

        def run() -> None:
            nonlocal done
            done = subprocess.run(command, capture_output=True, check=True)  # noqa: B023 - called at once

        figures.append(took(run))
        assert done is not None
        answers = json.loads(done.stdout)["answers"]
        assert answers[0]["raw"] == [SMALL, SMALL]
        path.unlink()
    kind = "fractions of seconds" if fractions else "whole seconds"
    print(f"\nreplay, {kind}: 100,000 messages {figures[0]:.2f} s, 1,000,000 messages {figures[1]:.2f} s")
