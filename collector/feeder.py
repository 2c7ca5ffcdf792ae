"""From the spool to the telemetry store, in a thread of its own: the store may be slow or away for hours."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import Counter

from collector import metrics
from collector.lease import Lease, LeaseLost
from collector.spool import STORED, Spool
from pulse import logs
from pulse.batches import joined
from pulse.clock import Clock
from pulse.errors import StoreRejected, StoreUnavailable
from pulse.messages import MAX_QUARANTINED_BYTES, Channel, Message, Quarantined, Record
from pulse.stores.base import TelemetryStore, TransitionPoint, Written
from pulse.stores.relational import events, meta, quarantine
from pulse.stores.relational.database import Database

log = logs.get(__name__)

BATCHES_AT_ONCE = 32
MESSAGES_AT_ONCE = 10_000
"""Enough for one write, give or take a batch; more would only cost memory."""
TRANSITIONS_AT_ONCE = 1_000
IDLE_S = 0.25
GLANCE_S = 0.05
TRANSITIONS_S = 1.0
LONGEST_WAIT_S = 10.0
LONGEST_ASKED_S = 120.0
"""Of the wait that an overloaded store asks for."""
CURSOR_KEY = "transitions_in_telemetry"

_Item = TypeVar("_Item", Message, Record)


class Feeder:
    """Drains the spool; what the store refuses for good goes to quarantine and holds up nothing."""

    def __init__(self, spool: Spool, store: TelemetryStore, db: Database, clock: Clock, lease: Lease) -> None:
        self._spool = spool
        self._store = store
        self._db = db
        self._clock = clock
        self._lease = lease
        self._answering = False
        self._opened = False
        self._cursor: int | None = None
        self._next_transitions_s = 0.0

    def store_answers(self) -> bool:
        """Whether the telemetry store took the last thing that it was given."""
        return self._answering

    def run(self, stop: threading.Event) -> None:
        """Feed until `stop` is set; what is left stays in the spool. Raises `LeaseLost`."""
        wait_s = IDLE_S
        while not stop.is_set():
            asked_s = 0.0
            try:
                self._lease.check()
                if not self._opened:
                    self._store.open()
                    self._opened = True
                busy = self.feed()
                self._answering = True
                self._feed_transitions()
            except StoreUnavailable as error:
                asked_s = min(error.retry_after_s or 0.0, LONGEST_ASKED_S)
                self._failed(error, max(wait_s, asked_s))
            except LeaseLost:
                raise
            except Exception:
                log.exception("feeding_failed", retry_s=wait_s)
                self._answering = False
            else:
                wait_s = IDLE_S
                if not busy:
                    self._rest(stop)
                continue
            metrics.STORE_FAILURES.inc()
            stop.wait(max(wait_s, asked_s))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _rest(self, stop: threading.Event) -> None:
        """Let messages gather for the next write, for a while or until there are enough."""
        until_s = self._clock.monotonic_s() + IDLE_S
        while self._clock.monotonic_s() < until_s and self._spool.depth().messages < MESSAGES_AT_ONCE:
            if stop.wait(GLANCE_S):
                return

    def feed(self) -> bool:
        """Give the store the next batches; whether more are likely to wait. Raises `StoreUnavailable`."""
        batches = self._spool.read_after(
            self._spool.mark(STORED), limit=BATCHES_AT_ONCE, items=MESSAGES_AT_ONCE
        )
        count = sum(batch.weight for batch in batches)
        if batches:
            messages = joined([batch.messages for batch in batches])
            if len(messages):
                self._give(messages, self._store.write_messages, metrics.STORED, metrics.KNOWN)
            records = [record for batch in batches for record in batch.records]
            if records:
                self._give(records, self._store.write_records, metrics.RECORDS_STORED, metrics.RECORDS_KNOWN)
            self._spool.advance(STORED, batches[-1].seq)
        return len(batches) == BATCHES_AT_ONCE or count >= MESSAGES_AT_ONCE

    def _give(
        self,
        items: Sequence[_Item],
        write: Callable[[Sequence[_Item]], Written],
        stored: Counter,
        known: Counter,
    ) -> None:
        """Store items; a batch that the store rejects as a whole is halved until the culprit is alone."""
        try:
            written = write(items)
        except StoreRejected as error:
            if len(items) == 1:
                self._bury([(items[0], str(error))])
                return
            half = len(items) // 2
            self._give(items[:half], write, stored, known)
            self._give(items[half:], write, stored, known)
            return
        stored.inc(written.stored - written.known)
        known.inc(written.known)
        if written.refused:
            self._bury([(items[position], reason) for position, reason in written.refused])

    def _bury(self, refused: Sequence[tuple[Message | Record, str]]) -> None:
        of_records = sum(isinstance(one, Record) for one, _ in refused)
        metrics.REFUSED.inc(len(refused) - of_records)
        metrics.RECORDS_REFUSED.inc(of_records)
        log.error("refused_by_store", count=len(refused), reason=refused[0][1])
        items = [(one.order, _quarantined(one, reason)) for one, reason in refused]
        with self._db.write() as connection:
            self._lease.renew(connection)
            quarantine.put(connection, items)

    def _feed_transitions(self) -> None:
        """Give the store the transitions since the last time, from the table of events."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_transitions_s:
            return
        with self._db.read() as connection:
            if self._cursor is None:
                self._cursor = int(meta.get(connection, CURSOR_KEY) or 0)
            found = events.after(connection, self._cursor, TRANSITIONS_AT_ONCE)
        if len(found) < TRANSITIONS_AT_ONCE:
            self._next_transitions_s = now_s + TRANSITIONS_S
        if not found:
            return
        points = [
            TransitionPoint(
                device=event.body["device"],
                community=event.body["community"],
                kind=event.body["kind"],
                at_us=event.at_us,
                recorded_us=event.recorded_us,
                before=event.body["before"],
                after=event.body["after"],
                cause=event.body["cause"],
            )
            for event in found
            if event.topic == "transition"
        ]
        if points:
            try:
                self._store.write_transitions(points)
            except StoreRejected as error:
                # Such as from before the bucket's retention; the others are stored, and the table has all.
                log.warning("transitions_refused_by_store", error=str(error)[:500])
        with self._db.write() as connection:
            self._lease.renew(connection)
            meta.put(connection, CURSOR_KEY, str(found[-1].id))
        self._cursor = found[-1].id

    def _failed(self, error: StoreUnavailable, wait_s: float) -> None:
        if self._answering:
            log.warning("store_unavailable", error=str(error), retry_s=wait_s)
        self._answering = False


def _quarantined(one: Message | Record, reason: str) -> Quarantined:
    if isinstance(one, Record):
        channel, payload, size = f"data/{one.data_kind}", one.body[:MAX_QUARANTINED_BYTES], len(one.body)
    else:
        channel, payload, size = ("heartbeat" if one.channel is Channel.HEARTBEAT else "status"), b"", 0
    topic = f"community/{one.community}/{one.kind}/{one.device}/{channel}"
    return Quarantined(one.observed_us, "refused_by_store", reason[:500], topic, payload, size)
