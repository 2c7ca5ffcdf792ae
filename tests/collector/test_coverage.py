"""When the collector hears: rule 8 as a machine, in the situations of the vectors and against its laws."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector import coverage
from collector.coverage import (
    Action,
    Coverage,
    IllegalEventError,
    Open,
    Phase,
    Proved,
    Record,
    SetStart,
    Shut,
)
from pulse.ledger.model import FOREVER, Blind, Scope

PATIENCE = 20


def listening_since(at: int, *, ever: int = 0) -> Coverage:
    """A machine whose first ever start was `ever` and whose last canary left at `at`."""
    machine = Coverage(PATIENCE)
    machine.started(None, 0, None, None, ever)
    machine.connected(False, ever)
    machine.canary_sent(1, ever)
    machine.canary_returned(1, ever)
    machine.canary_sent(2, at)
    machine.canary_returned(2, at)
    return machine


def told(actions: list[Action]) -> list[Action]:
    """The actions that change what is known of coverage."""
    return [action for action in actions if not isinstance(action, Proved)]


def test_coverage_starts_when_the_first_canary_left_that_came_back() -> None:
    machine = Coverage(PATIENCE)
    assert machine.started(None, 0, None, None, 90) == []
    assert machine.connected(False, 95) == []
    assert machine.canary_sent(1, 100) == []
    assert not machine.listening
    assert machine.canary_returned(1, 101) == [SetStart(100), Proved(100, None)]
    assert machine.listening


def test_nothing_is_recorded_before_the_first_start() -> None:
    machine = Coverage(PATIENCE)
    machine.started(None, 0, None, None, 0)
    machine.connected(False, 1)
    machine.canary_sent(1, 2)
    assert machine.disconnected(3) == []
    assert machine.blind_since_us is None


def test_a_lost_connection_is_recorded_when_noticed_from_the_last_proof_on() -> None:
    machine = listening_since(120)
    assert machine.disconnected(150) == [Open(Blind(120, FOREVER, 150, cause=coverage.NO_CONNECTION))]
    assert machine.blind_since_us == 120


def test_a_live_message_proves_listening_later_than_the_canary() -> None:
    machine = listening_since(120)
    machine.heard(127)
    machine.heard(125)
    assert machine.disconnected(150) == [Open(Blind(127, FOREVER, 150, cause=coverage.NO_CONNECTION))]


def test_a_session_that_was_kept_revokes_the_gap_once_the_backlog_is_drained() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    assert machine.connected(True, 300) == []
    machine.canary_sent(3, 300)
    machine.doubted("d2")
    assert not machine.listening
    only_d2 = Blind(120, 300, 305, scope=Scope(device="d2"), cause=coverage.QUEUED_WITHOUT_TIME)
    assert told(machine.canary_returned(3, 305)) == [Shut(305), Record(only_d2)]
    assert machine.blind_since_us is None


def test_messages_lost_in_a_gap_keep_it_blind_for_their_device_between_those_that_came() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    machine.connected(True, 300)
    machine.canary_sent(3, 302)
    in_the_middle = Blind(150, 200, 303, scope=Scope(device="d1"), cause=coverage.SEQUENCE_GAP)
    assert machine.skipped("d1", 150, 200, 303) == [Record(in_the_middle)]
    assert told(machine.canary_returned(3, 305)) == [Shut(305)]
    to_the_end = Blind(120, 302, 330, scope=Scope(device="d2"), cause=coverage.SEQUENCE_GAP)
    assert machine.skipped("d2", 90, 329, 330) == [Record(to_the_end)]
    # Neither what was skipped while we listened, before or after, nor what is noticed much later.
    assert machine.skipped("d2", 303, 340, 340) == []
    assert machine.skipped("d2", 90, 119, 340) == []
    assert machine.skipped("d3", 90, 900, 305 + coverage.SKIPPED_AFTER_US + 1) == []


def test_of_a_gap_that_is_kept_no_device_needs_a_record_of_its_own() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    machine.connected(False, 300)
    assert machine.skipped("d1", 100, 301, 301) == []
    machine.canary_sent(3, 302)
    machine.canary_returned(3, 303)
    assert machine.skipped("d1", 100, 310, 310) == []
    assert machine.skipped("d1", 310, 320, 320) == []


def test_a_session_that_was_lost_keeps_the_gap_to_the_canary() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    lost = Blind(120, FOREVER, 300, cause=coverage.SESSION_LOST)
    assert machine.connected(False, 300) == [Shut(300), Open(lost)]
    machine.canary_sent(3, 302)
    machine.doubted("d2")
    kept = Blind(120, 302, 305, cause=coverage.SESSION_LOST)
    assert told(machine.canary_returned(3, 305)) == [Shut(305), Record(kept)]


def test_a_gap_over_several_attempts_is_one_gap() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    machine.connected(True, 200)
    machine.canary_sent(3, 200)
    machine.doubted("d1")
    assert machine.disconnected(210) == []
    machine.connected(True, 300)
    assert machine.canary_returned(3, 301) == []
    machine.canary_sent(4, 302)
    only_d1 = Blind(120, 302, 303, scope=Scope(device="d1"), cause=coverage.QUEUED_WITHOUT_TIME)
    assert told(machine.canary_returned(4, 303)) == [Shut(303), Record(only_d1)]


def test_a_loss_is_not_forgotten_by_a_later_connection_with_a_session() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    machine.connected(False, 200)
    machine.disconnected(210)
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    kept = Blind(120, 301, 302, cause=coverage.SESSION_LOST)
    assert told(machine.canary_returned(3, 302)) == [Shut(302), Record(kept)]


def test_a_loss_is_not_forgotten_by_a_crash() -> None:
    machine = Coverage(PATIENCE)
    left = Blind(120, FOREVER, 200, cause=coverage.SESSION_LOST)
    assert machine.started(0, 120, left, None, 290) == []
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    kept = Blind(120, 301, 302, cause=coverage.SESSION_LOST)
    assert told(machine.canary_returned(3, 302)) == [Shut(302), Record(kept)]


def test_a_restart_is_a_gap_from_the_last_proof() -> None:
    machine = Coverage(PATIENCE)
    opened = machine.started(0, 480, None, None, 600)
    assert opened == [Open(Blind(480, FOREVER, 600, cause=coverage.DOWN))]
    machine.connected(True, 601)
    machine.canary_sent(1, 602)
    assert told(machine.canary_returned(1, 603)) == [Shut(603)]


def test_a_restart_while_blind_goes_on_with_the_record_that_is_open() -> None:
    machine = Coverage(PATIENCE)
    left = Blind(130, FOREVER, 500, cause=coverage.NO_CONNECTION)
    assert machine.started(0, 480, left, None, 600) == []
    assert machine.blind_since_us == 130


def test_a_canary_that_stays_away_makes_deaf_from_the_last_proof_on() -> None:
    machine = listening_since(120)
    machine.canary_sent(3, 130)
    assert machine.passed(130 + PATIENCE) == []
    overdue = Blind(120, FOREVER, 151, cause=coverage.CANARY_OVERDUE)
    assert machine.passed(151) == [Open(overdue)]
    assert machine.phase is Phase.DEAF
    assert machine.passed(152) == []


def test_blind_time_counts_up_to_the_canary_that_may_still_end_the_gap() -> None:
    machine = listening_since(100)
    machine.disconnected(110)
    assert machine.blind_us(150) == 50
    machine.connected(True, 160)
    machine.canary_sent(3, 160)
    assert machine.blind_us(170) == 60
    assert machine.blind_us(160 + PATIENCE + 1) == 60 + PATIENCE + 1
    machine.canary_sent(4, 190)
    assert machine.blind_us(200) == 90
    machine.canary_returned(4, 200)
    assert machine.blind_us(999) == 90


def test_a_canary_that_crawled_through_a_backlog_does_not_end_deafness() -> None:
    machine = listening_since(120)
    for number in (3, 4, 5):
        machine.canary_sent(number, 100 + 10 * number)
    machine.passed(151)
    assert machine.canary_returned(3, 155) == []
    assert not machine.listening
    assert told(machine.canary_returned(4, 156)) == [Shut(156)]
    assert machine.listening


def test_a_canary_that_was_lost_on_the_way_is_a_blind_interval() -> None:
    machine = listening_since(120)
    machine.heard(125)
    machine.canary_sent(3, 130)
    machine.canary_sent(4, 140)
    between = Blind(120, 140, 141, cause=coverage.CANARY_LOST)
    assert told(machine.canary_returned(4, 141)) == [Record(between)]
    assert machine.listening
    assert machine.passed(151) == []


def test_a_canary_lost_while_deaf_keeps_the_gap() -> None:
    machine = listening_since(120)
    machine.heard(128)
    machine.canary_sent(3, 130)
    assert machine.passed(151) == [Open(Blind(128, FOREVER, 151, cause=coverage.CANARY_OVERDUE))]
    machine.canary_sent(4, 152)
    lost = Blind(120, FOREVER, 153, cause=coverage.CANARY_LOST)
    kept = Blind(120, 152, 153, cause=coverage.CANARY_LOST)
    assert told(machine.canary_returned(4, 153)) == [Shut(153), Open(lost), Shut(153), Record(kept)]


def test_a_stale_canary_of_an_earlier_connection_proves_nothing() -> None:
    machine = listening_since(120)
    machine.canary_sent(3, 130)
    machine.disconnected(131)
    machine.connected(True, 200)
    machine.canary_sent(4, 201)
    assert machine.canary_returned(3, 202) == []
    assert not machine.listening


def test_a_grown_count_of_dropped_messages_keeps_the_gap() -> None:
    machine = listening_since(120)
    machine.counted_dropped(7, 121)
    machine.disconnected(130)
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    dropped = Blind(120, FOREVER, 302, cause=coverage.MESSAGES_DROPPED)
    assert machine.counted_dropped(9, 302) == [Shut(302), Open(dropped)]
    kept = Blind(120, 301, 303, cause=coverage.MESSAGES_DROPPED)
    assert told(machine.canary_returned(3, 303)) == [Shut(303), Record(kept)]


@pytest.mark.parametrize(
    ("count", "late", "kept"), [(9, 10, True), (3, 10, True), (7, 10, False), (0, 10, False)]
)
def test_a_count_that_grew_late_records_the_gap_again(count: int, late: int, kept: bool) -> None:
    machine = listening_since(120)
    machine.counted_dropped(7, 121)
    machine.disconnected(130)
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    machine.canary_returned(3, 302)
    at = 302 + late
    again = Record(Blind(120, 301, at, cause=coverage.MESSAGES_DROPPED))
    assert machine.counted_dropped(count, at) == ([again] if kept else [])
    assert machine.counted_dropped(count + 1, at + 1) == (
        [] if kept else [again._replace(blind=again.blind._replace(recorded=at + 1))]
    )


def test_drops_long_after_a_gap_are_of_others() -> None:
    machine = listening_since(120)
    machine.counted_dropped(7, 121)
    machine.disconnected(130)
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    machine.canary_returned(3, 302)
    assert machine.counted_dropped(9, 303 + coverage.AFTERTHOUGHT_US) == []


def test_what_we_discarded_ourselves_keeps_the_gap() -> None:
    machine = listening_since(120)
    machine.disconnected(130, coverage.SPOOL_STALLED)
    machine.discarded(131)
    machine.connected(True, 300)
    machine.canary_sent(3, 301)
    kept = Blind(120, 301, 302, cause=coverage.DISCARDED)
    assert told(machine.canary_returned(3, 302)) == [Shut(302), Record(kept)]


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("event", ["started", "connected", "canary_sent", "canary_returned", "disconnected"])
def test_an_event_that_cannot_happen_raises_and_changes_nothing(phase: Phase, event: str) -> None:
    machine = listening_since(120)
    if phase in (Phase.AWAY, Phase.JOINING):
        machine.disconnected(130)
    if phase is Phase.JOINING:
        machine.connected(True, 140)
    if phase is Phase.DEAF:
        machine.canary_sent(3, 130)
        machine.passed(200)
    assert machine.phase is phase
    before = {name: repr(value) for name, value in vars(machine).items()}
    at_home = phase is Phase.AWAY
    calls: dict[str, tuple[bool, Callable[[], object]]] = {
        "started": (at_home, lambda: machine.started(None, 0, None, None, 210)),
        "connected": (at_home, lambda: machine.connected(True, 210)),
        "canary_sent": (not at_home, lambda: machine.canary_sent(9, 210)),
        "canary_returned": (not at_home, lambda: machine.canary_returned(9, 210)),
        "disconnected": (not at_home, lambda: machine.disconnected(210)),
    }
    legal, call = calls[event]
    if legal:
        call()
        return
    with pytest.raises(IllegalEventError):
        call()
    assert {name: repr(value) for name, value in vars(machine).items()} == before


class CoverageLaws(RuleBasedStateMachine):
    """Whatever happens in whatever order, exactly one of these holds: not yet started, listening, one gap."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000
        self.number = 0
        self.machine = Coverage(PATIENCE)
        self.machine.started(None, 0, None, None, self.now)
        self.start: int | None = None
        self.open: Blind | None = None
        self.closed: list[Blind] = []
        self.proved: Proved | None = None
        self.sent: list[int] = []
        self.sent_at: dict[int, int] = {}
        self.blind = 0
        """Length of the gaps and lost canaries of this machine that are over."""
        self.counted = 0

    def obey(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SetStart(at):
                    assert self.start is None
                    self.start = at
                case Open(blind):
                    assert self.open is None
                    assert blind.end == FOREVER
                    assert blind.recorded == self.now
                    self.open = blind
                case Shut(at):
                    assert self.open is not None
                    assert at == self.now
                    self.open = None
                case Record(blind):
                    assert blind.start <= blind.end <= blind.recorded == self.now
                    self.closed.append(blind)
                case Proved():
                    assert action.at_us <= self.now
                    self.proved = action

    @rule(step=st.integers(1, 30))
    def pass_time(self, step: int) -> None:
        self.now += step
        self.obey(self.machine.passed(self.now))

    @precondition(lambda self: self.machine.phase is Phase.AWAY)
    @rule(kept=st.booleans())
    def connect(self, kept: bool) -> None:
        self.obey(self.machine.connected(kept, self.now))
        self.sent = []

    @precondition(lambda self: self.machine.phase is not Phase.AWAY)
    @rule()
    def send_canary(self) -> None:
        self.number += 1
        self.obey(self.machine.canary_sent(self.number, self.now))
        self.sent.append(self.number)
        self.sent_at[self.number] = self.now

    @precondition(lambda self: self.machine.phase is not Phase.AWAY and self.sent)
    @rule(skip=st.integers(0, 2))
    def return_canary(self, skip: int) -> None:
        skip = min(skip, len(self.sent) - 1)
        number = self.sent[skip]
        self.sent = self.sent[skip + 1 :]
        gap, closed = self.open, len(self.closed)
        actions = self.machine.canary_returned(number, self.now)
        for action in actions:
            if isinstance(action, Open) and gap is not None:
                # A loss is noticed, which may make the gap begin earlier.
                gap = action.blind
        self.obey(actions)
        if gap is None:
            self.blind += sum(blind.end - blind.start for blind in self.closed[closed:])
        elif self.open is None:
            self.blind += max(0, self.sent_at[number] - gap.start)

    @precondition(lambda self: self.machine.listening)
    @rule()
    def hear(self) -> None:
        self.obey(self.machine.heard(self.now))

    @rule(device=st.sampled_from("abc"))
    def doubt(self, device: str) -> None:
        self.obey(self.machine.doubted(device))

    @rule(count=st.integers(0, 5))
    def count_dropped(self, count: int) -> None:
        self.obey(self.machine.counted_dropped(count, self.now))

    @precondition(lambda self: self.machine.phase is not Phase.AWAY)
    @rule()
    def disconnect(self) -> None:
        self.obey(self.machine.disconnected(self.now))
        assert not self.machine.listening

    @rule(down=st.integers(0, 50))
    def crash_and_restart(self, down: int) -> None:
        self.now += down
        self.machine = Coverage(PATIENCE)
        proved_us, dropped = self.proved or (0, None)
        self.blind = self.counted = 0
        self.obey(self.machine.started(self.start, proved_us, self.open, dropped, self.now))

    @invariant()
    def blind_time_is_that_of_the_gaps_and_never_shrinks(self) -> None:
        blind = self.machine.blind_us(self.now)
        assert blind >= self.counted
        self.counted = blind
        if self.open is None:
            assert blind == self.blind
        else:
            assert self.blind <= blind <= self.blind + max(0, self.now - self.open.start)

    @invariant()
    def exactly_one_of_them(self) -> None:
        unstarted = self.start is None
        listening = self.machine.listening
        assert [unstarted, listening and self.open is None, self.open is not None].count(True) == 1
        assert self.machine.blind_since_us == (self.open.start if self.open else None)

    @invariant()
    def what_was_heard_through_is_not_blind_twice(self) -> None:
        ours = sorted(
            b[:2] for b in self.closed if b.scope == Scope() and b.cause != coverage.MESSAGES_DROPPED
        )
        for (_, end), (start, _) in itertools.pairwise(ours):
            assert end <= start
        if self.start is not None and ours:
            assert ours[0][0] >= self.start


TestCoverageLaws = CoverageLaws.TestCase
TestCoverageLaws.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_broker_that_started_in_the_gap_proves_nothing_by_keeping_the_session() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    assert machine.connected(True, 300) == []
    lost = Blind(120, FOREVER, 301, cause=coverage.BROKER_RESTARTED)
    assert machine.broker_started(200, 301) == [Shut(301), Open(lost)]
    machine.canary_sent(3, 302)
    kept = Blind(120, 302, 305, cause=coverage.BROKER_RESTARTED)
    assert told(machine.canary_returned(3, 305)) == [Shut(305), Record(kept)]


def test_a_broker_that_may_have_started_before_the_gap_is_believed_until_it_says_more() -> None:
    machine = listening_since(120)
    machine.disconnected(121)
    machine.connected(True, 130)
    assert machine.broker_started(119, 130) == []
    machine.canary_sent(3, 131)
    assert told(machine.canary_returned(3, 132)) == [Shut(132)]
    kept = Blind(120, 131, 140, cause=coverage.BROKER_RESTARTED)
    assert machine.broker_started(128, 140) == [Record(kept)]
    assert machine.broker_started(128, 150) == []
