"""The ledger kept up to date message by message: state in columns, decisions over batches (rule 12).

A beat in order costs O(1), a sweep the devices that are due, a late message the stretch that it touches.
The engine does no I/O of its own: a late message asks the caller's `Archive` for the stretch, and every
change is handed back in an `Outcome` for the caller to keep. Until the caller sweeps to `now`, every
message received before `now` has to be applied.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pulse.batches import MessageColumns, columns_of
from pulse.ledger.changed import Changed, changed_terms
from pulse.ledger.columns import (
    ABSENT,
    NOTHING,
    Flags,
    HeardColumns,
    Ints,
    PieceColumns,
    by_device,
    evidence_of,
    next_due,
    presence_now,
)
from pulse.ledger.deadlines import Deadlines
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.fleet import Fleet
from pulse.ledger.index import CHUNK
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
from pulse.ledger.tally import Tally
from pulse.ledger.watch import NORMAL, Accounting, Hearing
from pulse.messages import Message

NEVER_HEARD = "never_heard"
"""The cause of an offline of a device of which nothing was ever heard."""

_STATES = list(State)
_ALIVE = (Evidence.BEAT, Evidence.FAULT)


class Engine:
    """Presence of all devices. One thread at a time; times are integers on one axis."""

    def __init__(
        self,
        fleet: Fleet,
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
        self._fleet = Fleet()
        self._tails = Tails(0)
        self._presence: NDArray[np.int8] = np.empty(0, dtype=np.int8)
        self._over: NDArray[np.int8] = np.empty(0, dtype=np.int8)
        self._waiting: dict[str, int] = {}
        """Devices whose evidence from a time on has to be judged anew."""
        self._take_registry(fleet, maintenance, np.full(len(fleet), -1, dtype=np.int64), now)
        self._refresh(now, None)

    # Outside facts.

    def set_registry(self, fleet: Fleet, maintenance: Sequence[Maintenance], now: int) -> Outcome:
        """Let time pass to `now`, then take a changed registry: known devices keep their state, new ones
        begin silent.

        What was heard since terms changed was judged by those of before. Where that takes more than another
        deadline, the devices wait for `judge_anew`.
        """
        outcome = self.sweep(now)
        there = fleet.index.located(self._fleet.index)
        changed = changed_terms(self._fleet.terms, there, fleet.terms, now)
        self._take_registry(fleet, maintenance, there, now)
        # A queued beat of a distrusted clock proved nothing, and left no trace of having been heard.
        heard = self._tails.columns["observed"][changed.position] >= changed.since
        self._retime(changed.where(heard | changed.trusted_now), now)
        self._refresh(now, outcome)
        return outcome

    def was_judged_by(self, fleet: Fleet, until: int) -> None:
        """Say by whose terms what is stored was judged, all of it until `until`, after it was restored.

        Where these are not the terms of now, the devices wait for `judge_anew`; better before anything else.
        """
        there = fleet.index.located(self._fleet.index)
        changed = changed_terms(fleet.terms, there, self._fleet.terms, until)
        # What was heard after the snapshot is not in it, and may have been judged and stored.
        self._retime(changed, until)

    @property
    def waiting(self) -> int:
        """How many devices wait for `judge_anew`."""
        return len(self._waiting)

    @property
    def waiting_since(self) -> int | None:
        """What the archive has to reach back to before `judge_anew` can be called; None if nobody waits."""
        return min((cut - self._reach(device) for device, cut in self._waiting.items()), default=None)

    def judge_anew(self, now: int, most: int = 1000) -> Outcome:
        """Judge the evidence of devices that wait for it by their present terms, of so many at most."""
        outcome = Outcome([], [], [])
        for device in list(self._waiting)[:most]:
            cut = self._waiting.pop(device)
            position = int(self._fleet.positions([device])[0])
            if position >= 0:
                self._rebuild(position, cut, (), outcome)
                self._judge(np.array([position], dtype=np.int64), now, outcome)
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
        judging = self._fleet.terms.judging(heard.device, heard.measured)
        proved = evidence_of(heard, judging.max_lateness, judging.untrusted, self._backlog_lateness)
        if not len(proved.device):
            return outcome
        proved = by_device(proved)
        first = np.flatnonzero(np.append(True, proved.device[1:] != proved.device[:-1]))
        simple, reopened = self._tails.extend(proved, first, self._fleet.terms)
        if not simple.all():
            others = self._take_others(proved, first, simple, columns, outcome)
            reopened = np.append(reopened, others)
        self._judge(proved.device[first], now, outcome)
        # Those that have ended once more were handed out by that.
        self._hand_out(reopened[self._tails.columns["open"][reopened] == 1], outcome)
        return outcome

    def _take_others(
        self, proved: PieceColumns, first: Ints, simple: Flags, batch: MessageColumns, outcome: Outcome
    ) -> Ints:
        """Take the evidence of devices for which more is to do than to prolong a run.

        Of a backlog the first piece begins a stretch for most devices, and the others only prolong that.
        Gives the positions whose run had ended and was prolonged by that, so that it is open again.
        """
        reopened = np.empty(0, dtype=np.int64)
        last = np.append(first[1:], len(proved.device))
        alike = self._tails.alike(proved, first, self._fleet.terms)
        left = []
        for begin, until, one_will_do in zip(
            first[~simple].tolist(), last[~simple].tolist(), alike[~simple].tolist(), strict=True
        ):
            own = proved.take(np.arange(begin, until))
            if self._take(own, batch, outcome, 1 if one_will_do else len(own.device)) and one_will_do:
                left.append(np.arange(begin + 1, until))
        rest = proved.take(np.concatenate(left)) if left else proved.take(np.arange(0))
        if len(rest.device):
            first = np.flatnonzero(np.append(True, rest.device[1:] != rest.device[:-1]))
            simple, reopened = self._tails.extend(rest, first, self._fleet.terms)
            last = np.append(first[1:], len(rest.device))
            for begin, until in zip(first[~simple].tolist(), last[~simple].tolist(), strict=True):
                self._take(rest.take(np.arange(begin, until)), batch, outcome, until - begin)
        return reopened

    def _hand_out(self, positions: Ints, outcome: Outcome) -> None:
        """Hand out open runs whose stored rows have an end."""
        for device, run in self._last_runs(positions):
            outcome.runs.append((device, run._replace(end=FOREVER)))

    def _last_runs(self, positions: Ints) -> Iterator[tuple[str, Run]]:
        heard = positions[self._tails.columns["evidence"][positions] != NOTHING]
        return zip(self._fleet.ids(heard), self._tails.runs(heard), strict=True)

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
        position = int(self._fleet.positions([device])[0])
        return None if position < 0 else self._status(position)

    def statuses(self) -> Iterator[tuple[str, Status]]:
        """Every device, in the order of the fleet."""
        return ((device, self._status(position)) for position, device in enumerate(self._fleet))

    def last_evidence(self, positions: Ints) -> list[int]:
        """The time of the last evidence of the devices at these positions of the fleet."""
        return self._tails.columns["last_at"][positions].tolist()  # type: ignore[no-any-return]

    def silences(self) -> list[tuple[str, int]]:
        """The devices in service that were heard once and are not heard now, with their last evidence."""
        columns = self._tails.columns
        silent = (columns["state"] == State.OFFLINE) | (columns["state"] == State.UNKNOWN)
        chosen = np.flatnonzero(silent & (columns["evidence"] != NOTHING))
        lasts = columns["last_at"][chosen].tolist()
        return [(self._fleet.id(i), last) for i, last in zip(chosen.tolist(), lasts, strict=True)]

    def counts(self) -> dict[tuple[str, str], Figures]:
        """The figures of this moment by (community, kind); their sum is the whole."""
        return self._tally.figures()

    def snapshot(self) -> Iterator[memoryview]:
        """The state as pieces that, joined, `restore` takes; good until the engine is used again."""
        return self._tails.packed(self._fleet)

    def restore(self, snapshot: memoryview, now: int) -> list[str]:
        """Take the state of a snapshot for the devices that are still registered; those that it has not.

        Of these there may be runs that are stored already: `adopt` them. `now` is the time that the engine of
        the snapshot had been swept to, and that this one was made at.
        Raises `BadInput` if it is none of ours; then nothing has changed.
        """
        absent = self._tails.unpack(snapshot, self._fleet)
        # Terms may have changed since the last beat without the engine of the snapshot having known.
        columns = self._tails.columns
        alive = np.flatnonzero((columns["open"] == 1) & np.isin(columns["evidence"], _ALIVE))
        columns["end"][alive] = columns["last_at"][alive] + self._fleet.terms.timeout(
            alive, columns["last_at"][alive]
        )
        self._deadlines = Deadlines(len(self._fleet), self._slot_width)
        for positions in self._everyone():
            # A deadline that passed while nobody looked is due at its own time, not now.
            end = self._tails.columns["end"][positions]
            unnoticed = (self._tails.columns["open"][positions] == 1) & (end <= now)
            began = np.where(unnoticed, end - 1, now)
            self._set_due(positions, began)
            self._presence[positions] = self._presence_at(began, positions)
        self._count()
        # Registry and maintenance may have changed before `now` without the engine of the snapshot having
        # known: the next sweep judges everyone.
        self._edge = now
        return [self._fleet.id(position) for position in absent.tolist()]

    def adopt(self, device: str, tail: Tail, now: int, *, is_open: bool = True) -> None:
        """Take the last run of a device from stored rows and messages, where there is no snapshot.

        `is_open` says whether its row stands without an end; a row with one is handed out again when the
        run goes on.
        """
        position = int(self._fleet.positions([device])[0])
        if position < 0:
            raise KeyError(device)
        self._tails.put(position, tail)
        one = np.array([position], dtype=np.int64)
        at = np.array([now], dtype=np.int64)
        self._tails.columns["open"][position] = int(is_open)
        self._change(one, at, self._begun(one, at), Outcome([], [], []))
        self._set_due(one, at)

    # The steps.

    def _take_registry(self, fleet: Fleet, maintenance: Sequence[Maintenance], there: Ints, now: int) -> None:
        here = np.flatnonzero(there >= 0)
        there = there[here]
        over = np.full(len(fleet), NORMAL, dtype=np.int8)
        over[here] = self._over[there]
        self._over = over
        tails = Tails(len(fleet))
        tails.move(self._tails, here, there)
        self._fleet, self._tails = fleet, tails
        self._accounting = Accounting(fleet, maintenance)
        self._hear(now)
        self._presence = np.full(len(fleet), State.UNKNOWN, dtype=np.int8)
        self._deadlines = Deadlines(len(fleet), self._slot_width)
        self._count()

    def _retime(self, changed: Changed, now: int) -> None:
        """Let what was heard since the terms of devices changed be judged by the new ones.

        As long as the change is more recent than a timeout, no silence can have begun or ended by it, and
        the deadline is all that moves; else the evidence has to be gone through.
        """
        columns, terms = self._tails.columns, self._fleet.terms
        position, since = changed.position, changed.since
        simple = (
            changed.timeout_alone
            & (columns["open"][position] == 1)
            & np.isin(columns["evidence"][position], _ALIVE)
            & (columns["start"][position] < since)
            & (columns["end"][position] > now)
            & (now - since < changed.shortest)
        )
        chosen = position[simple]
        last_at = columns["last_at"][chosen]
        columns["end"][chosen] = last_at + terms.timeout(chosen, last_at)
        left = zip(position[~simple].tolist(), since[~simple].tolist(), strict=True)
        for one, cut in left:
            device = self._fleet.id(one)
            self._waiting[device] = min(cut, self._waiting.get(device, cut))

    def _reach(self, device: str) -> int:
        """How far before a time evidence may lie that tells of it."""
        found = self._fleet.get(device)
        return 0 if found is None else max(terms.timeout for terms in found.terms)

    def _count(self) -> None:
        """Count everyone anew."""
        self._tally = Tally(self._fleet.places)
        self._tally.add(self._fleet.place, self._tails.columns["state"], self._presence)

    def _everyone(self) -> Iterator[Ints]:
        """All positions, in pieces that keep what is worked out for them small."""
        count = len(self._fleet)
        return (
            np.arange(first, min(first + CHUNK, count), dtype=np.int64) for first in range(0, count, CHUNK)
        )

    def _hear(self, now: int) -> None:
        """Take coverage as known at `now`; what was recorded later (after a restart) follows in its turn."""
        start, blinds = self._coverage
        before = Blind(EVER, FOREVER if start is None else start, EVER)
        self._hearing = Hearing(self._fleet, [before, *known_blinds(blinds, now)])
        self._news = min((t for b in blinds for t in (b.recorded, b.revoked) if t > now), default=FOREVER)

    def _refresh(self, now: int, outcome: Outcome | None) -> None:
        """Judge every device anew; without an outcome nobody is told."""
        over = self._accounting.at(now)
        self._tails.columns["normal_since"][(over == NORMAL) & (self._over != NORMAL)] = now
        self._over = over
        if self._news <= now:
            self._hear(now)
        self._edge = min(self._accounting.next_edge(now), self._news)
        self._timeouts = self._fleet.terms.timeouts_of_lists(now)
        for positions in self._everyone():
            at = np.full(len(positions), now, dtype=np.int64)
            if outcome is None:
                self._begin(positions, at)
            else:
                self._change(positions, at, at, outcome)
            self._set_due(positions, at)
        if outcome is None:
            self._count()

    def _timeout(self, positions: Ints) -> Ints:
        """The timeout of each device since the last edge."""
        return self._timeouts[self._fleet.terms.number[positions]]

    def _status(self, position: int) -> Status:
        columns = self._tails.columns
        return Status(
            _STATES[columns["state"][position]], int(columns["changed"][position]), self._tails.get(position)
        )

    def _heard(self, messages: MessageColumns) -> HeardColumns:
        """Those of registered devices."""
        at = self._fleet.positions_of(messages.origins)
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

    def _take(self, own: PieceColumns, batch: MessageColumns, outcome: Outcome, count: int) -> bool:
        """Take the first `count` pieces of a device's evidence one by one.

        What reaches back goes the long way, all of it: then the answer is False.
        """
        position = int(own.device[0])
        device, tail = self._fleet.device(position), self._tails.get(position)
        changed: list[Run] = []
        shown: list[tuple[int, State]] = []
        columns = (column[:count].tolist() for column in (own.at, own.observed, own.order, own.evidence))
        try:
            for at, observed, order, evidence in zip(*columns, strict=True):
                step = appended(device, tail, Piece(at, observed, order, WORDS[evidence]))
                tail = step.tail
                changed.extend(step.changed)
                if step.changed and tail.run.start == at:
                    shown.append((at, _SAID[WORDS[evidence]]))
        except NeedsArchive:
            self._rebuild(position, int(own.at.min()), batch.of(device.id), outcome)
            return False
        if tail is None:
            return True
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
        return True

    def _rebuild(self, position: int, cut: int, own: Sequence[Message], outcome: Outcome) -> None:
        """Recompute one device's runs from `cut` on, from all the evidence that matters there.

        `own` are its messages that the archive does not have yet.
        """
        device = self._fleet.device(position)
        reach = cut - max(t.timeout for t in device.terms)
        evidence = {
            piece
            for m in (*self._archive.messages(device.id, reach, FOREVER), *own)
            for piece in pieces(device, _as_heard(m), self._backlog_lateness)
            if piece.at >= reach
        }
        tail = self._tails.get(position)
        # Those that end at the cut too: what ended an offline there may have proved nothing.
        old = [
            tail.run if tail and _key(run) == _key(tail.run) and run.superseded == FOREVER else run
            for run in self._archive.runs(device.id, cut - 1)
        ]
        # An explicit offline proves until the next evidence, however long ago it was said.
        evidence.update(
            Piece(run.since, run.since, -1, Evidence.OFFLINE)
            for run in old
            if run.evidence is Evidence.OFFLINE and run.since < reach
        )
        history = history_of(device, evidence)
        runs = spliced(old, history.runs(), cut)
        current = [run for run in runs if run.superseded == FOREVER and run.end >= cut]
        last = history.last
        if not current or last is None:
            # Nothing proves anything from the cut on.
            outcome.rebuilt.append(Rebuilt(device.id, cut, runs))
            self._tails.put(position, self._tail_before(device, cut))
            self._tails.columns["open"][position] = 0
            return
        latest = max(evidence, key=lambda p: (p.observed, p.order))
        observed, order = max(
            (latest.observed, latest.order), (tail.observed, tail.order) if tail else (EVER, -1)
        )
        self._tails.put(position, Tail(current[-1], last.at, observed, order))
        self._tails.columns["open"][position] = 1
        handed = [r._replace(end=FOREVER) if r is current[-1] else r for r in runs]
        outcome.rebuilt.append(Rebuilt(device.id, cut, handed))

    def _tail_before(self, device: Device, cut: int) -> Tail | None:
        """The last run of a device that ended by `cut`, as stored: at its deadline, since nothing follows."""
        stored = self._archive.runs(device.id, EVER)
        ended = [run for run in stored if run.superseded == FOREVER and run.end <= cut]
        if not ended:
            return None
        run = max(ended)
        possible = (run.end - terms.timeout for terms in device.terms)
        at = max((at for at in possible if at + device.terms_at(at).timeout == run.end), default=run.start)
        return Tail(run, at, max(at, run.recorded), -1)

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
        start, end, timeout = c["start"][positions], c["end"][positions], self._timeout(positions)
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
        outcome.runs.extend(self._last_runs(ended))

    def _presence_at(self, at: Ints, positions: Ints) -> Ints:
        c = self._tails.columns
        return presence_now(
            c["evidence"][positions],
            c["since"][positions],
            c["end"][positions],
            self._timeout(positions),
            self._hearing.deaf_until(positions, at),
            at,
        )

    def _change(self, positions: Ints, at: Ints, when: Ints, outcome: Outcome) -> None:
        """Set the state of devices to what it is at `at`; a change is told as of `when`."""
        presence = self._presence_at(at, positions)
        state = self._tails.columns["state"]
        moved = np.flatnonzero(presence != self._presence[positions])
        if len(moved):
            chosen = positions[moved]
            place, told = self._fleet.place[chosen], state[chosen]
            self._tally.take(place, told, self._presence[chosen])
            self._tally.add(place, told, presence[moved])
            self._presence[chosen] = presence[moved]
        over = self._over[positions]
        after = np.where(over == NORMAL, presence, over)
        differs = np.flatnonzero(after != state[positions])
        columns = (positions[differs].tolist(), when[differs].tolist(), after[differs].tolist())
        for position, moment, new in zip(*columns, strict=True):
            self._show(position, moment, _STATES[new], outcome)

    def _begin(self, positions: Ints, at: Ints) -> None:
        """Set the state of devices that nobody was told anything of yet."""
        presence, over = self._presence_at(at, positions), self._over[positions]
        self._presence[positions] = presence
        state = np.where(over == NORMAL, presence, over)
        told = self._tails.columns["state"]
        self._tails.columns["changed"][positions[state != told[positions]]] = at[0]
        told[positions] = state

    def _show(self, position: int, at: int, after: State, outcome: Outcome) -> None:
        before = _STATES[self._tails.columns["state"][position]]
        if before is after:
            return
        self._tally.move(self._fleet.place[position], self._presence[position], before, after)
        self._tails.columns["state"][position] = after
        self._tails.columns["changed"][position] = at
        cause = self._cause(position, after)
        outcome.transitions.append(Transition(self._fleet.id(position), at, before, after, cause))

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
            self._timeout(positions),
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
