"""What departments say that they hold, and what people do about differences: deliver it again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.clock import DAY_US
from pulse.errors import BadInput, Conflict, NotFound
from pulse.sharing.deliveries import Item, identifier, make, numbered, parse
from pulse.sharing.outlets import Outlet
from pulse.sharing.reconciling import Difference, Holding, Verdict, compare, day_of
from pulse.stores.relational import audit, deliveries, outlets, repeats, reports
from pulse.stores.relational.reports import Report

MOST_DELIVERIES = 2000
"""Deliveries whose records one step makes again; the rest is for the next."""


class Again(NamedTuple):
    """What was made again: the new deliveries with what each repeats, and what could not be.

    `gone` counts deliveries whose content is kept no longer, `left` those that were too many for one step.
    """

    made: Mapping[str, Sequence[str]]
    records: int
    gone: int
    left: int


def report(
    connection: Connection,
    actor: Actor,
    outlet: str,
    day: str,
    through: str | None,
    theirs: Mapping[str, Holding],
    now_us: int,
    zone: ZoneInfo,
) -> Report:
    """Keep what a department says that it holds of a local day, with what we hold against it.

    Raises `NotFound` for an outlet that there is not, `BadInput` for a day to come, and for a last delivery
    that was never made.
    """
    _known(connection, outlet)
    if day > day_of(None, now_us + DAY_US, zone):
        raise BadInput(f"{day} 尚未到来 / is yet to come", where="day")
    number = _through(connection, outlet, through)
    # Who reports is there: what waits need not wait for its next try.
    deliveries.retry(connection, outlet, now_us)
    held = reports.ours(connection, outlet, day, number)
    told = {kind: holding for kind, holding in sorted(theirs.items()) if holding.records}
    return reports.append(connection, Report(outlet, day, number, now_us, actor.name, told, held))


def standing(connection: Connection, outlet: str, day: str) -> tuple[Report | None, list[Difference]]:
    """The last report of a day and both sides; without a report theirs is empty and says nothing."""
    _known(connection, outlet)
    last = reports.newest(connection, outlet, day)
    if last is not None:
        return last, last.differences()
    ours = reports.ours(connection, outlet, day, None)
    return None, compare({(kind, day): holding for kind, holding in ours.items()}, {})


def deliver_again(
    connection: Connection,
    actor: Actor,
    outlet: str,
    day: str,
    data_kinds: Collection[str] | None,
    now_us: int,
    zone: ZoneInfo,
) -> Again:
    """Make new deliveries of the records of a day: of these kinds, or of those that its last report lacks.

    They have ids of their own, so that nothing comes twice under one; a department tells records that it
    has by theirs. Raises `NotFound`, `BadInput` where nothing is known to differ, and `Conflict` when the
    outlet moved on meanwhile (try again).
    """
    says = _known(connection, outlet)
    wanted = _lacking(connection, outlet, day) if data_kinds is None else frozenset(data_kinds)
    numbers = repeats.with_records_of(connection, outlet, day, wanted)
    if not numbers:
        raise BadInput("没有可重新投递的记录 / no acknowledged delivery has such records", where="data_kinds")
    chosen, sources, gone = _contents(connection, outlet, numbers[:MOST_DELIVERIES], day, wanted, zone)
    position = outlets.position_of(connection, outlet)
    if position is None:
        raise BadInput("此出口还没有投递 / this outlet has delivered nothing yet", where="outlet")
    most = min(says.most_records, position.most_records or says.most_records)
    made: dict[str, list[str]] = {}
    number = position.number
    for start in range(0, len(chosen), most):
        number += 1
        items = chosen[start : start + most]
        delivery = make(says, number, items, (), now_us, zone)
        # Its sums are those of the first time: counted twice they would never fit the far side's.
        deliveries.add(connection, outlet, says.format, delivery._replace(days=()), now_us)
        again_of = [sources[item.id] for item in items]
        repeats.note(connection, outlet, number, again_of)
        made[identifier(outlet, number)] = [identifier(outlet, one) for one in sorted(set(again_of))]
    if not outlets.move(connection, position, position._replace(number=number)):
        raise Conflict("出口正在投递，请再试 / the outlet moved on meanwhile; try again")
    again = Again(made, len(chosen), gone, max(0, len(numbers) - MOST_DELIVERIES))
    _note(connection, actor, outlet, day, wanted, again, now_us)
    return again


def _note(
    connection: Connection,
    actor: Actor,
    outlet: str,
    day: str,
    data_kinds: Iterable[str],
    again: Again,
    now_us: int,
) -> None:
    said = {
        "day": day,
        "data_kinds": sorted(data_kinds),
        "deliveries": len(again.made),
        "records": again.records,
        "gone": again.gone,
    }
    audit.append(connection, actor, "outlet.deliver_again", f"outlet:{outlet}", now_us, after=said)


def _contents(
    connection: Connection,
    outlet: str,
    numbers: Sequence[int],
    day: str,
    data_kinds: Collection[str],
    zone: ZoneInfo,
) -> tuple[list[Item], dict[str, int], int]:
    """The records of that day and those kinds, the delivery that each came in, and how many are gone."""
    chosen: list[Item] = []
    sources: dict[str, int] = {}
    gone = 0
    for number in numbers:
        stored = deliveries.one(connection, outlet, number)
        content = deliveries.content(connection, outlet, number)
        if stored is None or content is None:
            gone += 1
            continue
        items, _ = parse(content, "csv" if stored.format == "csv" else "json")
        for item in items:
            of_day = day_of(item.at_us, item.received_us, zone) == day
            if of_day and item.data_kind in data_kinds and item.id not in sources:
                sources[item.id] = number
                chosen.append(item)
    return chosen, sources, gone


def _lacking(connection: Connection, outlet: str, day: str) -> frozenset[str]:
    """The kinds of which the department does not hold what it acknowledged, by its last report of the day."""
    last = reports.newest(connection, outlet, day)
    if last is None:
        raise BadInput(f"{day} 没有报告 / of {day} there is no report", where="day")
    lacking = frozenset(
        found.data_kind
        for found in last.differences()
        if found.verdict in {Verdict.DIFFERS, Verdict.MISSING_THERE}
    )
    if not lacking:
        raise BadInput(
            f"{day} 没有对方缺少的记录 / of {day} the department lacks nothing that we delivered", where="day"
        )
    return lacking


def _through(connection: Connection, outlet: str, through: str | None) -> int | None:
    if through is None:
        return None
    number = numbered(outlet, through)
    if number is None or deliveries.one(connection, outlet, number) is None:
        raise BadInput(f"没有投递 {through[:80]} / there is no delivery {through[:80]}", where="through")
    return number


def _known(connection: Connection, outlet: str) -> Outlet:
    found = outlets.of(connection, outlet)
    if found is None:
        raise NotFound(f"没有出口 {outlet} / there is no outlet {outlet}")
    return found
