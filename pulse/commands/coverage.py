"""`pulse coverage` and `pulse incidents …`: when nothing could be heard, and what people decide of it."""

import json
from collections.abc import Iterator
from typing import Any

from pulse.access import incidents as deciding
from pulse.access.showing import printable
from pulse.access.showing_coverage import interval, shown
from pulse.clock import SystemClock, parse_time
from pulse.commands.operating import database, operator
from pulse.errors import BadInput
from pulse.settings import Settings
from pulse.stores.relational import coverage, incidents
from pulse.stores.relational.incidents import Entry


def listed(
    settings: Settings,
    from_: str | None,
    to: str | None,
    known_at: str | None,
    limit: int,
    *,
    as_json: bool,
) -> Iterator[str]:
    """A line for each blind interval that matches. Raises `BadInput`."""
    wanted = coverage.Filter(_time(from_, "--from"), _time(to, "--to"), _time(known_at, "--known-at"))
    if wanted.from_us is not None and wanted.to_us is not None and wanted.from_us >= wanted.to_us:
        raise BadInput("必须早于 --to / has to be before --to", where="--from")
    with database(settings) as db, db.read() as connection:
        for entry_id, blind in coverage.listing(connection, wanted, limit=limit):
            one = interval(entry_id, blind)
            yield json.dumps(one, ensure_ascii=False) if as_json else _line(one)


def incidents_listed(
    settings: Settings, community: str | None, *, unsettled: bool, as_json: bool
) -> Iterator[str]:
    """A line for each incident."""
    within = None if community is None else frozenset({community})
    with database(settings) as db, db.read() as connection:
        for entry in (incidents.unsettled if unsettled else incidents.listing)(connection, within):
            one = shown(entry)
            yield json.dumps(one, ensure_ascii=False) if as_json else _incident_line(one)


def confirm(settings: Settings, incident: int, reason: str) -> str:
    """Confirm an incident; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    with database(settings) as db, db.write() as connection:
        return _told(deciding.confirm(connection, operator(), incident, reason, SystemClock().now_us()))


def approve(settings: Settings, incident: int) -> str:
    """Approve what another person confirmed; gives its line. Raises `NotFound` and `Conflict`."""
    with database(settings) as db, db.write() as connection:
        return _told(deciding.approve(connection, operator(), incident, SystemClock().now_us()))


def dismiss(settings: Settings, incident: int, reason: str) -> str:
    """Dismiss an incident; gives its line. Raises `NotFound`, `BadInput` and `Conflict`."""
    with database(settings) as db, db.write() as connection:
        return _told(deciding.dismiss(connection, operator(), incident, reason, SystemClock().now_us()))


def _told(entry: Entry) -> str:
    return _incident_line(shown(entry))


def _time(text: str | None, where: str) -> int | None:
    return None if text is None else parse_time(text, where)


def _line(one: dict[str, Any]) -> str:
    scope = ", ".join(f"{name} {value}" for name, value in one["scope"].items() if value is not None)
    revoked = "" if one["revoked_at"] is None else f"撤销/revoked {one['revoked_at']}"
    parts = (
        str(one["id"]),
        f"{one['start']} → {one['end'] or '…'}",
        one["cause"],
        scope or "全部/all",
        f"记录/recorded {one['recorded_at']}",
        revoked,
    )
    return printable("  ".join(filter(None, parts)))


_STATUS = {
    "suspected": "待确认/suspected",
    "confirmed": "待批准/confirmed",
    "approved": "已批准/approved",
    "dismissed": "已排除/dismissed",
}


def _incident_line(one: dict[str, Any]) -> str:
    said = [
        f"{word} {one[name]['by']}" + (f"：{one[name]['reason']}" if one[name]["reason"] else "")
        for name, word in (("confirmed", "确认/by"), ("approved", "批准/by"), ("dismissed", "排除/by"))
        if one[name] is not None
    ]
    parts = (
        str(one["id"]),
        one["community"],
        f"{one['devices']}/{one['of']}",
        f"{one['start']} → {one['ended_at'] or '…'}",
        _STATUS[one["status"]],
        *said,
    )
    return printable("  ".join(parts))
