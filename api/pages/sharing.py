"""What the page of data sharing shows of one instant: ratio, how far kinds come, outlets, both sides."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from api.context import Context
from pulse.clock import HOUR_US, SECOND_US, parse_time
from pulse.indicators.books import AsOf
from pulse.indicators.within import Within, covers
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import catalogue, deliveries, outlets, receipts, reports
from pulse.stores.relational.deliveries import Stored, Waiting
from pulse.stores.relational.reports import Report

WINDOW_US = HOUR_US
"""How far back the steps from collection to receipt are counted."""
FULL = 1000
"""The length of a bar."""
LEAST = 12
"""A step that anything has reached stays visible."""
KEPT_S = 2.0
_DAYS = 7
_SHARED = ("shared", "unknown", "not_shared", "not_collectable")
_TROUBLE = ("not_shared", "unknown", "shared", "not_collectable")


class Step(NamedTuple):
    """How many records have come as far as this, and how long its bar is, in `FULL`ths."""

    slug: str
    records: int
    width: int


class Flow(NamedTuple):
    """How far the records of a kind come by one outlet; `stuck`: why no further, "" if nothing is amiss."""

    outlet: str
    steps: tuple[Step, ...]
    stuck: str


class Cell(NamedTuple):
    """A kind in the headline's bar, in `FULL`ths."""

    id: str
    state: str
    start: float
    width: float


class KindRow(NamedTuple):
    """A kind of data: `told` is its member of the ratio's answer; `left` is what is left of its freshness, in
    `FULL`ths, None where nothing counts."""

    told: Mapping[str, Any]
    source: str
    collected: Step
    flows: tuple[Flow, ...]
    acknowledged_us: int | None
    expires_us: int | None
    left: int | None


class OutletRow(NamedTuple):
    """An outlet. `health` is a slug: well, waiting, failing, stuck, silent or disabled."""

    outlet: Outlet
    health: str
    waiting: Waiting | None
    last_us: int | None
    since_us: int | None
    error: str


class Sharing(NamedTuple):
    """One instant, whole."""

    as_of: AsOf
    ratio: Mapping[str, Any]
    cells: tuple[Cell, ...]
    counts: Mapping[str, int]
    kinds: tuple[KindRow, ...]
    outlets: tuple[OutletRow, ...]
    reports: tuple[Report, ...]


class Sharings:
    """The newest one, gathered once for all who ask within `KEPT_S`. May be used from any thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._kept: dict[Within, tuple[float, Sharing]] = {}

    def now(self, within: Within) -> Sharing:
        """The page for readers of the communities `within`."""
        with self._lock:
            now_s = self._context.clock.monotonic_s()
            kept = self._kept.get(within)
            if kept is None or now_s - kept[0] >= KEPT_S:
                self._kept = {w: k for w, k in self._kept.items() if now_s - k[0] < KEPT_S}
                kept = self._kept[within] = (now_s, gathered(self._context, within))
            return kept[1]


def gathered(context: Context, within: Within) -> Sharing:
    """Everything that the page shows, of the communities `within`."""
    ratio = context.sharing.instant(within=within)
    as_of = context.rate.as_of()
    now_us = context.clock.now_us()
    collected: Counter[str] = Counter()
    for found in context.store.collected(now_us - WINDOW_US, now_us):
        if covers(within, found.community):
            collected[found.data_kind] += found.records
    with context.db.read() as connection:
        made = list(deliveries.made_in(connection, now_us - WINDOW_US, now_us))
        waiting = deliveries.outstanding(connection)
        known = outlets.current(connection)
        positions = outlets.all_positions(connection)
        first = {one: deliveries.waiting(connection, one, limit=1) for one in waiting}
        last = {one.id: receipts.listing(connection, outlet=one.id, limit=1) for one in known}
        visible = [one for one in known if sees(within, one)]
        told = reports.listing(connection, [one.id for one in visible], limit=_DAYS * max(1, len(visible)))
        sources = {kind.id: kind.sources[0] for kind in catalogue.load(connection).in_force(now_us).values()}
    rows = tuple(
        _outlet(
            one,
            first.get(one.id, []),
            waiting.get(one.id),
            positions[one.id].stuck if one.id in positions else None,
            last[one.id][0].acknowledged_us if last[one.id] else None,
        )
        for one in known
    )
    flows = _flows(made, rows, ratio, collected, within)
    return Sharing(
        as_of,
        ratio,
        _cells(ratio["kinds"]),
        Counter(kind["state"] for kind in ratio["kinds"]),
        tuple(
            _kind(kind, sources, collected, flows, as_of.at_us) for kind in _ranked(ratio["kinds"], _TROUBLE)
        ),
        tuple(row for row in rows if sees(within, row.outlet)),
        tuple(sorted(told, key=Report.agrees)),
    )


def sees(within: Within, outlet: Outlet) -> bool:
    """Whether everything that an outlet delivers is of these communities: its sums tell of all of it."""
    return within is None or (outlet.communities is not None and within >= set(outlet.communities))


def _outlet(
    outlet: Outlet,
    first: Sequence[Stored],
    waiting: Waiting | None,
    stuck: str | None,
    last_us: int | None,
) -> OutletRow:
    error = first[0].error or "" if first else ""
    if outlet.disabled:
        health = "disabled"
    elif stuck:
        health = "stuck"
    elif error:
        health = "failing"
    elif waiting is not None:
        health = "waiting"
    else:
        health = "silent" if last_us is None else "well"
    return OutletRow(outlet, health, waiting, last_us, waiting.oldest_us if waiting else None, stuck or error)


def _flows(
    made: Iterable[Stored],
    rows: Iterable[OutletRow],
    ratio: Mapping[str, Any],
    collected: Mapping[str, int],
    within: Within,
) -> dict[str, tuple[Flow, ...]]:
    """By kind of data, how far its records come by each outlet that takes it."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for delivery in made:
        for part in delivery.parts:
            if not covers(within, part.community):
                continue
            own = counts[part.data_kind, delivery.outlet]
            own["made"] += part.count
            own["sent"] += part.count * (delivery.sent_us is not None)
            own["acknowledged"] += part.count * (delivery.state == deliveries.ACKNOWLEDGED)
    found: dict[str, tuple[Flow, ...]] = {}
    for kind in ratio["kinds"]:
        flows = []
        for row in rows:
            takes = row.outlet.data_kinds is None or kind["id"] in row.outlet.data_kinds
            if not takes or row.outlet.disabled:
                continue
            own = counts[kind["id"], row.outlet.id]
            longest = max(collected[kind["id"]], *own.values(), 1)
            steps = tuple(_step(slug, own[slug], longest) for slug in ("made", "sent", "acknowledged"))
            stuck = row.error if row.health in {"failing", "stuck"} else ""
            flows.append(Flow(row.outlet.id, steps, stuck))
        found[kind["id"]] = tuple(flows)
    return found


def _kind(
    told: Mapping[str, Any],
    sources: Mapping[str, str],
    collected: Mapping[str, int],
    flows: Mapping[str, tuple[Flow, ...]],
    at_us: int,
) -> KindRow:
    own = flows[told["id"]]
    longest = max(collected[told["id"]], *(step.records for flow in own for step in flow.steps), 1)
    receipt = told["receipt"]
    expires_us = _us(receipt["expires"]) if receipt else None
    left = None
    if expires_us is not None and told["state"] == "shared":
        share = (expires_us - at_us) / (told["freshness_s"] * SECOND_US)
        left = round(FULL * min(1.0, max(0.0, share)))
    return KindRow(
        told,
        sources.get(told["id"], ""),
        _step("collected", collected[told["id"]], longest),
        own,
        _us(receipt["acknowledged"]) if receipt else None,
        expires_us,
        left,
    )


def _step(slug: str, count: int, longest: int) -> Step:
    return Step(slug, count, max(LEAST, round(FULL * count / longest)) if count else 0)


def _cells(kinds: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    """The kinds side by side with gaps between them: those that are shared first."""
    ranked = _ranked(kinds, _SHARED)
    gap = 6.0
    width = (FULL - gap * (len(ranked) - 1)) / max(1, len(ranked))
    return tuple(
        Cell(kind["id"], kind["state"], round(n * (width + gap), 1), round(width, 1))
        for n, kind in enumerate(ranked)
    )


def _ranked(kinds: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[Mapping[str, Any]]:
    """Kinds by their states in this order, and as they were within each."""
    return sorted(kinds, key=lambda kind: order.index(kind["state"]))


def _us(text: str | None) -> int | None:
    return None if text is None else parse_time(text, "receipt")
