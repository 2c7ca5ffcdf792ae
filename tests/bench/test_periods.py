"""What answers about long periods cost: a year of 826 devices, a month of 100,000, single moments.

Promised are 200 ms for the year, 20 ms for a moment of 826 devices and 5 s for the month of 100,000; what is
held against that is processor time, which other work on the machine does not change much: `make bench`.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

import pytest

from pulse.clock import DAY_US
from pulse.indicators.online_rate import OnlineRate
from tests.bench.test_ledger import COMMUNITIES, KINDS
from tests.bench.years import Past, past

YEAR, MONTH = 365, 30
SMALL, LARGE = 826, 100_000


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    made = past(tmp_path_factory.mktemp("year"), SMALL, YEAR)
    yield made
    made.db.close()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    made = past(tmp_path_factory.mktemp("city"), LARGE, MONTH)
    yield made
    made.db.close()


def took(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def tell(what: str, action: Callable[[], object], times: int = 5) -> float:
    """Print the medians, and give the milliseconds of processor time."""
    measured = [took(action) for _ in range(times)]
    wall, cpu = (1e3 * float(median(column)) for column in zip(*measured, strict=True))
    print(f"  {what}: {wall:.1f} ms ({cpu:.1f} ms of processor time)")
    return cpu


class Costs(NamedTuple):
    """Milliseconds of processor time."""

    cold: float
    parts: list[float]
    """Of a quarter, a half and the whole of the period."""
    moment: float
    known_early: float


def measured(made: Past, what: str, days: int) -> Costs:
    """First questions, then periods of growing length, then a moment, then an earlier knowledge."""
    print(f"\n{what}: {made.runs:,} runs")
    rate: OnlineRate = made.rate()
    known_us = made.end_us - days * DAY_US // 3
    return Costs(
        tell(f"{days} days, the first question of a process", lambda: whole(made.rate(), made), 3),
        [
            tell(f"{days / part:g} days", lambda: whole(rate, made, part))  # noqa: B023 - called at once
            for part in (4, 2, 1)
        ],
        tell("a moment in the middle", lambda: rate.instant(made.end_us - days * DAY_US // 2)),
        tell(f"{days * 2 // 3} days as known then", lambda: rate.period(made.start_us, known_us, known_us)),
    )


def whole(rate: OnlineRate, made: Past, part: int = 1) -> dict[str, Any]:
    """The answer about the last part of the time, with every kind and community."""
    answer = rate.period(made.end_us - (made.end_us - made.start_us) // part, made.end_us)
    assert (len(answer["by_kind"]), len(answer["by_community"])) == (len(KINDS), len(COMMUNITIES))
    return answer


def test_a_year_of_826_devices(year: Past) -> None:
    costs = measured(year, "826 devices", YEAR)
    assert max(costs.cold, *costs.parts, costs.known_early) < 200
    assert costs.moment < 20
    assert costs.parts[2] < 6 * costs.parts[0]


def test_a_month_of_100_000_devices(city: Past) -> None:
    costs = measured(city, "100,000 devices", MONTH)
    assert max(costs.cold, *costs.parts, costs.known_early) < 5000
    assert costs.parts[2] < 6 * costs.parts[0]
