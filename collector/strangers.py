"""Devices that nobody registered: counted, and put into the inbox of discovered ones now and then."""

from collections.abc import Sequence

from pulse.batches import MessageColumns, columns_of
from pulse.clock import MINUTE_US
from pulse.ledger.fleet import Fleet
from pulse.messages import Message

AGAIN_US = MINUTE_US
MOST = 100_000
"""Devices that are remembered; an attacker may invent any number."""


class Strangers:
    """Remembers whom it told of. The methods belong to one thread."""

    def __init__(self) -> None:
        self._told_us: dict[str, int] = {}
        self._messages = 0

    def forget(self) -> None:
        """Begin anew: what was told may not have been written."""
        self._told_us.clear()
        self._messages = 0

    def among(self, messages: MessageColumns, fleet: Fleet) -> list[Message]:
        """One message of each stranger that has not been told of within the last minute."""
        strange = fleet.positions_of(messages.origins) < 0
        found = messages.take(strange[messages.origin]) if strange.any() else columns_of(())
        self._messages += len(found)
        return self._newly(found)

    def counted(self) -> int:
        """Their messages since this was asked last."""
        count, self._messages = self._messages, 0
        return count

    def _newly(self, messages: Sequence[Message]) -> list[Message]:
        chosen: dict[str, Message] = {}
        for message in messages:
            if message.observed_us - self._told_us.get(message.device, 0) >= AGAIN_US:
                chosen[message.device] = message
        if len(self._told_us) > MOST:
            self._told_us.clear()
        self._told_us.update({device: message.observed_us for device, message in chosen.items()})
        return list(chosen.values())
