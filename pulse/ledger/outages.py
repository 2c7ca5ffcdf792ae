"""Outages of a device, read off its stretches of states.

An outage begins with the first instant known to be down (fault or offline) and ends with the first instant
known to be online again. What lies between and is not known (`unknown`) or does not count (`excluded`)
neither ends it nor begins another: only what is known of a device can.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from pulse.ledger.answer import Stretch
from pulse.ledger.flapping import FlapTerms, episodes
from pulse.ledger.model import State

DOWN = frozenset({State.FAULT, State.OFFLINE})


class Ending(Enum):
    """How an outage ended."""

    RESTORED = "restored"
    OPEN = "open"
    """It goes on at the end of what is looked at."""
    RETIRED = "retired"
    """The device left service while it was down."""


class Outage(NamedTuple):
    """`[start, end)`; `down` is the part known to be down, `within` that at or after a given instant.

    `failure` tells that the device was known to run before: it lost what it had (IEC 60050-192, failure).
    """

    start: int
    end: int
    down: int
    within: int
    failure: bool
    ending: Ending


def outages(stretches: Iterable[Stretch], since: int) -> list[Outage]:
    """The outages in stretches that follow each other, in order; `within` counts from `since` on."""
    found: list[Outage] = []
    start: int | None = None
    down = within = end = 0
    was_running = failure = False

    def close(at: int, ending: Ending) -> None:
        nonlocal start
        if start is not None:
            found.append(Outage(start, at, down, within, failure, ending))
        start = None

    for stretch in stretches:
        end = stretch.end
        if stretch.state in DOWN:
            if start is None:
                start, down, within, failure = stretch.start, 0, 0, was_running
            down += stretch.end - stretch.start
            within += max(0, stretch.end - max(stretch.start, since))
            was_running = False
        elif stretch.state is State.ONLINE:
            close(stretch.start, Ending.RESTORED)
            was_running = True
        elif stretch.state is State.RETIRED:
            close(stretch.start, Ending.RETIRED)
    close(end, Ending.OPEN)
    return found


def changes(found: Iterable[Outage]) -> list[int]:
    """The instants at which the device was first known to have gone from running to down, or back."""
    instants: list[int] = []
    for outage in found:
        if outage.failure:
            instants.append(outage.start)
        if outage.ending is Ending.RESTORED:
            instants.append(outage.end)
    return instants


def reaches_back(stretches: Sequence[Stretch], start: int, terms: FlapTerms) -> bool:
    """Whether stretches that begin before `start` tell all that statistics from `start` on depend on.

    That is whether the device ran before, since when it has been down if it was, and whether it flapped.
    """
    if stretches[0].state in {State.NOT_COMMISSIONED, State.RETIRED}:
        return True
    if not any(s.state is State.ONLINE and s.start < start for s in stretches):
        return False
    before = [at for at in changes(outages(stretches, start)) if at < start]
    first = next(s.start for s in stretches if s.state in DOWN or s.state is State.ONLINE)
    marks = [first, *before, start]
    if any(after - at >= terms.window for at, after in pairwise(marks)):
        return True
    return any(episode.end > start for episode in episodes(before, terms))
