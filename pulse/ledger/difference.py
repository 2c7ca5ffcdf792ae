"""Why what was said of moments then differs from what is known of them now: device by device, by reason.

A value published of the moment `at` was worked out from what was known at its `known_at`. Known later, four
things can make it another one, looked at in this order: evidence, coverage, maintenance, the registry. A
device's state is worked out with the first of them as known now and the others as known then, then with the
first two, and so on; what a step changes is that reason's share. So the shares add up, whatever the reasons.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from pulse.ledger.answer import in_service, merged, presence_of, timeline
from pulse.ledger.model import Device, Evidence, Run, State
from pulse.ledger.rates import Figures, at_instant, instant_figures
from pulse.ledger.replay import Books, Known
from pulse.ledger.runs import known_runs


class Reason(StrEnum):
    """What became known later."""

    EVIDENCE = "late_data"
    """Messages that came late."""
    COVERAGE = "coverage"
    """That the collector could not hear, or that it could after all."""
    MAINTENANCE = "maintenance"
    """Windows recorded or cancelled after the fact."""
    REGISTRY = "registry"
    """Commissioning or retirement entered after the fact."""


class Said(NamedTuple):
    """A moment that something was said of, as known at `known_at`; `weight` is for how long that stood."""

    at: int
    known_at: int
    weight: int


class Changed(NamedTuple):
    """What one device has otherwise now than it was said, in weight; amounts may be negative."""

    device: Device
    shares: Mapping[Reason, Figures]


class Moments:
    """The moments in order of time."""

    def __init__(self, said: Iterable[Said]) -> None:
        self.said = sorted(said)
        self._at = [one.at for one in self.said]
        # What was caught up on may be known later than what follows it: the least knowledge from each on.
        self._known = list(accumulate((one.known_at for one in reversed(self.said)), min))[::-1]
        self._weight = [0, *accumulate(one.weight for one in self.said)]

    def unaware(self, start: int, end: int | None, change: int, known_at: int) -> tuple[int, int]:
        """The positions between which the moments of `[start, end)` lie that were spoken of before `change`.

        Nothing is changed by what is not known at `known_at` either. `end` None: without end.
        """
        if change > known_at:
            return 0, 0
        last = bisect_left(self._known, change)
        if end is not None:
            last = min(last, bisect_left(self._at, end))
        return bisect_left(self._at, start), last

    def weight(self, start: int, end: int) -> int:
        """The weight of the moments of `[start, end)`."""
        return self._weight[bisect_left(self._at, end)] - self._weight[bisect_left(self._at, start)]


def now_known(device: Device, runs: Sequence[Run], known: Known, moments: Moments) -> Figures:
    """One device's figures of all moments as known now, in weight; `runs` are every run ever known."""
    figures = Figures()
    if not moments.said:
        return figures
    start, end = moments.said[0].at, moments.said[-1].at + 1
    current, listening = known_runs(runs, known.known_at), known.listening(device)
    windows = known.maintenance(device)
    for state in timeline(device, current, listening, windows, start, end, known.known_at):
        figures.amounts[state.state] += moments.weight(state.start, state.end)
    low, high = in_service(device, start, end, known.known_at)
    for presence in presence_of(current, listening, low, high) if low < high else ():
        amount = moments.weight(presence.start, presence.end)
        figures.online_raw += amount if presence.state is State.ONLINE else 0
        figures.unknown_raw += amount if presence.state is State.UNKNOWN else 0
    return figures


def changes(
    books: Books, runs: Mapping[str, Sequence[Run]], moments: Moments, known_at: int
) -> Iterator[Changed]:
    """Every device that has anything otherwise as known at `known_at` than was said, in order of the books.

    `runs` are every run ever known, by device. Works through the moments in order of time, and at each
    through those devices only of which something became known later.
    """
    if not moments.said:
        return
    found: dict[str, dict[Reason, Figures]] = {}
    now, then = Known(books, known_at), _Then(books)
    histories = {device.id: _History(runs.get(device.id, ()), known_at) for device in books.devices}
    for position, devices in _affected(books, runs, moments, known_at):
        said = moments.said[position]
        known = then.known(said.known_at)
        for device in devices:
            steps = _steps(device, histories[device.id], said, known, now)
            for reason, before, after in steps:
                if before != after:
                    own = found.setdefault(device.id, {}).setdefault(reason, Figures())
                    _move(own, before, after, said.weight)
    for device in books.devices:
        shares = {reason: own for reason, own in found.get(device.id, {}).items() if _is_change(own)}
        if shares:
            yield Changed(device, shares)


_States = tuple[State, State]


def _steps(
    device: Device, history: "_History", said: Said, then: Known, now: Known
) -> Iterator[tuple[Reason, _States, _States]]:
    """The presence and the state of the device at the moment, before and after each reason's step."""
    runs, listening, windows = history.known(said.known_at), then.listening(device), then.maintenance(device)
    at, registered = said.at, said.known_at
    before = at_instant(device, runs, listening, windows, at, registered)
    runs = history.now
    after = at_instant(device, runs, listening, windows, at, registered)
    yield Reason.EVIDENCE, before, after
    before, listening = after, now.listening(device)
    after = at_instant(device, runs, listening, windows, at, registered)
    yield Reason.COVERAGE, before, after
    before, windows = after, now.maintenance(device)
    after = at_instant(device, runs, listening, windows, at, registered)
    yield Reason.MAINTENANCE, before, after
    before, registered = after, now.known_at
    after = at_instant(device, runs, listening, windows, at, registered)
    yield Reason.REGISTRY, before, after


def _move(figures: Figures, before: _States, after: _States, weight: int) -> None:
    for states, amount in ((before, -weight), (after, weight)):
        one = instant_figures(*states)
        for state in State:
            figures.amounts[state] += amount * one.amounts[state]
        figures.online_raw += amount * one.online_raw
        figures.unknown_raw += amount * one.unknown_raw


def _is_change(figures: Figures) -> bool:
    return any(figures.amounts) or figures.online_raw != 0 or figures.unknown_raw != 0


class _History:
    """The runs of one device as known at times that only grow, and as known now."""

    def __init__(self, runs: Sequence[Run], known_at: int) -> None:
        self._runs = runs
        self._times = sorted({time for run in runs for time in (run.recorded, run.superseded, run.start)})
        self._version = -1
        self._known: list[Run] = []
        self.now = known_runs(runs, known_at)

    def known(self, known_at: int) -> list[Run]:
        """Those known at one time."""
        version = bisect_right(self._times, known_at)
        if version != self._version:
            self._version, self._known = version, known_runs(self._runs, known_at)
        return self._known


class _Then:
    """Coverage and maintenance as known at times that mostly grow; the newest is kept."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._times = sorted(
            {time for blind in books.blinds for time in (blind.recorded, blind.revoked)}
            | {time for window in books.maintenance for time in (window.recorded, window.cancelled)}
        )
        self._version = -1
        self._known: Known | None = None

    def known(self, known_at: int) -> Known:
        version = bisect_right(self._times, known_at)
        if self._known is None or version != self._version:
            self._version, self._known = version, Known(self._books, known_at)
        return self._known


def _affected(
    books: Books, runs: Mapping[str, Sequence[Run]], moments: Moments, known_at: int
) -> Iterator[tuple[int, list[Device]]]:
    """The moments of which something became known later, each with the devices concerned."""
    begins: dict[int, list[tuple[int, int]]] = {}
    for place, device in enumerate(books.devices):
        spans = _spans(device, runs.get(device.id, ()), books, moments, known_at)
        for first, last in merged(span for span in spans if span[0] < span[1]):
            begins.setdefault(first, []).append((last, place))
    active: dict[int, int] = {}
    for position in range(len(moments.said)):
        for last, place in begins.get(position, ()):
            active[place] = max(last, active.get(place, 0))
        if not active:
            continue
        for place in [place for place, last in active.items() if last <= position]:
            del active[place]
        if active:
            yield position, [books.devices[place] for place in sorted(active)]


def _spans(
    device: Device, runs: Sequence[Run], books: Books, moments: Moments, known_at: int
) -> Iterator[tuple[int, int]]:
    """Positions of the moments at which the device may have another state, as known now, than was said."""
    for run in runs:
        for change in (run.recorded, run.superseded):
            yield moments.unaware(run.start, run.end, change, known_at)
    says_goodbye = any(run.evidence is Evidence.OFFLINE for run in runs)
    longest = max(terms.timeout for terms in device.terms)
    for blind in books.blinds:
        if blind.scope.covers(device):
            # A goodbye proves nothing once a blind interval has begun, however long ago that ended (rule 5).
            end = None if says_goodbye else blind.end + longest
            for change in (blind.recorded, blind.revoked):
                yield moments.unaware(blind.start, end, change, known_at)
    for window in books.maintenance:
        if window.scope.covers(device):
            for change in (window.recorded, window.cancelled):
                yield moments.unaware(window.start, window.end, change, known_at)
    yield moments.unaware(moments.said[0].at, None, device.commissioned_recorded, known_at)
    if device.retired is not None:
        yield moments.unaware(moments.said[0].at, None, device.retired_recorded, known_at)
