"""`pulse explain`: why the published online rate of a period differs from what is known of it now."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pulse.clock import DAY_US, Clock, SystemClock, parse_time
from pulse.commands.amounts import hours, signed_hours
from pulse.commands.operating import check_known, database
from pulse.indicators.books import Library
from pulse.indicators.explain import UNEXPLAINED, Explaining
from pulse.indicators.explain import Asked as Period
from pulse.ledger.difference import Reason
from pulse.settings import Settings
from pulse.stores.relational import registry

_WORDS = {
    Reason.EVIDENCE.value: "迟到的数据 / late data",
    Reason.COVERAGE.value: "采集覆盖更正 / coverage corrected",
    Reason.MAINTENANCE.value: "维护登记 / maintenance recorded",
    Reason.REGISTRY.value: "登记册更正 / registry corrected",
    UNEXPLAINED: "无法解释 / unexplained",
}


class Asked(NamedTuple):
    """The options as they were given; `limit` is how many devices to list."""

    from_: str | None
    to: str | None
    known_at: str | None
    community: str | None
    limit: int


def shown(settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None) -> Iterator[str]:
    """What the command prints. Raises `BadInput` naming the option that cannot be."""
    clock = clock or SystemClock()
    with database(settings) as db:
        with db.read() as connection:
            communities = [own.id for own in registry.communities(connection)]
        check_known("--community", asked.community, communities)
        library = Library(db, clock, settings.default_timeout_s)
        explaining = Explaining(db, library, clock)
        found = explaining.explain(_period(asked, library))
        answer = explaining.answer(found, asked.limit)
    if as_json:
        yield json.dumps(answer, ensure_ascii=False, indent=2)
    else:
        yield from _lines(answer)


def _period(asked: Asked, library: Library) -> Period:
    known_us = None if asked.known_at is None else parse_time(asked.known_at, "--known-at")
    to_us = parse_time(asked.to, "--to") if asked.to is not None else known_us or library.as_of().at_us
    from_us = to_us - DAY_US if asked.from_ is None else parse_time(asked.from_, "--from")
    return Period(from_us, to_us, known_us, asked.community)


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    count = answer["values"]
    yield f"{answer['from']} – {answer['to']}，公布 {count} 次 / values published: {count}"
    if not count:
        yield "这段时间没有公布过任何值 / nothing was published in this period"
        return
    yield f"当时公布 / as published:  {_rate(answer['published'])}"
    yield f"现在所知 / as known now:  {_rate(answer['known'])}  ({answer['known_at']})"
    yield f"差额 / difference:        {_change(answer['difference'])}"
    yield ""
    for part in answer["reasons"]:
        if part["devices"] or part["reason"] == UNEXPLAINED:
            count = f"，{part['devices']} 台 / devices" if part["devices"] else ""
            yield f"  {_WORDS[part['reason']]}{count}: {_change(part['change'])}"
    if answer["devices"]:
        yield ""
    for device in answer["devices"]:
        for part in device["reasons"]:
            yield f"  {device['id']}  {_WORDS[part['reason']]}: {_change(part['change'])}"
    left = answer["devices_changed"] - len(answer["devices"])
    if left:
        yield f"  还有 {left} 台，用 --limit / and {left} more, by --limit"


def _rate(rate: Mapping[str, Any]) -> str:
    if rate["percent"] is None:
        return "—"
    upper = "" if rate["percent"] == rate["percent_upper"] else f"–{rate['percent_upper']}"
    return f"{rate['percent']}{upper} %  = {hours(rate['running'])} / {hours(rate['total'])}"


def _change(change: Mapping[str, Any]) -> str:
    """Numerator and denominator, and the states that changed, in device-hours."""
    states = "，".join(
        f"{slug} {signed_hours(amount)}" for slug, amount in change["states"].items() if amount
    )
    rate = f"{signed_hours(change['running'])} / {signed_hours(change['total'])}"
    return f"{rate} 设备时 / device-hours" + (f" ({states})" if states else "")
