"""`pulse device commission|retire|replace|move|life|changes|…`: steps in the lives of devices."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection

from pulse.access import lives as recording
from pulse.access.roles import Actor
from pulse.access.showing import printable
from pulse.access.showing_lives import life, shown
from pulse.clock import SystemClock, parse_time
from pulse.commands.maintenance import effect_lines
from pulse.commands.operating import database, operator
from pulse.errors import BadInput, NotFound
from pulse.indicators import effect as effects
from pulse.indicators.books import Library
from pulse.indicators.previewing import previewed_step
from pulse.registry.lives import Step
from pulse.settings import Settings
from pulse.stores.relational import lives, registry
from pulse.stores.relational.decisions import PENDING, STATUSES


def take(
    settings: Settings,
    what: str,
    device: str,
    at: str | None,
    reason: str,
    tell: Callable[[str], None],
    confirm: Callable[[], bool],
    *,
    successor: str | None = None,
) -> str | None:
    """Record a step and give its line; `at` None is now.

    One that has to be approved shows its effect first and is saved when `confirm` says so, else None is
    given. Raises `BadInput` and `Conflict`.
    """
    clock = SystemClock()
    at_us = clock.now_us() if at is None else parse_time(at, "--at")
    step = Step(what, device, at_us, reason, successor)
    backdate_us = settings.maintenance_backdate_us()
    with database(settings) as db:
        library = Library(db, clock, settings.default_timeout_s)
        found = previewed_step(db, library, operator(), step, clock.now_us(), backdate_us)
        if found.entry.status == PENDING:
            for line in effect_lines(effects.shown(found.effect)):
                tell(line)
            if not confirm():
                return None
        with db.write() as connection:
            kept = effects.kept(found.effect)
            entry = recording.record(connection, operator(), step, clock.now_us(), backdate_us, effect=kept)
    return _line(shown(entry))


def move(
    settings: Settings,
    device: str,
    reason: str,
    community: str | None,
    building: str | None,
    location: str | None,
) -> str:
    """Say that a device stands elsewhere from now on. Raises `NotFound` and `BadInput`."""
    with database(settings) as db, db.write() as connection:
        now = recording.move(
            connection,
            operator(),
            device,
            SystemClock().now_us(),
            reason,
            community=community,
            building=building,
            location=location,
        )
    return printable("  ".join(filter(None, (now.id, now.community, now.building, now.location))))


def told(settings: Settings, device: str, *, as_json: bool) -> Iterator[str]:
    """A line for everything that happened to a device. Raises `NotFound`."""
    with database(settings) as db, db.read() as connection:
        if registry.device(connection, device) is None:
            raise NotFound(f"没有登记设备 {device} / no device {device} is registered")
        found = life(connection, device)
    if as_json:
        yield json.dumps(found, ensure_ascii=False, indent=2)
        return
    for one in found["events"]:
        yield _event(one)
    for one in found["steps"]:
        if one["status"] == PENDING or one["what"] == "replace":
            yield _line(one)
    if len(found["place"]) > 1:
        stays = (f"{s['device']} {s['from'] or '…'} → {s['to'] or '…'}" for s in found["place"])
        yield printable("位置/place: " + "，".join(stays))


def listed(settings: Settings, status: str | None, limit: int, *, as_json: bool) -> Iterator[str]:
    """A line for each step that people recorded, the last first. Raises `BadInput`."""
    if status is not None and status not in STATUSES:
        raise BadInput(f"可用 / use one of {', '.join(STATUSES)}", where="--status")
    with database(settings) as db, db.read() as connection:
        for entry in lives.listing(connection, status=status, limit=limit):
            one = shown(entry)
            yield json.dumps(one, ensure_ascii=False) if as_json else _line(one)


def approve(settings: Settings, entry: int) -> str:
    """Approve what another person recorded; gives its line. Raises `NotFound` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.approve(c, who, entry, now_us))


def refuse(settings: Settings, entry: int, reason: str) -> str:
    """Refuse what waits; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.refuse(c, who, entry, reason, now_us))


def cancel(settings: Settings, entry: int, reason: str) -> str:
    """Withdraw what waits; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    return _decided(settings, lambda c, who, now_us: recording.cancel(c, who, entry, reason, now_us))


def _decided(settings: Settings, decide: Callable[[Connection, Actor, int], lives.Entry]) -> str:
    with database(settings) as db, db.write() as connection:
        return _line(shown(decide(connection, operator(), SystemClock().now_us())))


_WHAT = {"commission": "启用/commission", "retire": "停用/retire", "replace": "更换/replace"}
_STATUS = {
    "pending": "待批准/pending",
    "recorded": "已生效/recorded",
    "refused": "已驳回/refused",
    "cancelled": "已取消/cancelled",
}
_EVENTS = {
    "discovered": "发现/discovered",
    "registered": "登记/registered",
    "commissioned": "启用/commissioned",
    "moved": "移动/moved",
    "changed": "变更/changed",
    "retired": "停用/retired",
}


def _line(one: dict[str, Any]) -> str:
    said = [
        f"{word} {one[name]['by']}" + (f"：{one[name]['reason']}" if one[name]["reason"] else "")
        for name, word in (("approved", "批准/by"), ("refused", "驳回/by"), ("cancelled", "取消/by"))
        if one[name] is not None
    ]
    device = one["device"] if one["successor"] is None else f"{one['device']} → {one['successor']}"
    parts = (
        str(one["id"]),
        _WHAT[one["what"]],
        device,
        one["at"],
        _STATUS[one["status"]],
        f"记录/recorded {one['recorded_by']}：{one['reason']}",
        *said,
    )
    return printable("  ".join(parts))


def _event(one: dict[str, Any]) -> str:
    changes = [
        f"{name}: {one['before'][name]} → {value}" if name in one["before"] else f"{name}: {value}"
        for name, value in one["after"].items()
    ]
    known = "" if one["known_at"] in {None, one["at"]} else f"登记于/known {one['known_at']}"
    parts = (one["at"] or "…", _EVENTS[one["what"]], ", ".join(changes), known, one["by"] or "")
    return printable("  ".join(filter(None, parts)))
