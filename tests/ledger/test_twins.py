"""Every batch form agrees with its readable twin, every stretch with the rule asked instant by instant."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pulse.ledger import answer, columns
from pulse.ledger.answer import Listening
from pulse.ledger.columns import ABSENT, NOTHING, HeardColumns, Ints
from pulse.ledger.deadlines import Deadlines
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import (
    EVER,
    FOREVER,
    Blind,
    Device,
    Evidence,
    Maintenance,
    Run,
    Scope,
    State,
    Terms,
    known_maintenance,
)
from pulse.ledger.presence import accounted, listened, presence_at
from pulse.ledger.replay import ColumnMessages, Known
from pulse.ledger.runs import RunHistory, history_of, known_runs, runs_known, spliced
from pulse.ledger.tail import NeedsArchive, Tail, appended
from pulse.ledger.tails import Tails
from pulse.ledger.watch import NORMAL, Accounting, Hearing, covered
from tests.ledger.strategies import HORIZON, World, blinds, devices, instants, scopes, windows, worlds


def in_columns(heard: Sequence[tuple[int, Heard]]) -> HeardColumns:
    def column(values: Sequence[int]) -> Ints:
        return np.array(values, dtype=np.int64)

    return HeardColumns(
        column([position for position, _ in heard]),
        column([h.evidence for _, h in heard]),
        column([h.observed for _, h in heard]),
        column([ABSENT if h.measured is None else h.measured for _, h in heard]),
        column([h.retained for _, h in heard]).astype(bool),
        column([h.queued for _, h in heard]).astype(bool),
        column([h.order for _, h in heard]),
    )


def one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)


# Evidence.


@given(worlds())
def test_evidence_of_a_batch_is_that_of_its_messages(world: World) -> None:
    books, heard = world.books, world.heard()
    batch = in_columns(heard)
    judging = Fleet(books.devices).terms.judging(batch.device, batch.measured)
    proved = columns.evidence_of(batch, judging.max_lateness, judging.untrusted, books.backlog_lateness)
    by_batch = sorted(zip(*(column.tolist() for column in proved), strict=True))
    one_by_one = sorted(
        (position, *piece)
        for position, message in heard
        for piece in pieces(books.devices[position], message, books.backlog_lateness)
    )
    assert by_batch == one_by_one


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 70_000]),
            st.integers(0, 3),
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from([0, 1]),
        )
    ),
    st.booleans(),
)
def test_a_batch_is_sorted_by_device_and_by_knowing_whatever_its_order(
    rows: list[tuple[int, int, int, int, int]], in_order: bool
) -> None:
    def knowing(row: tuple[int, ...]) -> tuple[int, ...]:
        device, at, observed, order, _ = row
        return device, observed, order, at

    if in_order:
        # Each with an order of its own, as from the spool.
        rows = [(*row[:3], number, row[4]) for number, row in enumerate(sorted(rows, key=lambda r: r[2]))]
    taken = columns.PieceColumns(*np.array(rows, dtype=np.int64).reshape(len(rows), 5).T)
    found = list(zip(*(column.tolist() for column in columns.by_device(taken)), strict=True))
    assert found == sorted(rows, key=knowing)


# Runs.


@given(worlds())
def test_runs_from_columns_are_the_readable_ones_at_every_knowledge_time(world: World) -> None:
    source = ColumnMessages(world.books, in_columns(world.heard()))
    for known_at in range(HORIZON + 1):
        found = source.runs(known_at)
        for position, device in enumerate(world.books.devices):
            readable = runs_known(device, world.evidence(device), known_at)
            assert list(found.get(position, ())) == readable


tails = st.builds(
    Tail,
    st.builds(Run, instants, instants, st.sampled_from(Evidence), instants, instants, st.just(FOREVER)),
    instants,
    instants,
    instants,
)


@given(st.lists(tails, min_size=1, max_size=6), st.data())
def test_the_last_runs_of_many_devices_are_those_of_each(every: list[Tail], data: st.DataObject) -> None:
    kept = Tails(len(every))
    for position, tail in enumerate(every):
        kept.put(position, tail)
    chosen = data.draw(st.lists(st.integers(0, len(every) - 1)))
    assert kept.runs(np.array(chosen, dtype=np.int64)) == [every[position].run for position in chosen]


def said_at(runs: Sequence[Run], at: int) -> tuple[Evidence, int | None] | None:
    """What the runs say of one instant; of an explicit offline also since when."""
    said = [(r.evidence, r.since if r.evidence is Evidence.OFFLINE else None) for r in runs if holds(r, at)]
    assert len(said) <= 1
    return said[0] if said else None


def holds(run: Run, at: int) -> bool:
    return run.start <= at < run.end


@st.composite
def evidence_lists(draw: st.DrawFn, *, changing: bool) -> tuple[Device, list[Piece]]:
    device = draw(devices(changing=changing))[0]
    found = []
    for order in range(draw(st.integers(0, 12))):
        observed = draw(st.integers(0, 24))
        at = observed if draw(st.booleans()) else draw(st.integers(0, observed))
        word = draw(st.sampled_from([Evidence.BEAT, Evidence.BEAT, Evidence.FAULT, Evidence.OFFLINE]))
        found.append(Piece(at, observed, order, word))
    return device, found


@settings(max_examples=150)
@given(evidence_lists(changing=True))
def test_a_history_of_runs_tells_what_was_known_at_every_time(case: tuple[Device, list[Piece]]) -> None:
    device, evidence = case
    ever = history_of(device, evidence).runs()
    assert len({(r.start, r.recorded, r.since) for r in ever}) == len(ever)
    for known_at in range(26):
        then = known_runs(ever, known_at)
        readable = runs_known(device, evidence, known_at)
        for at in range(known_at + 1):
            assert said_at(then, at) == said_at(readable, at), (known_at, at)


def test_late_evidence_corrects_a_stretch_that_was_itself_learnt_in_two_parts() -> None:
    """Silence was told at 2, life instead at 3; then one more beat of 1 comes in and, at last, a fault."""
    device = Device("d", "a", "camera", (Terms(EVER, 2),), EVER)
    beat, fault = Evidence.BEAT, Evidence.FAULT
    evidence = [
        Piece(0, 0, 0, beat),
        Piece(1, 3, 1, beat),
        Piece(3, 3, 1, beat),
        Piece(1, 4, 2, beat),
        Piece(1, 6, 3, fault),
    ]
    ever = history_of(device, evidence[:4]).runs()
    assert [(r.start, r.end, r.recorded) for r in ever] == [(0, 2, 0), (2, 5, 3)]
    ever = history_of(device, evidence).runs()
    assert [(r.start, r.end, r.evidence) for r in known_runs(ever, 6)] == [
        (0, 1, beat),
        (1, 3, fault),
        (3, 5, beat),
    ]
    assert [(r.start, r.end, r.evidence) for r in known_runs(ever, 5)] == [
        (0, 1, beat),
        (1, 2, beat),
        (2, 3, beat),
        (3, 5, beat),
    ]


@settings(max_examples=150)
@given(evidence_lists(changing=True))
def test_appending_to_the_tail_is_adding_to_the_history(case: tuple[Device, list[Piece]]) -> None:
    device, evidence = case
    history, tail = RunHistory(device), None
    rows: dict[tuple[int, int, int], Run] = {}
    for piece in sorted(evidence, key=lambda p: (p.observed, p.order, p.at)):
        history.add(piece)
        assert history.last is not None
        assert history.tail is not None
        try:
            step = appended(device, tail, piece)
        except NeedsArchive:
            tail = Tail(history.tail, history.last.at, piece.observed, piece.order)
            rows = {(r.start, r.recorded, r.since): r for r in history.runs()}
            continue
        tail = step.tail
        for run in (*step.changed, tail.run):
            rows[run.start, run.recorded, run.since] = run
        assert tail == Tail(history.tail, history.last.at, piece.observed, piece.order)
        assert sorted(rows.values()) == history.runs()


@settings(max_examples=150)
@given(evidence_lists(changing=True), st.data())
def test_splicing_a_rebuilt_stretch_in_gives_the_whole_history(
    case: tuple[Device, list[Piece]], data: st.DataObject
) -> None:
    device, evidence = case
    split = data.draw(st.integers(0, len(evidence)))
    before, late = evidence[:split], evidence[split:]
    if not late:
        return
    cut = min(piece.at for piece in late)
    reach = cut - max(terms.timeout for terms in device.terms)
    rows = history_of(device, before).runs()
    untouched, old = [r for r in rows if r.end <= cut], [r for r in rows if r.end > cut]
    near = [p for p in evidence if p.at >= reach]
    still_said = [
        Piece(r.since, r.since, -1, r.evidence)
        for r in old
        if r.evidence is Evidence.OFFLINE and r.since < reach
    ]
    ever = [*untouched, *spliced(old, history_of(device, [*still_said, *near]).runs(), cut)]
    for known_at in range(26):
        then = known_runs(ever, known_at)
        readable = runs_known(device, evidence, known_at)
        for at in range(known_at + 1):
            assert said_at(then, at) == said_at(readable, at), (known_at, at)


# Presence.


@given(worlds())
def test_presence_of_batches_of_runs_and_of_evidence_agree_at_every_instant(world: World) -> None:
    for device in world.books.devices:
        evidence = world.evidence(device)
        for known_at in range(0, HORIZON + 1, 3):
            known = Known(world.books, known_at)
            listening = known.listening(device)
            entries = [b for b in world.books.coverage_known(known_at) if b.scope.covers(device)]
            runs = runs_known(device, evidence, known_at)
            then = [p for p in evidence if p.observed <= known_at]
            stretches = list(answer.presence_of(runs, listening, 0, known_at + 1))
            for at in range(known_at + 1):
                readable = presence_at(device, then, entries, at)
                timeout = device.terms_at(at).timeout
                assert answer.presence_now(runs, listening, timeout, at) is readable
                assert [s.state for s in stretches if s.start <= at < s.end] == [readable]
                last = next((r for r in reversed(runs) if r.start <= at), None)
                deaf_until = listening.deaf_until(at)
                found = columns.presence_now(
                    one(NOTHING if last is None else last.evidence),
                    one(ABSENT if last is None else last.since),
                    one(ABSENT if last is None else last.end),
                    one(timeout),
                    one(ABSENT if deaf_until is None else deaf_until),
                    at,
                )
                assert found.tolist() == [readable]


@given(worlds(changing=False))
def test_nothing_changes_by_itself_before_the_next_due_instant(world: World) -> None:
    """With evidence and coverage as they are, presence holds until `next_due`."""
    for device in world.books.devices:
        listening = Known(world.books, FOREVER - 1).listening(device)
        runs = runs_known(device, world.evidence(device), FOREVER - 1)
        timeout = device.terms[0].timeout
        for at in range(HORIZON):
            deaf_until = listening.deaf_until(at)
            last = next((r for r in reversed(runs) if r.start <= at), None)
            coming = min((r.start for r in runs if r.start > at), default=FOREVER)
            blind_next = min((b.start for b in world.books.blinds if b.start > at), default=FOREVER)
            due = int(
                columns.next_due(
                    one(NOTHING if last is None else last.evidence),
                    one(ABSENT if last is None else last.since),
                    one(ABSENT if last is None else last.end),
                    one(timeout),
                    one(ABSENT if deaf_until is None else deaf_until),
                    at,
                )[0]
            )
            assert due > at
            now = answer.presence_now(runs, listening, timeout, at)
            for later in range(at + 1, min(due, coming, blind_next, HORIZON + 30)):
                assert answer.presence_now(runs, listening, timeout, later) is now, (at, due, later)


# Coverage.


@given(st.lists(st.builds(Blind, instants, instants, st.just(0)), max_size=4), devices(changing=True))
def test_silence_is_judged_as_the_rule_judges_every_instant(
    entries: list[Blind], fleet: list[Device]
) -> None:
    device = fleet[0]
    entries = [e for e in entries if e.start < e.end]
    listening = Listening(entries, device.terms)
    for start, end in ((0, HORIZON + 20), (11, 12), (25, 47)):
        stretches = list(listening.of_silence(start, end))
        assert [s.start for s in stretches] == [start, *(s.end for s in stretches[:-1])]
        assert stretches[-1].end == end
        for s in stretches:
            for at in range(s.start, s.end):
                heard_out = listened(entries, at - device.terms_at(at).timeout, at)
                assert s.state is (State.OFFLINE if heard_out else State.UNKNOWN), at
    assert list(listening.of_silence(5, 5)) == []


@given(st.lists(st.builds(Blind, instants, instants, st.just(0)), max_size=4), instants, instants)
def test_an_explicit_offline_stands_until_the_collector_is_blind(
    entries: list[Blind], said: int, end: int
) -> None:
    entries = [e for e in entries if e.start < e.end]
    end = max(said, end)
    listening = Listening(entries, (Terms(EVER, 5),))
    stands = listening.offline_stands_until(said, end)
    assert said <= stands <= end
    for at in range(said, end):
        assert (at < stands) == listened(entries, said, at), at


@given(blinds(), devices(changing=False), instants)
def test_how_long_each_device_went_unheard_is_the_same_in_columns(
    entries: list[Blind], fleet: list[Device], at: int
) -> None:
    entries = [e for e in entries if e.start < e.end]
    hearing = Hearing(Fleet(fleet), list(entries))
    everyone = np.arange(len(fleet), dtype=np.int64)
    found = hearing.deaf_until(everyone, np.full(len(fleet), at, dtype=np.int64)).tolist()
    for device, until in zip(fleet, found, strict=True):
        own = [e for e in entries if e.scope.covers(device)]
        expected = Listening(own, device.terms).deaf_until(at)
        assert until == (ABSENT if expected is None else expected)


# Scopes and accounting.


@given(devices(changing=False), st.lists(scopes, max_size=3))
def test_scopes_cover_the_same_devices_in_columns(fleet: list[Device], chosen: list[Scope]) -> None:
    expected = [any(scope.covers(device) for scope in chosen) for device in fleet]
    assert covered(Fleet(fleet), chosen).tolist() == expected


@given(devices(changing=True), windows(), instants)
def test_accounting_of_all_devices_is_that_of_each_and_changes_at_its_edges_only(
    fleet: list[Device], entries: list[Maintenance], start: int
) -> None:
    accounting = Accounting(Fleet(fleet), entries)
    edge = start
    before: object = None
    for now in range(start, HORIZON + 30):
        over = accounting.at(now).tolist()
        for device, found in zip(fleet, over, strict=True):
            own = [w for w in known_maintenance(entries, now) if w.scope.covers(device)]
            expected = accounted(device, State.UNKNOWN, own, now, now)
            assert found == (NORMAL if expected is State.UNKNOWN else expected)
        current = (over, [device.terms_at(now) for device in fleet])
        if now == edge:
            edge = accounting.next_edge(now)
            assert edge > now
        else:
            assert current == before, "something changed between two edges"
        before = current


# Deadlines.


class DeadlinesMachine(RuleBasedStateMachine):
    """The wheel against a dictionary."""

    @initialize(width=st.integers(1, 7))
    def begin(self, width: int) -> None:
        self.wheel = Deadlines(6, width)
        self.model: dict[int, int] = {}
        self.now = -20

    @rule(chosen=st.dictionaries(st.integers(0, 5), st.none() | st.integers(-5, 40), min_size=1))
    def set_deadlines(self, chosen: dict[int, int | None]) -> None:
        due = [FOREVER if wait is None else self.now + wait for wait in chosen.values()]
        self.wheel.set(np.array(list(chosen), dtype=np.int64), np.array(due, dtype=np.int64))
        for position, at in zip(chosen, due, strict=True):
            self.model.pop(position, None)
            if at < FOREVER:
                self.model[position] = at

    @rule(passed=st.integers(0, 30))
    def let_time_pass(self, passed: int) -> None:
        self.now += passed
        positions, due = self.wheel.pop(self.now)
        expected = {position: at for position, at in self.model.items() if at <= self.now}
        assert len(positions) == len(expected)
        assert dict(zip(positions.tolist(), due.tolist(), strict=True)) == expected
        for position in expected:
            del self.model[position]

    @rule()
    def every_deadline_stands_in_its_column(self) -> None:
        assert {i: at for i, at in enumerate(self.wheel.due.tolist()) if at < FOREVER} == self.model


TestDeadlines = DeadlinesMachine.TestCase
TestDeadlines.settings = settings(max_examples=100, stateful_step_count=25)


@pytest.mark.parametrize("width", [1, 1000])
def test_a_deadline_of_ages_ago_and_one_far_ahead_are_both_kept(width: int) -> None:
    wheel = Deadlines(2, width)
    wheel.set(np.array([0, 1]), np.array([-(1 << 60), (1 << 60)]))
    assert [column.tolist() for column in wheel.pop(0)] == [[0], [-(1 << 60)]]
    assert [column.tolist() for column in wheel.pop(1 << 60)] == [[1], [1 << 60]]
