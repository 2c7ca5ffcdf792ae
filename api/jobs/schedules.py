"""When periodic work is due, for APScheduler and for finding out what was missed."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from pulse.clock import MINUTE_US, SECOND_US, from_datetime


class Schedule(Protocol):
    """When something is due."""

    def trigger(self, zone: ZoneInfo) -> BaseTrigger:
        """APScheduler's trigger for it."""
        ...

    def last_due(self, now_us: int, zone: ZoneInfo) -> int:
        """The last time at or before `now_us` at which it was due."""
        ...


class EveryMinute(NamedTuple):
    """At this second of every minute."""

    second: int

    def trigger(self, zone: ZoneInfo) -> CronTrigger:
        return CronTrigger(second=self.second, timezone=zone)

    def last_due(self, now_us: int, zone: ZoneInfo) -> int:
        offset_us = self.second * SECOND_US
        return (now_us - offset_us) // MINUTE_US * MINUTE_US + offset_us


class Daily(NamedTuple):
    """At this time of day, in the zone of the people."""

    hour: int
    minute: int

    def trigger(self, zone: ZoneInfo) -> CronTrigger:
        return CronTrigger(hour=self.hour, minute=self.minute, timezone=zone)

    def last_due(self, now_us: int, zone: ZoneInfo) -> int:
        now = datetime.fromtimestamp(now_us // SECOND_US, UTC).astimezone(zone)
        due = now.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        if due > now:
            due -= timedelta(days=1)
        return from_datetime(due)
