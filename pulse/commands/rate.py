"""`pulse rate`: the device online rate now, at a past moment or over a period, as known at any time."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pulse.clock import Clock, SystemClock, parse_time
from pulse.commands.amounts import hours
from pulse.commands.operating import check_known, database
from pulse.errors import BadInput
from pulse.indicators.online_rate import OnlineRate
from pulse.settings import Settings
from pulse.stores.relational import registry

_STATES = {
    "online": "在线",
    "fault": "故障",
    "offline": "离线",
    "unknown": "未知",
    "excluded": "维护中",
    "not_commissioned": "未启用",
    "retired": "已停用",
}


class Asked(NamedTuple):
    """The options as they were given."""

    at: str | None
    from_: str | None
    to: str | None
    known_at: str | None
    community: str | None


def shown(settings: Settings, asked: Asked, *, as_json: bool, clock: Clock | None = None) -> Iterator[str]:
    """What the command prints. Raises `BadInput` naming the option that cannot be."""
    clock = clock or SystemClock()
    with database(settings) as db:
        with db.read() as connection:
            names = {own.id: own.name_zh for own in registry.communities(connection)}
            names |= {kind.id: kind.name_zh for kind in registry.kinds(connection)}
            communities = [own.id for own in registry.communities(connection)]
        check_known("--community", asked.community, communities)
        answer = _answer(OnlineRate(db, clock, settings.default_timeout_s), asked)
    if as_json:
        yield json.dumps(answer, ensure_ascii=False, indent=2)
    else:
        yield from _lines(answer, names)


def _answer(rate: OnlineRate, asked: Asked) -> dict[str, Any]:
    times = {"--at": asked.at, "--from": asked.from_, "--to": asked.to, "--known-at": asked.known_at}
    us = {option: None if text is None else parse_time(text, option) for option, text in times.items()}
    within = None if asked.community is None else frozenset({asked.community})
    start, end, known = us["--from"], us["--to"], us["--known-at"]
    if start is None and end is None:
        return rate.instant(known if us["--at"] is None else us["--at"], known, within)
    if us["--at"] is not None:
        raise BadInput("与 --from、--to 不能同时给 / excludes --from and --to", where="--at")
    if start is None or end is None:
        raise BadInput("须同时给出 / are given together", where="--from, --to")
    return rate.period(start, end, known, within)


def _lines(answer: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    is_period = "from" in answer
    when = f"{answer['from']} – {answer['to']}" if is_period else answer["at"]
    yield f"{when}，按 {answer['known_at']} 所知 / as known then"
    yield f"在线率 / online rate: {_rate(answer, is_period=is_period)}"
    adjusted = answer["adjusted"]
    if adjusted["percent"] is not None:
        pair = f"{_amount(adjusted['numerator'], is_period)}/{_amount(adjusted['denominator'], is_period)}"
        yield f"除维护 / without maintenance: {adjusted['percent']} %  {pair}"
    states = ((slug, amount) for slug, amount in answer["states"].items() if amount)
    yield "  ".join(f"{_STATES[slug]} {slug} {_amount(amount, is_period)}" for slug, amount in states)
    late = answer["late"]
    if late["running"]:
        yield (
            f"其中晚于超时才得知 / of it known later than its timeout: "
            f"{_amount(late['running'], is_period)} ({late['percent']} %)"
        )
    if answer["planned"] is not None:
        yield f"计划数量 / planned: {answer['planned']}"
    timeouts = ", ".join(f"{t['timeout_s']:g} s × {t['devices']}" for t in answer["timeouts"])
    yield f"超时 / timeouts: {timeouts or '—'}"
    for parts in (answer["by_community"], answer["by_kind"]):
        yield ""
        for id_, part in parts.items():
            planned = "" if part["planned"] is None else f"，计划 / planned {part['planned']}"
            name = " ".join(filter(None, (names.get(id_), id_)))
            yield f"  {name}: {_rate(part, is_period=is_period)}{planned}"


def _rate(part: Mapping[str, Any], *, is_period: bool) -> str:
    if part["percent"] is None:
        return "—"
    upper = "" if part["percent"] == part["percent_upper"] else f"–{part['percent_upper']}"
    pair = f"{_amount(part['running'], is_period)}/{_amount(part['total'], is_period)}"
    return f"{part['percent']}{upper} %  {pair}"


def _amount(amount: float, is_period: bool) -> str:
    return hours(amount) if is_period else f"{amount}"
