"""A ledger at work, as the collector drives it; its rows kept in a dictionary as a database would."""

from collections.abc import Sequence

from pulse.ledger.answer import Stretch, timeline
from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER, Blind, Device, Maintenance, Run, State
from pulse.ledger.outcome import Outcome, Transition
from pulse.ledger.presence import accounted, presence_at
from pulse.ledger.replay import Known
from pulse.ledger.runs import known_runs, runs_known
from pulse.messages import Message
from tests.ledger.strategies import World


class Kept:
    """Keeps what the engine hands out as a database would, and gives it back on demand."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[int, int, int], Run]] = {}
        self.log: list[Message] = []
        self.transitions: list[Transition] = []

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

    def known(self, device: str, known_at: int) -> list[Run]:
        return known_runs(self.rows.get(device, {}).values(), known_at)


def engine_of(world: World, kept: Kept, now: int = -1) -> Engine:
    books = world.books
    return Engine(
        Fleet(books.devices),
        kept,
        start=books.start,
        blinds=books.blinds,
        maintenance=books.maintenance,
        backlog_lateness=books.backlog_lateness,
        now=now,
        slot_width=4,
    )


def saved(engine: Engine) -> memoryview:
    """A snapshot in one piece."""
    return memoryview(b"".join(engine.snapshot()))


def replayed_states(world: World, device: Device, known_at: int) -> list[Stretch]:
    """The whole past of a device as known at one time, from messages."""
    return states_of(world, device, runs_known(device, world.evidence(device), known_at), known_at)


def stored_states(world: World, kept: Kept, device: Device, known_at: int) -> list[Stretch]:
    """The same from the rows alone; an open one says that the device is alive until now."""
    return states_of(world, device, kept.known(device.id, known_at), known_at)


def states_of(world: World, device: Device, runs: Sequence[Run], known_at: int) -> list[Stretch]:
    """What runs known at one time say of the whole past."""
    known = Known(world.books, known_at)
    listening, windows = known.listening(device), known.maintenance(device)
    return timeline(device, runs, listening, windows, 0, known_at + 1, known_at)


def state_at(world: World, device: Device, at: int, known_at: int) -> State:
    """The readable rule's word on one instant."""
    blinds = [b for b in world.books.coverage_known(known_at) if b.scope.covers(device)]
    evidence = [p for p in world.evidence(device) if p.observed <= known_at]
    windows = Known(world.books, known_at).maintenance(device)
    return accounted(device, presence_at(device, evidence, blinds, at), windows, at, known_at)


class Live:
    """The collector's order of doing: messages, registry, coverage, then time.

    What the engine is told of a moment is what was known then: entries and terms of the future are hidden.
    """

    def __init__(self, world: World, kept: Kept | None = None, *, begin: int = -1) -> None:
        self.world = world
        self.kept = kept or Kept()
        self.now = begin
        self._waiting = sorted(world.messages, key=lambda m: (m.observed_us, m.order))
        self._applied: list[Message] = []
        self._told = self._facts(begin)
        self.engine = self._engine(begin)
        self._saved = saved(self.engine), begin, 0, self._told[0]

    def step(self, now: int) -> list[Transition]:
        """Everything that happens until `now`, noticed then; changed terms too, however late."""
        return self._advance(self._arrived(now), now)

    def _arrived(self, now: int) -> list[Message]:
        batch = []
        while self._waiting and self._waiting[0].observed_us <= now:
            batch.append(self._waiting.pop(0))
        return batch

    def state(self, device: Device) -> State:
        """The state that the engine has of a device."""
        status = self.engine.status(device.id)
        assert status is not None
        return status.state

    def save(self) -> None:
        """Take a snapshot."""
        self._saved = saved(self.engine), self.now, len(self._applied), self._told[0]

    def restart(self, *, store_is_behind: bool = False, judge_late: bool = False) -> None:
        """Lose the engine; go on from its snapshot, what the database says and the messages applied since.

        The telemetry store may have none of these, or be needed before anything can be judged anew.
        """
        snapshot, through, position, then = self._saved
        self.engine = self._engine(through)
        self.engine.restore(snapshot, through)
        self.engine.was_judged_by(Fleet(then), self.now)
        again, self._applied = self._applied[position:], self._applied[:position]
        if store_is_behind:
            self.kept.log = list(self._applied)
        if not judge_late:
            self._judge_anew()
        for i in range(0, len(again), 2):
            some = again[i : i + 2]
            self._keep(self.engine.apply(some, self.now))
            self._applied.extend(some)
            if store_is_behind:
                self.kept.log.extend(some)
        self._judge_anew()
        self._told = self._facts(self.now)
        self._advance([], self.now)

    def _advance(self, batch: Sequence[Message], now: int) -> list[Transition]:
        self.now = now
        told: list[Transition] = []
        told += self._keep(self.engine.apply(batch, now))
        self.kept.log.extend(batch)
        self._applied.extend(batch)
        facts = self._facts(now)
        devices, maintenance, blinds = facts
        if (devices, maintenance) != self._told[:2]:
            told += self._keep(self.engine.set_registry(Fleet(devices), maintenance, now))
            told += self._judge_anew()
        if facts != self._told:
            told += self._keep(self.engine.set_coverage(self.world.books.start, blinds, now))
        self._told = facts
        told += self._keep(self.engine.sweep(now))
        return told

    def _judge_anew(self) -> list[Transition]:
        told: list[Transition] = []
        while self.engine.waiting_since is not None:
            told += self._keep(self.engine.judge_anew(self.now, 1))
        return told

    def _keep(self, outcome: Outcome) -> list[Transition]:
        self.kept.keep(outcome)
        return list(outcome.transitions)

    def _engine(self, now: int) -> Engine:
        devices, maintenance, blinds = self._facts(self.now)
        books = self.world.books._replace(devices=devices, maintenance=maintenance, blinds=blinds)
        return engine_of(self.world._replace(books=books), self.kept, now)

    def _facts(self, now: int) -> tuple[list[Device], list[Maintenance], list[Blind]]:
        books = self.world.books
        devices = [d._replace(terms=tuple(t for t in d.terms if t.since <= now + 1)) for d in books.devices]
        windows = [
            w._replace(cancelled=w.cancelled if w.cancelled <= now else FOREVER)
            for w in books.maintenance
            if w.recorded <= now
        ]
        blinds = [
            b._replace(revoked=b.revoked if b.revoked <= now else FOREVER)
            for b in books.blinds
            if b.recorded <= now
        ]
        return devices, windows, blinds
