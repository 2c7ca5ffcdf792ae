"""Tallies as answers: the statistics that follow from the sums, rounded here and nowhere before.

The terms are those of IEC 60050-192 (dependability), the expressions those of IEC 61703 for observed
values: a mean is a total divided by a number, and does not exist without that number.
"""

import re
from typing import Any

from pulse.clock import DAY_US, SECOND_US, to_iso
from pulse.errors import BadInput
from pulse.indicators.present import described, ratio
from pulse.ledger.model import State
from pulse.ledger.outages import Ending
from pulse.ledger.statistics import WHOLE, Longest, Meeting, Tally

YEAR_US = 365 * DAY_US
"""A device-year: 8,760 hours, as failure rates are usually told."""


_PERCENTAGE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?")


def described_group(tally: Tally, meeting: Meeting, threshold: int) -> dict[str, Any]:
    """The statistics of devices together; times are seconds, `threshold` is in thousandths of a percent."""
    flapping = {
        "now": tally.flapping,
        "devices": tally.flapped,
        "episodes": tally.episodes,
        "seconds": _seconds(tally.flapping_time),
    }
    return {
        "devices": tally.devices,
        **_described(tally),
        "flapping": flapping,
        "above": {
            "threshold": percent_of(threshold),
            "devices": meeting.surely,
            "devices_upper": meeting.perhaps,
            "of": meeting.of,
            "adjusted": meeting.adjusted,
            "adjusted_of": meeting.judged,
        },
    }


def described_device(tally: Tally) -> dict[str, Any]:
    """The statistics of one device; times are seconds."""
    return {
        **_described(tally),
        "flapping": {
            "now": bool(tally.flapping),
            "episodes": tally.episodes,
            "seconds": _seconds(tally.flapping_time),
        },
    }


def mtbf_us(tally: Tally) -> float | None:
    """Mean operating time between failures: time online over failures, None without one."""
    return ratio(tally.operating, tally.failures)


def mttr_us(tally: Tally) -> float | None:
    """Mean time to restoration: time down of the outages that ended over their number, None without one."""
    return ratio(tally.restoration, tally.restored)


def faults_per_device_year(tally: Tally) -> float | None:
    """Failures over judged device-years, None without judged time."""
    return ratio(tally.failures * YEAR_US, tally.figures.judged)


def percent_of(threshold: int) -> float:
    """A threshold in percent."""
    return threshold * 100 / WHOLE


def parse_threshold(text: str, where: str) -> int:
    """A percentage such as `95` or `99.5` in thousandths of a percent. Raises `BadInput` naming `where`."""
    found = _PERCENTAGE.fullmatch(text)
    threshold = 0 if found is None else int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    if found is None or threshold > WHOLE:
        raise BadInput(
            f"{text!r} 不是 0 到 100、最多三位小数的百分数 / is not a percentage from 0 to 100 "
            "with at most three decimals",
            where=where,
        )
    return threshold


def _described(tally: Tally) -> dict[str, Any]:
    mtbf, mttr = mtbf_us(tally), mttr_us(tally)
    return {
        "availability": described(tally.figures, SECOND_US),
        "down_s": _seconds(tally.down),
        "outages": tally.outages,
        "open": tally.open,
        "longest": None if tally.longest is None else _longest(tally.longest),
        "failures": tally.failures,
        "operating_s": _seconds(tally.operating),
        "mtbf_s": None if mtbf is None else mtbf / SECOND_US,
        "restored": tally.restored,
        "restoration_s": _seconds(tally.restoration),
        "mttr_s": None if mttr is None else mttr / SECOND_US,
        "faults_per_device_year": faults_per_device_year(tally),
        "device_years": tally.figures.judged / YEAR_US,
        "determined": tally.figures.of(State.UNKNOWN) == 0,
    }


def _longest(longest: Longest) -> dict[str, Any]:
    return {
        "device": longest.device,
        "down_s": _seconds(longest.down),
        "from": to_iso(longest.start),
        "to": None if longest.ending is Ending.OPEN else to_iso(longest.end),
    }


def _seconds(amount: int) -> int | float:
    return amount // SECOND_US if amount % SECOND_US == 0 else amount / SECOND_US
