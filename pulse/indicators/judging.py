"""What it means that a published online rate comes out otherwise now."""

import json
from collections.abc import Mapping
from typing import Any

from pulse.indicators.indicator import (
    DECIDED_THEN,
    DEFAULT_CHANGED,
    FIGURES,
    Outcome,
    Reason,
    registry_changed,
    waited,
)
from pulse.indicators.inputs import SECTIONS, became_visible_late
from pulse.ledger.replay import Books
from pulse.stores.relational.published import PublishedValue, Stored


def judged(
    row: Stored, inputs: Mapping[str, Any], again: PublishedValue, books: Books, default_timeout_us: int
) -> tuple[Outcome, list[Reason]]:
    """What it means that a value comes out as `again` from `books`; the default timeout is that of now."""
    explained: dict[str, Reason] = {}
    then = again.inputs
    differing = [name for name in SECTIONS if inputs.get(name) != then[name]]
    for name in differing:
        reason = _reason(name, inputs, again, books, default_timeout_us, differing)
        if reason is not None:
            explained[name] = reason
    figures = json.loads(row.figures)
    fit = figures["all"]["raw"] == [row.numerator, row.denominator]
    if not fit or (not differing and _figures(figures) != _figures(again.figures)):
        return Outcome.DIFFERS, [FIGURES]
    left = [_DIFFERENT[name] for name in differing if name not in explained]
    if left:
        return Outcome.DIFFERS, left
    return (Outcome.EXPLAINED if explained else Outcome.SAME), list(dict.fromkeys(explained.values()))


def _reason(
    name: str,
    inputs: Mapping[str, Any],
    again: PublishedValue,
    books: Books,
    default_timeout_us: int,
    differing: list[str],
) -> Reason | None:
    """Because of what, that the product did itself, a section may differ; None if of nothing."""
    changes = again.inputs["registry_version"] - inputs.get("registry_version", 0)
    if name in {"registry", "policies"} and changes > 0:
        return registry_changed(changes)
    if name == "evidence":
        if inputs.get("waiting"):
            return waited(inputs["waiting"])
        if "registry" in differing and changes > 0:
            return registry_changed(changes)
        if inputs["default_timeout_us"] != default_timeout_us:
            return DEFAULT_CHANGED
    if became_visible_late(name, str(inputs.get(name)), books, again.at_us, again.known_us):
        return DECIDED_THEN
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


_NOT_IN_SERVICE = {"not_commissioned", "retired"}
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
