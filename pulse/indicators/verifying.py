"""Verifying published values: their chain, and whether what was stored still gives what was said."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse import chain
from pulse.chain import Broken, Head, Verified
from pulse.indicators.inputs import FORM, SECTIONS, became_visible_late
from pulse.indicators.online_rate import NAME
from pulse.indicators.publication import Draft, Publication
from pulse.stores.relational import published
from pulse.stores.relational.published import NOT_RECORDED, Stored


class Outcome(StrEnum):
    """What became of recomputing one value."""

    SAME = "same"
    EXPLAINED = "explained"
    """It differs, and the product knows of what it did itself that makes it differ."""
    DIFFERS = "differs"
    """Nothing that the product does makes it differ."""
    NOT_RECORDED = "not_recorded"
    """Nobody wrote down what it was worked out from."""


class Reason(NamedTuple):
    """What differs, or because of what; a slug, in English and in Chinese."""

    slug: str
    en: str
    zh: str


class Recomputed(NamedTuple):
    """One value worked out again. `said` and `found` are numerator and denominator, then and now."""

    sequence: int
    name: str
    at_us: int
    known_us: int
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    said: tuple[int, int] = (0, 0)
    found: tuple[int, int] | None = None


def verify(
    connection: Connection, noted: Head | None = None, passed: Callable[[int], None] | None = None
) -> Verified:
    """Read the whole chain; `noted` is an end that it once had. `passed` is told each value's sequence."""
    rows = published.walk(connection)
    found = chain.verify(published.links(_told(rows, passed)), published.head(connection), noted)
    if found.broken is None:
        return found
    return found._replace(broken=_placed(connection, found.broken))


def recompute(publication: Publication, rows: Iterable[Stored]) -> Iterator[Recomputed]:
    """Work out values again from what is stored now, as it was known when they were published."""
    for row in rows:
        inputs = json.loads(row.inputs)
        if row.name != NAME or NOT_RECORDED in inputs:
            yield _judged(row, Outcome.NOT_RECORDED)
        elif inputs.get("form") != FORM or not isinstance(inputs.get("default_timeout_us"), int):
            yield _judged(row, Outcome.DIFFERS, [_UNKNOWN_FORM])
        else:
            again = publication.draft(row.at_us, row.known_us, inputs["default_timeout_us"])
            now_us = publication.default_timeout_us
            outcome, reasons = judged(row, inputs, again, now_us)
            found = (again.value.numerator, again.value.denominator)
            yield _judged(row, outcome, reasons)._replace(found=found)


def judged(
    row: Stored, inputs: Mapping[str, Any], again: Draft, default_timeout_us: int
) -> tuple[Outcome, list[Reason]]:
    """What it means that a value comes out as `again`; `default_timeout_us` is the setting now."""
    explained: dict[str, Reason] = {}
    then = again.value.inputs
    differing = [name for name in SECTIONS if inputs.get(name) != then[name]]
    for name in differing:
        reason = _reason(name, inputs, again, default_timeout_us, differing)
        if reason is not None:
            explained[name] = reason
    figures = json.loads(row.figures)
    fit = figures["all"]["raw"] == [row.numerator, row.denominator]
    if not fit or (not differing and _figures(figures) != _figures(again.value.figures)):
        return Outcome.DIFFERS, [_FIGURES]
    left = [_DIFFERENT[name] for name in differing if name not in explained]
    if left:
        return Outcome.DIFFERS, left
    return (Outcome.EXPLAINED if explained else Outcome.SAME), list(dict.fromkeys(explained.values()))


def _reason(
    name: str, inputs: Mapping[str, Any], again: Draft, default_timeout_us: int, differing: list[str]
) -> Reason | None:
    """Because of what, that the product did itself, a section may differ; None if of nothing."""
    value = again.value
    changes = value.inputs["registry_version"] - inputs.get("registry_version", 0)
    if name in {"registry", "policies"} and changes > 0:
        return _registry_changed(changes)
    if name == "evidence":
        if inputs.get("waiting"):
            return _waited(inputs["waiting"])
        if "registry" in differing and changes > 0:
            return _registry_changed(changes)
        if inputs["default_timeout_us"] != default_timeout_us:
            return _DEFAULT_CHANGED
    if became_visible_late(name, str(inputs.get(name)), again.books, value.at_us, value.known_us):
        return _LATE
    return None


def _figures(members: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without devices that are not in service: those of later registration are among them now."""
    return {
        "all": _serving(members["all"]),
        **{
            group: {name: _serving(own) for name, own in members[group].items() if any(own["raw"])}
            for group in ("by_community", "by_kind")
        },
    }


def _serving(figures: Mapping[str, Any]) -> dict[str, Any]:
    states = {name: amount for name, amount in figures["states"].items() if name not in _NOT_IN_SERVICE}
    return {**figures, "states": states}


def _placed(connection: Connection, broken: Broken) -> Broken:
    """The same, with where the value lies that belongs there, if it was only moved or pushed aside."""
    before = published.link_of(connection, broken.number - 1)
    belongs = None if before is None else published.following(connection, before)
    if belongs is None or belongs == broken.number:
        return broken
    return broken._replace(
        reason=f"{broken.reason}; what belongs here stands at {belongs}: a value was put in or moved",
        reason_zh=f"{broken.reason_zh}；属于此处的在第 {belongs} 条：有值被插入或移动",
    )


def _judged(row: Stored, outcome: Outcome, reasons: Iterable[Reason] = ()) -> Recomputed:
    said = (row.numerator, row.denominator)
    return Recomputed(row.sequence, row.name, row.at_us, row.known_us, outcome, tuple(reasons), said)


def _told(rows: Iterable[Stored], passed: Callable[[int], None] | None) -> Iterator[Stored]:
    for row in rows:
        if passed is not None:
            passed(row.sequence)
        yield row


def _registry_changed(changes: int) -> Reason:
    return Reason(
        "registry_changed",
        f"the registry has been changed since ({changes} times; the audit log tells by whom)",
        f"登记册此后有更改（{changes} 次，由谁见审计日志）",
    )


def _waited(messages: int) -> Reason:
    return Reason(
        "late_messages",
        f"late messages waited for the telemetry store when it was published ({messages})",
        f"公布时有迟到的消息在等待遥测库（{messages} 条）",
    )


_NOT_IN_SERVICE = {"not_commissioned", "retired"}
_LATE = Reason(
    "decided_then",
    "somebody decided at that very time, which became visible a moment later",
    "恰在当时有人作了决定，稍后才可见",
)
_DEFAULT_CHANGED = Reason(
    "default_timeout_changed",
    "the default timeout has been changed since: what came late after that was judged by the new one",
    "默认超时此后有更改：其后迟到的消息按新值判定",
)
_FIGURES = Reason("figures", "its figures do not follow from its inputs", "数值并非由其输入得出")
_UNKNOWN_FORM = Reason(
    "form", "its inputs have a form that this program does not know", "输入的格式本程序不认识"
)
_DIFFERENT = {
    name: Reason(name, f"{en} differ from what they were then", f"{zh}与当时不同")
    for name, en, zh in (
        ("registry", "devices in service (registry)", "在用设备（登记册）"),
        ("policies", "timeouts in force (policies)", "生效的超时（策略）"),
        ("evidence", "intervals of devices (runs)", "设备的区间（runs）"),
        ("coverage", "blind intervals (coverage)", "失聪时段（coverage）"),
        ("maintenance", "maintenance windows", "维护窗口"),
    )
}
