"""When two receptions are of one message. Every back end recognises redeliveries by these rules.

A message with a measured time is the same as a stored one of its device with equal identity and measured
time, whenever that came. Without a measured time only its sequence number tells, and that starts again
when the device restarts; so the same one must have come within `REDELIVERY_US`, or within `BACKLOG_US` if
the broker kept it while the collector was away. With neither time nor sequence number a redelivery
cannot be told from a second message: the identity covers the reception then, and only the very same
reception, applied once more after a crash, is recognised.

A retained copy proves nothing (ledger rule 1), so a live message is never dropped because of a
retained copy that came before it; a retained copy is dropped for any earlier reception.
"""

from pulse.clock import DAY_US, MINUTE_US
from pulse.messages import Message

REDELIVERY_US = MINUTE_US
BACKLOG_US = 7 * DAY_US


def window_us(message: Message) -> int:
    """How far from its own reception the same undated message may have been received, in microseconds."""
    if message.seq is None:
        return 0
    return BACKLOG_US if message.queued else REDELIVERY_US
