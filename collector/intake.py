"""From the broker to the spool: decode, quarantine, batch, commit, acknowledge. Runs in the link's thread.

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
from collector.dialects import native
from collector.dialects.many import Many, Plain
from collector.dialects.records import is_record_topic
from collector.mqtt import DROPPED_TOPIC, UPTIME_EVERY_S, UPTIME_TOPIC, Link
from collector.received import Publishes, Received
from collector.recordtaker import RecordTaker
from collector.redeliveries import Redeliveries
from collector.sequences import Sequences, Skip
from collector.spool import Spool
from pulse import logs
from pulse.batches import ABSENT, Flags, Ints, MessageColumns, Origin, columns_of, joined
from pulse.clock import MINUTE_US, SECOND_US, Clock
from pulse.errors import Refused, StoreUnavailable
from pulse.ledger.evidence import is_trusted
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Blind, Evidence
from pulse.messages import MAX_QUARANTINED_BYTES, Message, Quarantined, Record
from pulse.settings import Settings

log = logs.get(__name__)

LATE_US = MINUTE_US
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


class _Judged(NamedTuple):
    """What the registry says of origins. `wrong`: elsewhere; `distrusted`: its clock, at some time.

    `where` is the position in the fleet, -1 for one that nobody registered.
    """

    where: Ints
    wrong: Flags
    registered: Flags
    distrusted: Flags


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
        self._backlog_us = round(settings.backlog_lateness_s * SECOND_US)
        self._spool = spool
        self._clock = clock
        self._redeliveries = Redeliveries()
        self.records = RecordTaker(settings, self._redeliveries)
        self._sequences = Sequences()
        self._many = Many(settings.max_payload_bytes)
        self._last_judged: tuple[Sequence[Origin], Fleet | None, _Judged] = (), None, _judged((), Fleet())
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

    def remember(
        self, messages: MessageColumns, still_open: Blind | None, records: Sequence[Record] = ()
    ) -> None:
        """Take up what an earlier process received last: redeliveries, and doubts of a gap still open."""
        self._redeliveries.remember_many(messages)
        for record in records:
            self._redeliveries.remember(record)
        fleet = self.registry
        doubtful, proving = self._doubtful(messages)
        times = self._times(messages, doubtful, proving)
        self._sequences.took(messages, fleet, _judged(messages.origins, fleet).where, times)
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
        """Decode, check the places, recognise redeliveries; gives how many were records."""
        queued = not self.coverage.listening
        try:
            plain = self._many.decode(part, queued=queued)
        except Exception:
            log.exception("decoding_many_failed", consequence="these messages are decoded one by one")
            plain = Plain(columns_of(()), _NOBODY, list(range(len(part))))
        columns, positions = plain.columns, plain.positions
        fleet, records = self.registry, 0
        if plain.others:
            of_records = [at for at in plain.others if is_record_topic(part.topic(at))]
            records = len(of_records)
            if records:
                self._take_records(part, of_records, fleet, queued)
                plain = plain._replace(others=sorted(set(plain.others).difference(of_records)))
        if plain.others:
            careful, where = self._take_carefully(part, plain.others, queued)
            positions = np.append(positions, where)
            columns = joined([columns, columns_of(careful)]).take(np.argsort(positions, kind="stable"))
            positions = np.sort(positions)
        judged = self._judge(columns.origins, fleet)
        wrong = judged.wrong
        if wrong.any():
            misplaced = wrong[columns.origin]
            for at in positions[misplaced].tolist():
                device = fleet[columns.origins[columns.origin[np.searchsorted(positions, at)]].device]
                self._quarantine(
                    part.one(at), "wrong_place", f"registered in {device.community} as {device.kind}"
                )
            columns, positions = columns.take(~misplaced), positions[~misplaced]
        if not len(columns):
            return records
        kept = self._redeliveries.admit_many(columns, lambda: part.redelivered(positions))
        self._pending.duplicates += len(columns) - len(kept)
        if len(kept):
            # What was admitted one by one has its origins counted anew.
            same = kept.origins is columns.origins
            self._keep(kept, fleet, judged.where if same else _judged(kept.origins, fleet).where)
        return records

    def _take_records(self, part: Publishes, positions: Sequence[int], fleet: Fleet, queued: bool) -> None:
        """Take the records at some positions."""
        taken = self.records.take(part, positions, fleet, queued=queued)
        pending = self._pending
        pending.records += taken.records
        pending.record_bytes += sum(len(record.body) for record in taken.records)
        pending.records_duplicate += taken.duplicates
        for received, reason, detail in taken.rejected:
            pending.records_quarantined[reason] += 1
            self._quarantine(received, reason, detail)

    def _judge(self, origins: Sequence[Origin], fleet: Fleet) -> _Judged:
        """What the registry says of each origin; only the last answer is remembered, as fleets are large."""
        before, of, judged = self._last_judged
        if before is not origins or of is not fleet:
            judged = _judged(origins, fleet)
            self._last_judged = origins, fleet, judged
        return judged

    def _take_carefully(
        self, part: Publishes, positions: Sequence[int], queued: bool
    ) -> tuple[list[Message], list[int]]:
        """Decode one by one what is not plain; the messages and the position of each."""
        messages, where = [], []
        for at in positions:
            received = part.one(at)
            try:
                messages.append(self._decode(received, queued))
                where.append(at)
            except Refused as refused:
                self._quarantine(received, refused.reason, refused.detail)
            except Exception as error:
                log.exception("decoding_failed", topic=_shown(received.topic))
                self._quarantine(received, "decoding_failed", repr(error))
        return messages, where

    def _decode(self, received: Received, queued: bool) -> Message:
        try:
            topic = received.topic.decode()
        except UnicodeDecodeError as error:
            raise Refused("not_utf8", f"the topic: {error}") from None
        return native.decode(
            topic,
            received.payload,
            observed_us=received.observed_us,
            retained=received.retained,
            queued=queued,
            max_bytes=self._settings.max_payload_bytes,
        )

    def _keep(self, messages: MessageColumns, fleet: Fleet, where: Ints) -> None:
        """Take in what is new; `where` has the positions in the fleet of its origins."""
        pending = self._pending
        pending.parts.append(messages)
        pending.accepted += len(messages)
        late = messages.dated() & (messages.observed - messages.measured > LATE_US)
        pending.late += int(late.sum())
        doubtful, proving = self._doubtful(messages)
        times = self._times(messages, doubtful, proving)
        pending.skipped += self._sequences.took(messages, fleet, where, times)
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

    def _times(self, messages: MessageColumns, doubtful: Flags, proving: Flags) -> Ints:
        """What time each is evidence of: of the backlog its own where that is trusted, `ABSENT` where not."""
        return np.where(proving, messages.measured, np.where(doubtful, ABSENT, messages.observed))

    def _instalment(self, now_us: int) -> int:
        """When the present instalment of the backlog began.

        The reception of a queued beat proves nothing and only says since when it is known. Were that another
        microsecond for each, every beat of a backlog would begin a run of its own; so all of an instalment
        are known at once, and until it is complete no time passes beyond its beginning.
        """
        if self._instalment_us is None or now_us - self._instalment_us >= INSTALMENT_US:
            self._instalment_us = now_us
        return self._instalment_us

    def _doubtful(self, messages: MessageColumns) -> tuple[Flags, Flags]:
        """Which are queued beats without a trusted time (rule 3), and which are queued beats with one."""
        asked: Flags = messages.queued & ~messages.retained & (messages.evidence != Evidence.OFFLINE)
        if not asked.any():
            return asked, asked
        judged = self._judge(messages.origins, self.registry)
        asked &= judged.registered[messages.origin]
        early = messages.observed - self._backlog_us <= messages.measured
        believable = messages.dated() & early & (messages.measured <= messages.observed)
        doubtful: Flags = asked & ~believable
        distrusted = judged.distrusted[messages.origin]
        for at in np.flatnonzero(asked & believable & distrusted).tolist():
            # Whether the clock was trusted then depends on the time.
            doubtful[at] = self._is_doubtful(messages[at])
        return doubtful, asked & ~doubtful

    def _is_doubtful(self, message: Message) -> bool:
        """Whether it is a queued beat without a trusted time, of one message."""
        if not message.queued or message.retained or message.evidence is Evidence.OFFLINE:
            return False
        device, measured_us = self.registry.get(message.device), message.measured_us
        if device is None:
            return False
        return measured_us is None or not is_trusted(
            device, measured_us, message.observed_us, self._backlog_us
        )

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
        self._redeliveries.forget(self._pending.messages().identity.tolist())
        self._redeliveries.forget([record.identity for record in self._pending.records])
        self._sequences.forget()
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


def _judged(origins: Sequence[Origin], fleet: Fleet) -> _Judged:
    """What the registry says of each origin."""
    where = fleet.positions([origin.device for origin in origins])
    registered: Flags = where >= 0
    said = fleet.place_numbers([(origin.community, origin.kind) for origin in origins])
    wrong, distrusted = np.zeros(len(where), dtype=bool), np.zeros(len(where), dtype=bool)
    wrong[registered] = fleet.place[where[registered]] != said[registered]
    distrusted[registered] = fleet.terms.may_be_distrusted(where[registered])
    return _Judged(where, wrong, registered, distrusted)


def _shown(topic: bytes) -> str:
    return topic[:1024].decode("utf-8", "backslashreplace")
