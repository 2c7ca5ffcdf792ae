"""What is kept for how long, and a record of everything that was deleted."""

import threading
from collections.abc import Callable

from sqlalchemy import Connection

from api.context import Context
from api.outlets.keeping import note_undelivered, trim
from pulse.access.lockout import FORGOTTEN_AFTER_US
from pulse.clock import DAY_US, HOUR_US
from pulse.indicators.recompute import RAW
from pulse.stores.relational import attempts, deletions, events, jobs, meta, quarantine, sessions

EVENTS_US = 7 * DAY_US
JOB_RUNS_US = 30 * DAY_US
SESSIONS_US = 30 * DAY_US
"""After their end; the audit log keeps who signed in when."""
RECORDS = "records"
"""Records of kinds of data, as deletions name them."""
TRANSITIONS = "transitions_in_telemetry"
"""Under this name the collector remembers the last event that the telemetry store has."""


def retain(context: Context, stop: threading.Event) -> None:
    """Delete what is older than it is to be kept. Stops between two hours of raw data when asked to."""
    now_us = context.clock.now_us()
    raw_before_us = now_us - context.settings.raw_retention() * DAY_US
    store = context.store
    _delete(context, RAW, raw_before_us, stop, store.oldest_us, store.delete_before)
    note_undelivered(context, raw_before_us, now_us, stop)
    _delete(context, RECORDS, raw_before_us, stop, store.oldest_record_us, store.delete_records_before)
    trim(context, now_us)
    with context.db.write() as connection:
        forwarded = int(meta.get(connection, TRANSITIONS) or 0)
        waiting = events.after(connection, forwarded, 1)
        # What the telemetry store has not got yet stays.
        before_us = min(now_us - EVENTS_US, waiting[0].recorded_us if waiting else now_us)
        _note(connection, "events", before_us, events.trim(connection, before_us), now_us)
        old_runs_us = now_us - JOB_RUNS_US
        _note(connection, "job_runs", old_runs_us, jobs.trim(connection, old_runs_us), now_us)
        ended_us = now_us - SESSIONS_US
        _note(connection, "sessions", ended_us, sessions.trim(connection, ended_us), now_us)
        attempts.trim(connection, now_us - FORGOTTEN_AFTER_US)
        _note(connection, "quarantine", raw_before_us, quarantine.trim(connection, raw_before_us), now_us)


def _delete(
    context: Context,
    what: str,
    before_us: int,
    stop: threading.Event,
    oldest: Callable[[], int | None],
    delete_before: Callable[[int], int],
) -> None:
    """Delete raw messages or records an hour at a time, so that a stop is obeyed soon."""
    deleted = 0
    reached_us = before_us
    oldest_us = oldest()
    while oldest_us is not None and oldest_us < before_us:
        if stop.is_set():
            reached_us = oldest_us
            break
        count = delete_before(min(oldest_us + HOUR_US, before_us))
        if count < 0:
            # The store's own retention does it, when it likes.
            return
        deleted += count
        oldest_us = oldest()
    with context.db.write() as connection:
        _note(connection, what, reached_us, deleted, context.clock.now_us())


def _note(connection: Connection, what: str, before_us: int, count: int, now_us: int) -> None:
    if count:
        deletions.record(connection, what, before_us, count, now_us)
