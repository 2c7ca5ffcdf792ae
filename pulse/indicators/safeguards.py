"""What travels with a rate, so that late delivery, long timeouts and no commissioning improve nothing."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pulse.clock import SECOND_US
from pulse.indicators.books import Worked
from pulse.indicators.present import in_units, percent
from pulse.indicators.within import Within, covers
from pulse.ledger.fleet import Fleet
from pulse.ledger.replay import Query
from pulse.ledger.totals import in_service

Planned = Mapping[tuple[str, str], int]
"""Quantities by community and kind."""


class Safeguards(NamedTuple):
    """Of all devices, of each community and of each kind, by ("", ""), (community, "") and ("", kind).

    `late` is online device-time (devices at an instant) that became known more than a timeout afterwards.
    `timeouts` counts the devices in service at the instant, or at the period's end, by timeout.
    """

    late: Counter[tuple[str, str]]
    timeouts: Counter[int]
    planned: Counter[tuple[str, str]]


def gathered(worked: Worked, query: Query, planned: Planned, within: Within) -> Safeguards:
    """Work them out beside an answer's figures."""
    found = Safeguards(Counter(), Counter(), Counter())
    fleet = worked.totals.fleet
    late = np.zeros(len(fleet.places), dtype=np.int64)
    np.add.at(late, fleet.place, worked.late)
    for (community, kind), amount in zip(fleet.places, late.tolist(), strict=True):
        if amount and covers(within, community):
            for part in (("", ""), (community, ""), ("", kind)):
                found.late[part] += amount
    found.timeouts.update(_timeouts(fleet, query, within))
    for (community, kind), quantity in planned.items():
        if covers(within, community):
            for part in (("", ""), (community, ""), ("", kind)):
                found.planned[part] += quantity
    return found


def _timeouts(fleet: Fleet, query: Query, within: Within) -> dict[int, int]:
    """How many devices in service have each timeout at the end of what is asked about."""
    last = query.start if query.end is None else query.end - 1
    low, high = in_service(fleet, last, last + 1, query.known_at)
    seen = np.array([covers(within, community) for community, _ in fleet.places], dtype=bool)
    serving = np.flatnonzero((low < high) & seen[fleet.place])
    times = np.full(len(serving), last, dtype=np.int64)
    timeouts, counts = np.unique(fleet.terms.timeout(serving, times), return_counts=True)
    return dict(zip(timeouts.tolist(), counts.tolist(), strict=True))


def described(found: Safeguards, part: tuple[str, str], running: int, unit: int) -> dict[str, Any]:
    """The members `planned` (None where nobody planned) and `late` of a rate that has `running` devices."""
    late = found.late[part]
    return {
        "planned": found.planned.get(part),
        "late": {
            "running": in_units(late, unit),
            "percent": percent(late, running),
        },
    }


def timeouts(found: Safeguards) -> list[dict[str, Any]]:
    """The timeouts in force, the shortest first, with the devices in service that have each."""
    return [
        {"timeout_s": timeout / SECOND_US, "devices": count}
        for timeout, count in sorted(found.timeouts.items())
    ]
