"""From the broker's bytes to messages: decode, ask the registry, recognise redeliveries, see what is missing.

Called by the intake in the link's thread; what it gives goes into the intake's batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from collector.dialects import native
from collector.dialects.identity import UNKEYED, Identifier
from collector.dialects.many import Many, Plain
from collector.dialects.records import is_record_topic
from collector.received import Publishes, Received
from collector.recordtaker import Rejected
from collector.redeliveries import Redeliveries
from collector.sequences import Sequences, Skip
from pulse import logs
from pulse.batches import ABSENT, Flags, Ints, MessageColumns, Origin, columns_of, joined
from pulse.clock import MINUTE_US, SECOND_US
from pulse.errors import Refused
from pulse.ledger.evidence import is_trusted
from pulse.ledger.fleet import Fleet
from pulse.messages import Evidence, Message
from pulse.settings import Settings

log = logs.get(__name__)

LATE_US = MINUTE_US


class Taken(NamedTuple):
    """What became of some messages.

    Of those to keep, `doubtful` are queued beats without a trusted time (rule 3), `proving` such with one;
    `late` is how many came more than a minute after their time. `records` are the positions of records,
    which are not looked at here.
    """

    messages: MessageColumns
    doubtful: Flags
    proving: Flags
    late: int
    duplicates: int
    skipped: list[Skip]
    rejected: list[Rejected]
    records: list[int]


class _Judged(NamedTuple):
    """What the registry says of origins. `wrong`: elsewhere; `distrusted`: its clock, at some time.

    `where` is the position in the fleet, -1 for one that nobody registered.
    """

    where: Ints
    wrong: Flags
    registered: Flags
    distrusted: Flags


class MessageTaker:
    """Belongs to the intake's thread."""

    def __init__(self, settings: Settings, redeliveries: Redeliveries) -> None:
        self._max_bytes = settings.max_payload_bytes
        self._backlog_us = round(settings.backlog_lateness_s * SECOND_US)
        self._redeliveries = redeliveries
        self._sequences = Sequences()
        self.identify_by(UNKEYED)
        self._last_judged: tuple[Sequence[Origin], Fleet | None, _Judged] = (), None, _judged((), Fleet())

    def identify_by(self, identifier: Identifier) -> None:
        """Tell messages apart by this from now on."""
        self._identifier = identifier
        self._many = Many(self._max_bytes, identifier)

    def remember(self, messages: MessageColumns, fleet: Fleet) -> Flags:
        """Take up what an earlier process received last; gives which are doubtful."""
        self._redeliveries.remember_many(messages)
        doubtful, proving = self._doubtful(messages, fleet)
        self._follow(messages, fleet, doubtful, proving)
        return doubtful

    def forget(self, messages: MessageColumns) -> None:
        """What was taken last is not kept and comes again."""
        self._redeliveries.forget(messages.identity.tolist())
        self._sequences.forget()

    def take(self, part: Publishes, fleet: Fleet, *, queued: bool) -> Taken:
        """Decode, check the places, recognise redeliveries."""
        try:
            plain = self._many.decode(part, queued=queued)
        except Exception:
            log.exception("decoding_many_failed", consequence="these messages are decoded one by one")
            plain = Plain(columns_of(()), np.empty(0, dtype=np.int64), list(range(len(part))))
        columns, positions = plain.columns, plain.positions
        records = [at for at in plain.others if is_record_topic(part.topic(at))]
        others = sorted(set(plain.others).difference(records)) if records else plain.others
        rejected: list[Rejected] = []
        if others:
            careful, where = self._take_carefully(part, others, queued, rejected)
            positions = np.append(positions, where)
            columns = joined([columns, columns_of(careful)]).take(np.argsort(positions, kind="stable"))
            positions = np.sort(positions)
        wrong = self._judge(columns.origins, fleet).wrong
        if wrong.any():
            misplaced = wrong[columns.origin]
            for at in positions[misplaced].tolist():
                device = fleet[columns.origins[columns.origin[np.searchsorted(positions, at)]].device]
                where_it_is = f"registered in {device.community} as {device.kind}"
                rejected.append(Rejected(part.one(at), "wrong_place", where_it_is))
            columns, positions = columns.take(~misplaced), positions[~misplaced]
        kept = self._redeliveries.admit_many(columns, lambda: part.redelivered(positions))
        doubtful, proving = self._doubtful(kept, fleet)
        return Taken(
            kept,
            doubtful,
            proving,
            int((kept.dated() & (kept.observed - kept.measured > LATE_US)).sum()),
            len(columns) - len(kept),
            self._follow(kept, fleet, doubtful, proving),
            rejected,
            records,
        )

    def _judge(self, origins: Sequence[Origin], fleet: Fleet) -> _Judged:
        """What the registry says of each origin; only the last answer is remembered, as fleets are large."""
        before, of, judged = self._last_judged
        if before is not origins or of is not fleet:
            judged = _judged(origins, fleet)
            self._last_judged = origins, fleet, judged
        return judged

    def _take_carefully(
        self, part: Publishes, positions: Sequence[int], queued: bool, rejected: list[Rejected]
    ) -> tuple[list[Message], list[int]]:
        """Decode one by one what is not plain; the messages and the position of each."""
        messages, where = [], []
        for at in positions:
            received = part.one(at)
            try:
                messages.append(self._decode(received, queued))
                where.append(at)
            except Refused as refused:
                rejected.append(Rejected(received, refused.reason, refused.detail))
            except Exception as error:
                log.exception("decoding_failed", topic=repr(received.topic[:1024]))
                rejected.append(Rejected(received, "decoding_failed", repr(error)))
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
            max_bytes=self._max_bytes,
            identifier=self._identifier,
        )

    def _follow(self, messages: MessageColumns, fleet: Fleet, doubtful: Flags, proving: Flags) -> list[Skip]:
        """See what steady devices skipped."""
        # What time each is evidence of: of the backlog its own where that is trusted, none where not.
        times = np.where(proving, messages.measured, np.where(doubtful, ABSENT, messages.observed))
        return self._sequences.took(messages, fleet, self._judge(messages.origins, fleet).where, times)

    def _doubtful(self, messages: MessageColumns, fleet: Fleet) -> tuple[Flags, Flags]:
        """Which are queued beats without a trusted time (rule 3), and which are queued beats with one."""
        asked: Flags = messages.queued & ~messages.retained & (messages.evidence != Evidence.OFFLINE)
        if not asked.any():
            return asked, asked
        judged = self._judge(messages.origins, fleet)
        asked &= judged.registered[messages.origin]
        early = messages.observed - self._backlog_us <= messages.measured
        believable = messages.dated() & early & (messages.measured <= messages.observed)
        doubtful: Flags = asked & ~believable
        distrusted = judged.distrusted[messages.origin]
        for at in np.flatnonzero(asked & believable & distrusted).tolist():
            # Whether the clock was trusted then depends on the time.
            message = messages[at]
            doubtful[at] = not self._is_trusted(message, fleet)
        return doubtful, asked & ~doubtful

    def _is_trusted(self, message: Message, fleet: Fleet) -> bool:
        """Whether the clock of a registered device was trusted at the measured time of its message."""
        measured_us = message.measured_us
        return measured_us is not None and is_trusted(
            fleet[message.device], measured_us, message.observed_us, self._backlog_us
        )


def _judged(origins: Sequence[Origin], fleet: Fleet) -> _Judged:
    """What the registry says of each origin."""
    where = fleet.positions([origin.device for origin in origins])
    registered: Flags = where >= 0
    said = fleet.place_numbers([(origin.community, origin.kind) for origin in origins])
    wrong, distrusted = np.zeros(len(where), dtype=bool), np.zeros(len(where), dtype=bool)
    wrong[registered] = fleet.place[where[registered]] != said[registered]
    distrusted[registered] = fleet.terms.may_be_distrusted(where[registered])
    return _Judged(where, wrong, registered, distrusted)
