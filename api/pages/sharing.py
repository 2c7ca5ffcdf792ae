"""What the page of data sharing shows of one instant: ratio, how far kinds come, outlets, both sides."""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from api.context import Context
from api.outlets.overview import Period, funnel_of
from pulse import logs
from pulse.clock import HOUR_US, SECOND_US, parse_time
from pulse.errors import StoreUnavailable
from pulse.indicators.books import AsOf
from pulse.indicators.within import Within
from pulse.sharing.funnel import Row, Stuck
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import catalogue, deliveries, outlets, receipts, repeats, reports
from pulse.stores.relational.deliveries import Stored, Waiting
from pulse.stores.relational.reports import Report

_log = logs.get(__name__)

WINDOW_US = HOUR_US
"""How far back the steps from collection to receipt are counted."""
FULL = 1000
"""The length of a bar."""
LEAST = 12
"""A step that anything has reached stays visible."""
KEPT_S = 4.0
_DAYS = 7
_SHARED = ("shared", "unknown", "not_shared", "not_collectable")
_UNDER_WAY = frozenset({"on_its_way", "not_made", "not_due"})
_SOON = frozenset({"not_pulled", "not_committed", "nothing_collected"})
_TROUBLE = ("not_shared", "unknown", "shared", "not_collectable")


class Step(NamedTuple):
    """How many records have come as far as this, and how long its bar is, in `FULL`ths."""

    slug: str
    records: int
    width: int


class Flow(NamedTuple):
    """How far the records of a kind come by one outlet; `stuck`: why no further, if anything is amiss."""

    outlet: str
    steps: tuple[Step, ...]
    stuck: Stuck | None


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
    again_us: Mapping[str, int | None]
    """By outlet, when something was last delivered again."""
    away: bool
    """Whether the telemetry store cannot be asked how far records came."""


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

    def forget(self) -> None:
        """Gather anew for the next who asks: somebody changed something."""
        with self._lock:
            self._kept.clear()


def gathered(context: Context, within: Within) -> Sharing:
    """Everything that the page shows, of the communities `within`."""
    ratio = context.sharing.instant(within=within)
    as_of = context.rate.as_of()
    now_us = context.clock.now_us()
    with context.db.read() as connection:
        waiting = deliveries.outstanding(connection)
        known = outlets.current(connection)
        positions = outlets.all_positions(connection)
        first = {one: deliveries.waiting(connection, one, limit=1) for one in waiting}
        last = {one.id: receipts.listing(connection, outlet=one.id, limit=1) for one in known}
        visible = [one for one in known if sees(within, one)]
        told = reports.listing(connection, [one.id for one in visible], limit=_DAYS * max(1, len(visible)))
        again_us = {one.id: repeats.last_us(connection, one.id) for one in visible}
        sources = {kind.id: kind.sources[0] for kind in catalogue.load(connection).in_force(now_us).values()}
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    period = Period(now_us - WINDOW_US, now_us)
    away = False
    try:
        for row in funnel_of(context.settings, context.db, context.store, now_us, period, within, known):
            rows[row.data_kind].append(row)
    except StoreUnavailable as error:
        # The ratio and its receipts lie in the database: they are told all the same.
        _log.warning("funnel_unavailable", error=str(error))
        away = True
    return Sharing(
        as_of,
        ratio,
        _cells(ratio["kinds"]),
        Counter(kind["state"] for kind in ratio["kinds"]),
        tuple(
            _kind(kind, sources.get(kind["id"], ""), rows[kind["id"]], as_of.at_us)
            for kind in _ranked(ratio["kinds"], _TROUBLE)
        ),
        tuple(
            _outlet(
                one,
                first.get(one.id, []),
                waiting.get(one.id),
                positions[one.id].stuck if one.id in positions else None,
                last[one.id][0].acknowledged_us if last[one.id] else None,
            )
            for one in visible
        ),
        tuple(sorted(told, key=Report.agrees)),
        again_us,
        away,
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


def _kind(told: Mapping[str, Any], source: str, rows: Sequence[Row], at_us: int) -> KindRow:
    collected = max((row.collected.records for row in rows), default=0)
    longest = max(
        [1, collected, *(step.records for row in rows for step in (row.outbox, row.sent, row.acknowledged))]
    )
    is_shared = told["state"] == "shared"
    receipt = told["receipt"]
    expires_us = _us(receipt["expires"]) if receipt else None
    left = None
    if expires_us is not None and is_shared:
        share = (expires_us - at_us) / (told["freshness_s"] * SECOND_US)
        left = round(FULL * min(1.0, max(0.0, share)))
    return KindRow(
        told,
        source,
        _step("collected", collected, longest),
        tuple(_flow(row, longest, is_shared=is_shared) for row in rows if row.outlet),
        _us(receipt["acknowledged"]) if receipt else None,
        expires_us,
        left,
    )


def _flow(row: Row, longest: int, *, is_shared: bool) -> Flow:
    """A row of the funnel as bars. While a kind is shared, that something is just under way is no trouble."""
    steps = (("made", row.outbox), ("sent", row.sent), ("acknowledged", row.acknowledged))
    stuck = row.stuck
    if stuck is not None and (stuck.reason in _UNDER_WAY or (is_shared and stuck.reason in _SOON)):
        stuck = None
    return Flow(row.outlet, tuple(_step(slug, step.records, longest) for slug, step in steps), stuck)


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
