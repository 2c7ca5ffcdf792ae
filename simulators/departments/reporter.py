"""A department reports what it holds, so that both sides see where they differ."""

import threading
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pulse.errors import PulseError
from pulse.sharing.reconciling import day_of
from simulators.departments.desk import Desk
from simulators.departments.product import Product
from simulators.departments.temper import Do

_LOOK_S = 0.1


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

    def run(self) -> None:
        """Report until `stop`; one that stopped does not."""
        if self._every_s is None:
            return
        while not self._stop.wait(self._every_s):
            if self._desk.temper().do is Do.STOP:
                continue
            try:
                self.now()
            except PulseError as error:
                self._desk.say(f"报告未送达 report not taken: {error}")

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
