"""The past that the ledger asks for when a message reaches back: a window in memory, and the stores."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from collector.spool import POSITION_BITS, STORED, Spool
from pulse.ledger.model import EVER, FOREVER, Device, Evidence, Run
from pulse.messages import Message
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import intervals
from pulse.stores.relational.database import Database

WINDOW_MESSAGES = 200_000


class Archive:
    """Implements `pulse.ledger.outcome.Archive` for the ledger's thread.

    The last messages are kept in memory, so that a message that is late by minutes needs no store; what
    reaches further back can be answered once the telemetry store has everything older than the window.
    """

    def __init__(
        self,
        db: Database,
        store: TelemetryStore,
        spool: Spool,
        store_answers: Callable[[], bool],
        *,
        window_messages: int = WINDOW_MESSAGES,
    ) -> None:
        self._db = db
        self._store = store
        self._spool = spool
        self._store_answers = store_answers
        self._window_messages = window_messages
        self._by_device: dict[str, deque[Message]] = {}
        self._in_order: deque[Message] = deque()
        self._complete_from = FOREVER

    def begin(self, from_us: int) -> None:
        """Start an empty window: everything received from `from_us` on will be remembered."""
        self._by_device.clear()
        self._in_order.clear()
        self._complete_from = from_us

    def remember(self, messages: Iterable[Message]) -> None:
        """Take in messages that were applied, in order of reception."""
        for message in messages:
            self._in_order.append(message)
            self._by_device.setdefault(message.device, deque()).append(message)
        while len(self._in_order) > self._window_messages:
            gone = self._in_order.popleft()
            own = self._by_device[gone.device]
            own.popleft()
            if not own:
                del self._by_device[gone.device]
            # Others received in the same microsecond may still be there, this one is not.
            self._complete_from = max(self._complete_from, gone.observed_us + 1)

    def recent(self, device: str) -> Sequence[Message]:
        """What the device said within the window, registered or not."""
        return self._by_device.get(device, ())

    def can_answer(self, device: Device, message: Message) -> bool:
        """Whether what the message may ask for is at hand now."""
        if message.measured_us is None or message.retained or message.evidence is Evidence.OFFLINE:
            return True
        if not message.queued and not any(terms.max_lateness for terms in device.terms):
            return True
        reach = message.measured_us - max(terms.timeout for terms in device.terms)
        if reach >= self._complete_from:
            return True
        if not self._in_order:
            return self._store_answers() and self._spool.depth().batches == 0
        oldest = self._in_order[0].order >> POSITION_BITS
        return self._store_answers() and self._spool.mark(STORED) >= oldest

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        """See `pulse.ledger.outcome.Archive`."""
        recent = [
            message
            for message in self._by_device.get(device, ())
            if from_us <= message.observed_us < to_us
            or (message.measured_us is not None and from_us <= message.measured_us < to_us)
        ]
        if from_us >= self._complete_from:
            return recent
        known = {message.order: message for message in self._store.read_measured(device, from_us, to_us)}
        known.update({message.order: message for message in recent})
        return [known[order] for order in sorted(known)]

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        """See `pulse.ledger.outcome.Archive`."""
        with self._db.read() as connection:
            return intervals.ever(connection, device, max(from_us, EVER))
