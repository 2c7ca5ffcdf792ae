"""The ledger kept up to date message by message: state in columns, decisions over batches (rule 12).

A beat in order costs O(1), a sweep the devices that are due, a late message the stretch that it touches.
The engine does no I/O of its own: a late message asks the caller's `Archive` for the stretch, and every
change is handed back in an `Outcome` for the caller to keep. Until the caller sweeps to `now`, every
message received before `now` has to be applied.
"""

from collections.abc import Sequence

import numpy as np

from pulse.batches import MessageColumns, columns_of
from pulse.ledger.columns import (
    ABSENT,
    NOTHING,
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
from pulse.ledger.outcome import Archive, Outcome, Rebuilt, Status, Transition
from pulse.ledger.rates import Figures
from pulse.ledger.runs import history_of, spliced
from pulse.ledger.tail import NeedsArchive, Tail, appended
from pulse.ledger.tails import WORDS, Tails
from pulse.ledger.terms import TermsColumns
from pulse.ledger.watch import NORMAL, Accounting, Groups, Hearing
from pulse.messages import Message

NEVER_HEARD = "never_heard"
"""The cause of an offline of a device of which nothing was ever heard."""

_STATES = list(State)


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
        self._tails = Tails(0)
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
        self._hear(now)
        outcome = self.sweep(now)
        self._refresh(now, outcome)
        return outcome

    # Messages and time.

    def apply(self, messages: Sequence[Message], now: int) -> Outcome:
        """Take messages in; those of devices that are not registered are passed over."""
        outcome = Outcome([], [], [])
        columns = columns_of(messages)
        heard = self._heard(columns)
        if not len(heard.device):
            return outcome
        judging = self._terms.judging(heard.device, heard.measured)
        proved = evidence_of(heard, judging.max_lateness, judging.untrusted, self._backlog_lateness)
        if not len(proved.device):
            return outcome
        proved = proved.take(np.lexsort((proved.at, proved.order, proved.observed, proved.device)))
        first = np.flatnonzero(np.append(True, proved.device[1:] != proved.device[:-1]))
        simple = self._tails.extend(proved, first, self._terms)
        last = np.append(first[1:], len(proved.device))
        for begin, until, done in zip(first.tolist(), last.tolist(), simple.tolist(), strict=True):
            if not done:
                self._take(proved.take(np.arange(begin, until)), columns, outcome)
        self._judge(proved.device[first], now, outcome)
        return outcome

    def sweep(self, now: int) -> Outcome:
        """Let time pass to `now`: deadlines, the end of unproved silence, edges of accounting."""
        outcome = Outcome([], [], [])
        while True:
            due, at = self._deadlines.pop(min(now, self._edge))
            if len(due):
                self._close(due[self._tails.columns["end"][due] <= at], outcome)
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
        columns = self._tails.columns
        return Status(
            _STATES[columns["state"][position]], int(columns["changed"][position]), self._tails.get(position)
        )

    def silences(self) -> list[tuple[str, int]]:
        """The devices in service that were heard once and are not heard now, with their last evidence."""
        columns = self._tails.columns
        silent = (columns["state"] == State.OFFLINE) | (columns["state"] == State.UNKNOWN)
        chosen = np.flatnonzero(silent & (columns["evidence"] != NOTHING))
        lasts = columns["last_at"][chosen].tolist()
        return [(self._devices[i].id, last) for i, last in zip(chosen.tolist(), lasts, strict=True)]

    def counts(self) -> dict[tuple[str, str], Figures]:
        """The figures of this moment by (community, kind); their sum is the whole."""
        groups, state = self._groups, self._tails.columns["state"]
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
        return self._tails.packed([d.id for d in self._devices])

    def restore(self, snapshot: bytes, now: int) -> None:
        """Take the state of a snapshot for the devices that are still registered.

        `now` is the time that the engine of the snapshot had been swept to, and that this one was made at.
        Raises `BadInput` if it is none of ours; then nothing has changed.
        """
        self._tails.unpack(snapshot, self._position)
        self._deadlines = Deadlines(len(self._devices), self._slot_width)
        # A deadline that passed while nobody looked is due at its own time, not now.
        unnoticed = (self._tails.columns["open"] == 1) & (self._tails.columns["end"] <= now)
        began = np.where(unnoticed, self._tails.columns["end"] - 1, now)
        self._set_due(self._everyone, began)
        self._presence = self._presence_at(began)

    def adopt(self, device: str, tail: Tail, now: int, *, is_open: bool = True) -> None:
        """Take the last run of a device from stored rows and messages, where there is no snapshot.

        `is_open` says whether its row stands without an end; a row with one is handed out again when the
        run goes on.
        """
        position = self._position[device]
        self._tails.put(position, tail)
        one = np.array([position], dtype=np.int64)
        at = np.array([now], dtype=np.int64)
        self._tails.columns["open"][position] = int(is_open)
        self._change(one, at, self._begun(one, at), Outcome([], [], []))
        self._set_due(one, at)

    # The steps.

    def _take_registry(self, devices: Sequence[Device], maintenance: Sequence[Maintenance], now: int) -> None:
        old, old_tails = self._position, self._tails
        self._devices = devices
        self._position = {d.id: i for i, d in enumerate(devices)}
        self._tails = Tails(len(devices))
        old_over, self._over = self._over, np.full(len(devices), NORMAL, dtype=np.int64)
        stay = [(i, old[d.id]) for i, d in enumerate(devices) if d.id in old]
        if stay:
            here, there = (np.array(side, dtype=np.int64) for side in zip(*stay, strict=True))
            self._tails.take(here, old_tails, there)
            self._over[here] = old_over[there]
        self._terms = TermsColumns(devices)
        self._groups = Groups(devices)
        self._accounting = Accounting(self._groups, devices, maintenance)
        self._hear(now)
        self._presence = np.full(len(devices), State.UNKNOWN, dtype=np.int64)
        self._everyone: Ints = np.arange(len(devices), dtype=np.int64)
        self._deadlines = Deadlines(len(devices), self._slot_width)

    def _hear(self, now: int) -> None:
        """Take coverage as known at `now`; what was recorded later (after a restart) follows in its turn."""
        start, blinds = self._coverage
        before = Blind(EVER, FOREVER if start is None else start, EVER)
        self._hearing = Hearing(self._groups, [before, *known_blinds(blinds, now)])
        self._news = min((t for b in blinds for t in (b.recorded, b.revoked) if t > now), default=FOREVER)

    def _refresh(self, now: int, outcome: Outcome) -> None:
        """Judge every device anew."""
        at = np.full(len(self._devices), now, dtype=np.int64)
        over = self._accounting.at(now)
        self._tails.columns["normal_since"][(over == NORMAL) & (self._over != NORMAL)] = now
        self._over = over
        if self._news <= now:
            self._hear(now)
        self._edge = min(self._accounting.next_edge(now), self._news)
        self._timeout = self._terms.timeout(self._everyone, at)
        self._change(self._everyone, at, at, outcome)
        self._set_due(self._everyone, at)

    def _heard(self, messages: MessageColumns) -> HeardColumns:
        """Those of registered devices."""
        at = np.array([self._position.get(o.device, -1) for o in messages.origins], dtype=np.int64)
        device = at[messages.origin] if len(at) else np.empty(0, dtype=np.int64)
        known = device >= 0
        return HeardColumns(
            device[known],
            messages.evidence[known].astype(np.int64),
            messages.observed[known],
            messages.measured[known],
            messages.retained[known],
            messages.queued[known],
            messages.order[known],
        )

    def _take(self, own: PieceColumns, batch: MessageColumns, outcome: Outcome) -> None:
        """Take one device's evidence piece by piece; what reaches back goes the long way, as a whole."""
        position = int(own.device[0])
        device, tail = self._devices[position], self._tails.get(position)
        changed: list[Run] = []
        shown: list[tuple[int, State]] = []
        columns = (own.at.tolist(), own.observed.tolist(), own.order.tolist(), own.evidence.tolist())
        try:
            for at, observed, order, evidence in zip(*columns, strict=True):
                step = appended(device, tail, Piece(at, observed, order, WORDS[evidence]))
                tail = step.tail
                changed.extend(step.changed)
                if step.changed and tail.run.start == at:
                    shown.append((at, _SAID[WORDS[evidence]]))
        except NeedsArchive:
            self._rebuild(position, int(own.at.min()), batch.of(device.id), outcome)
            return
        if tail is None:
            return
        reopened = not self._tails.columns["open"][position] and not changed
        self._tails.put(position, tail)
        self._tails.columns["open"][position] = 1
        rows = {(r.start, r.recorded, r.since): r for r in changed}
        if reopened or (tail.run.start, tail.run.recorded, tail.run.since) in rows:
            rows[tail.run.start, tail.run.recorded, tail.run.since] = tail.run._replace(end=FOREVER)
        outcome.runs.extend((device.id, run) for run in rows.values())
        if self._over[position] == NORMAL:
            # Flips within the batch; the last one is judged with everything else.
            for at, state in shown[:-1]:
                if at >= self._tails.columns["normal_since"][position]:
                    self._show(position, at, state, outcome)

    def _rebuild(self, position: int, cut: int, own: Sequence[Message], outcome: Outcome) -> None:
        """Recompute one device's runs from `cut` on, from all the evidence that matters there.

        `own` are its messages that the archive does not have yet.
        """
        device = self._devices[position]
        reach = cut - max(t.timeout for t in device.terms)
        evidence = {
            piece
            for m in (*self._archive.messages(device.id, reach, FOREVER), *own)
            for piece in pieces(device, _as_heard(m), self._backlog_lateness)
            if piece.at >= reach
        }
        tail = self._tails.get(position)
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
        self._tails.put(position, Tail(current[-1], last.at, observed, order))
        self._tails.columns["open"][position] = 1
        handed = [r._replace(end=FOREVER) if r is current[-1] else r for r in runs]
        outcome.rebuilt.append(Rebuilt(device.id, cut, handed))

    def _judge(self, positions: Ints, now: int, outcome: Outcome) -> None:
        """Judge devices after their evidence changed."""
        columns = self._tails.columns
        self._close(positions[columns["end"][positions] <= now], outcome)
        at = np.full(len(positions), now, dtype=np.int64)
        since = np.maximum(self._begun(positions, at), columns["normal_since"][positions])
        self._change(positions, at, since, outcome)
        self._set_due(positions, at)

    def _begun(self, positions: Ints, at: Ints) -> Ints:
        """Since when the presence of devices at `at` has been what it is, as far as their last run tells."""
        c = self._tails.columns
        start, end, timeout = c["start"][positions], c["end"][positions], self._timeout[positions]
        deaf_until = self._hearing.deaf_until(positions, at)
        offline = c["evidence"][positions] == Evidence.OFFLINE
        said = np.where(offline, deaf_until <= c["since"][positions], end > at)
        heard_out = np.where(deaf_until <= at - timeout, deaf_until + timeout, ABSENT)
        return np.where(said, start, np.maximum(np.where(offline, start, end), heard_out))

    def _close(self, positions: Ints, outcome: Outcome) -> None:
        """Hand out the runs that have ended at their deadline, once."""
        columns = self._tails.columns
        ended = positions[
            (columns["open"][positions] == 1) & (columns["evidence"][positions] != Evidence.OFFLINE)
        ]
        columns["open"][ended] = 0
        for position in ended.tolist():
            tail = self._tails.get(position)
            if tail is not None:
                outcome.runs.append((self._devices[position].id, tail.run))

    def _presence_at(self, at: Ints, positions: Ints | None = None) -> Ints:
        chosen = self._everyone if positions is None else positions
        c = self._tails.columns
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
        differs = state != self._tails.columns["state"][positions]
        moved = zip(positions[differs].tolist(), when[differs].tolist(), state[differs].tolist(), strict=True)
        for position, moment, after in moved:
            self._show(position, moment, _STATES[after], outcome)

    def _show(self, position: int, at: int, after: State, outcome: Outcome) -> None:
        before = _STATES[self._tails.columns["state"][position]]
        if before is after:
            return
        self._tails.columns["state"][position] = after
        self._tails.columns["changed"][position] = at
        cause = self._cause(position, after)
        outcome.transitions.append(Transition(self._devices[position].id, at, before, after, cause))

    def _cause(self, position: int, state: State) -> str:
        if state is State.OFFLINE:
            evidence = self._tails.columns["evidence"][position]
            if evidence == NOTHING:
                return NEVER_HEARD
            return "explicit_offline" if evidence == Evidence.OFFLINE else "deadline_passed"
        return _CAUSES[state]

    def _set_due(self, positions: Ints, at: Ints) -> None:
        c = self._tails.columns
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


_SAID = {Evidence.BEAT: State.ONLINE, Evidence.FAULT: State.FAULT, Evidence.OFFLINE: State.OFFLINE}
_CAUSES = {
    State.ONLINE: "heartbeat",
    State.FAULT: "fault_reported",
    State.UNKNOWN: "collector_blind",
    State.EXCLUDED: "maintenance",
    State.NOT_COMMISSIONED: "not_commissioned",
    State.RETIRED: "retired",
}


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
