"""Periodic work: the minute's value, copies for the telemetry store, retention, and runs that were missed."""

import threading
import time
from zoneinfo import ZoneInfo

import pytest

from api import scheduler
from api.context import Context
from api.jobs import follow, forward, publish, retention
from api.jobs.schedules import Daily, EveryMinute
from api.scheduler import Job
from collector import feeder
from pulse.access import secrets
from pulse.access.lockout import Attempts
from pulse.access.roles import Role
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time
from pulse.errors import StoreUnavailable
from pulse.indicators.online_rate import NAME
from pulse.indicators.verifying import verify
from pulse.messages import Quarantined, Record
from pulse.stores.base import IndicatorPoint
from pulse.stores.relational import (
    attempts,
    deletions,
    events,
    jobs,
    meta,
    published,
    quarantine,
    sessions,
    users,
)
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.published import PublishedValue
from tests.api.site import END, T0, Site

SHANGHAI = ZoneInfo("Asia/Shanghai")
GO_ON = threading.Event()


class Keeping:
    """A telemetry store that keeps what it is given, or is away."""

    def __init__(self, site: Site) -> None:
        self._store = site.store
        self.indicators: list[IndicatorPoint] = []
        self.away = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write_indicators(self, points: list[IndicatorPoint]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.indicators += points


def values(site: Site) -> list[PublishedValue]:
    with site.db.read() as connection:
        return published.series(connection, NAME, 0, T0 + DAY_US)


def with_store(site: Site, store: Keeping) -> Context:
    context = site.context
    return Context(context.settings, context.db, store, context.clock, context.rate)  # type: ignore[arg-type]


# When.


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (EveryMinute(2), "2026-11-23T00:10:02Z", "2026-11-23T00:10:02Z"),
        (EveryMinute(2), "2026-11-23T00:10:01.9Z", "2026-11-23T00:09:02Z"),
        (Daily(3, 30), "2026-11-23T03:30:00+08:00", "2026-11-23T03:30:00+08:00"),
        (Daily(3, 30), "2026-11-23T03:29:59+08:00", "2026-11-22T03:30:00+08:00"),
        (Daily(3, 30), "2026-11-22T20:00:00Z", "2026-11-23T03:30:00+08:00"),
    ],
)
def test_the_last_time_due_is_by_the_people_s_clock(
    schedule: Daily | EveryMinute, now: str, due: str
) -> None:
    assert schedule.last_due(parse_time(now, ""), SHANGHAI) == parse_time(due, "")


# Published values.


def test_every_whole_minute_up_to_the_watermark_is_published_once(site: Site) -> None:
    assert publish.publish(site.context, GO_ON) == 11
    assert publish.publish(site.context, GO_ON) == 0
    found = values(site)
    assert [value.at_us for value in found] == [T0 + n * MINUTE_US for n in range(11)]
    assert [(v.numerator, v.denominator) for v in (found[3], found[5], found[10])] == [
        (10, 10),
        (7, 10),
        (7, 10),
    ]
    for value in found:
        assert value.digest == published.digest(value.figures)
        assert value.figures["all"]["raw"] == [value.numerator, value.denominator]


def test_what_was_published_stays_when_more_becomes_known(site: Site) -> None:
    publish.publish(site.context, GO_ON)
    before = values(site)
    site.deaf(T0, END)
    site.mark(END + MINUTE_US)
    assert publish.publish(site.context, GO_ON) == 1
    assert values(site)[:-1] == before


def test_nothing_is_published_behind_the_watermark(site: Site) -> None:
    publish.publish(site.context, GO_ON)
    site.clock.now += 3 * HOUR_US
    assert publish.publish(site.context, GO_ON) == 0


def test_catching_up_goes_on_where_the_last_run_ended() -> None:
    first = publish.due_minutes(None, T0, T0 + DAY_US)
    assert first == [T0 + n * MINUTE_US for n in range(publish.MOST_MINUTES)]
    second = publish.due_minutes(first[-1], T0, T0 + DAY_US)
    assert second[0] == first[-1] + MINUTE_US
    assert publish.due_minutes(T0 + DAY_US, T0, T0 + DAY_US + MINUTE_US - 1) == []


def test_catching_up_reaches_back_no_more_than_a_week() -> None:
    through_us = T0 + 30 * DAY_US + 1
    assert publish.due_minutes(T0, T0, through_us)[0] == T0 + 23 * DAY_US + MINUTE_US


def changed(site: Site, *seconds: float) -> list[int]:
    """What the collector says when figures have become others; gives the times."""
    times = [T0 + round(second * SECOND_US) for second in seconds]
    with site.db.write() as connection:
        events.append(connection, [NewEvent(at_us, at_us, "indicator", {}) for at_us in times])
    return times


def test_a_change_between_two_minutes_is_published_at_its_time(site: Site) -> None:
    goodbye, told = changed(site, 270.25, 300.5)
    assert publish.publish(site.context, GO_ON) == 12
    between = [value for value in values(site) if value.at_us % MINUTE_US]
    assert [(v.at_us, v.numerator, v.denominator) for v in between] == [(goodbye, 8, 10)]
    assert told not in [value.at_us for value in values(site)], "the minute says the same already"
    assert publish.publish(site.context, GO_ON) == 0
    with site.db.read() as connection:
        rows = list(published.walk(connection))
        assert verify(connection).broken is None
    assert [row.at_us for row in rows] == sorted(row.at_us for row in rows)


def test_a_minute_is_published_behind_a_change_too(site: Site) -> None:
    publish.publish(site.context, GO_ON)
    site.hear([site.message("lock-4", END + 5 * SECOND_US)], END + 5 * SECOND_US)
    site.mark(END + 6 * SECOND_US)
    (back,) = changed(site, 605)
    assert publish.publish(site.context, GO_ON) == 1
    site.mark(END + MINUTE_US)
    assert publish.publish(site.context, GO_ON) == 1
    assert [v.at_us for v in values(site)[-2:]] == [back, END + MINUTE_US]


def test_changes_close_together_are_published_as_one_and_none_is_lost() -> None:
    def due(last: int, changes: list[int], through: int) -> list[int]:
        return publish.due_changes(last, changes, through, apart_us=100)

    assert due(0, [150, 300, 500], 1000) == [150, 300, 500]
    assert due(0, [10], 1000) == [100]
    assert due(0, [150, 160, 240, 251], 1000) == [150, 250, 350]
    assert due(0, [150, 160], 249) == [150], "the second waits"
    assert due(150, [160], 250) == [250]
    assert due(250, [160, 250], 1000) == [], "they are in what was published after them"


def test_changes_do_not_overtake_minutes_that_are_caught_up() -> None:
    minutes = [n * MINUTE_US for n in range(publish.MOST_MINUTES)]
    last = minutes[-1]
    moments = publish.due(minutes, [5, last, last + 5, last + MINUTE_US])
    assert [m.at_us for m in moments] == sorted({*minutes, 5, last + 5})
    assert [m.at_us for m in moments if not m.minute] == [5, last + 5]


def test_schedulers_on_one_database_publish_every_moment_once(site: Site) -> None:
    changed(site, 270.25, 330.5, 480.75)
    contexts = [Context(site.context.settings, site.db, site.store, site.clock, site.rate) for _ in range(3)]
    counts: list[int] = []

    def work(context: Context) -> None:
        # Each as a process of its own: without the lock that is within one.
        rate = context.indicators[0]
        counts.append(publish._publish(context, rate, GO_ON, {}, publish.LEAST_APART_US).published)

    threads = [threading.Thread(target=work, args=(context,)) for context in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == len(values(site)) == 12
    with site.db.read() as connection:
        found = verify(connection)
    assert (found.links, found.broken) == (12, None)


def test_changes_are_followed_until_it_is_told_to_stop(site: Site) -> None:
    publish.publish(site.context, GO_ON)
    stop = threading.Event()
    thread = threading.Thread(target=follow.follow, args=(site.context, stop), daemon=True)
    thread.start()
    site.hear([site.message("lock-4", END + 5 * SECOND_US)], END + 5 * SECOND_US)
    (back,) = changed(site, 605)
    site.mark(END + 6 * SECOND_US)
    give_up_s = time.monotonic() + 20
    while values(site)[-1].at_us != back and time.monotonic() < give_up_s:
        time.sleep(0.05)
    assert (values(site)[-1].at_us, values(site)[-1].numerator) == (back, 8)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_values_that_take_long_are_published_further_apart() -> None:
    assert [follow.pause_s(s) for s in (0.01, 0.2, 2.0, 1000)] == [1.0, 1.0, 10.0, 60.0]


def test_before_the_first_start_there_is_nothing_to_publish() -> None:
    assert publish.due_minutes(None, None, T0) == []
    assert publish.due_minutes(None, T0 + 1, T0 + MINUTE_US)[0] == T0 + MINUTE_US


def test_publishing_stops_when_asked(site: Site) -> None:
    stop = threading.Event()
    stop.set()
    assert publish.publish(site.context, stop) == 0


# Copies.


def test_published_values_are_copied_whole_and_by_community(site: Site) -> None:
    store = Keeping(site)
    publish.publish(site.context, GO_ON)
    forward.forward(with_store(site, store), GO_ON)
    last = [point for point in store.indicators if point.at_us == END]
    assert {p.community: (p.numerator, p.denominator, p.lower, p.upper) for p in last} == {
        "": (7, 10, 0.7, 0.7),
        "xinjinglou": (7, 8, 0.875, 0.875),
        "rongxinyuan": (0, 2, 0.0, 0.0),
    }
    assert len(store.indicators) == 33
    site.mark(END + MINUTE_US)
    publish.publish(site.context, GO_ON)
    forward.forward(with_store(site, store), GO_ON)
    assert len(store.indicators) == 36


def test_what_a_store_missed_while_it_was_away_is_copied_later(site: Site) -> None:
    store = Keeping(site)
    publish.publish(site.context, GO_ON)
    store.away = True
    with pytest.raises(StoreUnavailable):
        forward.forward(with_store(site, store), GO_ON)
    store.away = False
    forward.forward(with_store(site, store), GO_ON)
    assert len(store.indicators) == 33


# Retention.


def test_raw_messages_older_than_the_retention_go_and_the_deletion_is_on_record(site: Site) -> None:
    kept_days = site.context.settings.raw_retention()
    site.clock.now = T0 + 300 * SECOND_US + kept_days * DAY_US
    retention.retain(site.context, GO_ON)
    assert site.store.oldest_us() == T0 + 300 * SECOND_US
    with site.db.read() as connection:
        (deletion,) = deletions.recent(connection)
    assert (deletion.what, deletion.before_us) == ("raw_messages", T0 + 300 * SECOND_US)
    assert deletion.deleted == 10 * 7 + 7 + 10 + 10
    retention.retain(site.context, GO_ON)
    with site.db.read() as connection:
        assert deletions.recent(connection) == [deletion]


def test_records_older_than_the_retention_go_and_the_deletion_is_on_record(site: Site) -> None:
    def record(order: int) -> Record:
        at_us = T0 + order * SECOND_US
        return Record("g", "a", "gas_alarm", "gas_reading", at_us, None, at_us, False, order, b"{}", order)

    site.store.write_records([record(order) for order in range(100, 110)])
    site.clock.now = T0 + 104 * SECOND_US + site.context.settings.raw_retention() * DAY_US
    retention.retain(site.context, GO_ON)
    left = site.store.read_records(0, 1000, since_us=0, limit=100)
    assert left == [record(order) for order in range(104, 110)]
    with site.db.read() as connection:
        (deletion,) = [one for one in deletions.recent(connection) if one.what == "records"]
    assert (deletion.before_us, deletion.deleted) == (T0 + 104 * SECOND_US, 4)


def test_events_stay_a_week_and_longer_while_they_wait_to_be_copied(site: Site) -> None:
    with site.db.write() as connection:
        last = events.append(connection, [NewEvent(END + n, END, "coverage", {}) for n in range(4)])
    site.clock.now = END + 8 * DAY_US
    retention.retain(site.context, GO_ON)
    with site.db.write() as connection:
        assert len(events.after(connection, 0, 10)) == 4
        meta.put(connection, feeder.CURSOR_KEY, str(last))
    retention.retain(site.context, GO_ON)
    with site.db.read() as connection:
        # The last one stays, so that clients can tell what they missed.
        assert [event.id for event in events.after(connection, 0, 10)] == [last]


def test_old_quarantine_and_job_runs_go(site: Site) -> None:
    with site.db.write() as connection:
        quarantine.put(connection, [(1, Quarantined(T0, "not_utf8", "", "x", b"", 0))])
        for due_us in (T0, T0 + MINUTE_US):
            jobs.finished(connection, jobs.started(connection, "publish", due_us, due_us), due_us, None)
    site.clock.now = T0 + 40 * DAY_US
    retention.retain(site.context, GO_ON)
    with site.db.read() as connection:
        assert quarantine.counts(connection) == {}
        assert [run.due_us for run in jobs.recent(connection, 10)] == [T0 + MINUTE_US]


def test_sessions_that_ended_a_month_ago_and_old_failures_go(site: Site) -> None:
    with site.db.write() as connection:
        user = users.add(connection, "wang", Role.VIEWER, T0)
        for secret, expires_us in (("old", T0), ("late", T0 + 20 * DAY_US)):
            sessions.add(connection, secrets.digest(secret), user.id, T0, expires_us, "192.0.2.7", "Firefox")
        attempts.put(connection, "user:x", Attempts(9, T0, T0 + HOUR_US))
    site.clock.now = T0 + 40 * DAY_US
    retention.retain(site.context, GO_ON)
    with site.db.read() as connection:
        assert sessions.found(connection, secrets.digest("old")) is None
        assert sessions.found(connection, secrets.digest("late")) is not None
        assert attempts.of(connection, "user:x") == Attempts()
        assert ("sessions", 1) in [(d[1], d[3]) for d in deletions.recent(connection)]


# Runs.


def test_a_run_is_recorded_with_the_time_that_it_was_due(site: Site) -> None:
    job = Job("minutely", EveryMinute(2), lambda context, stop: None)
    assert scheduler.perform(site.context, job, GO_ON)
    with site.db.read() as connection:
        (run,) = jobs.recent(connection, 10)
    assert (run.name, run.due_us, run.error) == ("minutely", END - MINUTE_US + 2 * SECOND_US, None)
    assert run.finished_us is not None


@pytest.mark.parametrize("error", [StoreUnavailable("the store is away"), ZeroDivisionError("none left")])
def test_a_failed_run_is_recorded_and_stays_missed(site: Site, error: Exception) -> None:
    def work(_context: Context, _stop: threading.Event) -> None:
        raise error

    job = Job("failing", EveryMinute(2), work)
    assert not scheduler.perform(site.context, job, GO_ON)
    with site.db.read() as connection:
        (run,) = jobs.recent(connection, 10)
    assert run.error is not None
    assert str(error) in run.error
    assert scheduler.is_missed(site.context, job, site.clock.now)


def test_a_job_is_missed_until_a_run_for_its_last_time_succeeded(site: Site) -> None:
    job = Job("daily", Daily(3, 30), lambda context, stop: None)
    assert scheduler.is_missed(site.context, job, site.clock.now)
    scheduler.perform(site.context, job, GO_ON)
    assert not scheduler.is_missed(site.context, job, site.clock.now)
    assert scheduler.is_missed(site.context, job, site.clock.now + DAY_US)


def test_a_missed_run_is_caught_up_at_start_and_stopping_is_quick(site: Site) -> None:
    ran: list[str] = []
    done = threading.Event()

    def missed(_context: Context, _stop: threading.Event) -> None:
        ran.append("missed")
        done.set()

    def up_to_date(_context: Context, _stop: threading.Event) -> None:
        ran.append("up to date")

    current = Job("current", Daily(3, 30), up_to_date)
    scheduler.perform(site.context, current, GO_ON)
    ran.clear()
    work = (Job("late", Daily(3, 30), missed), current)
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(site.context, stop, work), daemon=True)
    thread.start()
    assert done.wait(20)
    asked_s = time.monotonic()
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert time.monotonic() - asked_s < 3
    assert ran == ["missed"]


def test_the_jobs_of_an_installation_work_on_its_stores(site: Site) -> None:
    for job in scheduler.JOBS:
        assert scheduler.perform(site.context, job, GO_ON), job.name
    assert len(values(site)) == 11
