"""`pulse maintenance …`: what is recorded of maintenance, what that would change, and who decides."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection

from pulse.access import maintenance as recording
from pulse.access.roles import Actor
from pulse.access.showing import printable
from pulse.access.showing_maintenance import Wish, plan_of, shown
from pulse.clock import SystemClock
from pulse.commands.amounts import hours
from pulse.commands.operating import database, operator
from pulse.errors import BadInput
from pulse.indicators import effect as effects
from pulse.indicators.books import Library
from pulse.indicators.previewing import Preview, effect_of, previewed
from pulse.registry.plans import Reach
from pulse.settings import Settings
from pulse.stores.relational import maintenance
from pulse.stores.relational.database import Database
from pulse.stores.relational.decisions import PENDING, STATUSES
from pulse.stores.relational.maintenance import Entry

NO_REASON = "—"
"""Of a plan that is only looked at."""

_DAYS = "一二三四五六日"


def wish(
    reach: tuple[str | None, ...],
    from_: str,
    to: str,
    reason: str,
    weekdays: str | None,
    daily_from: str | None,
    daily_to: str | None,
) -> Wish:
    """The options as a wish; `reach` in the order of `Reach`. Raises `BadInput` naming the option."""
    days = [] if weekdays is None else weekdays.split(",")
    if not all(day.strip().isdecimal() for day in days):
        raise BadInput("请写如 1,4（1 为周一） / write them as 1,4 (1 is Monday)", where="--weekdays")
    return Wish(Reach(*reach), from_, to, reason, tuple(int(day) for day in days), daily_from, daily_to)


def listed(
    settings: Settings, community: str | None, status: str | None, limit: int, *, as_json: bool
) -> Iterator[str]:
    """A line for each entry. Raises `BadInput`."""
    if status is not None and status not in STATUSES:
        raise BadInput(f"可用 / use one of {', '.join(STATUSES)}", where="--status")
    within = None if community is None else frozenset({community})
    now_us = SystemClock().now_us()
    with database(settings) as db, db.read() as connection:
        for entry in maintenance.listing(connection, within, status=status, limit=limit):
            one = shown(entry, now_us)
            yield json.dumps(one, ensure_ascii=False) if as_json else _line(one)


def preview(settings: Settings, wish: Wish, *, as_json: bool) -> Iterator[str]:
    """What an entry would change; nothing is saved. Raises `BadInput`."""
    with database(settings) as db, _named_by_option():
        found = _previewed(settings, db, wish)
        if as_json:
            yield json.dumps(effects.shown(found.effect), ensure_ascii=False, indent=2)
        else:
            yield from _told(found)


def effect(settings: Settings, entry_id: int, *, as_json: bool) -> Iterator[str]:
    """What a recorded entry that waits would change. Raises `NotFound`."""
    with database(settings) as db:
        with db.read() as connection:
            entry = recording.seen(connection, operator(), entry_id)
        found = effect_of(db, _library(settings, db), operator(), entry)
    if as_json:
        yield json.dumps(effects.shown(found), ensure_ascii=False, indent=2)
        return
    yield _line(shown(entry, SystemClock().now_us()))
    if entry.status == PENDING:
        yield from effect_lines(effects.shown(found))


def add(
    settings: Settings, wish: Wish, tell: Callable[[str], None], confirm: Callable[[], bool]
) -> str | None:
    """Record an entry and give its line.

    One that has to be approved shows its effect first and is saved when `confirm` says so, else None is
    given. Raises `BadInput`.
    """
    with database(settings) as db, _named_by_option():
        found = _previewed(settings, db, wish)
        if found.entry.status == PENDING:
            for line in _told(found):
                tell(line)
            if not confirm():
                return None
        now_us = SystemClock().now_us()
        with db.write() as connection:
            entry = recording.record(
                connection,
                operator(),
                found.entry.plan,
                now_us,
                settings.maintenance_backdate_us(),
                effect=effects.kept(found.effect),
            )
    return _line(shown(entry, now_us))


def approve(settings: Settings, entry: int) -> str:
    """Approve what another person recorded; gives its line. Raises `NotFound` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.approve(c, who, entry, now_us))


def refuse(settings: Settings, entry: int, reason: str) -> str:
    """Refuse what waits; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.refuse(c, who, entry, reason, now_us))


def cancel(settings: Settings, entry: int, reason: str) -> str:
    """Withdraw an entry; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.cancel(c, who, entry, reason, now_us))


def _decided(settings: Settings, decide: Callable[[Connection, Actor, int], Entry]) -> str:
    now_us = SystemClock().now_us()
    with database(settings) as db, _named_by_option(), db.write() as connection:
        return _line(shown(decide(connection, operator(), now_us), now_us))


@contextlib.contextmanager
def _named_by_option() -> Iterator[None]:
    """Members that cannot be, named as the options that give them."""
    try:
        yield
    except BadInput as error:
        where = None if error.where is None else f"--{error.where.replace('_', '-')}"
        raise BadInput(error.reason, where=where) from error


def _library(settings: Settings, db: Database) -> Library:
    return Library(db, SystemClock(), settings.default_timeout_s)


def _previewed(settings: Settings, db: Database, wish: Wish) -> Preview:
    plan = plan_of(wish, settings.timezone)
    now_us = SystemClock().now_us()
    backdate_us = settings.maintenance_backdate_us()
    return previewed(db, _library(settings, db), operator(), plan, now_us, backdate_us)


def _told(found: Preview) -> Iterator[str]:
    yield from effect_lines(effects.shown(found.effect))
    if found.entry.status == PENDING:
        yield "开始已久，保存后须由另一人批准 / began long ago: once saved, another person has to approve it"


def effect_lines(told: dict[str, Any]) -> Iterator[str]:
    """What an effect changes, in lines."""
    yield f"涉及设备 / devices concerned: {told['devices']}"
    period, now = told["period"], told["now"]
    if period is None:
        yield "尚未开始，不改变过去 / yet to begin; changes no past"
    else:
        yield f"{told['from']} → {told['to']}"
        yield from _compared("  ", period, hours)
    yield f"现在 / now {told['at']}"
    yield from _compared("  ", now, "{:,}".format)


def _compared(indent: str, both: dict[str, Any], amount: Callable[[float], str]) -> Iterator[str]:
    for name, pair in (("全部/all", both["all"]), *both["by_community"].items()):
        before, after = pair["before"], pair["after"]
        yield printable(
            f"{indent}{name}  在线率/rate {_percent(before)} → {_percent(after)}"
            f"  调整后/adjusted {_percent(before['adjusted'])} → {_percent(after['adjusted'])}"
        )
        changed = [
            f"{state} {amount(seconds)} → {amount(after['states'][state])}"
            for state, seconds in before["states"].items()
            if seconds != after["states"][state]
        ]
        if changed:
            yield f"{indent}  " + "  ".join(changed)


def _percent(figures: dict[str, Any]) -> str:
    return "—" if figures["percent"] is None else f"{figures['percent']} %"


_STATUS = {
    "pending": "待批准/pending",
    "recorded": "已生效/recorded",
    "refused": "已驳回/refused",
    "cancelled": "已取消/cancelled",
}
_PHASES = {"planned": "未开始/planned", "running": "进行中/running", "over": "已结束/over"}


def _line(one: dict[str, Any]) -> str:
    scope = ", ".join(f"{name} {value}" for name, value in one["scope"].items() if value is not None)
    weekly = ""
    if one["weekly"] is not None:
        days = "".join(_DAYS[day - 1] for day in one["weekly"]["weekdays"])
        weekly = f"每周{days} {one['weekly']['daily_from']}–{one['weekly']['daily_to']}"
    said = [
        f"{word} {one[name]['by']}" + (f"：{one[name]['reason']}" if one[name]["reason"] else "")
        for name, word in (("approved", "批准/by"), ("refused", "驳回/by"), ("cancelled", "取消/by"))
        if one[name] is not None
    ]
    parts = (
        str(one["id"]),
        f"{one['from']} → {one['to'] or '…'}",
        weekly,
        scope or "全部/all",
        _STATUS[one["status"]],
        _PHASES[one["phase"]] if one["status"] == "recorded" else "",
        f"记录/recorded {one['recorded_by']}：{one['reason']}",
        *said,
    )
    return printable("  ".join(filter(None, parts)))
