"""Recognising what was received before.

The broker delivers again at most what it had in flight, 65,535 messages, so remembering some more is
enough. Messages with a time or a sequence number are recognised by their identity, worked out of topic and
payload; one with neither cannot be told from its redelivery and counts as new.

A live message of a device whose clock stands still, and that sends no sequence number, repeats its bytes
without being a redelivery: it proves life (rule 2), so it is kept under an identity of its own.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from collector.identities import Identities
from pulse.batches import Ints, MessageColumns, columns_of
from pulse.clock import SECOND_US
from pulse.messages import Message, Record
from pulse.stores.sameness import BACKLOG_US, REDELIVERY_US

REMEMBERED = 70_000
REPEATED_US = 5 * SECOND_US
"""Within this a repeated time without a sequence number is a redelivery; a beat comes later."""


class Redeliveries:
    """Remembers the last identities. One thread at a time."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._received = Identities(remembered)

    def admit(self, message: Message, *, redelivered: bool = False) -> Message | None:
        """The message to keep, or None if it was received before. `redelivered`: the broker says so."""
        if message.measured_us is None and message.seq is None:
            return message
        earlier_us = self._received.latest(message.identity)
        if earlier_us is not None:
            if message.retained or _is_again(message, message.observed_us - earlier_us, redelivered):
                return None
            if message.measured_us is not None:
                message = msgspec.structs.replace(message, identity=_own_identity(message))
        if not message.retained:
            # A retained copy proves nothing, so it must not take the place of a live one.
            self.remember(message)
        return message

    def admit_record(self, record: Record, *, retained: bool, redelivered: bool) -> Record | None:
        """The record to keep, or None if it was received before; a retained copy is not remembered.

        Where its time is believed, it is the same whenever it comes again: a device that sends anew what was
        not acknowledged tells nothing new. Of a clock that stands still it is as with heartbeats.
        """
        if record.measured_us is None:
            return record
        earlier_us = self._received.latest(record.identity)
        if earlier_us is not None:
            longest_us = BACKLOG_US if redelivered or record.queued else REPEATED_US
            believed = record.at_us == record.measured_us
            if retained or believed or record.observed_us - earlier_us <= longest_us:
                return None
            record = msgspec.structs.replace(record, identity=_own_identity(record))
        if not retained:
            self.remember(record)
        return record

    def admit_many(
        self, messages: MessageColumns, redelivered: Callable[[], Sequence[bool]]
    ) -> MessageColumns:
        """Those of a batch to keep; `redelivered` tells of each whether the broker says so.

        Nearly always all are new, which one look at their identities tells.
        """
        recognisable = (messages.dated() | messages.numbered) & ~messages.retained
        identities = np.sort(messages.identity[recognisable])
        if (
            not messages.retained.any()
            and (identities[1:] != identities[:-1]).all()
            and not self._received.has_any(identities)
        ):
            self._note(identities, messages)
            return messages
        admitted = [
            self.admit(message, redelivered=again)
            for message, again in zip(messages, redelivered(), strict=True)
        ]
        return columns_of([message for message in admitted if message is not None])

    def remember(self, message: Message | Record) -> None:
        """Note a message or record that was received."""
        self._received.note(message.identity, message.observed_us)

    def remember_many(self, messages: MessageColumns) -> None:
        """Note messages that were received; retained copies prove nothing and are left out."""
        own = messages.take(~messages.retained)
        self._note(np.sort(own.identity), own)

    def _note(self, identities: Ints, messages: MessageColumns) -> None:
        if len(identities):
            self._received.note_all(identities, int(messages.observed[0]))

    def forget(self, identities: Iterable[int]) -> None:
        """Take back what was admitted and then not kept: it will be delivered again."""
        self._received.forget(identities)


def _is_again(message: Message, age_us: int, redelivered: bool) -> bool:
    if message.measured_us is not None and message.seq is not None:
        return True
    if redelivered or message.queued:
        return age_us <= BACKLOG_US
    return age_us <= (REDELIVERY_US if message.seq is not None else REPEATED_US)


def _own_identity(message: Message | Record) -> int:
    digest = hashlib.blake2b(message.identity.to_bytes(8, "big"), digest_size=8)
    digest.update(message.observed_us.to_bytes(8, "big", signed=True))
    return int.from_bytes(digest.digest(), "big") >> 1
