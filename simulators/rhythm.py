"""When a device beats: an own phase and a little jitter, known for any beat without the ones before it."""

import numpy as np
import numpy.typing as npt

from pulse.clock import SECOND_US
from simulators import chance

Times = npt.NDArray[np.int64]

JITTER = 0.05
"""Beats wander by this share of the interval to either side."""


class Rhythm:
    """The beats of one device: number k at about `k * interval + phase`, microseconds on some axis.

    The times rise with k, by at least 0.9 and at most 1.1 of the interval.
    """

    def __init__(self, device_key: int, interval_s: float) -> None:
        self.interval_us = round(interval_s * SECOND_US)
        self._phase = JITTER + chance.uniform(device_key) * (1 - 2 * JITTER)
        self._jitter_key = chance.bits(device_key, 1)

    def at(self, k: int) -> int:
        """The time of beat `k`."""
        jitter = (chance.uniform(self._jitter_key, k) * 2 - 1) * JITTER
        return k * self.interval_us + int((self._phase + jitter) * self.interval_us)

    def times(self, ks: Times) -> Times:
        """`at(k)` for every k of an array."""
        jitter = (chance.uniform_array(self._jitter_key, ks) * 2 - 1) * JITTER
        offset: Times = ((self._phase + jitter) * self.interval_us).astype(np.int64)
        beats: Times = ks * self.interval_us + offset
        return beats

    def first_from(self, at_us: int) -> int:
        """The number of the first beat at or after `at_us`."""
        k = at_us // self.interval_us - 1
        while self.at(k) < at_us:
            k += 1
        return k

    def numbers(self, from_us: int, to_us: int) -> Times:
        """The numbers of the beats in `[from_us, to_us)`."""
        return np.arange(self.first_from(from_us), self.first_from(to_us), dtype=np.int64)


def keepalive_s(interval_s: float) -> float:
    """The MQTT keepalive of a device; a broker sends the last will after 1.5 of them without a packet."""
    return 2 * interval_s
