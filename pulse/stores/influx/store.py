"""The telemetry contract on InfluxDB 2."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from pulse.batches import MessageColumns, columns_of
from pulse.clock import DAY_US
from pulse.errors import SettingsError, StoreRejected, StoreUnavailable
from pulse.ids import is_id
from pulse.messages import Message, Record
from pulse.stores.acceptable import Checker, are_acceptable
from pulse.stores.base import Collected, IndicatorPoint, TransitionPoint, Written
from pulse.stores.influx import indicators, late, lookup, marks, reading, recordreading
from pulse.stores.influx.client import BUCKET_SETTING, Client, Misconfigured
from pulse.stores.influx.lines import HEARTBEAT, NS_PER_US, transition_line
from pulse.stores.influx.memory import Memory
from pulse.stores.influx.placing import Placer
from pulse.stores.influx.records import RecordWriter
from pulse.stores.influx.rendering import MessageLines
from pulse.stores.influx.setup import ensure_bucket
from pulse.stores.influx.spans import Spans, first_free, spans_of, stand, stands
from pulse.stores.influx.texts import Lines
from pulse.stores.influx.writing import write_lines
from pulse.stores.sameness import BACKLOG_US


class InfluxTelemetryStore:
    """Raw messages, records, transitions and indicator values in a bucket of InfluxDB 2.

    `clock_trusted` says of a device whether its measured times may be timestamps; it is asked at every
    write. One store object at a time may write messages and records to a bucket, since it remembers what it
    wrote.
    """

    def __init__(
        self, client: Client, retention_days: int, *, clock_trusted: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._client = client
        self._retention_days = retention_days
        self._clock_trusted = clock_trusted
        self._checker = Checker()
        self._lines = MessageLines()
        self._writing = threading.Lock()
        self._records = RecordWriter(client)
        self._writing_records = threading.Lock()
        self._placer: Placer | None = None
        self._datable_us = BACKLOG_US
        self._opened = False

    def open(self) -> None:
        """Make the bucket when it is missing. `SettingsError` names the setting that InfluxDB refuses.

        What could not be opened for want of an answer is opened by the first write that gets one.
        """
        retention_us = ensure_bucket(self._client, self._retention_days)
        if retention_us is not None:
            # What is older than the retention is refused; such a message lies at its reception.
            self._datable_us = min(BACKLOG_US, max(retention_us - DAY_US, 0))
        self._opened = True

    def _ensure_open(self) -> None:
        if not self._opened:
            try:
                self.open()
            except SettingsError as error:
                # People mend settings while messages wait; only at the start it is a reason to stop.
                raise StoreUnavailable(str(error)) from error

    def write_messages(self, messages: Sequence[Message]) -> Written:
        """Store messages; they can be read when this returns."""
        refused: dict[int, str] = {}
        accepted: Sequence[Message] = messages
        positions: Sequence[int] = range(len(messages))
        if not (isinstance(messages, MessageColumns) and are_acceptable(messages)):
            refused = self._unacceptable(messages)
            positions = [position for position in positions if position not in refused]
            accepted = [messages[position] for position in positions]
        known = 0
        with self._writing:
            self._ensure_open()
            if accepted:
                not_taken, known = self._write_or_reopen(columns_of(accepted))
                refused.update((positions[position], reason) for position, reason in not_taken.items())
        return Written(len(messages) - len(refused), tuple(sorted(refused.items())), known)

    def _unacceptable(self, messages: Sequence[Message]) -> dict[int, str]:
        reasons = ((at, self._checker.why_not(message)) for at, message in enumerate(messages))
        return {at: reason for at, reason in reasons if reason is not None}

    def _write_or_reopen(self, messages: MessageColumns) -> tuple[dict[int, str], int]:
        try:
            return self._write(messages)
        except Misconfigured as error:
            if error.setting == BUCKET_SETTING:
                # Somebody removed the bucket: the next write makes it again, and nothing is known of it.
                self._opened, self._placer = False, None
            raise

    def write_records(self, records: Sequence[Record]) -> Written:
        """Store records; they can be read when this returns."""
        reasons = [self._checker.why_no_record(record) for record in records]
        refused = {position: reason for position, reason in enumerate(reasons) if reason is not None}
        positions = [position for position in range(len(records)) if position not in refused]
        known = 0
        with self._writing_records:
            self._ensure_open()
            if positions:
                try:
                    not_taken, known = self._records.write([records[position] for position in positions])
                except Misconfigured as error:
                    if error.setting == BUCKET_SETTING:
                        self._opened = False
                        self._records.forget()
                    raise
                refused.update((positions[position], reason) for position, reason in not_taken.items())
        return Written(len(records) - len(refused), tuple(sorted(refused.items())), known)

    def read_records(
        self,
        after: int,
        through: int,
        *,
        since_us: int,
        limit: int,
        data_kinds: Collection[str] | None = None,
        communities: Collection[str] | None = None,
    ) -> list[Record]:
        """The first `limit` records with `after < order <= through`, looked for from `since_us` on."""
        return recordreading.read(self._client, after, through, since_us, limit, data_kinds, communities)

    def collected(self, from_us: int, to_us: int) -> list[Collected]:
        """What was received in `[from_us, to_us)`, by data kind and community."""
        return recordreading.collected(self._client, from_us, to_us)

    def _write(self, messages: MessageColumns) -> tuple[dict[int, str], int]:
        """Reasons of what is refused, by position, and how many were stored before."""
        placer = self._placer
        if placer is None:
            memory = marks.load(self._client, int(messages.observed.min()))
            placer = self._placer = Placer(memory, self._clock_trusted, self._datable_us)
        examined = placer.examine(messages)
        placed = placer.place(messages, examined, lookup.stored(self._client, examined.probes))
        spans = spans_of(messages, examined.device, placed.ns, placed.late)
        sent = np.flatnonzero(placed.written)
        refused = dict(placed.refused)
        # First the spans: one whose messages never come is harmless, a late message without one is not found.
        for line, reason in write_lines(self._client, self._span_lines(placer, messages, spans)):
            of_span = placed.late & (messages.origin == spans[line].origin)
            refused.update(dict.fromkeys(np.flatnonzero(of_span).tolist(), reason))
        if len(sent) < len(messages):
            lines = self._lines.render(messages.take(sent), placed.ns[sent])
        else:
            lines = self._lines.render(messages, placed.ns)
        for line, reason in write_lines(self._client, lines):
            refused[int(sent[line])] = reason
        placer.confirm(examined)
        known = placed.known | ~placed.written
        known[list(refused)] = False
        return refused, int(known.sum())

    def _span_lines(self, placer: Placer, messages: MessageColumns, spans: Spans) -> Lines:
        """The lines of what came late; each point stands where none of its device stands."""
        last_ns = placer.memory.late_ns
        stand_ns, told = stands(spans, last_ns[spans.device])
        last_ns[spans.device[told]] = stand_ns[told]
        for at in np.flatnonzero(~told).tolist():
            number, span = spans.device[at], spans[at]
            ns = stand(span, int(last_ns[number]))
            if ns is None:
                ns = first_free(span, late.standing(self._client, messages.origins[span.origin].device, span))
            last_ns[number] = max(int(last_ns[number]), ns)
            stand_ns[at] = ns
        return self._lines.render_spans(messages.origins, spans, stand_ns)

    def seen(self, messages: Sequence[Message]) -> list[bool]:
        """For each message, whether the same one is stored already."""
        with self._writing:
            placer = self._placer
            if placer is not None:
                return lookup.seen(self._client, messages, placer, writes=True)
        placer = Placer(Memory({}, {}), self._clock_trusted, self._datable_us)
        return lookup.seen(self._client, messages, placer, writes=False)

    def read_messages(
        self,
        from_us: int,
        to_us: int,
        *,
        device: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Message]:
        """Messages received in `[from_us, to_us)`, as they arrive from InfluxDB."""
        if device is None or is_id(device):
            yield from reading.received(self._client, from_us, to_us, device, newest_first, limit)

    def read_measured(self, device: str, from_us: int, to_us: int) -> list[Message]:
        """Messages of one device whose reception or measured time lies in `[from_us, to_us)`, by `order`."""
        return reading.received_or_measured(self._client, device, from_us, to_us) if is_id(device) else []

    def latest(self) -> dict[str, Message]:
        """The last received message of every device that has any, by device."""
        return reading.latest(self._client)

    def write_transitions(self, points: Sequence[TransitionPoint]) -> None:
        """Store transitions. `StoreRejected` if some cannot be stored; the others are."""
        self._write_points([transition_line(point) for point in points])

    def write_indicators(self, points: Sequence[IndicatorPoint]) -> None:
        """Store indicator values. `StoreRejected` if some cannot be stored; the others are."""
        self._write_points(indicators.lines(self._client, points))

    def _write_points(self, lines: Sequence[str]) -> None:
        self._ensure_open()
        refused = write_lines(self._client, Lines.of(lines))
        if refused:
            raise StoreRejected(f"{len(refused)} of {len(lines)} points refused: {refused[0][1]}")

    def delete_before(self, cutoff_us: int) -> int:
        """-1: the bucket's retention deletes."""
        return -1

    def delete_records_before(self, cutoff_us: int) -> int:
        """-1: the bucket's retention deletes."""
        return -1

    def oldest_us(self) -> int | None:
        """Reception time of the oldest raw message kept, or None if there is none."""
        return reading.oldest(self._client)

    def oldest_record_us(self) -> int | None:
        """Reception time of the oldest record kept, or None if there is none."""
        return recordreading.oldest(self._client)

    def ping(self) -> None:
        """Return if InfluxDB answers with this token from this bucket, else raise what to check."""
        self._client.rows(f'SELECT "receipt" FROM "{HEARTBEAT}" WHERE time = {NS_PER_US} LIMIT 1')

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
