"""What retention does to deliveries, and what it takes from outlets: nothing is deleted without a word."""

import threading
from collections import Counter

from api.context import Context
from pulse import logs
from pulse.clock import DAY_US
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import deletions, deliveries, outlets, recordmark
from pulse.stores.relational.outlets import Position

CONTENTS = "delivery_contents"
UNDELIVERED = "undelivered_records"
"""Under `undelivered_records:{outlet}`: records that are deleted before an outlet had them in a delivery."""
DELETED = "deleted"
"""Their reason among what is withheld, which the funnel shows."""
_PAGE = 5_000

_log = logs.get(__name__)


def trim(context: Context, now_us: int) -> None:
    """Forget contents of deliveries some days after their receipts; digests and counts stay."""
    before_us = now_us - context.settings.delivery_retention_days * DAY_US
    with context.db.write() as connection:
        count = deliveries.trim(connection, before_us)
        if count:
            deletions.record(connection, CONTENTS, before_us, count, now_us)


def note_undelivered(context: Context, before_us: int, now_us: int, stop: threading.Event) -> None:
    """Write down, before records received before then are deleted, which of them outlets still lack.

    Their outlets move on past them, and state nothing about the quiet of that time.
    """
    with context.db.read() as connection:
        # Disabled ones too: they go on where they were once they are enabled.
        listed = outlets.current(connection)
        positions = outlets.all_positions(connection)
    for outlet in listed:
        position = positions.get(outlet.id)
        if position is not None and position.since_us < before_us and not stop.is_set():
            _move_past(context, outlet, position, before_us, now_us)


def _move_past(context: Context, outlet: Outlet, position: Position, before_us: int, now_us: int) -> None:
    with context.db.read() as connection:
        mark = recordmark.read(connection)
    if mark is None:
        return
    lost: Counter[str] = Counter()
    reached, more = position.position, True
    while more:
        records = context.store.read_records(
            reached,
            mark.order,
            since_us=position.since_us,
            limit=_PAGE,
            data_kinds=outlet.data_kinds,
            communities=outlet.communities,
        )
        old = [record for record in records if record.observed_us < before_us]
        # Where some are younger, those behind them are too, but for a clock that was set back.
        more = len(records) == _PAGE == len(old)
        lost.update(f"{record.data_kind}/{DELETED}" for record in old)
        reached = old[-1].order if old else reached
    after = position._replace(
        position=reached,
        since_us=max(position.since_us, before_us),
        quiet_us=max(position.quiet_us, before_us),
        withheld=dict(Counter(position.withheld) + lost),
    )
    with context.db.write() as connection:
        if not outlets.move(connection, position, after):
            # A delivery was made meanwhile; what is left is looked at by the next run.
            return
        if lost:
            what = f"{UNDELIVERED}:{outlet.id}"
            deletions.record(connection, what, before_us, lost.total(), now_us)
    if lost:
        _log.warning("records_deleted_undelivered", outlet=outlet.id, records=lost.total())
