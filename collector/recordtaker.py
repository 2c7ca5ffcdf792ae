"""From the broker's bytes to records: decode, ask registry and catalogue, recognise redeliveries.

Called by the intake in the link's thread; what it gives goes into the intake's batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

from collector.datakinds import DataKinds
from collector.dialects import records as dialect
from collector.dialects.identity import UNKEYED
from collector.received import Publishes, Received
from collector.redeliveries import Redeliveries
from pulse import logs
from pulse.clock import SECOND_US
from pulse.errors import Refused
from pulse.ledger.evidence import is_trusted
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Device
from pulse.messages import Record
from pulse.settings import Settings

log = logs.get(__name__)


class Rejected(NamedTuple):
    """What cannot be accepted, and why."""

    received: Received
    reason: str
    detail: str


class Taken(NamedTuple):
    """What became of some records."""

    records: list[Record]
    rejected: list[Rejected]
    duplicates: int


class RecordTaker:
    """`kinds` may be replaced by any thread; the rest belongs to the intake's."""

    def __init__(self, settings: Settings, redeliveries: Redeliveries) -> None:
        self.kinds = DataKinds()
        self.identifier = UNKEYED
        self._max_bytes = settings.max_payload_bytes
        self._backlog_us = round(settings.backlog_lateness_s * SECOND_US)
        self._redeliveries = redeliveries

    def take(self, part: Publishes, positions: Sequence[int], fleet: Fleet, *, queued: bool) -> Taken:
        """The records at some positions of what was received, each accepted, rejected or a duplicate."""
        kinds = self.kinds
        taken = Taken([], [], 0)
        duplicates = 0
        for at in positions:
            received = part.one(at)
            try:
                record = self._record(received, kinds, fleet, queued)
                kept = self._redeliveries.admit_record(
                    record, retained=received.retained, redelivered=received.redelivered
                )
                if kept is None:
                    duplicates += 1
                elif received.retained:
                    raise Refused("retained", "a copy that the broker kept: do not publish records retained")
                else:
                    taken.records.append(kept)
            except Refused as refused:
                taken.rejected.append(Rejected(received, refused.reason, refused.detail))
            except Exception as error:
                log.exception("decoding_failed", topic=repr(received.topic[:1024]))
                taken.rejected.append(Rejected(received, "decoding_failed", repr(error)))
        return taken._replace(duplicates=duplicates)

    def _record(self, received: Received, kinds: DataKinds, fleet: Fleet, queued: bool) -> Record:
        try:
            topic = received.topic.decode()
        except UnicodeDecodeError as error:
            raise Refused("not_utf8", f"the topic: {error}") from None
        draft = dialect.decode(
            topic,
            received.payload,
            observed_us=received.observed_us,
            max_bytes=self._max_bytes,
            identifier=self.identifier,
        )
        place = draft.place
        device = fleet.get(place.device)
        if device is None:
            raise Refused("unregistered", f"nobody registered the device {place.device}")
        if (device.community, device.kind) != (place.community, place.kind):
            raise Refused("wrong_place", f"registered in {device.community} as {device.kind}")
        kinds.check(place.data_kind, place.kind, draft.members, received.observed_us)
        return Record(
            place.device,
            place.community,
            place.kind,
            place.data_kind,
            received.observed_us,
            draft.measured_us,
            self._at_us(device, draft.measured_us, received.observed_us, queued),
            queued,
            draft.identity,
            received.payload,
        )

    def _at_us(self, device: Device, measured_us: int | None, observed_us: int, queued: bool) -> int | None:
        """The time that a record is evidence of (`pulse.messages.Record`)."""
        if measured_us is not None and is_trusted(device, measured_us, observed_us, self._backlog_us):
            return measured_us
        return None if queued else observed_us
