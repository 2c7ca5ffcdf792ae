"""Periodic work on APScheduler: every run recorded in the database, what was missed caught up at start.

The jobs live in memory and are registered anew at every start; whether one was missed is known from the
table of runs. Two schedulers on one database do no harm: the work is safe to repeat, and what is sent to
departments is claimed first.
"""

import threading
from collections.abc import Callable
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from api.context import Context
from api.jobs.follow import follow
from api.jobs.forward import forward
from api.jobs.publish import publish
from api.jobs.retention import retain
from api.jobs.running import Job, add_job, is_missed, perform
from api.jobs.schedules import Daily, EveryMinute
from api.outlets.runner import deliver

__all__ = ["JOBS", "Job", "is_missed", "perform", "run"]

JOBS = (
    # The collector tells within a second how far the database is complete.
    Job("publish", EveryMinute(second=2), publish),
    Job("forward", EveryMinute(second=10), forward),
    Job("retention", Daily(hour=3, minute=30), retain),
)
_THREADS_OF_OUTLETS = 8


def run(
    context: Context,
    stop: threading.Event,
    work: tuple[Job, ...] = JOBS,
    beside: Callable[[Context, threading.Event], None] = follow,
    sharing: Callable[[Context, threading.Event, BackgroundScheduler], None] = deliver,
) -> None:
    """Do the periodic work until `stop` is set, and `beside` it and `sharing` what goes on all the time; what
    is under way then ends first, soon.
    """
    scheduler = BackgroundScheduler(
        timezone=ZoneInfo(context.settings.timezone),
        executors={"default": ThreadPoolExecutor(len(work) + _THREADS_OF_OUTLETS)},
        # A late run is better than none: after a suspended night one run does the work of all.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job in work:
        add_job(scheduler, context, job, stop)
    scheduler.start()
    threads = [
        threading.Thread(target=beside, args=(context, stop), name="publish", daemon=True),
        threading.Thread(target=sharing, args=(context, stop, scheduler), name="outlets", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)
        for thread in threads:
            thread.join()
