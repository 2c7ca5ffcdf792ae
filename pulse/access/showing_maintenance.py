"""Maintenance entries as the API and the command line give and take them."""

from typing import Any, NamedTuple

from pulse.clock import parse_time, to_iso
from pulse.errors import BadInput
from pulse.ledger.model import FOREVER
from pulse.registry import plans
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.maintenance import Entry

PLANNED, RUNNING, OVER = "planned", "running", "over"


class Wish(NamedTuple):
    """A plan as it is given: times as text, the times of day of a weekly one as `22:30`."""

    reach: Reach
    from_: str
    to: str
    reason: str
    weekdays: tuple[int, ...] = ()
    daily_from: str | None = None
    daily_to: str | None = None


def plan_of(wish: Wish, zone: str) -> Plan:
    """The plan of a wish, times of day by `zone`. Raises `BadInput` naming the member."""
    begin, end = parse_time(wish.from_, "from"), parse_time(wish.to, "to")
    weekly = None
    if wish.weekdays:
        weekly = Weekly(
            wish.weekdays,
            plans.minute_of(wish.daily_from or "00:00", "daily_from"),
            plans.minute_of(wish.daily_to or "24:00", "daily_to"),
            zone,
        )
    elif wish.daily_from or wish.daily_to:
        raise BadInput(
            "给了时段，也请给出星期 / give weekdays too, since times of day are given", where="weekdays"
        )
    return Plan(wish.reach, begin, end, wish.reason, weekly)


def phase(entry: Entry, now_us: int) -> str:
    """Whether its windows are yet to come, one is open, or all are past (`PLANNED`, `RUNNING`, `OVER`)."""
    if plans.window_at(entry.plan, now_us) is not None:
        return RUNNING
    return PLANNED if plans.next_window(entry.plan, now_us) is not None else OVER


def shown(entry: Entry, now_us: int) -> dict[str, Any]:
    """An entry with what was decided of it."""
    plan = entry.plan
    return {
        "id": entry.id,
        "status": entry.status,
        "phase": phase(entry, now_us),
        "scope": plan.reach._asdict(),
        "from": to_iso(plan.start),
        "to": _open(plan.end),
        "weekly": _weekly(plan.weekly),
        "reason": plan.reason,
        "recorded_at": to_iso(entry.recorded_us),
        "recorded_by": entry.author,
        "known_at": _open(entry.known_us),
        "approved": shown_decision(entry.decisions.approved),
        "refused": shown_decision(entry.decisions.refused),
        "cancelled": shown_decision(entry.decisions.cancelled),
    }


def _weekly(weekly: Weekly | None) -> dict[str, Any] | None:
    if weekly is None:
        return None
    return {
        "weekdays": list(weekly.days),
        "daily_from": plans.minute_text(weekly.begins_min),
        "daily_to": plans.minute_text(weekly.ends_min),
        "timezone": weekly.zone,
    }


def _open(at_us: int) -> str | None:
    return None if at_us >= FOREVER else to_iso(at_us)


def shown_decision(decision: Decision | None) -> dict[str, str | None] | None:
    """A decision, None where none was made."""
    if decision is None:
        return None
    return {"at": to_iso(decision.at_us), "by": decision.by, "reason": decision.reason or None}
