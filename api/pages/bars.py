"""States as lengths: what the stacked bars and the timeline strips draw, in units of their view boxes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pulse.ledger.model import State

BAR = 1000
LEAST = 8
"""A state that a single device is in stays visible."""
SHORT = 2.0
"""Minutes that the shortest stretch is drawn long."""
ORDER = (State.ONLINE, State.UNKNOWN, State.EXCLUDED, State.FAULT, State.OFFLINE)


class Segment(NamedTuple):
    """A stretch of a bar, in `BAR`ths of its length."""

    slug: str
    start: int
    width: int


TOPS = {
    State.ONLINE.slug: 0,
    State.OFFLINE.slug: 0,
    State.FAULT.slug: 6,
    State.UNKNOWN.slug: 11,
    State.EXCLUDED.slug: 15,
    State.NOT_COMMISSIONED.slug: 18,
    State.RETIRED.slug: 18,
}
"""Where a state begins in a strip of height 20, from above: who cannot tell colours apart sees heights."""


class Mark(NamedTuple):
    """A stretch of a day that was not online, in minutes from the day's first instant."""

    slug: str
    start: float
    width: float

    @property
    def top(self) -> int:
        """Where it begins in a strip of height 20."""
        return TOPS[self.slug]


def bar(states: Mapping[str, int]) -> list[Segment]:
    """Segments that fill a bar in proportion to the states in service, none shorter than `LEAST`."""
    counts = [(state.slug, states.get(state.slug, 0)) for state in ORDER]
    total = sum(count for _, count in counts)
    if total == 0:
        return []
    widths = [max(LEAST, round(BAR * count / total)) if count else 0 for _, count in counts]
    longest = max(range(len(widths)), key=widths.__getitem__)
    widths[longest] -= sum(widths) - BAR
    segments, start = [], 0
    for (slug, _), width in zip(counts, widths, strict=True):
        if width:
            segments.append(Segment(slug, start, width))
            start += width
    return segments


def day_marks(stretches: Iterable[tuple[State, int, int]], start_us: int, minute_us: int) -> list[Mark]:
    """What a day's strip shows over its online ground; what is shorter than `SHORT` is drawn that long.

    A short stretch that begins where the one before of its state is still drawn is not drawn again, so a
    device that flaps all day makes no more marks than can be seen.
    """
    marks: list[Mark] = []
    drawn_until: dict[str, float] = {}
    for state, begin, end in stretches:
        if state is State.ONLINE:
            continue
        at, length = (begin - start_us) / minute_us, (end - begin) / minute_us
        if length < SHORT and at < drawn_until.get(state.slug, -1.0):
            continue
        mark = Mark(state.slug, round(at, 1), round(max(SHORT, length), 1))
        drawn_until[state.slug] = mark.start + mark.width
        marks.append(mark)
    return marks
