"""A department reports what it holds, so that both sides see where they differ."""

import math
import threading
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pulse.errors import PulseError
from pulse.sharing.reconciling import day_of
from simulators.departments.desk import Desk
from simulators.departments.product import Product
from simulators.departments.temper import Do

_LOOK_S = 0.25


class Reporter:
    """Reports of today and yesterday, every so often and when told to."""

    def __init__(
        self, desk: Desk, product: Product, zone: ZoneInfo, every_s: float | None, stop: threading.Event
    ) -> None:
        self._desk = desk
        self._product = product
        self._zone = zone
        self._every_s = every_s
        self._stop = stop
        self._due = threading.Event()

    def run(self) -> None:
        """Report until `stop`; one that stopped does not."""
        next_s = self._next_s()
        while not self._stop.wait(_LOOK_S):
            if not self._due.is_set() and self._desk.clock.monotonic_s() < next_s:
                continue
            self._due.clear()
            if self._desk.temper().do is not Do.STOP:
                try:
                    self.now()
                except PulseError as error:
                    self._desk.say(f"报告未送达 report not taken: {error}")
            next_s = self._next_s()

    def soon(self) -> None:
        """Report now, beside whoever asks: who comes back and shows itself need not wait for the next try."""
        self._due.set()

    def _next_s(self) -> float:
        return math.inf if self._every_s is None else self._desk.clock.monotonic_s() + self._every_s

    def now(self) -> list[dict[str, Any]]:
        """Report of today and yesterday, as far as something is held; gives what was answered."""
        now_us = self._desk.clock.now_us()
        today = date.fromisoformat(day_of(None, now_us, self._zone))
        told = []
        for day in (today - timedelta(days=1), today):
            through, held = self._desk.archive.standing(day.isoformat())
            if held or day == today:
                told.append(self._product.report(day.isoformat(), through, held))
        return told
