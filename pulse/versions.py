"""Versions that are only ever added: one holds from its `since_us` on and is known from its `recorded_us` on.

Of several that hold at a time the one that was recorded last counts: the last word holds from its time on,
until the next one does. Pure.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from pulse.ledger.model import FOREVER


class Said(Protocol):
    """Anything with both times, microseconds."""

    @property
    def since_us(self) -> int: ...

    @property
    def recorded_us(self) -> int: ...


V = TypeVar("V", bound=Said)


def timeline(history: Iterable[V], known_us: int = FOREVER) -> list[V]:
    """What holds from when on, in order of time, by what was recorded until `known_us`.

    `history` is in the order of recording.
    """
    holding: list[V] = []
    for version in history:
        if version.recorded_us > known_us:
            continue
        while holding and holding[-1].since_us >= version.since_us:
            holding.pop()
        holding.append(version)
    return holding


def in_force(holding: Sequence[V], at_us: int) -> V | None:
    """The version of a `timeline` that holds at a time."""
    position = bisect_right(holding, at_us, key=lambda v: v.since_us)
    return holding[position - 1] if position else None
