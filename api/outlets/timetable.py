"""Outlets with a schedule: a job of the scheduler for each, made anew when its outlet changes.

Every run is recorded as those of other jobs are, so that a time that was missed is caught up at the next
start. A run makes deliveries; sending them is the runner's, as for every outlet.
"""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from api.context import Context
from api.jobs.running import Job, add_job
from api.jobs.schedules import Daily, Schedule
from api.outlets.outbox import Outbox
from pulse.errors import StoreUnavailable
from pulse.sharing.outlets import Outlet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Every(NamedTuple):
    """Every so many seconds, counted from 1970."""

    seconds: float

    def trigger(self, zone: ZoneInfo) -> BaseTrigger:
        del zone
        # Its interval has whole seconds; less than one nobody may ask for.
        return IntervalTrigger(seconds=max(1, round(self.seconds)), start_date=_EPOCH, timezone=UTC)

    def last_due(self, now_us: int, zone: ZoneInfo) -> int:
        del zone
        every_us = round(timedelta(seconds=max(1, round(self.seconds))) / timedelta(microseconds=1))
        return now_us // every_us * every_us


def schedule_of(outlet: Outlet) -> Schedule | None:
    """When deliveries of an outlet are made; None: as records come."""
    if outlet.every_s is not None:
        return Every(outlet.every_s)
    minutes = outlet.at_minutes
    return None if minutes is None else Daily(minutes // 60, minutes % 60)


def job_of(outlet: Outlet, outbox: Outbox) -> Job | None:
    """The job that makes an outlet's deliveries when they are due."""
    schedule = schedule_of(outlet)
    if schedule is None or outlet.disabled:
        return None

    def build(context: Context, stop: threading.Event) -> None:
        del context
        while not stop.is_set():
            built = outbox.build(outlet, at_once=True)
            if built.stuck is not None:
                raise StoreUnavailable(f"没有生成交付 / no delivery was made: {built.stuck}")
            if not built.more:
                return

    return Job(f"outlet-{outlet.id}", schedule, build)


class Timetable:
    """The jobs of outlets in a running scheduler."""

    def __init__(
        self, scheduler: BackgroundScheduler, context: Context, outbox: Outbox, stop: threading.Event
    ) -> None:
        self._scheduler = scheduler
        self._context = context
        self._outbox = outbox
        self._stop = stop
        self._registered: dict[str, Outlet] = {}

    def follow(self, outlets: Iterable[Outlet]) -> None:
        """Have a job for every outlet that is to have one, and none for others."""
        wanted = {outlet.id: outlet for outlet in outlets}
        for name, before in list(self._registered.items()):
            if wanted.get(name) != before:
                self._scheduler.remove_job(f"outlet-{name}")
                del self._registered[name]
        for name, outlet in wanted.items():
            job = None if name in self._registered else job_of(outlet, self._outbox)
            if job is not None:
                add_job(self._scheduler, self._context, job, self._stop)
                self._registered[name] = outlet
