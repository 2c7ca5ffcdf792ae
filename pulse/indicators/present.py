"""Figures as answers: numbers that travel together, exact inside, rounded half up at the edge (rule 10)."""

from collections.abc import Iterable, Mapping
from typing import Any

from pulse.ledger.model import State
from pulse.ledger.rates import Figures

MARKS = 2.0
"""Points of the online rate in the evaluation of 2020."""

FULL_MARKS_FROM = 0.95
"""Our assumption: the rubric was not published; 98.2 % earned full marks."""

LEAST_BASIS = 0.95
"""Share of judged device-time below which no score is given."""


def percent(numerator: int, denominator: int) -> str | None:
    """A share in percent with one decimal, rounded half up; None without a denominator."""
    if denominator == 0:
        return None
    tenths = (2000 * numerator + denominator) // (2 * denominator)
    return f"{tenths // 10}.{tenths % 10}"


def ratio(numerator: int, denominator: int) -> float | None:
    """The nearest double of a share, None without a denominator."""
    return numerator / denominator if denominator else None


def in_units(amount: int, unit: int) -> int | float:
    """An exact amount in units: whole where it is, else the nearest double."""
    return amount // unit if amount % unit == 0 else amount / unit


def described(figures: Figures, unit: int = 1) -> dict[str, Any]:
    """The members of an online-rate answer.

    `unit` is what one device, or one device-second, is in the figures' amounts. `running`, `total`,
    `states` and the adjusted pair are in it; shares are of 1, percentages have one decimal.
    """

    running, total = figures.online_raw, figures.in_service
    upper = running + figures.unknown_raw
    judged = figures.judged
    return {
        "running": in_units(running, unit),
        "total": in_units(total, unit),
        "value": ratio(running, total),
        "percent": percent(running, total),
        "percent_upper": percent(upper, total),
        "determined": figures.unknown_raw == 0,
        "bounds": [ratio(running, total), ratio(upper, total)] if total else None,
        "states": {state.slug: in_units(figures.of(state), unit) for state in State},
        "adjusted": {
            "numerator": in_units(figures.of(State.ONLINE), unit),
            "denominator": in_units(judged, unit),
            "value": ratio(figures.of(State.ONLINE), judged),
            "percent": percent(figures.of(State.ONLINE), judged),
            "basis": ratio(judged, judged + figures.of(State.UNKNOWN)),
        },
    }


def scored(figures: Figures) -> dict[str, Any]:
    """The points that the raw rate would earn, and why none are given where none are; an assumption."""
    value = ratio(figures.online_raw, figures.in_service)
    basis = ratio(figures.in_service - figures.unknown_raw, figures.in_service)
    score: dict[str, Any] = {
        "points": None,
        "of": MARKS,
        "full_marks_from": FULL_MARKS_FROM,
        "basis": basis,
        "least_basis": LEAST_BASIS,
        "assumption": True,
    }
    if value is not None and basis is not None and basis >= LEAST_BASIS:
        score["points"] = round(MARKS * min(1.0, value / FULL_MARKS_FROM), 2)
    return score


def compact(figures: Figures) -> dict[str, Any]:
    """What is kept of a published value: every state and both pairs, exact."""
    return {
        "states": {state.slug: figures.of(state) for state in State},
        "raw": [figures.online_raw, figures.in_service],
        "unknown_raw": figures.unknown_raw,
        "adjusted": [figures.of(State.ONLINE), figures.judged],
    }


def summed(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The compact figures of several communities together."""
    total = Figures()
    for part in parts:
        total.add(of_compact(part))
    return compact(total)


def of_compact(part: Mapping[str, Any]) -> Figures:
    """The figures that `compact` kept."""
    running, _ = part["raw"]
    return Figures(_amounts(part["states"]), running, part["unknown_raw"])


def change(figures: Figures, unit: int) -> dict[str, Any]:
    """A difference of figures: as `described`, without shares; amounts may be negative."""

    return {
        "running": in_units(figures.online_raw, unit),
        "total": in_units(figures.in_service, unit),
        "unknown": in_units(figures.unknown_raw, unit),
        "states": {state.slug: in_units(figures.of(state), unit) for state in State},
        "adjusted": {
            "numerator": in_units(figures.of(State.ONLINE), unit),
            "denominator": in_units(figures.judged, unit),
        },
    }


def figures_of(said: Mapping[str, Any]) -> Figures:
    """The figures behind the members of `described`, of an instant (whole devices)."""
    running, total, bounds = said["running"], said["total"], said["bounds"]
    # The bound is the double nearest to whole devices over whole devices, so rounding finds them again.
    upper = running if bounds is None else round(bounds[1] * total)
    return Figures(_amounts(said["states"]), running, upper - running)


def _amounts(states: Mapping[str, int]) -> list[int]:
    return [states[state.slug] for state in State]
