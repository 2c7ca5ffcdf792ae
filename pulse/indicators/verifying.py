"""Verifying published values: their chain, and whether what was stored still gives what was said."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from pulse import chain
from pulse.chain import Broken, Head, Verified
from pulse.indicators.indicator import Indicator, Outcome, Reason, Verdict
from pulse.stores.relational import published
from pulse.stores.relational.published import NOT_RECORDED, Stored

__all__ = ["Outcome", "Reason", "Recomputed", "recompute", "verify"]


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


def recompute(indicators: Iterable[Indicator], rows: Iterable[Stored]) -> Iterator[Recomputed]:
    """Work out values again from what is stored now, as it was known when they were published."""
    by_name = {indicator.name: indicator for indicator in indicators}
    for row in rows:
        inputs, indicator = json.loads(row.inputs), by_name.get(row.name)
        if indicator is None or NOT_RECORDED in inputs:
            yield _judged(row, Verdict(Outcome.NOT_RECORDED))
        else:
            yield _judged(row, indicator.judge(row, inputs))


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


def _judged(row: Stored, verdict: Verdict) -> Recomputed:
    return Recomputed(
        row.sequence,
        row.name,
        row.at_us,
        row.known_us,
        verdict.outcome,
        tuple(verdict.reasons),
        (row.numerator, row.denominator),
        verdict.found,
    )


def _told(rows: Iterable[Stored], passed: Callable[[int], None] | None) -> Iterator[Stored]:
    for row in rows:
        if passed is not None:
            passed(row.sequence)
        yield row
