"""Points of the history of an indicator, from its published values. Pure."""

from collections.abc import Iterable
from typing import Any

from api.params import Period
from api.problems import Checks
from pulse.clock import SECOND_US, to_iso
from pulse.indicators.present import percent
from pulse.stores.relational.published import PublishedValue

MOST_POINTS = 11_000
"""A week of minutes and some."""


def check_size(checks: Checks, period: Period, step_s: int) -> None:
    """Refuse a period and step that give more points than anybody draws."""
    length_s = (period.to_us - period.from_us) // SECOND_US
    points = length_s // step_s
    if points > MOST_POINTS:
        least_s = -(-length_s // MOST_POINTS // 60) * 60
        checks.refuse(
            "step_s",
            "too_many_points",
            str(step_s),
            points=str(points),
            most=str(MOST_POINTS),
            step_s=str(least_s),
        )


def points(
    values: Iterable[PublishedValue], *, community: str | None, kind: str | None
) -> list[dict[str, Any]]:
    """A point of every value, for all devices or those of one community or kind, where it has any."""
    found = (_point(value, community, kind) for value in values)
    return [point for point in found if point is not None]


def _point(value: PublishedValue, community: str | None, kind: str | None) -> dict[str, Any] | None:
    if community is not None:
        figures = value.figures["by_community"].get(community)
    elif kind is not None:
        figures = value.figures["by_kind"].get(kind)
    else:
        figures = value.figures["all"]
    if figures is None:
        return None
    running, total = figures["raw"]
    return {
        "at": to_iso(value.at_us),
        "numerator": running,
        "denominator": total,
        "unknown": figures["states"]["unknown"],
        "percent": percent(running, total),
        "percent_upper": percent(running + figures["unknown_raw"], total),
    }
