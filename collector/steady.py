"""The collector's time: it never goes back, and a step of the host's clock ages no device.

A step forward is followed at once; the owner records the skipped time as blind. A step back is not
followed: messages would be received before earlier ones. The collector then stays ahead until the host's
clock has caught up or the process starts again.
"""

import threading
from typing import Protocol, runtime_checkable

from pulse.clock import SECOND_US, Clock

STEP_US = SECOND_US


@runtime_checkable
class Steppable(Protocol):
    """A clock that can tell how far the host's has moved away from it, and follow (`SystemClock`)."""

    def drift_us(self) -> int:
        """How far the host's clock is ahead, microseconds."""
        ...

    def resync(self) -> None:
        """Follow the host's clock from here on."""
        ...


class SteadyClock:
    """A `Clock` over another one; any thread may ask it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead_us = 0

    def now_us(self) -> int:
        """Wall time that never goes back, microseconds since 1970 UTC."""
        with self._lock:
            return self._clock.now_us() + self._ahead_us

    def monotonic_s(self) -> float:
        """Seconds on an axis that never jumps."""
        return self._clock.monotonic_s()

    def not_before(self, us: int) -> int:
        """Run ahead if the clock shows less than `us`, a time that was already written; by how much."""
        with self._lock:
            self._ahead_us = max(self._ahead_us, us - self._clock.now_us())
            return self._ahead_us

    def drift_us(self) -> int:
        """How far the host's clock is ahead of this one; negative while this one runs ahead."""
        with self._lock:
            return self._drift_us()

    def follow(self) -> tuple[int, int] | None:
        """Follow a step forward; the skipped time `(from, to)`, None if there was none."""
        with self._lock:
            drift_us = self._drift_us()
            if drift_us <= STEP_US or not isinstance(self._clock, Steppable):
                return None
            before_us = self._clock.now_us() + self._ahead_us
            self._clock.resync()
            self._ahead_us = 0
            return before_us, self._clock.now_us()

    def _drift_us(self) -> int:
        drift_us = self._clock.drift_us() if isinstance(self._clock, Steppable) else 0
        return drift_us - self._ahead_us
