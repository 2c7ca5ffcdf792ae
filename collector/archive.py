"""The past that the ledger asks for when a message reaches back: a window in memory, and the stores."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from collector.spool import POSITION_BITS, Spool
from pulse.batches import Flags, MessageColumns, columns_of, joined
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, FOREVER, Evidence, Run
from pulse.messages import Message
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import intervals
from pulse.stores.relational.database import Database

WINDOW_MESSAGES = 32_768


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
        self._batches: deque[MessageColumns] = deque()
        self._count = 0
        self._applied = 0
        self._complete_from = FOREVER

    def begin(self, from_us: int, applied: int) -> None:
        """Start an empty window: everything received from `from_us` on will be remembered.

        `applied` is the last batch that was applied: what those up to it held, the store is asked for.
        """
        self._applied = applied
        self._batches.clear()
        self._count = 0
        self._complete_from = from_us

    def remember(self, messages: Sequence[Message]) -> None:
        """Take in messages that were applied, in order of reception."""
        if not len(messages):
            return
        self._batches.append(columns_of(messages))
        self._count += len(messages)
        while self._count > self._window_messages:
            surplus, gone = self._count - self._window_messages, self._batches.popleft()
            if surplus < len(gone):
                self._batches.appendleft(gone[surplus:])
                gone = gone[:surplus]
            self._count -= len(gone)
            # Others received in the same microsecond may still be there, these are not.
            self._complete_from = max(self._complete_from, int(gone.observed.max()) + 1)

    def recent(self, device: str) -> Sequence[Message]:
        """What the device said within the window, registered or not."""
        return [message for batch in self._batches for message in batch.of(device)]

    def recent_where(self, chosen: Callable[[Sequence[str]], Flags]) -> MessageColumns:
        """What devices said within the window, registered or not; `chosen` says of ids which are meant."""
        found = []
        for batch in self._batches:
            meant = chosen([origin.device for origin in batch.origins])
            if meant.any():
                found.append(batch.take(meant[batch.origin]))
        return joined(found)

    def can_answer(self, fleet: Fleet, messages: MessageColumns) -> Flags:
        """Of which messages that what they may ask for is at hand now; those of strangers ask nothing."""
        where = fleet.positions_of(messages.origins)
        registered = where >= 0
        timeout, waits = np.zeros(len(where), dtype=np.int64), np.zeros(len(where), dtype=bool)
        timeout[registered] = fleet.terms.longest_timeout(where[registered])
        waits[registered] = fleet.terms.may_be_late(where[registered])
        asks: Flags = messages.dated() & ~messages.retained & (messages.evidence != Evidence.OFFLINE)
        asks &= registered[messages.origin] & (messages.queued | waits[messages.origin])
        answered: Flags = ~asks | (messages.measured - timeout[messages.origin] >= self._complete_from)
        if answered.all() or self._store_has_the_rest():
            answered[:] = True
        return answered

    def reaches(self, from_us: int) -> bool:
        """Whether everything received or measured from a time on is at hand now."""
        return from_us >= self._complete_from or self._store_has_the_rest()

    def _store_has_the_rest(self) -> bool:
        """Whether the telemetry store has everything older than the window."""
        if not self._store_answers():
            return False
        waiting = self._spool.first_waiting()
        if not self._batches:
            return waiting > self._applied
        oldest = int(self._batches[0].order[0])
        # Of a batch that the window holds from its first message on, the store need have nothing.
        return waiting << POSITION_BITS >= oldest

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        """See `pulse.ledger.outcome.Archive`."""
        recent = [
            message
            for message in self.recent(device)
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
