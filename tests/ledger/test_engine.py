"""The engine is the replay, message by message: rule 12 as properties."""

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.ledger.answer import timeline
from pulse.ledger.engine import Engine, Outcome
from pulse.ledger.model import FOREVER, Device, Evidence, Run, State
from pulse.ledger.presence import accounted, presence_at
from pulse.ledger.replay import Known
from pulse.ledger.runs import known_runs, runs_known
from pulse.messages import Message
from tests.ledger.strategies import HORIZON, World, worlds


class Kept:
    """Keeps what the engine hands out as a database would, and gives it back on demand."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[int, int, int], Run]] = {}
        self.log: list[Message] = []
        self.transitions: list[tuple[str, int, State, State, str]] = []

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        return [
            m
            for m in self.log
            if m.device == device
            and (
                from_us <= m.observed_us < to_us
                or (m.measured_us is not None and from_us <= m.measured_us < to_us)
            )
        ]

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        return [r for r in self.rows.get(device, {}).values() if r.end > from_us]

    def keep(self, outcome: Outcome) -> None:
        for device, cut, runs in outcome.rebuilt:
            own = self.rows.setdefault(device, {})
            for key in [k for k, r in own.items() if r.end > cut]:
                del own[key]
            own.update({(r.start, r.recorded, r.since): r for r in runs})
        for device, run in outcome.runs:
            self.rows.setdefault(device, {})[run.start, run.recorded, run.since] = run
        self.transitions.extend(outcome.transitions)


def engine_of(world: World, kept: Kept, now: int = -1) -> Engine:
    books = world.books
    return Engine(
        books.devices,
        kept,
        start=books.start,
        blinds=books.blinds,
        maintenance=books.maintenance,
        backlog_lateness=books.backlog_lateness,
        now=now,
        slot_width=4,
    )


def feed(engine: Engine, kept: Kept, batch: Sequence[Message], now: int) -> None:
    kept.keep(engine.apply(batch, now))
    kept.log.extend(batch)


def kept_runs(engine: Engine, kept: Kept, device: Device, known_at: int) -> list[Run]:
    """The stored rows, the open one with the end that the engine knows."""
    status = engine.status(device.id)
    assert status is not None
    rows = []
    for row in kept.rows.get(device.id, {}).values():
        open_row = (
            row.end == FOREVER
            and row.superseded == FOREVER
            and row.evidence is not Evidence.OFFLINE
            and status.tail is not None
        )
        if open_row:
            assert status.tail is not None
            assert status.tail.run[:1] + status.tail.run[2:] == row[:1] + row[2:]
            rows.append(status.tail.run)
        else:
            rows.append(row)
    return known_runs(rows, known_at)


def same_answers(world: World, engine: Engine, kept: Kept, until: int) -> None:
    for device in world.books.devices:
        evidence = world.evidence(device)
        for known_at in range(until + 1):
            known = Known(world.books, known_at)
            listening, windows = known.listening(device), known.maintenance(device)
            stored = kept_runs(engine, kept, device, known_at)
            for earlier, later in itertools.pairwise(stored):
                assert earlier.end <= later.start or later.start > known_at
            replayed = runs_known(device, evidence, known_at)
            assert timeline(device, stored, listening, windows, 0, known_at + 1, known_at) == timeline(
                device, replayed, listening, windows, 0, known_at + 1, known_at
            ), known_at


@settings(max_examples=400, deadline=None)
@given(worlds(), st.data())
def test_engine_equals_replay_for_every_known_at_in_any_order_of_processing(
    world: World, data: st.DataObject
) -> None:
    kept = Kept()
    engine = engine_of(world, kept)
    shuffled = data.draw(st.permutations(world.messages)) if data.draw(st.booleans()) else world.messages
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        batch, shuffled = list(shuffled[:size]), shuffled[size:]
        feed(engine, kept, batch, max(m.observed_us for m in batch))
    same_answers(world, engine, kept, HORIZON)


@settings(max_examples=200, deadline=None)
@given(worlds(), st.data())
def test_live_states_are_those_of_the_readable_rule(world: World, data: st.DataObject) -> None:
    """Messages in order of observation, sweeps in between: at every sweep each device has its state."""
    kept = Kept()
    messages = sorted(world.messages, key=lambda m: (m.observed_us, m.order))
    engine = engine_of(world._replace(messages=messages), kept)
    position = 0
    for now in range(0, HORIZON + 30, data.draw(st.integers(1, 9))):
        batch = []
        while position < len(messages) and messages[position].observed_us <= now:
            batch.append(messages[position])
            position += 1
        kept.keep(engine.set_coverage(world.books.start, world.books.blinds, now))
        feed(engine, kept, batch, now)
        kept.keep(engine.sweep(now))
        for device in world.books.devices:
            status = engine.status(device.id)
            assert status is not None
            blinds = [b for b in world.books.coverage_known(now) if b.scope.covers(device)]
            evidence = [p for p in world.evidence(device) if p.observed <= now]
            windows = Known(world.books, now).maintenance(device)
            presence = presence_at(device, evidence, blinds, now)
            assert status.state is accounted(device, presence, windows, now, now), (now, device)
    same_answers(world._replace(messages=messages), engine, kept, HORIZON)
