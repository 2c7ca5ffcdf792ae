"""What people plan of maintenance: which devices, when, every week or once, and why; all of it pure.

A plan's windows are half-open. One that recurs gives a window for each of its weekdays, by the clock of its
zone: over a change to or from summer time the window keeps its local times, and so its length changes.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pulse.access.reasons import reason_of
from pulse.clock import DAY_US, SECOND_US, from_datetime
from pulse.errors import BadInput
from pulse.ids import check_id
from pulse.ledger.model import Scope
from pulse.registry.model import check_text

MOST_DAYS = 732
"""Longest time from the beginning to the end of a plan: two years, which bounds its windows too."""
LATEST_US = 7_258_118_400 * SECOND_US
"""The year 2200: calendars stay within their bounds."""
DAY_MIN = 24 * 60
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)

Window = tuple[int, int]
"""`[start, end)`, microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reach(NamedTuple):
    """Which devices a plan is about: those of which all given members are true."""

    device: str | None = None
    kind: str | None = None
    community: str | None = None
    building: str | None = None
    """Of the `community`, since buildings are numbered in each."""
    tag: str | None = None

    @property
    def scope(self) -> Scope:
        """What the ledger can say of it by itself."""
        return Scope(self.device, self.kind, self.community)

    @property
    def is_resolved(self) -> bool:
        """Whether the registry has to say which devices are meant."""
        return self.building is not None or self.tag is not None


class Weekly(NamedTuple):
    """Windows on weekdays (1 is Monday) from a local minute of the day to another, the next day's unless
    that is later; equal ones are a whole day."""

    days: tuple[int, ...]
    begins_min: int
    ends_min: int
    zone: str


class Plan(NamedTuple):
    """Maintenance from `start` to `end` (microseconds); with `weekly`, what lies in its windows only."""

    reach: Reach
    start: int
    end: int
    reason: str
    weekly: Weekly | None = None


def checked(plan: Plan) -> Plan:
    """The plan with its reason trimmed. Raises `BadInput` naming the member that cannot be."""
    _check_reach(plan.reach)
    for where, at_us in (("from", plan.start), ("to", plan.end)):
        if not 0 <= at_us <= LATEST_US:
            raise BadInput("须在 1970 年至 2200 年之间 / has to lie between 1970 and 2200", where=where)
    if plan.end <= plan.start:
        raise BadInput("须晚于开始 / has to be after the beginning", where="to")
    if plan.end - plan.start > MOST_DAYS * DAY_US:
        raise BadInput(
            f"最长 {MOST_DAYS} 天，请分成几条 / lasts {MOST_DAYS} days at most; make several entries",
            where="to",
        )
    weekly = None if plan.weekly is None else _checked_weekly(plan.weekly)
    plan = plan._replace(reason=reason_of(plan.reason), weekly=weekly)
    if not windows(plan):
        raise BadInput(
            "起止之间没有任何一个窗口，请检查星期与时段 / "
            "no window lies between the beginning and the end; check weekdays and times",
            where="weekdays",
        )
    return plan


def windows(plan: Plan) -> list[Window]:
    """The windows of a plan, in order, clipped to its beginning and end; none is empty.

    At most one a day and one more, for a plan that `checked` let pass.
    """
    if plan.weekly is None:
        return [(plan.start, plan.end)] if plan.start < plan.end else []
    clipped = ((max(s, plan.start), min(e, plan.end)) for s, e in _unclipped(plan, plan.weekly))
    return [(start, end) for start, end in clipped if start < end]


def window_at(plan: Plan, at_us: int) -> Window | None:
    """The window that is open at an instant."""
    return next((w for w in windows(plan) if w[0] <= at_us < w[1]), None)


def next_window(plan: Plan, at_us: int) -> Window | None:
    """The first window that begins after an instant."""
    return next((w for w in windows(plan) if w[0] > at_us), None)


def begins_us(plan: Plan) -> int:
    """When its first window begins."""
    return windows(plan)[0][0]


def needs_approval(plan: Plan, recorded_us: int, backdate_us: int) -> bool:
    """Whether it begins so long before it is recorded that a second person has to approve."""
    return begins_us(plan) < recorded_us - backdate_us


def fingerprint(plan: Plan) -> str:
    """16 hexadecimal digits that tell one plan from another: what was previewed is what is saved."""
    said = json.dumps(plan, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def minute_of(text: str, where: str) -> int:
    """The minute of the day of `22:30`; `24:00` is midnight. Raises `BadInput` naming `where`."""
    hours, separator, minutes = text.strip().partition(":")
    if separator and hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2:
        minute = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and minute <= DAY_MIN:
            return minute % DAY_MIN
    raise BadInput(
        f"{text[:20]!r} 不是钟点，请写如 22:30 / is no time of day; write it as 22:30", where=where
    )


def minute_text(minute: int) -> str:
    """`22:30` of a minute of the day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _check_reach(reach: Reach) -> None:
    if not any(reach):
        raise BadInput(
            "请说明涉及哪些设备：设备、类别、小区、楼栋或标签 / "
            "say which devices: a device, a kind, a community, a building or a tag",
            where="scope",
        )
    for name, value in (("device", reach.device), ("kind", reach.kind), ("community", reach.community)):
        if value is not None:
            check_id(value, name)
    for name, value in (("building", reach.building), ("tag", reach.tag)):
        if value is not None:
            check_text(value, name)
            if not value.strip():
                raise BadInput("不能为空 / may not be empty", where=name)
    if reach.device is not None and any(reach[1:]):
        raise BadInput(
            "已指明一台设备，不要再给其他范围 / names a device; give no other scope", where="device"
        )
    if reach.building is not None and reach.community is None:
        raise BadInput(
            "楼栋在各小区内编号，请同时指明小区 / buildings are numbered within a community; name it too",
            where="building",
        )


def _checked_weekly(weekly: Weekly) -> Weekly:
    days = tuple(sorted(set(weekly.days)))
    if not days or not set(days) <= set(EVERY_DAY):
        raise BadInput(
            "请给出星期，1（周一）到 7（周日） / give weekdays, 1 (Monday) to 7 (Sunday)", where="weekdays"
        )
    for where, minute in (("daily_from", weekly.begins_min), ("daily_to", weekly.ends_min)):
        if not 0 <= minute < DAY_MIN:
            raise BadInput("不在一天之内 / lies outside of a day", where=where)
    try:
        _zone(weekly.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadInput(f"没有时区 {weekly.zone!r} / there is no such zone", where="zone") from None
    return weekly._replace(days=days)


def _unclipped(plan: Plan, weekly: Weekly) -> Iterator[Window]:
    zone = _zone(weekly.zone)
    last = _local_day(plan.end, zone)
    # The window that began the day before may reach into the first day.
    day = _local_day(plan.start, zone) - timedelta(days=1)
    while day <= last:
        if day.isoweekday() in weekly.days:
            until = day if weekly.ends_min > weekly.begins_min else day + timedelta(days=1)
            yield _instant(day, weekly.begins_min, zone), _instant(until, weekly.ends_min, zone)
        day += timedelta(days=1)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local_day(at_us: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).date()


def _instant(day: date, minute: int, zone: ZoneInfo) -> int:
    """A local time: of two instants that it may be the first, and in a gap as if the gap were not."""
    return from_datetime(datetime(day.year, day.month, day.day, *divmod(minute, 60), tzinfo=zone))
