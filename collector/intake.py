"""From the broker to the spool: take, quarantine, batch, commit, acknowledge. Runs in the link's thread.

It also asks the canary, drives the coverage machine, and tells the ledger's thread how far it has come.
"""

import queue
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from collector import coverage, metrics
from collector.coverage import Action, Coverage, Phase
from collector.dialects.identity import Identifier
from collector.messagetaker import MessageTaker
from collector.mqtt import DROPPED_TOPIC, UPTIME_EVERY_S, UPTIME_TOPIC, Link
from collector.received import Publishes, Received
from collector.recordtaker import RecordTaker
from collector.redeliveries import Redeliveries
from collector.sequences import Skip
from collector.spool import Spool
from pulse import logs
from pulse.batches import Flags, Ints, MessageColumns, joined
from pulse.clock import SECOND_US, Clock
from pulse.errors import StoreUnavailable
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Blind
from pulse.messages import MAX_QUARANTINED_BYTES, Quarantined, Record
from pulse.settings import Settings

log = logs.get(__name__)

LEAST_PATIENCE_S = 15.0
TELL_EVERY_S = 0.1
PROBE_EVERY_S = 1.0
ENOUGH_UNACKNOWLEDGED = 16
"""Brokers often deliver 20 messages ahead of acknowledgement; waiting for more would only cost time."""

MOST_RECORD_BYTES = 4_000_000
"""A batch is full with so much of records, give or take what was read at once."""

INSTALMENT_US = 5 * SECOND_US
"""A backlog is taken in instalments of this length; what one brings counts as received at its beginning."""

_NOBODY: Ints = np.empty(0, dtype=np.int64)
_DROPPED = DROPPED_TOPIC.encode()
_UPTIME = UPTIME_TOPIC.encode()


class Told(NamedTuple):
    """How far the intake has come: all that was received before `through_us` is in batches up to `seq`."""

    seq: int
    through_us: int
    listening: bool
    actions: list[Action]


class _Pending:
    """What was received and is not durable yet."""

    def __init__(self) -> None:
        self.parts: list[MessageColumns] = []
        self.received = 0
        self.accepted = 0
        self.duplicates = 0
        self.late = 0
        self.quarantined: list[Quarantined] = []
        self.records: list[Record] = []
        self.record_bytes = 0
        self.records_received = 0
        self.records_duplicate = 0
        self.records_quarantined = Counter[str]()
        """By reason; they are among `quarantined`."""
        self.doubted: set[str] = set()
        self.skipped: list[Skip] = []
        self.epoch = 0
        """The connection that delivered it."""
        self.mids: list[Ints] = []
        self.canaries: list[int] = []
        self.unacknowledgeable = 0
        self.since_s: float | None = None
        self.earliest_us: int | None = None
        self.latest_live_us: int | None = None

    def __bool__(self) -> bool:
        return self.since_s is not None

    def items(self) -> int:
        return self.accepted + len(self.records) + len(self.quarantined)

    def unacknowledged(self) -> int:
        """How many messages wait for their acknowledgement."""
        return sum(map(len, self.mids))

    def messages(self) -> MessageColumns:
        """What was accepted, in the order of reception."""
        self.parts = [joined(self.parts)]
        return self.parts[0]

    def count(self) -> None:
        """Count what became of all this, now that it is durable."""
        metrics.ACCEPTED.inc(self.accepted)
        metrics.DUPLICATES.inc(self.duplicates)
        metrics.LATE.inc(self.late)
        for reason, count in (Counter(q.reason for q in self.quarantined) - self.records_quarantined).items():
            metrics.QUARANTINED.labels(reason).inc(count)
        if self.records_received:
            metrics.RECORDS_ACCEPTED.inc(len(self.records))
            metrics.RECORDS_DUPLICATE.inc(self.records_duplicate)
            for reason, count in self.records_quarantined.items():
                metrics.RECORDS_QUARANTINED.labels(reason).inc(count)


class Intake:
    """The link's handler.

    `registry`, and the `kinds` of `records`, may be replaced by any thread; the rest belongs to the link's.
    """

    def __init__(self, settings: Settings, spool: Spool, clock: Clock) -> None:
        self.link: Link
        self.told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self.stalled: tuple[int, str] | None = None
        """Since when nothing is acknowledged, and why; any thread may look."""
        self.registry = Fleet()
        interval_s = settings.canary_interval_s
        self._interval_s = interval_s
        self._patience_s = max(2 * interval_s, LEAST_PATIENCE_S)
        self.coverage = Coverage(round(self._patience_s * SECOND_US))
        self._settings = settings
        self._spool = spool
        self._clock = clock
        self._redeliveries = Redeliveries()
        self.records = RecordTaker(settings, self._redeliveries)
        self._messages = MessageTaker(settings, self._redeliveries)
        self._pending = _Pending()
        self._own_topics = frozenset((_DROPPED, _UPTIME))
        self._nonce = secrets.token_hex(8)
        self._canary = 0
        self._next_canary_s = 0.0
        self._heard_s = 0.0
        self._ahead_us: int | None = None
        self._instalment_us: int | None = None
        """When the present instalment of a backlog began; no time passes beyond it while it goes on."""
        self._next_tell_s = 0.0
        self._next_probe_s: float | None = None
        self._end_cause = coverage.NO_CONNECTION
        self._lost = 0
        self._warned = False
        self._blind_counted_us = 0

    # -- before the link runs ------------------------------------------------------------------------

    def identify_by(self, identifier: Identifier) -> None:
        """Tell messages and records apart by the installation's secret."""
        self._messages.identify_by(identifier)
        self.records.identifier = identifier

    def remember(
        self, messages: MessageColumns, still_open: Blind | None, records: Sequence[Record] = ()
    ) -> None:
        """Take up what an earlier process received last: redeliveries, and doubts of a gap still open."""
        doubtful = self._messages.remember(messages, self.registry)
        for record in records:
            self._redeliveries.remember(record)
        if still_open is None:
            return
        doubtful &= messages.observed >= still_open.recorded
        for number in np.unique(messages.origin[doubtful]).tolist():
            self.coverage.doubted(messages.origins[number].device)

    def begin(
        self,
        start_us: int | None,
        proved_us: int,
        still_open: Blind | None,
        dropped: int | None,
        *,
        own_spool: bool = True,
        through_us: int = 0,
    ) -> None:
        """Take up the coverage that an earlier process left, with this spool or another one.

        It counted the blind time until `through_us` if its gap is still open.
        """
        now_us = self._clock.now_us()
        actions = self.coverage.started(start_us, proved_us, still_open, dropped, now_us)
        if not own_spool:
            actions += self.coverage.spooled_elsewhere(now_us)
        if still_open is not None:
            self._blind_counted_us = self.coverage.blind_us(through_us)
        self._tell(actions, now_us)

    def stopping(self) -> None:
        """The next end of the connection is wanted."""
        self._end_cause = coverage.STOPPED

    # -- the link's handler --------------------------------------------------------------------------

    def connected(self, session_present: bool) -> None:
        """The broker accepted us."""
        metrics.CONNECTIONS.inc()
        if self.link.connections > 1:
            metrics.RECONNECTS.inc()
        self._own_topics = frozenset((_DROPPED, _UPTIME, self.link.canary_topic.encode()))
        self._heard_s = self._clock.monotonic_s()
        now_us = self._clock.now_us()
        self._tell(self.coverage.connected(session_present, now_us), now_us)

    def subscribed(self) -> None:
        """The subscriptions stand: prove it."""
        self._send_canary()

    def received(self, publishes: Publishes) -> None:
        """Decode messages into the batch, or quarantine them."""
        self._heard_s = self._clock.monotonic_s()
        if self._pending and self._pending.epoch != self.link.epoch:
            # Of an earlier connection: to be kept, and acknowledged no more.
            self._flush()
        start = 0
        try:
            for at in publishes.of_topics(self._own_topics):
                self._receive_devices(publishes, start, at)
                start = at + 1
                self._wait_for(publishes, start)
                self._receive_own(publishes.one(at))
            self._receive_devices(publishes, start, len(publishes))
        finally:
            self._ahead_us = None

    def _wait_for(self, publishes: Publishes, start: int) -> None:
        """Note that messages from `start` on were received, and are in no batch yet."""
        self._ahead_us = publishes.observed_us + start if start < len(publishes) else None

    def _receive_own(self, message: Received) -> None:
        """A canary, or what the broker tells of itself."""
        pending = self._pending
        if pending.since_s is None:
            pending.since_s = self._heard_s
            pending.epoch = self.link.epoch
        if message.qos:
            pending.mids.append(np.array([message.mid], dtype=np.int64))
        if message.topic == _DROPPED:
            self._count_dropped(message)
        elif message.topic == _UPTIME:
            self._tell_uptime(message)
        else:
            number = self._canary_number(message.payload)
            if number is not None:
                pending.canaries.append(number)
                self._flush()

    def _receive_devices(self, publishes: Publishes, start: int, end: int) -> None:
        """Take the messages of devices from `start` to `end`, in batches as large as they may be."""
        while start < end:
            room = max(1, self._settings.batch_max_messages - self._pending.items())
            part = publishes.part(start, min(end, start + room))
            start += len(part)
            self._wait_for(publishes, start)
            pending = self._pending
            if pending.since_s is None:
                pending.since_s = self._heard_s
                pending.epoch = self.link.epoch
            if pending.earliest_us is None:
                pending.earliest_us = part.observed_us
            records = self._take(part)
            # Only now: a message that could not be taken must not be acknowledged with the others.
            mids = part.acknowledgeable()
            pending.mids.append(mids)
            pending.unacknowledgeable += len(part) - len(mids)
            pending.received += len(part) - records
            metrics.RECEIVED.inc(len(part) - records)
            if records:
                pending.records_received += records
                metrics.RECORDS_RECEIVED.inc(records)
            is_full = (
                pending.items() >= self._settings.batch_max_messages
                or pending.record_bytes >= MOST_RECORD_BYTES
            )
            if is_full and not self._flush():
                # The rest comes again in the next connection, as does what could not be kept.
                rest = publishes.part(start, end)
                self._lost += len(rest) - len(rest.acknowledgeable())
                return

    def disconnected(self) -> None:
        """The connection is gone: keep what it brought, and note the gap."""
        self._flush()
        self._pending = _Pending()
        now_us = self._clock.now_us()
        actions = self.coverage.disconnected(now_us, self._end_cause)
        if self._lost:
            metrics.DISCARDED.inc(self._lost)
            self._lost = 0
            actions += self.coverage.discarded(now_us)
        if self._end_cause != coverage.STOPPED:
            self._end_cause = coverage.NO_CONNECTION
        self._tell(actions, now_us)

    def turn(self, quiet: bool) -> float:
        """Commit what is due, ask the canary, tell how far we are; seconds until the next time."""
        now_s = self._clock.monotonic_s()
        pending = self._pending
        delay_s = self._settings.batch_max_delay_ms / 1000
        due_s = TELL_EVERY_S
        if pending.since_s is not None:
            waited_s = now_s - pending.since_s
            if waited_s >= delay_s or (quiet and pending.unacknowledged() >= ENOUGH_UNACKNOWLEDGED):
                self._flush()
            else:
                due_s = min(due_s, delay_s - waited_s)
        if self._next_probe_s is not None and now_s >= self._next_probe_s:
            self._probe(now_s)
        now_us = self._clock.now_us()
        if self.coverage.is_overdue(now_us):
            # What is recorded of coverage must not be ahead of the messages that came before.
            self._flush()
        actions = self.coverage.passed(now_us)
        if self.link.joined and now_s >= self._next_canary_s:
            self._send_canary()
        self._watch(now_s, now_us)
        if actions or now_s >= self._next_tell_s:
            self._next_tell_s = now_s + TELL_EVERY_S
            self._tell(actions, now_us)
        return due_s

    # -- messages ------------------------------------------------------------------------------------

    def _take(self, part: Publishes) -> int:
        """Take in messages and records, or quarantine them; gives how many were records."""
        queued, fleet, pending = not self.coverage.listening, self.registry, self._pending
        taken = self._messages.take(part, fleet, queued=queued)
        if taken.records:
            self._take_records(part, taken.records, fleet, queued)
        for rejected in taken.rejected:
            self._quarantine(*rejected)
        pending.duplicates += taken.duplicates
        pending.late += taken.late
        pending.skipped += taken.skipped
        if len(taken.messages):
            self._keep(taken.messages, taken.doubtful, taken.proving)
        return len(taken.records)

    def _take_records(self, part: Publishes, positions: Sequence[int], fleet: Fleet, queued: bool) -> None:
        """Take the records at some positions."""
        taken = self.records.take(part, positions, fleet, queued=queued)
        pending = self._pending
        pending.records += taken.records
        pending.record_bytes += sum(len(record.body) for record in taken.records)
        pending.records_duplicate += taken.duplicates
        for rejected in taken.rejected:
            pending.records_quarantined[rejected.reason] += 1
            self._quarantine(*rejected)

    def _keep(self, messages: MessageColumns, doubtful: Flags, proving: Flags) -> None:
        """Take in what is new."""
        pending = self._pending
        pending.parts.append(messages)
        pending.accepted += len(messages)
        if proving.any():
            began_us = self._instalment(int(messages.observed[0]))
            messages.observed[proving] = began_us
            pending.earliest_us = min(pending.earliest_us or began_us, began_us)
        if doubtful.any():
            devices = np.unique(messages.origin[doubtful]).tolist()
            pending.doubted.update(messages.origins[number].device for number in devices)
        live = np.flatnonzero(~doubtful & ~messages.queued & ~messages.retained)
        if len(live):
            pending.latest_live_us = int(messages.observed[live[-1]])

    def _instalment(self, now_us: int) -> int:
        """When the present instalment of the backlog began.

        The reception of a queued beat proves nothing and only says since when it is known. Were that another
        microsecond for each, every beat of a backlog would begin a run of its own; so all of an instalment
        are known at once, and until it is complete no time passes beyond its beginning.
        """
        if self._instalment_us is None or now_us - self._instalment_us >= INSTALMENT_US:
            self._instalment_us = now_us
        return self._instalment_us

    def _quarantine(self, message: Received, reason: str, detail: str) -> None:
        self._pending.quarantined.append(
            Quarantined(
                message.observed_us,
                reason,
                detail[:500],
                _shown(message.topic),
                message.payload[:MAX_QUARANTINED_BYTES],
                len(message.payload),
            )
        )

    def _flush(self) -> bool:
        """Commit the batch, then acknowledge it, then let its canaries count."""
        pending = self._pending
        if not pending:
            return True
        if pending.items():
            began_s = self._clock.monotonic_s()
            try:
                self._spool.append(pending.messages(), pending.quarantined, pending.records)
            except StoreUnavailable as error:
                self._stall(str(error))
                return False
            metrics.COMMIT_SECONDS.observe(self._clock.monotonic_s() - began_s)
            metrics.BATCH_MESSAGES.observe(pending.items())
        pending.count()
        self._pending = _Pending()
        self.link.acknowledge(pending.epoch, np.concatenate([_NOBODY, *pending.mids]))
        now_us = self._clock.now_us()
        actions: list[Action] = []
        if pending.latest_live_us is not None:
            actions += self.coverage.heard(pending.latest_live_us)
        for device in pending.doubted:
            actions += self.coverage.doubted(device)
        for skip in pending.skipped:
            recorded = self.coverage.skipped(*skip, now_us)
            metrics.SEQUENCE_JUMPS.labels("gap" if recorded else "listening").inc()
            actions += recorded
        for number in pending.canaries:
            sent_us = self.coverage.awaiting_since_us()
            if sent_us is not None:
                metrics.CANARY_ROUND_TRIP.observe((now_us - sent_us) / SECOND_US)
            actions += self.coverage.canary_returned(number, now_us)
        self._tell(actions, now_us)
        return True

    # -- a spool that takes nothing ------------------------------------------------------------------

    def _stall(self, reason: str) -> None:
        """Acknowledge nothing and leave: the broker keeps for us what we cannot."""
        metrics.SPOOL_STALLS.inc()
        metrics.GIVEN_UP.inc(self._pending.received)
        metrics.RECORDS_GIVEN_UP.inc(self._pending.records_received)
        log.error("spool_stalled", reason=reason, consequence="not connected until the spool takes messages")
        self._lost += self._pending.unacknowledgeable
        self._messages.forget(self._pending.messages())
        self._redeliveries.forget([record.identity for record in self._pending.records])
        self._pending = _Pending()
        self._end_cause = coverage.SPOOL_STALLED
        self.stalled = (self._clock.now_us(), reason)
        self._next_probe_s = self._clock.monotonic_s() + PROBE_EVERY_S
        self.link.hold(True)

    def _probe(self, now_s: float) -> None:
        try:
            self._spool.probe()
        except StoreUnavailable:
            self._next_probe_s = now_s + PROBE_EVERY_S
            return
        log.info("spool_recovered")
        self._next_probe_s = None
        self.stalled = None
        self.link.hold(False)

    # -- the canary ----------------------------------------------------------------------------------

    def _send_canary(self) -> None:
        self._canary += 1
        now_us = self._clock.now_us()
        self._next_canary_s = self._clock.monotonic_s() + self._interval_s
        self.coverage.canary_sent(self._canary, now_us)
        self.link.send_canary(f"{self._nonce} {self._canary}".encode())

    def _canary_number(self, payload: bytes) -> int | None:
        """The number of a canary of this process; one of an earlier process in the backlog proves nothing."""
        nonce, _, number = payload.partition(b" ")
        return int(number) if nonce == self._nonce.encode() and number.isdigit() else None

    def _watch(self, now_s: float, now_us: int) -> None:
        """Leave a connection on which nothing moves although a canary is out for long."""
        sent_us = self.coverage.awaiting_since_us()
        if sent_us is None or now_us - sent_us <= self._patience_s * SECOND_US:
            self._warned = self._warned and not self.coverage.listening
            return
        if not self._warned:
            self._warned = True
            log.error(
                "canary_missing",
                topic=self.link.canary_topic,
                action="the broker is stuck, or its access rules keep us from this topic",
            )
        if now_s - self._heard_s > self._patience_s and self.coverage.phase is not Phase.AWAY:
            self.link.drop("the canary did not come back")

    def _count_dropped(self, message: Received) -> None:
        text = message.payload.strip()
        if text.isdigit() and len(text) < 18:
            # What is recorded of coverage must not be ahead of the messages that came before.
            self._flush()
            now_us = self._clock.now_us()
            self._tell(self.coverage.counted_dropped(int(text), now_us), now_us)

    def _tell_uptime(self, message: Received) -> None:
        text = message.payload.split(b" ")[0]
        if text.isdigit() and len(text) < 12:
            self._flush()
            now_us = self._clock.now_us()
            # A retained value may have been said one interval ago.
            age_s = int(text) + (UPTIME_EVERY_S + 2 if message.retained else 2)
            self._tell(self.coverage.broker_started(now_us - age_s * SECOND_US, now_us), now_us)

    def _tell(self, actions: list[Action], now_us: int) -> None:
        metrics.LISTENING.set(self.coverage.listening)
        blind_us = self.coverage.blind_us(now_us)
        metrics.BLIND_SECONDS.inc(max(0, blind_us - self._blind_counted_us) / SECOND_US)
        self._blind_counted_us = max(blind_us, self._blind_counted_us)
        # A deadline must not pass before what was received earlier, and waits to be taken, was heard.
        if self.coverage.listening or now_us - (self._instalment_us or now_us) >= INSTALMENT_US:
            self._instalment_us = None
        waiting = (self._pending.earliest_us, self._ahead_us, self._instalment_us)
        through_us = min([now_us, *(at_us for at_us in waiting if at_us is not None)])
        self.told.put(Told(self._spool.last_seq(), through_us, self.coverage.listening, actions))


def _shown(topic: bytes) -> str:
    return topic[:1024].decode("utf-8", "backslashreplace")
