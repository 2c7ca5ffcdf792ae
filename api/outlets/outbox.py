"""Making deliveries from what was stored since the last one: content and position in one transaction."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from api.context import Context
from api.outlets.parcel import said_of
from pulse import logs
from pulse.access.outlets import begin
from pulse.clock import HOUR_US, MINUTE_US, SECOND_US
from pulse.errors import BadInput
from pulse.messages import Record
from pulse.sharing import deliveries as contents
from pulse.sharing.catalogue import DataKind
from pulse.sharing.deliveries import Quiet, Taken
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.sharing.serving import Serving
from pulse.stores.relational import catalogue, deliveries, outlets, recordmark, registry, service
from pulse.stores.relational.outlets import Position
from pulse.stores.relational.recordmark import RecordMark

PACE_US = 5 * SECOND_US
"""Deliveries at once are this far apart, unless one is full: a receipt a record would help nobody."""
QUIET_SHARE = 4
LONGEST_QUIET_US = HOUR_US
_SLACK_US = HOUR_US
"""A clock that was set back gave later records earlier times; a search begins this much before."""
_MOVED_EVERY_US = MINUTE_US

FULL = "full"
MASKING_KEY = "masking_key"

_log = logs.get(__name__)


class Built(NamedTuple):
    """What came of building: `made` is the new delivery's number, `more` whether records are left that fit
    none of those made so far, `stuck` why nothing is made.
    """

    made: int | None = None
    more: bool = False
    stuck: str | None = None


class _Ground(NamedTuple):
    """What a delivery is made from."""

    position: Position
    mark: RecordMark
    kinds: dict[str, DataKind]
    registry_version: int


class Outbox:
    """Makes deliveries. May be used from any thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._zone = ZoneInfo(context.settings.timezone)
        self._keys = Keys(context.settings.outlet_keys())
        self._lock = threading.Lock()
        self._serving: tuple[int, Serving] | None = None

    def build(self, outlet: Outlet, *, at_once: bool = False) -> Built:
        """Make the next delivery if there is anything to deliver; `at_once`: whatever the pace.

        Raises `StoreUnavailable`.
        """
        now_us = self._context.clock.now_us()
        ground = self._ground(outlet, now_us)
        if ground is None:
            return Built()
        position, mark = ground.position, ground.mark
        if not at_once and not is_due(position, mark, ground.kinds, outlet, now_us):
            return Built()
        stuck = self._stuck(outlet)
        if stuck != position.stuck:
            _log.warning("outlet_stuck" if stuck else "outlet_goes_on", outlet=outlet.id, reason=stuck)
            with self._context.db.write() as connection:
                outlets.set_stuck(connection, outlet.id, stuck)
        if stuck is not None:
            return Built(stuck=stuck)
        limit = min(outlet.most_records, position.most_records or outlet.most_records)
        records = self._records(outlet, position, mark, limit)
        serving = self._in_service(ground.registry_version)
        taken = contents.take(records, outlet, ground.kinds, serving.was, self._keys.masking())
        drained = taken.whole and len(records) < limit
        quiet: tuple[Quiet, ...] = ()
        after = _moved(position, mark, taken, drained)
        if drained and (at_once or taken.items or _quiet_due(position, mark, ground.kinds, outlet)):
            sources = serving.sources(now_us)
            quiet = contents.statements(outlet, ground.kinds, sources, position.quiet_us, mark.observed_us)
            after = after._replace(quiet_us=max(position.quiet_us, mark.observed_us))
        if not taken.items and not quiet:
            self._pass_over(position, after, bool(taken.withheld))
            return Built(more=not drained)
        return self._keep(outlet, position, after, taken, quiet, now_us)._replace(more=not drained)

    def _ground(self, outlet: Outlet, now_us: int) -> _Ground | None:
        with self._context.db.read() as connection:
            position = outlets.position_of(connection, outlet.id)
            mark = recordmark.read(connection)
            kinds = catalogue.load(connection).in_force(now_us)
            version = registry.version(connection)
        if position is None:
            with self._context.db.write() as connection:
                position = begin(connection, outlet.id, now_us)
        return None if mark is None else _Ground(position, mark, kinds, version)

    def _stuck(self, outlet: Outlet) -> str | None:
        with self._context.db.read() as connection:
            waiting = deliveries.outstanding(connection).get(outlet.id)
        if waiting is not None and waiting.bytes >= self._context.settings.outbox_max_bytes:
            return FULL
        try:
            self._keys.masking()
        except BadInput as error:
            _log.error("masking_key_unusable", error=said_of(error))
            return MASKING_KEY
        return None

    def _records(self, outlet: Outlet, position: Position, mark: RecordMark, limit: int) -> list[Record]:
        if mark.order <= position.position:
            return []
        return self._context.store.read_records(
            position.position,
            mark.order,
            since_us=position.since_us,
            limit=limit,
            data_kinds=outlet.data_kinds,
            communities=outlet.communities,
        )

    def _in_service(self, version: int) -> Serving:
        with self._lock:
            if self._serving is None or self._serving[0] != version:
                with self._context.db.read() as connection:
                    # It may have changed since; then it is read once more than necessary.
                    self._serving = (registry.version(connection), Serving(service.times(connection)))
            return self._serving[1]

    def _pass_over(self, before: Position, after: Position, counted: bool) -> None:
        """Move on past what is not for this outlet; now and then, since nothing depends on it."""
        far = after.since_us - before.since_us >= _MOVED_EVERY_US or after.quiet_us != before.quiet_us
        if counted or far:
            with self._context.db.write() as connection:
                outlets.move(connection, before, after)

    def _keep(
        self,
        outlet: Outlet,
        before: Position,
        after: Position,
        taken: Taken,
        quiet: tuple[Quiet, ...],
        now_us: int,
    ) -> Built:
        number = before.number + 1
        made = contents.make(outlet, number, taken.items, quiet, now_us, self._zone)
        with self._context.db.write() as connection:
            if not outlets.move(connection, before, after._replace(number=number, built_us=now_us)):
                # Another scheduler was quicker.
                return Built()
            deliveries.add(connection, outlet.id, outlet.format, made, now_us)
        return Built(number)


def is_due(
    position: Position, mark: RecordMark, kinds: Mapping[str, DataKind], outlet: Outlet, now_us: int
) -> bool:
    """Whether an outlet that delivers at once may have anything to deliver now."""
    if position.built_us is not None and now_us - position.built_us < PACE_US:
        return False
    return mark.order > position.position or _quiet_due(position, mark, kinds, outlet)


def _quiet_due(position: Position, mark: RecordMark, kinds: Mapping[str, DataKind], outlet: Outlet) -> bool:
    """Whether it is time to say that nothing happened: several times within the shortest freshness.

    By the mark, not the clock: where that stands still nobody knows anything new.
    """
    fresh = [kind.freshness_us for kind in contents.quiet_kinds(outlet, kinds)]
    if not fresh:
        return False
    return mark.observed_us - position.quiet_us >= min(min(fresh) // QUIET_SHARE, LONGEST_QUIET_US)


def _moved(before: Position, mark: RecordMark, taken: Taken, drained: bool) -> Position:
    withheld = Counter(before.withheld)
    for (kind, reason), count in taken.withheld.items():
        withheld[f"{kind}/{reason}"] += count
    after = before._replace(withheld=dict(withheld), stuck=None)
    if drained:
        return after._replace(
            position=max(before.position, mark.order), since_us=max(before.since_us, mark.observed_us)
        )
    if taken.order is None or taken.received_us is None:
        return after
    return after._replace(position=taken.order, since_us=max(before.since_us, taken.received_us - _SLACK_US))
