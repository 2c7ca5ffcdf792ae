"""Correlated silence: one incident of a community, whatever the order, and through restarts."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.ledger.correlated import Correlated, Incident, Silence
from pulse.ledger.model import State

TOWN = "a"
TIMEOUT = 90


class Event(NamedTuple):
    """A device fell silent (with its last evidence), or was heard again (None), noticed at `at`."""

    at: int
    device: str
    last: int | None


class World:
    """A community of devices that are all online at first, and what became of its incidents."""

    def __init__(self, count: int) -> None:
        self.names = [f"d{i}" for i in range(count)]
        self.state = dict.fromkeys(self.names, State.ONLINE)
        self.last: dict[str, int] = {}
        self.found: dict[int, Incident] = {}
        self.detector = self.begun()

    def begun(self, ongoing: Iterable[Incident] = (), past: Iterable[Incident] = ()) -> Correlated:
        """A detector made from what the ledger holds."""
        silences = [Silence(d, TOWN, self.last[d]) for d in self.names if self.state[d] is State.OFFLINE]
        return Correlated({TOWN: TIMEOUT}, {TOWN: len(self.names)}, silences, ongoing, past)

    def restart(self) -> None:
        self.detector = self.begun(self.detector.ongoing())

    def take(self, event: Event) -> None:
        after = State.ONLINE if event.last is None else State.OFFLINE
        before, self.state[event.device] = self.state[event.device], after
        if event.last is not None:
            self.last[event.device] = event.last
        self.detector.change(event.device, TOWN, before, after, event.at, event.last)
        for incident in self.detector.changed():
            self.found[incident.opened] = incident

    def silence(self, count: int, last: int = 100) -> None:
        for name in self.names[:count]:
            self.take(Event(last + TIMEOUT, name, last))


def test_more_than_half_at_once_is_one_incident_that_grows_and_ends() -> None:
    world = World(10)
    for number in range(8):
        world.take(Event(200 + number, f"d{number}", 110 + number))
    assert list(world.found.values()) == [Incident(TOWN, 205, 110, 117, 8, 8, 10)]
    for number in range(2):
        world.take(Event(300 + number, f"d{number}", None))
    assert world.found[205].silent == 6
    world.take(Event(310, "d2", None))
    assert list(world.found.values()) == [Incident(TOWN, 205, 110, 117, 8, 5, 10, ended=310)]
    assert world.detector.ongoing() == []


def test_exactly_half_opens_nothing() -> None:
    world = World(10)
    world.silence(5)
    assert world.found == {}
    world.take(Event(200, "d5", 110))
    assert len(world.found) == 1


def test_fewer_than_three_devices_are_no_community() -> None:
    world = World(2)
    world.silence(2)
    assert world.found == {}
    larger = World(3)
    larger.silence(2)
    assert larger.found == {}
    larger.silence(3)
    assert len(larger.found) == 1


def test_silences_further_apart_than_a_timeout_open_nothing() -> None:
    world = World(10)
    for number in range(10):
        world.take(Event(200 + 31 * number, f"d{number}", 110 + 31 * number))
    assert world.found == {}


def test_a_device_that_fails_long_after_does_not_move_the_beginning() -> None:
    world = World(10)
    world.silence(7)
    world.take(Event(9_090, "d9", 9_000))
    (found,) = world.found.values()
    assert (found.start, found.devices) == (100, 7)


def test_a_longer_timeout_that_is_noticed_later_still_joins() -> None:
    world = World(10)
    world.silence(6, last=100)
    world.take(Event(250, "d7", 70))
    (found,) = world.found.values()
    assert (found.first, found.start, found.devices) == (70, 100, 7)


def test_devices_long_silent_are_no_part_of_it() -> None:
    world = World(10)
    world.silence(4, last=100)
    for number in range(4, 9):
        world.take(Event(9_090, f"d{number}", 9_000))
    assert world.found == {}
    world.take(Event(9_091, "d9", 9_001))
    (found,) = world.found.values()
    assert (found.first, found.devices) == (9_000, 6)


def test_unknown_neither_falls_silent_nor_is_heard_again() -> None:
    world = World(10)
    for name in world.names:
        world.detector.change(name, TOWN, State.ONLINE, State.UNKNOWN, 100, None)
    assert world.detector.ongoing() == []
    world = World(10)
    world.silence(6)
    for name in world.names[:6]:
        world.detector.change(name, TOWN, State.OFFLINE, State.UNKNOWN, 200, None)
    (found,) = world.detector.ongoing()
    assert found.silent == 6


def test_devices_in_maintenance_count_neither_as_silent_nor_as_devices() -> None:
    world = World(10)
    for name in world.names[6:]:
        world.detector.change(name, TOWN, State.ONLINE, State.EXCLUDED, 10, None)
    world.silence(3)
    assert world.found == {}
    world.take(Event(200, "d3", 100))
    (found,) = world.found.values()
    assert (found.devices, found.of) == (4, 6)
    world.detector.change("d0", TOWN, State.OFFLINE, State.EXCLUDED, 300, None)
    (left,) = world.detector.ongoing()
    assert (left.silent, left.of) == (3, 5)
    world.detector.change("d1", TOWN, State.OFFLINE, State.EXCLUDED, 301, None)
    assert [i.ended for i in world.detector.changed()] == [301]


def test_communities_are_apart() -> None:
    detector = Correlated({"a": TIMEOUT, "b": TIMEOUT}, {"a": 4, "b": 4}, [])
    for name in ("a1", "a2", "b1", "b2"):
        detector.change(name, name[0], State.ONLINE, State.OFFLINE, 200, 100)
    assert detector.changed() == []
    detector.change("a3", "a", State.ONLINE, State.OFFLINE, 200, 100)
    assert [i.community for i in detector.changed()] == ["a"]


def test_taking_in_again_what_had_ended_finds_the_same_incident() -> None:
    world = World(10)
    world.silence(7)
    world.take(Event(300, "d0", None))
    world.take(Event(301, "d1", None))
    (ended,) = world.found.values()
    assert ended.ended == 301
    again = World(10)
    # In another order, so that another device makes it more than half.
    again.detector = again.begun(past=[ended])
    for number, name in enumerate(reversed(again.names[:7])):
        again.take(Event(195 + number, name, 100))
    assert list(again.found) == [ended.opened]


def test_a_ledger_that_stands_before_the_opening_does_not_end_it() -> None:
    world = World(10)
    world.silence(7)
    ongoing = world.detector.ongoing()
    behind = World(10)
    behind.silence(1)
    behind.detector = behind.begun(ongoing)
    behind.take(Event(150, "d0", None))
    behind.silence(7)
    assert behind.detector.ongoing() == ongoing
    # What never comes back to it is over once time has passed.
    lost = World(10)
    lost.detector = lost.begun(ongoing)
    lost.detector.settle(500)
    assert [(i.opened, i.ended) for i in lost.detector.changed()] == [(ongoing[0].opened, 500)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[Event]]:
    """Devices that fall silent and are heard again, noticed in order of time."""
    count = draw(st.integers(3, 9))
    events = []
    at = 0
    silent: set[int] = set()
    for _ in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from([0, 1, 10, 45, 91]))
        device = draw(st.integers(0, count - 1))
        if device in silent:
            silent.discard(device)
            events.append(Event(at, f"d{device}", None))
        else:
            silent.add(device)
            events.append(Event(at, f"d{device}", at - draw(st.sampled_from([0, 30, 60, 90]))))
    return count, events


def most_together(lasts: Sequence[int]) -> int:
    """The most times that lie within one timeout, the plain way."""
    return max((sum(begin <= one <= begin + TIMEOUT for one in lasts) for begin in lasts), default=0)


@settings(max_examples=300)
@given(histories())
def test_it_is_open_only_while_the_plain_rule_says_so(history: tuple[int, list[Event]]) -> None:
    count, events = history
    world = World(count)
    for event in events:
        before = world.detector.ongoing()
        world.take(event)
        after = world.detector.ongoing()
        assert len(after) <= 1
        lasts = [world.last[d] for d in world.names if world.state[d] is State.OFFLINE]
        enough = most_together(lasts) >= 3 and 2 * most_together(lasts) > count
        if after and not before:
            assert enough
            assert event.last is not None
        if event.last is not None and enough and not before:
            # Those around the new one; others together were so before, and opened it then or had their end.
            near = [last for last in lasts if abs(last - event.last) <= TIMEOUT]
            windows = [[o for o in near if b <= o <= b + TIMEOUT] for b in near]
            if any(event.last in w and len(w) >= 3 and 2 * len(w) > count for w in windows):
                assert after
        for incident in after:
            assert incident.start - incident.first <= TIMEOUT
            inside = sum(incident.first <= last <= incident.start for last in lasts)
            assert inside == incident.silent
            assert 2 * inside > count


@settings(max_examples=300)
@given(histories(), st.data())
def test_restarts_change_nothing(history: tuple[int, list[Event]], data: st.DataObject) -> None:
    count, events = history
    through, broken = World(count), World(count)
    for event in events:
        through.take(event)
        broken.take(event)
        if data.draw(st.booleans()):
            broken.restart()
    assert broken.found == through.found


@settings(max_examples=200)
@given(histories(), st.data())
def test_the_order_of_devices_at_one_moment_does_not_matter(
    history: tuple[int, list[Event]], data: st.DataObject
) -> None:
    """Those that fall silent at one moment, in any order and told twice."""
    count, _ = history
    lasts = data.draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    events = [Event(200, f"d{i}", last) for i, last in enumerate(lasts)]
    one, other = World(count), World(count)
    for event in events:
        one.take(event)
    for event in data.draw(st.permutations(events)):
        other.take(event)
        other.take(event)
    assert set(one.found) == set(other.found)
    if max(lasts) - min(lasts) <= TIMEOUT:
        assert one.found == other.found
