"""`pulse outlet reconcile`: what we delivered, what the department says that it holds, and the difference."""

import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from pulse.access import reconciliation
from pulse.access.showing import printable
from pulse.access.showing_reports import made_again, shown, sides
from pulse.clock import SystemClock
from pulse.commands.operating import database, operator
from pulse.settings import Settings
from pulse.sharing.reconciling import checked_day, day_of

_VERDICTS = {
    "same": "一致 same",
    "missing_here": "我方没有 missing here",
    "missing_there": "对方没有 missing there",
    "differs": "不同 differs",
}
_SHORT = 12


def reconciled(
    settings: Settings, outlet: str, day: str | None, *, again: bool, as_json: bool
) -> Iterator[str]:
    """A line for each kind of a day, and what was delivered again. Raises `NotFound`, `BadInput`, `Conflict`.

    The day is today by default.
    """
    zone = ZoneInfo(settings.timezone)
    now_us = SystemClock().now_us()
    of_day = day_of(None, now_us, zone) if day is None else checked_day(day, "--day")
    with database(settings) as db:
        with db.read() as connection:
            last, found = reconciliation.standing(connection, outlet, of_day)
        report, both = None if last is None else shown(last), sides(found)
        if not as_json:
            yield from _lines(outlet, of_day, report, both)
        said: dict[str, Any] = {"outlet": outlet, "day": of_day, "report": report, "kinds": both}
        if again:
            with db.write() as connection:
                made = reconciliation.deliver_again(
                    connection, operator(), outlet, of_day, None, now_us, zone
                )
            said["again"] = made_again(outlet, of_day, made)
            if not as_json:
                yield from _again(said["again"])
    if as_json:
        yield json.dumps(said, ensure_ascii=False)


def _lines(outlet: str, day: str, report: dict[str, Any] | None, both: list[dict[str, Any]]) -> Iterator[str]:
    if report is None:
        yield f"{outlet} {day}  对方没有报告 / the department reported nothing"
    else:
        yield printable(
            f"{outlet} {day}  报告 reported {report['recorded_at']} {report['said_by']}  "
            f"对照至 through {report['through'] or '—'}"
        )
    for one in both:
        ours, theirs = one["ours"], one["theirs"]
        if report is None:
            yield f"  {one['data_kind']:<18}我方 ours {ours['count']} ({ours['digest'][:_SHORT]}…)"
            continue
        yield (
            f"  {one['data_kind']:<18}我方 ours {ours['count']} ({ours['digest'][:_SHORT]}…)  "
            f"对方 theirs {theirs['count']} ({theirs['digest'][:_SHORT]}…)  {_VERDICTS[one['verdict']]}"
        )
    if not both:
        yield "  双方都没有记录 / neither side has a record"


def _again(made: dict[str, Any]) -> Iterator[str]:
    yield (
        f"重新投递 {made['records']} 条记录，{len(made['deliveries'])} 次投递 / "
        f"{made['records']} records are delivered again in {len(made['deliveries'])} deliveries: "
        + ", ".join(one["id"] for one in made["deliveries"])
    )
    if made["gone"]:
        yield f"{made['gone']} 次投递的内容已不再保存 / of {made['gone']} the content is kept no longer"
    if made["left"]:
        yield f"还有 {made['left']} 次，请再执行 / {made['left']} are left: run it again"
