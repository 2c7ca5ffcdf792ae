"""The ledger kept up to date message by message: state in columns, decisions over batches (rule 12).

A beat in order costs O(1), a sweep the devices that are due, a late message the stretch that it touches.
The engine does no I/O of its own: a late message asks the caller's `Archive` for the stretch, and every
change is handed back in an `Outcome` for the caller to keep. Until the caller sweeps to `now`, every
message received before `now` has to be applied.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from pulse.errors import BadInput
from pulse.ledger.columns import (
    ABSENT,
    NOTHING,
    Flags,
    HeardColumns,
    Ints,
    PieceColumns,
    evidence_of,
    next_due,
    presence_now,
)
from pulse.ledger.deadlines import Deadlines
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import (
    EVER,
    FOREVER,
    Blind,
    Device,
    Evidence,
    Maintenance,
    Run,
    State,
    known_blinds,
)
from pulse.ledger.rates import Figures
from pulse.ledger.runs import history_of, spliced
from pulse.ledger.tail import NeedsArchive, Tail, appended
from pulse.ledger.terms import TermsColumns
from pulse.ledger.watch import NORMAL, Accounting, Groups, Hearing
from pulse.messages import Message

_WORDS = list(Evidence)
_STATES = list(State)


class Archive(Protocol):
    """What was kept of the past; asked only for a message that reaches back behind its device's last run."""

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        """Every message of the device applied in earlier calls with its reception or measured time in
        `[from_us, to_us)`; more does no harm."""
        ...

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        """Every run of the device ever handed out that ends after `from_us`, superseded ones too."""
        ...


class Transition(NamedTuple):
    """A device's accounted state changed at `at` (valid time)."""

    device: str
    at: int
    before: State
    after: State
    cause: str


class Rebuilt(NamedTuple):
    """Of `device`, every run that ends after `cut` is replaced by `runs`."""

    device: str
    cut: int
    runs: list[Run]


class Outcome(NamedTuple):
    """What to keep of a step: `rebuilt` first, then `runs` (by device, start, recorded and since).

    A run of a device that lives on has the end `FOREVER`; it is handed out again when it ends.
    """

    runs: list[tuple[str, Run]]
    rebuilt: list[Rebuilt]
    transitions: list[Transition]


class Status(NamedTuple):
    """One device as the engine sees it now."""

    state: State
    since: int
    tail: Tail | None


class _Saved(msgspec.Struct, array_like=True):
    version: int
    devices: list[str]
    columns: dict[str, bytes]


_SNAPSHOT_VERSION = 2
_KEPT = (
    "evidence", "start", "since", "end", "recorded", "last_at", "observed", "order", "state", "changed",
    "open",
)  # fmt: skip


class Engine:
    """Presence of all devices. One thread at a time; times are integers on one axis."""

    def __init__(
        self,
        devices: Sequence[Device],
        archive: Archive,
        *,
        start: int | None,
        blinds: Sequence[Blind],
        maintenance: Sequence[Maintenance],
        backlog_lateness: int,
        now: int,
        slot_width: int = 1_000_000,
    ) -> None:
        self._archive = archive
        self._backlog_lateness = backlog_lateness
        self._slot_width = slot_width
        self._coverage: tuple[int | None, Sequence[Blind]] = (start, blinds)
        self._columns: dict[str, Ints] = _blank(0)
        self._devices: Sequence[Device] = ()
        self._position: dict[str, int] = {}
        self._presence: Ints = np.empty(0, dtype=np.int64)
        self._over: Ints = np.empty(0, dtype=np.int64)
        self._take_registry(devices, maintenance, now)
        self._refresh(now, Outcome([], [], []))

    # Outside facts.

    def set_registry(
        self, devices: Sequence[Device], maintenance: Sequence[Maintenance], now: int
    ) -> Outcome:
        """Let time pass to `now`, then take a changed registry: known devices keep their state, new ones
        begin silent."""
        outcome = self.sweep(now)
        self._take_registry(devices, maintenance, now)
        self._refresh(now, outcome)
        return outcome

    def set_coverage(self, start: int | None, blinds: Sequence[Blind], now: int) -> Outcome:
        """Take changed coverage and, by it, let time pass to `now`.

        `start` is the collector's first instant of listening, None before it.
        """
        self._coverage = (start, blinds)
        self._hearing = self._hear(now)
        outcome = self.sweep(now)
        self._refresh(now, outcome)
        return outcome

    # Messages and time.

    def apply(self, messages: Sequence[Message], now: int) -> Outcome:
        """Take messages in; those of devices that are not registered are passed over."""
        outcome = Outcome([], [], [])
        known = [m for m in messages if m.device in self._position]
        if not known:
            return outcome
        heard = self._heard(known)
        judging = self._terms.judging(heard.device, heard.measured)
        proved = evidence_of(heard, judging.max_lateness, judging.untrusted, self._backlog_lateness)
        if not len(proved.device):
            return outcome
        proved = proved.take(np.lexsort((proved.at, proved.order, proved.observed, proved.device)))
        first = np.flatnonzero(np.append(True, proved.device[1:] != proved.device[:-1]))
        simple = self._extend(proved, first)
        last = np.append(first[1:], len(proved.device))
        for begin, until, done in zip(first.tolist(), last.tolist(), simple.tolist(), strict=True):
            if not done:
                self._take(proved.take(np.arange(begin, until)), known, outcome)
        self._judge(proved.device[first], now, outcome)
        return outcome

    def sweep(self, now: int) -> Outcome:
        """Let time pass to `now`: deadlines, the end of unproved silence, edges of accounting."""
        outcome = Outcome([], [], [])
        while True:
            due, at = self._deadlines.pop(min(now, self._edge))
            if len(due):
                self._close(due[self._columns["end"][due] <= at], outcome)
                self._change(due, at, at, outcome)
                self._set_due(due, at)
            elif self._edge <= now:
                self._refresh(self._edge, outcome)
            else:
                return outcome

    # Answers.

    def status(self, device: str) -> Status | None:
        """One device, None if it is not registered."""
        position = self._position.get(device)
        if position is None:
            return None
        columns = self._columns
        return Status(
            _STATES[columns["state"][position]], int(columns["changed"][position]), self._tail(position)
        )

    def counts(self) -> dict[tuple[str, str], Figures]:
        """The figures of this moment by (community, kind); their sum is the whole."""
        groups, state = self._groups, self._columns["state"]
        kinds, states = len(groups.kinds), len(_STATES)
        cell = groups.community * kinds + groups.kind
        cells = len(groups.communities) * kinds
        amounts = np.bincount(cell * states + state, minlength=cells * states).reshape(cells, states)
        serving = (state != State.NOT_COMMISSIONED) & (state != State.RETIRED)
        online = np.bincount(cell[serving & (self._presence == State.ONLINE)], minlength=cells)
        unknown = np.bincount(cell[serving & (self._presence == State.UNKNOWN)], minlength=cells)
        return {
            (groups.communities[i // kinds], groups.kinds[i % kinds]): Figures(
                amounts[i].tolist(), int(online[i]), int(unknown[i])
            )
            for i in np.flatnonzero(amounts.sum(axis=1)).tolist()
        }

    def snapshot(self) -> bytes:
        """The state as bytes that `restore` takes."""
        kept = {name: self._columns[name].tobytes() for name in _KEPT}
        return msgspec.msgpack.encode(_Saved(_SNAPSHOT_VERSION, [d.id for d in self._devices], kept))

    def restore(self, snapshot: bytes, now: int) -> None:
        """Take the state of a snapshot for the devices that are still registered.

        `now` is the time that the engine of the snapshot had been swept to, and that this one was made at.
        Raises `BadInput` if it is none of ours; then nothing has changed.
        """
        try:
            saved = msgspec.msgpack.decode(snapshot, type=_Saved)
        except msgspec.DecodeError as error:
            raise BadInput(f"not a snapshot of the ledger: {error}") from error
        if saved.version != _SNAPSHOT_VERSION:
            raise BadInput(f"a snapshot of version {saved.version}; this program reads {_SNAPSHOT_VERSION}")
        try:
            kept = {name: np.frombuffer(saved.columns[name], dtype=np.int64) for name in _KEPT}
        except (KeyError, ValueError) as error:
            raise BadInput(f"not a snapshot of the ledger: {error}") from error
        if any(len(column) != len(saved.devices) for column in kept.values()):
            raise BadInput("not a snapshot of the ledger: its columns are of different lengths")
        there = [(self._position[d], i) for i, d in enumerate(saved.devices) if d in self._position]
        here = np.array([h for h, _ in there], dtype=np.int64)
        old = np.array([o for _, o in there], dtype=np.int64)
        for name in _KEPT:
            self._columns[name][here] = kept[name][old]
        self._deadlines = Deadlines(len(self._devices), self._slot_width)
        # A deadline that passed while nobody looked is due at its own time, not now.
        unnoticed = (self._columns["open"] == 1) & (self._columns["end"] <= now)
        began = np.where(unnoticed, self._columns["end"] - 1, now)
        self._set_due(self._everyone, began)
        self._presence = self._presence_at(began)

    def adopt(self, device: str, tail: Tail, now: int, *, is_open: bool = True) -> None:
        """Take the last run of a device from stored rows and messages, where there is no snapshot.

        `is_open` says whether its row stands without an end; a row with one is handed out again when the
        run goes on.
        """
        position = self._position[device]
        self._put_tail(position, tail)
        one = np.array([position], dtype=np.int64)
        at = np.array([now], dtype=np.int64)
        self._columns["open"][position] = int(is_open)
        self._change(one, at, at, Outcome([], [], []))
        self._set_due(one, at)

    # The steps.

    def _take_registry(self, devices: Sequence[Device], maintenance: Sequence[Maintenance], now: int) -> None:
        old, old_columns = self._position, self._columns
        self._devices = devices
        self._position = {d.id: i for i, d in enumerate(devices)}
        self._columns = _blank(len(devices))
        old_over, self._over = self._over, np.full(len(devices), NORMAL, dtype=np.int64)
        stay = [(i, old[d.id]) for i, d in enumerate(devices) if d.id in old]
        if stay:
            here, there = (np.array(side, dtype=np.int64) for side in zip(*stay, strict=True))
            for name, column in old_columns.items():
                self._columns[name][here] = column[there]
            self._over[here] = old_over[there]
        self._terms = TermsColumns(devices)
        self._groups = Groups(devices)
        self._accounting = Accounting(self._groups, devices, maintenance)
        self._hearing = self._hear(now)
        self._presence = np.full(len(devices), State.UNKNOWN, dtype=np.int64)
        self._everyone: Ints = np.arange(len(devices), dtype=np.int64)
        self._deadlines = Deadlines(len(devices), self._slot_width)

    def _hear(self, now: int) -> Hearing:
        start, blinds = self._coverage
        before = Blind(EVER, FOREVER if start is None else start, EVER)
        return Hearing(self._groups, [before, *known_blinds(blinds, now)])

    def _refresh(self, now: int, outcome: Outcome) -> None:
        """Judge every device anew."""
        at = np.full(len(self._devices), now, dtype=np.int64)
        over = self._accounting.at(now)
        self._columns["normal_since"][(over == NORMAL) & (self._over != NORMAL)] = now
        self._over = over
        self._edge = self._accounting.next_edge(now)
        self._timeout = self._terms.timeout(self._everyone, at)
        self._change(self._everyone, at, at, outcome)
        self._set_due(self._everyone, at)

    def _heard(self, messages: Sequence[Message]) -> HeardColumns:
        count, position = len(messages), self._position
        ints = np.array(
            [
                (position[m.device], m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order)
                if m.measured_us is not None
                else (position[m.device], m.evidence, m.observed_us, ABSENT, m.retained, m.queued, m.order)
                for m in messages
            ],
            dtype=np.int64,
        ).reshape(count, 7)
        device, evidence, observed, measured, retained, queued, order = ints.T
        return HeardColumns(
            device, evidence, observed, measured, retained.astype(bool), queued.astype(bool), order
        )

    def _extend(self, proved: PieceColumns, first: Ints) -> Flags:
        """Prolong, in one go, the runs of all devices whose new evidence only says "still the same".

        `proved` is by device in order of knowing, `first` where each device begins. Says for which
        devices it was enough. The conditions are those of `tail.appended` for a run that continues in place.
        """
        columns, device = self._columns, proved.device
        deadline = proved.at + self._terms.timeout(device, proved.at)
        begins = np.zeros(len(device), dtype=bool)
        begins[first] = True
        at_before = np.where(begins, columns["last_at"][device], np.roll(proved.at, 1))
        end_before = np.where(begins, columns["end"][device], np.roll(deadline, 1))
        same = (
            (proved.evidence == columns["evidence"][device])
            & (proved.evidence != Evidence.OFFLINE)
            & (proved.at >= at_before)
            & (proved.at <= end_before)
            & (proved.observed <= end_before)
            & self._terms.single[device]
            & (columns["open"][device] == 1)
        )
        fresh = (proved.observed > columns["observed"][device]) | (
            (proved.observed == columns["observed"][device]) & (proved.order >= columns["order"][device])
        )
        simple = np.logical_and.reduceat(same & fresh, first)
        last = np.append(first[1:], len(device)) - 1
        chosen = last[simple]
        positions = device[chosen]
        columns["last_at"][positions] = proved.at[chosen]
        columns["observed"][positions] = proved.observed[chosen]
        columns["order"][positions] = proved.order[chosen]
        columns["end"][positions] = deadline[chosen]
        return simple

    def _take(self, own: PieceColumns, messages: Sequence[Message], outcome: Outcome) -> None:
        """Take one device's evidence piece by piece; what reaches back goes the long way, as a whole."""
        position = int(own.device[0])
        device, tail = self._devices[position], self._tail(position)
        changed: list[Run] = []
        shown: list[tuple[int, State]] = []
        columns = (own.at.tolist(), own.observed.tolist(), own.order.tolist(), own.evidence.tolist())
        try:
            for at, observed, order, evidence in zip(*columns, strict=True):
                step = appended(device, tail, Piece(at, observed, order, _WORDS[evidence]))
                tail = step.tail
                changed.extend(step.changed)
                if step.changed and tail.run.start == at:
                    shown.append((at, _SAID[_WORDS[evidence]]))
        except NeedsArchive:
            self._rebuild(position, int(own.at.min()), messages, outcome)
            return
        if tail is None:
            return
        reopened = not self._columns["open"][position] and not changed
        self._put_tail(position, tail)
        self._columns["open"][position] = 1
        rows = {(r.start, r.recorded, r.since): r for r in changed}
        if reopened or (tail.run.start, tail.run.recorded, tail.run.since) in rows:
            rows[tail.run.start, tail.run.recorded, tail.run.since] = tail.run._replace(end=FOREVER)
        outcome.runs.extend((device.id, run) for run in rows.values())
        if self._over[position] == NORMAL:
            # Flips within the batch; the last one is judged with everything else.
            for at, state in shown[:-1]:
                if at >= self._columns["normal_since"][position]:
                    self._show(position, at, state, outcome)

    def _rebuild(self, position: int, cut: int, messages: Sequence[Message], outcome: Outcome) -> None:
        """Recompute one device's runs from `cut` on, from all the evidence that matters there."""
        device = self._devices[position]
        reach = cut - max(t.timeout for t in device.terms)
        own = [m for m in messages if m.device == device.id]
        evidence = {
            piece
            for m in (*self._archive.messages(device.id, reach, FOREVER), *own)
            for piece in pieces(device, _as_heard(m), self._backlog_lateness)
            if piece.at >= reach
        }
        tail = self._tail(position)
        old = [
            tail.run if tail and _key(run) == _key(tail.run) and run.superseded == FOREVER else run
            for run in self._archive.runs(device.id, cut)
        ]
        # An explicit offline proves until the next evidence, however long ago it was said.
        evidence.update(
            Piece(run.since, run.since, -1, Evidence.OFFLINE)
            for run in old
            if run.evidence is Evidence.OFFLINE and run.since < reach
        )
        history = history_of(device, evidence)
        runs = spliced(old, history.runs(), cut)
        current = [run for run in runs if run.superseded == FOREVER]
        last = history.last
        if not current or last is None:
            return
        latest = max(evidence, key=lambda p: (p.observed, p.order))
        observed, order = max(
            (latest.observed, latest.order), (tail.observed, tail.order) if tail else (EVER, -1)
        )
        self._put_tail(position, Tail(current[-1], last.at, observed, order))
        self._columns["open"][position] = 1
        handed = [r._replace(end=FOREVER) if r is current[-1] else r for r in runs]
        outcome.rebuilt.append(Rebuilt(device.id, cut, handed))

    def _judge(self, positions: Ints, now: int, outcome: Outcome) -> None:
        """Judge devices after their evidence changed."""
        columns = self._columns
        self._close(positions[columns["end"][positions] <= now], outcome)
        at = np.full(len(positions), now, dtype=np.int64)
        since = np.maximum(self._begun(positions, at), columns["normal_since"][positions])
        self._change(positions, at, since, outcome)
        self._set_due(positions, at)

    def _begun(self, positions: Ints, at: Ints) -> Ints:
        """Since when the presence of devices at `at` has been what it is, as far as their last run tells."""
        c = self._columns
        start, end, timeout = c["start"][positions], c["end"][positions], self._timeout[positions]
        deaf_until = self._hearing.deaf_until(positions, at)
        offline = c["evidence"][positions] == Evidence.OFFLINE
        said = np.where(offline, deaf_until <= c["since"][positions], end > at)
        heard_out = np.where(deaf_until <= at - timeout, deaf_until + timeout, ABSENT)
        return np.where(said, start, np.maximum(np.where(offline, start, end), heard_out))

    def _close(self, positions: Ints, outcome: Outcome) -> None:
        """Hand out the runs that have ended at their deadline, once."""
        columns = self._columns
        ended = positions[
            (columns["open"][positions] == 1) & (columns["evidence"][positions] != Evidence.OFFLINE)
        ]
        columns["open"][ended] = 0
        for position in ended.tolist():
            tail = self._tail(position)
            if tail is not None:
                outcome.runs.append((self._devices[position].id, tail.run))

    def _presence_at(self, at: Ints, positions: Ints | None = None) -> Ints:
        chosen = self._everyone if positions is None else positions
        c = self._columns
        return presence_now(
            c["evidence"][chosen],
            c["since"][chosen],
            c["end"][chosen],
            self._timeout[chosen],
            self._hearing.deaf_until(chosen, at),
            at,
        )

    def _change(self, positions: Ints, at: Ints, when: Ints, outcome: Outcome) -> None:
        """Set the state of devices to what it is at `at`; a change is told as of `when`."""
        presence = self._presence_at(at, positions)
        self._presence[positions] = presence
        over = self._over[positions]
        state = np.where(over == NORMAL, presence, over)
        differs = state != self._columns["state"][positions]
        moved = zip(positions[differs].tolist(), when[differs].tolist(), state[differs].tolist(), strict=True)
        for position, moment, after in moved:
            self._show(position, moment, _STATES[after], outcome)

    def _show(self, position: int, at: int, after: State, outcome: Outcome) -> None:
        before = _STATES[self._columns["state"][position]]
        if before is after:
            return
        self._columns["state"][position] = after
        self._columns["changed"][position] = at
        cause = self._cause(position, after)
        outcome.transitions.append(Transition(self._devices[position].id, at, before, after, cause))

    def _cause(self, position: int, state: State) -> str:
        if state is State.OFFLINE:
            evidence = self._columns["evidence"][position]
            if evidence == NOTHING:
                return "never_heard"
            return "explicit_offline" if evidence == Evidence.OFFLINE else "deadline_passed"
        return _CAUSES[state]

    def _set_due(self, positions: Ints, at: Ints) -> None:
        c = self._columns
        due = next_due(
            c["evidence"][positions],
            c["since"][positions],
            c["end"][positions],
            self._timeout[positions],
            self._hearing.deaf_until(positions, at),
            at,
        )
        # An adopted run that is over may stand open where it is stored: the next sweep hands it out.
        unended = (c["open"][positions] == 1) & (c["end"][positions] <= at)
        self._deadlines.set(positions, np.where(unended, at + 1, due))

    # Columns and rows.

    def _tail(self, position: int) -> Tail | None:
        c = self._columns
        if c["evidence"][position] == NOTHING:
            return None
        run = Run(
            int(c["start"][position]),
            int(c["end"][position]),
            _WORDS[c["evidence"][position]],
            int(c["since"][position]),
            int(c["recorded"][position]),
        )
        return Tail(run, int(c["last_at"][position]), int(c["observed"][position]), int(c["order"][position]))

    def _put_tail(self, position: int, tail: Tail) -> None:
        run, c = tail.run, self._columns
        c["evidence"][position] = run.evidence
        c["start"][position], c["end"][position] = run.start, run.end
        c["since"][position], c["recorded"][position] = run.since, run.recorded
        c["last_at"][position] = tail.last_at
        c["observed"][position], c["order"][position] = tail.observed, tail.order


_SAID = {Evidence.BEAT: State.ONLINE, Evidence.FAULT: State.FAULT, Evidence.OFFLINE: State.OFFLINE}
_CAUSES = {
    State.ONLINE: "heartbeat",
    State.FAULT: "fault_reported",
    State.UNKNOWN: "collector_blind",
    State.EXCLUDED: "maintenance",
    State.NOT_COMMISSIONED: "not_commissioned",
    State.RETIRED: "retired",
}


def _blank(count: int) -> dict[str, Ints]:
    columns = {name: np.full(count, ABSENT, dtype=np.int64) for name in (*_KEPT, "normal_since")}
    columns["evidence"][:] = NOTHING
    columns["state"][:] = State.UNKNOWN
    columns["order"][:] = -1
    columns["open"][:] = 0
    return columns


def _key(run: Run) -> tuple[int, int, int]:
    return run.start, run.recorded, run.since


def _as_heard(message: Message) -> Heard:
    return Heard(
        message.evidence,
        message.observed_us,
        message.measured_us,
        message.retained,
        message.queued,
        message.order,
    )
