"""Points of the history of an indicator, from its published values. Pure."""

from collections.abc import Iterable
from typing import Any

from api.params import Period
from api.problems import Checks
from pulse.clock import SECOND_US, to_iso
from pulse.indicators import sharing_present
from pulse.indicators.present import percent, summed
from pulse.indicators.within import Within
from pulse.stores.relational.published import PublishedValue

MOST_POINTS = 11_000
"""A week of minutes and some."""


def check_size(checks: Checks, period: Period, step_s: int) -> None:
    """Refuse a period and step that give more points than anybody draws."""
    length_s = (period.to_us - period.from_us) // SECOND_US
    # Without a step every value, of which there is one a second at most.
    points = length_s // max(step_s, 1)
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
    values: Iterable[PublishedValue], *, community: str | None, kind: str | None, within: Within = None
) -> list[dict[str, Any]]:
    """A point of every value, for all devices or those of one community or kind, where it has any.

    Limited to the communities `within`, all devices are theirs; what was published of a kind is of all
    communities together, so that nobody who is limited may ask for it.
    """
    found = (_point(value, community, kind, within) for value in values)
    return [point for point in found if point is not None]


def sharing_points(
    values: Iterable[PublishedValue], *, community: str | None, within: Within = None
) -> list[dict[str, Any]]:
    """Points of the data-sharing ratio, of all communities `within` together or of one."""
    found = (_sharing_point(value, community, within) for value in values)
    return [point for point in found if point is not None]


def _sharing_point(value: PublishedValue, community: str | None, within: Within) -> dict[str, Any] | None:
    by_community = value.figures["by_community"]
    if community is not None:
        part = by_community.get(community)
    elif within is not None:
        own = [part for name, part in by_community.items() if name in within]
        part = sharing_present.together(own) if own else None
    else:
        part = value.figures["all"]
    if part is None:
        return None
    said = sharing_present.of_compact(part)
    return {
        "at": to_iso(value.at_us),
        **{name: said[name] for name in ("shared", "collectable", "unknown", "percent", "percent_upper")},
        "kinds": part["kinds"],
        **_place(value),
    }


def _place(value: PublishedValue) -> dict[str, Any]:
    """Where a value stands in the chain."""
    return {
        "known_at": to_iso(value.known_us),
        "sequence": value.sequence,
        "inputs_digest": value.inputs_digest,
        "link": value.link,
    }


def _point(
    value: PublishedValue, community: str | None, kind: str | None, within: Within
) -> dict[str, Any] | None:
    if community is not None:
        figures = value.figures["by_community"].get(community)
    elif kind is not None:
        figures = value.figures["by_kind"].get(kind)
    elif within is not None:
        own = [part for name, part in value.figures["by_community"].items() if name in within]
        figures = summed(own) if own else None
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
        **_place(value),
    }
