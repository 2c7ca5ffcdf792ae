"""Running a job: recorded in the database, caught up when it was missed."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler

from api.context import Context
from api.jobs.schedules import Schedule
from pulse import logs
from pulse.clock import SECOND_US
from pulse.errors import PulseError
from pulse.stores.relational import jobs

_log = logs.get(__name__)


class Job(NamedTuple):
    """Work with a name and the times at which it is due."""

    name: str
    schedule: Schedule
    work: Callable[[Context, threading.Event], object]


def add_job(scheduler: BackgroundScheduler, context: Context, job: Job, stop: threading.Event) -> None:
    """Have a job done whenever it is due, and at once if it was missed."""
    zone = ZoneInfo(context.settings.timezone)
    now_us = context.clock.now_us()
    at_once = (
        {"next_run_time": datetime.fromtimestamp(now_us / SECOND_US, zone)}
        if is_missed(context, job, now_us)
        else {}
    )
    scheduler.add_job(
        perform, job.schedule.trigger(zone), (context, job, stop), id=job.name, name=job.name, **at_once
    )


def is_missed(context: Context, job: Job, now_us: int) -> bool:
    """Whether the last time that the job was due has passed without a run that succeeded."""
    due_us = job.schedule.last_due(now_us, ZoneInfo(context.settings.timezone))
    try:
        with context.db.read() as connection:
            done_us = jobs.last_success(connection, job.name)
    except PulseError as error:
        _log.warning("job_runs_unreadable", job=job.name, error=str(error))
        return True
    return done_us is None or done_us < due_us


def perform(context: Context, job: Job, stop: threading.Event) -> bool:
    """Do one job, record how it went, and say whether it succeeded; the next run tries again."""
    try:
        due_us = job.schedule.last_due(context.clock.now_us(), ZoneInfo(context.settings.timezone))
        with context.db.write() as connection:
            run_id = jobs.started(connection, job.name, due_us, context.clock.now_us())
        failure = _failure(context, job, stop)
        with context.db.write() as connection:
            jobs.finished(connection, run_id, context.clock.now_us(), failure)
    except PulseError as error:
        _log.warning("job_unrecorded", job=job.name, error=str(error))
        return False
    return failure is None


def _failure(context: Context, job: Job, stop: threading.Event) -> str | None:
    """What went wrong, None when nothing did."""
    try:
        job.work(context, stop)
    except PulseError as error:
        _log.warning("job_failed", job=job.name, error=str(error))
        return str(error)
    except Exception as error:
        _log.exception("job_broken", job=job.name)
        return f"{type(error).__name__}: {error}"
    return "stopped before it was done" if stop.is_set() else None
