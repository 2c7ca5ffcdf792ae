"""How a department behaves, by scenario and by what it is told at runtime; pure, time passed in."""

import threading
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pulse.errors import BadInput

Receives = Literal["http", "mqtt", "pull"]


class Do(StrEnum):
    """What a department does with a delivery."""

    OK = "ok"
    """Keeps it and acknowledges."""
    STATUS = "status"
    """Answers an HTTP status instead; nothing is kept."""
    CLOSE = "close"
    """Closes the connection without an answer; nothing is kept. A puller breaks off before it commits."""
    SLOW = "slow"
    """Waits, then keeps and acknowledges."""
    LOST = "lost"
    """Keeps it, but the acknowledgement is lost: the same delivery has to come again."""
    FORGET = "forget"
    """Acknowledges and keeps no records: what reconciliation is there to find."""
    REDIRECT = "redirect"
    """Answers 307 to another host."""
    FUTURE = "future"
    """Commits a cursor that it was never given."""
    STOP = "stop"
    """Is not there: no port, no subscription, no pulls."""


CAN: Mapping[Receives, frozenset[Do]] = {
    "http": frozenset(Do) - {Do.FUTURE},
    # The broker acknowledges for a subscriber: there is no answer to get wrong.
    "mqtt": frozenset({Do.OK, Do.SLOW, Do.FORGET, Do.STOP}),
    "pull": frozenset({Do.OK, Do.CLOSE, Do.SLOW, Do.LOST, Do.FORGET, Do.FUTURE, Do.STOP}),
}

Seconds = Annotated[float, Meta(ge=0, le=366 * 86_400)]


class Temper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A behaviour: `status` is what `status` answers, `delay_s` how long `slow` waits."""

    do: Do = Do.OK
    status: Annotated[int, Meta(ge=200, le=599)] = 500
    delay_s: Seconds = 5.0

    def checked(self, receives: Receives, where: str) -> "Temper":
        """This behaviour, if such a department can have it. Raises `BadInput` naming `where`."""
        if self.do not in CAN[receives]:
            can = ", ".join(sorted(CAN[receives]))
            raise BadInput(f"{self.do}: 此类部门只能 / a department of this kind can: {can}", where=where)
        return self


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A behaviour from `after_s` seconds after the start on, for `for_s` seconds (None: from then on)."""

    do: Do
    after_s: Seconds = 0.0
    for_s: Seconds | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 500
    delay_s: Seconds = 5.0

    def temper(self) -> Temper:
        """The behaviour."""
        return Temper(self.do, self.status, self.delay_s)

    def holds(self, elapsed_s: float) -> bool:
        """Whether it is the time for it."""
        return self.after_s <= elapsed_s and (self.for_s is None or elapsed_s < self.after_s + self.for_s)


class Mood:
    """The behaviour of one department at a time; may be told from any thread.

    Of several steps the last one that holds counts. What is told at runtime goes before the scenario, until
    it runs out.
    """

    def __init__(self, steps: Sequence[Step], began_s: float) -> None:
        self._steps = tuple(steps)
        self._began_s = began_s
        self._lock = threading.Lock()
        self._told: tuple[Temper, float | None] | None = None

    def at(self, now_s: float) -> Temper:
        """How it behaves now (seconds of the monotonic clock)."""
        with self._lock:
            if self._told is not None:
                temper, until_s = self._told
                if until_s is None or now_s < until_s:
                    return temper
                self._told = None
        holding = [step for step in self._steps if step.holds(now_s - self._began_s)]
        return holding[-1].temper() if holding else Temper()

    def tell(self, temper: Temper, now_s: float, for_s: float | None = None) -> None:
        """Behave so from now on, or for `for_s` seconds."""
        with self._lock:
            self._told = (temper, None if for_s is None else now_s + for_s)
