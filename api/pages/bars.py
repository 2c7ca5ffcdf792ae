"""States as lengths: what the stacked bars and the timeline strips draw, in units of their view boxes."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pulse.ledger.model import State

BAR = 1000
LEAST = 8
"""A state that a single device is in stays visible."""
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
    """What a day's strip shows over its online ground; shorter than two minutes still shows as two.

    Several stretches of one state within the same two minutes are drawn once.
    """
    marks: list[Mark] = []
    for state, begin, end in stretches:
        if state is State.ONLINE:
            continue
        at = round((begin - start_us) / minute_us, 1)
        mark = Mark(state.slug, at, max(2.0, round((end - begin) / minute_us, 1)))
        if (
            marks
            and marks[-1].slug == mark.slug
            and mark.start + mark.width <= marks[-1].start + marks[-1].width
        ):
            continue
        marks.append(mark)
    return marks
