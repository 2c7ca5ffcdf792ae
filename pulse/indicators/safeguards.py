"""What travels with a rate, so that late delivery, long timeouts and no commissioning improve nothing."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from pulse.clock import SECOND_US
from pulse.indicators.books import Opened
from pulse.indicators.present import percent
from pulse.indicators.within import Within, covers
from pulse.ledger.answer import in_service
from pulse.ledger.late import late_time
from pulse.ledger.replay import Query

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


def gathered(opened: Opened, query: Query, planned: Planned, within: Within) -> Safeguards:
    """Work them out of what an answer is worked out of."""
    found = Safeguards(Counter(), Counter(), Counter())
    end = query.start + 1 if query.end is None else query.end
    for device in opened.books.devices:
        if not covers(within, device.community):
            continue
        low, high = in_service(device, query.start, end, query.known_at)
        if low >= high:
            continue
        if high == end:
            found.timeouts[device.terms_at(end - 1).timeout] += 1
        late = late_time(device, opened.runs.get(device.id, ()), low, high)
        if late:
            for part in (("", ""), (device.community, ""), ("", device.kind)):
                found.late[part] += late
    for (community, kind), quantity in planned.items():
        if covers(within, community):
            for part in (("", ""), (community, ""), ("", kind)):
                found.planned[part] += quantity
    return found


def described(found: Safeguards, part: tuple[str, str], running: int, unit: int) -> dict[str, Any]:
    """The members `planned` (None where nobody planned) and `late` of a rate that has `running` devices."""
    late = found.late[part]
    return {
        "planned": found.planned.get(part),
        "late": {
            "running": late // unit if late % unit == 0 else late / unit,
            "percent": percent(late, running),
        },
    }


def timeouts(found: Safeguards) -> list[dict[str, Any]]:
    """The timeouts in force, the shortest first, with the devices in service that have each."""
    return [
        {"timeout_s": timeout / SECOND_US, "devices": count}
        for timeout, count in sorted(found.timeouts.items())
    ]
