"""Statistics by their definitions: edges by hand, laws over random worlds."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.ledger.answer import Stretch, timeline
from pulse.ledger.flapping import Episode, Flapping, FlapTerms, episodes
from pulse.ledger.model import Device, State
from pulse.ledger.outages import DOWN, Ending, changes, outages, reaches_back
from pulse.ledger.rates import Figures, period_figures
from pulse.ledger.replay import ColumnMessages, Known
from pulse.ledger.statistics import WHOLE, Longest, Meeting, Tally, tallied
from tests.ledger.live import state_at
from tests.ledger.strategies import HORIZON, World, worlds
from tests.ledger.test_twins import in_columns

DOCS = Path(__file__).resolve().parents[2] / "docs"
TERMS = FlapTerms(changes=3, window=12)
BEGIN = -20
"""Before everything that happens in a world."""

_LETTERS = {
    "o": State.ONLINE,
    "f": State.FAULT,
    "x": State.OFFLINE,
    "?": State.UNKNOWN,
    "m": State.EXCLUDED,
    "-": State.NOT_COMMISSIONED,
    "r": State.RETIRED,
}


def lived(text: str) -> list[Stretch]:
    """Stretches of a device whose states are written one letter an instant."""
    found, at = [], 0
    for letter, same in groupby(text):
        length = len(list(same))
        found.append(Stretch(at, at + length, _LETTERS[letter]))
        at += length
    return found


def figures_of(stretches: Sequence[Stretch], start: int, end: int) -> Figures:
    """The figures of stretches where maintenance hides nothing that was online."""
    figures = Figures()
    for stretch in stretches:
        figures.amounts[stretch.state] += max(0, min(stretch.end, end) - max(stretch.start, start))
    figures.online_raw, figures.unknown_raw = figures.of(State.ONLINE), figures.of(State.UNKNOWN)
    return figures


def tally(text: str, start: int = 0, terms: FlapTerms = TERMS) -> Tally:
    stretches = lived(text)
    return tallied("d", stretches, figures_of(stretches, start, len(text)), start, len(text), terms)


def told(text: str, start: int = 0) -> tuple[int, int, int, int, int]:
    """Outages, open ones, failures, restored ones and their time down."""
    own = tally(text, start)
    return own.outages, own.open, own.failures, own.restored, own.restoration


# What is an outage.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oooo", (0, 0, 0, 0, 0)),
        ("ooxxxoo", (1, 0, 1, 1, 3)),
        ("ooffxxffoo", (1, 0, 1, 1, 6)),  # fault and offline are one outage
        ("oxoxo", (2, 0, 2, 2, 2)),
        ("ooxx", (1, 1, 1, 0, 0)),  # open: told, not averaged
        ("oox??xxo", (1, 0, 1, 1, 3)),  # a gap does not end it, and is no time down
        ("oo??oo", (0, 0, 0, 0, 0)),  # nor does it begin one
        ("oo??xo", (1, 0, 1, 1, 1)),  # it was known to run, then known to be down
        ("oxx??oo", (1, 0, 1, 1, 2)),
        ("????", (0, 0, 0, 0, 0)),
        ("??xxo", (1, 0, 0, 1, 2)),  # never known to run before: an outage, not a failure
        ("-xxxo", (1, 0, 0, 1, 3)),  # dead on arrival, then repaired
        ("-xxxx", (1, 1, 0, 0, 0)),
        ("oxmmxo", (1, 0, 1, 1, 2)),  # maintenance neither ends an outage nor lengthens it
        ("oxmmoo", (1, 0, 1, 1, 1)),  # repaired in it: over with the first instant known to run
        ("oommxo", (1, 0, 1, 1, 1)),
        ("oommoo", (0, 0, 0, 0, 0)),
        ("oxxxrr", (1, 0, 1, 0, 0)),  # neither repaired nor going on
        ("---", (0, 0, 0, 0, 0)),
        ("rrr", (0, 0, 0, 0, 0)),
    ],
)
def test_outages_are_what_is_known_of_a_device(text: str, expected: tuple[int, ...]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize("document", ["statistics.md", "statistics.zh-CN.md"])
def test_the_documented_examples_are_true(document: str) -> None:
    text = (DOCS / document).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z?-]+)`[^|]*\| (\d) \| (\d) \| (\d) \| (\d?) ?\|$", text, re.MULTILINE)
    assert len(rows) == 9
    for states, outages_, failures, restored, down in rows:
        own = tally(states)
        assert (own.outages, own.failures, own.restored) == (int(outages_), int(failures), int(restored))
        assert own.restoration == int(down or 0), states


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("oxxxxxo", 3, (1, 0, 0, 1, 5)),  # began before: its whole time counts where it ended
        ("oxxxxxx", 3, (1, 1, 0, 0, 0)),
        ("ooxxoo", 2, (1, 0, 1, 1, 2)),  # from its first instant on it belongs to this period
        ("oxxooo", 3, (0, 0, 0, 1, 2)),  # restored with the first instant, no time down in it
        ("oxx???", 3, (0, 0, 0, 0, 0)),  # nobody knows that it went on
        ("oxx??xo", 3, (1, 0, 0, 1, 3)),  # the same one still
        ("oxxrrr", 3, (0, 0, 0, 0, 0)),
    ],
)
def test_an_outage_over_the_beginning_counts_as_what_it_is(
    text: str, start: int, expected: tuple[int, ...]
) -> None:
    assert told(text, start) == expected


def test_the_longest_outage_is_told_with_its_beginning_and_end() -> None:
    assert tally("oxxoxxxo").longest == Longest(3, 4, 7, "d", Ending.RESTORED)
    assert tally("oxxoxxo").longest == Longest(2, 1, 3, "d", Ending.RESTORED)
    assert tally("oxx?xxx", 5).longest == Longest(5, 1, 7, "d", Ending.OPEN)
    assert tally("oxxrr").longest == Longest(2, 1, 3, "d", Ending.RETIRED)
    assert tally("oo??o").longest is None


def test_of_several_devices_the_longest_outage_is_the_longest_of_all() -> None:
    whole = Tally()
    for text in ("oxxo", "oxxxo", "oxo"):
        whole.add(tally(text))
    assert whole.longest is not None
    assert whole.longest.down == 3
    first, second = Longest(3, 1, 4, "b", Ending.OPEN), Longest(3, 1, 4, "a", Ending.OPEN)
    assert second.exceeds(first)
    assert not first.exceeds(second)
    assert not first.exceeds(first)


# Flapping.


def test_a_device_flaps_from_one_change_too_many_until_a_whole_window_is_quiet() -> None:
    assert episodes([0, 5, 11], TERMS) == [Episode(11, 23, 3)]
    assert episodes([0, 6, 12], TERMS) == []
    assert episodes([0, 5, 10, 21, 32], TERMS) == [Episode(10, 44, 5)]
    assert episodes([0, 5, 10, 22], TERMS) == [Episode(10, 22, 3)]
    assert episodes([0, 5, 10, 22, 23, 24], TERMS) == [Episode(10, 22, 3), Episode(24, 36, 3)]
    assert episodes([], TERMS) == []


def test_a_change_that_is_told_late_counts_as_the_last() -> None:
    device = Flapping(TERMS)
    assert [device.change(at) for at in (20, 25, 22)] == [False, False, True]
    assert device.episode == Episode(25, 37, 3)
    assert device.until(36) is None
    assert device.until(37) == Episode(25, 37, 3)
    assert [device.change(at) for at in (37, 38)] == [False, False]


def test_changes_are_between_running_and_down_whatever_lies_between() -> None:
    assert changes(outages(lived("oxfxo?o?xmo"), 0)) == [1, 4, 8, 10]
    assert changes(outages(lived("?xxo"), 0)) == [3]


def test_flapping_counts_where_it_happens() -> None:
    text = "ooxoxooo" + "o" * 12
    own = tally(text)
    assert (own.episodes, own.flapped, own.flapping, own.flapping_time) == (1, 1, 0, 13)
    # The third change is at 4, the last at 5: it flaps in [4, 17).
    later = tally(text, 10)
    assert (later.episodes, later.flapped, later.flapping, later.flapping_time) == (0, 1, 0, 7)
    now = tally(text[:12], 10)
    assert (now.episodes, now.flapped, now.flapping, now.flapping_time) == (0, 1, 1, 2)
    assert tally(text[:17]).flapping == 0
    retired = tally("ooxoxorr")
    assert (retired.episodes, retired.flapping, retired.flapping_time) == (1, 0, 2)


# Devices above a threshold.


def test_devices_reach_a_threshold_surely_perhaps_or_not() -> None:
    def count(*texts: str, threshold: int = 50_000) -> tuple[int, int, int, int, int]:
        meeting = Meeting()
        for text in texts:
            meeting.add(figures_of(lived(text), 0, len(text)), threshold)
        return meeting.surely, meeting.perhaps, meeting.of, meeting.adjusted, meeting.judged

    assert count("ox") == (1, 1, 1, 1, 1)  # exactly the threshold is enough
    assert count("ox", threshold=50_001) == (0, 0, 1, 0, 1)
    assert count("ox?") == (0, 1, 1, 1, 1)
    assert count("ox?", threshold=66_666) == (0, 1, 1, 0, 1)
    assert count("ox?", threshold=66_667) == (0, 0, 1, 0, 1)
    assert count("??") == (0, 1, 1, 0, 0)
    assert count("mm", "--", "rr") == (0, 0, 1, 0, 0)
    assert count("oo", threshold=WHOLE) == (1, 1, 1, 1, 1)
    assert count("x", threshold=0) == (1, 1, 1, 1, 1)


# Laws over random worlds.


def stretches_of(world: World, known_at: int, begin: int, end: int) -> Iterator[tuple[Device, list[Stretch]]]:
    runs = ColumnMessages(world.books, in_columns(world.heard())).runs(known_at)
    known = Known(world.books, known_at)
    for place, device in enumerate(world.books.devices):
        heard, listening = runs.get(place, ()), known.listening(device)
        yield device, timeline(device, heard, listening, known.maintenance(device), begin, end, known_at)


def tallies(world: World, known_at: int, start: int, end: int, begin: int = BEGIN) -> list[Tally]:
    runs = ColumnMessages(world.books, in_columns(world.heard())).runs(known_at)
    known = Known(world.books, known_at)
    found = []
    for place, (device, stretches) in enumerate(stretches_of(world, known_at, begin, end)):
        heard, windows = runs.get(place, ()), known.maintenance(device)
        figures = period_figures(device, heard, known.listening(device), windows, start, end, known_at)
        found.append(tallied(device.id, stretches, figures, start, end, TERMS))
    return found


def asked_of_every_instant(device: Device, states: dict[int, State], start: int, end: int) -> Tally:
    """The same by definition: every instant asked, nothing but counting."""
    own = Tally(figures=Figures())
    for at in range(start, end):
        own.figures.amounts[states[at]] += 1
    own.devices = int(own.figures.in_service > 0)
    judged = [at for at in states if states[at] is State.ONLINE or states[at] in DOWN]
    pieces = [
        (running, list(instants))
        for running, instants in groupby(judged, lambda at: states[at] is State.ONLINE)
    ]
    changed: list[int] = []
    retired = next((at for at in states if states[at] is State.RETIRED), None)
    for number, (running, instants) in enumerate(pieces):
        if number > 0 and instants[0] >= start:
            own.restored += running
            own.restoration += len(pieces[number - 1][1]) if running else 0
            own.failures += not running
        changed += instants[:1] if number else []
        inside = [at for at in instants if at >= start]
        if running or not inside:
            continue
        own.outages += 1
        over = pieces[number + 1][1][0] if number + 1 < len(pieces) else None
        ending = Ending.RESTORED if over is not None else Ending.OPEN if retired is None else Ending.RETIRED
        own.open += ending is Ending.OPEN
        until = next(at for at in (over, retired, end) if at is not None)
        longest = Longest(len(instants), instants[0], until, device.id, ending)
        if own.longest is None or longest.down > own.longest.down:
            own.longest = longest
    flaps = False
    for at in states:
        recent = [change for change in changed if at - TERMS.window < change <= at]
        begins = not flaps and len(recent) >= TERMS.changes and at in changed
        flaps = begins or (flaps and any(change < at for change in recent))
        if at >= start and (retired is None or at < retired):
            own.episodes += begins
            own.flapping_time += flaps
            own.flapped |= flaps
    still = [change for change in changed if end - TERMS.window < change < end]
    own.flapping = int(flaps and bool(still) and retired is None)
    return own


@given(worlds(size=24), st.integers(0, HORIZON - 1), st.integers(1, HORIZON), st.sampled_from([40, HORIZON]))
def test_statistics_are_those_of_asking_every_instant(
    world: World, start: int, length: int, known_at: int
) -> None:
    start, end = min(start, known_at - 1), min(start + length, known_at)
    found = tallies(world, known_at, start, max(end, start + 1))
    for device, own in zip(world.books.devices, found, strict=True):
        states = {at: state_at(world, device, at, known_at) for at in range(BEGIN, max(end, start + 1))}
        expected = asked_of_every_instant(device, states, start, max(end, start + 1))
        expected.figures.online_raw = own.figures.online_raw
        expected.figures.unknown_raw = own.figures.unknown_raw
        assert own == expected
        assert sum(own.figures.amounts) == max(end, start + 1) - start
        assert own.down + own.operating == own.figures.judged


@given(worlds(size=24), st.lists(st.integers(0, HORIZON), min_size=3, max_size=3, unique=True))
def test_the_parts_of_a_period_add_up_to_it(world: World, borders: list[int]) -> None:
    start, middle, end = sorted(borders)
    whole = tallies(world, HORIZON, start, end)
    firsts, seconds = tallies(world, HORIZON, start, middle), tallies(world, HORIZON, middle, end)
    for all_, first, second in zip(whole, firsts, seconds, strict=True):
        for name in ("down", "operating", "failures", "restored", "restoration", "episodes", "flapping_time"):
            assert getattr(all_, name) == getattr(first, name) + getattr(second, name), name
        assert all_.outages <= first.outages + second.outages
        assert all_.open == second.open or second.outages == 0
        assert all_.flapped == (first.flapped | second.flapped)
        first.figures.add(second.figures)
        assert all_.figures == first.figures


@given(worlds(size=24), st.integers(1, HORIZON - 1), st.data())
def test_as_much_of_the_past_as_is_asked_for_is_enough(world: World, start: int, data: st.DataObject) -> None:
    end = data.draw(st.integers(start + 1, HORIZON))
    begin = data.draw(st.integers(BEGIN, start))
    whole, cut = tallies(world, HORIZON, start, end), tallies(world, HORIZON, start, end, begin)
    reaching = [reaches_back(s, start, TERMS) for _, s in stretches_of(world, HORIZON, begin, end)]
    for enough, all_, part in zip(reaching, whole, cut, strict=True):
        if enough:
            assert part == all_


@given(worlds(size=24), st.data())
def test_repetition_and_the_order_of_processing_do_not_matter(world: World, data: st.DataObject) -> None:
    again = data.draw(st.permutations(world.messages))
    assert tallies(world._replace(messages=[*again, *again]), HORIZON, 5, 50) == tallies(
        world, HORIZON, 5, 50
    )
