"""What the engine asks for and hands out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pulse.ledger.model import Run, State
from pulse.ledger.tail import Tail
from pulse.messages import Message


class Archive(Protocol):
    """What was kept of the past; asked only for a message that reaches back behind its device's last run."""

    def messages(self, device: str, from_us: int, to_us: int) -> Sequence[Message]:
        """Every message of the device applied in earlier calls with its reception or measured time in
        `[from_us, to_us)`; more does no harm."""
        ...

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        """Every run of the device ever handed out that ends after `from_us`, superseded ones too."""
        ...


class Transition(NamedTuple):
    """A device's accounted state changed at `at` (valid time)."""

    device: str
    at: int
    before: State
    after: State
    cause: str


class Rebuilt(NamedTuple):
    """Of `device`, every run that ends after `cut` is replaced by `runs`."""

    device: str
    cut: int
    runs: list[Run]


class Outcome(NamedTuple):
    """What to keep of a step: `rebuilt` first, then `runs` (by device, start, recorded and since).

    A run of a device that lives on has the end `FOREVER`; it is handed out again when it ends.
    """

    runs: list[tuple[str, Run]]
    rebuilt: list[Rebuilt]
    transitions: list[Transition]


class Status(NamedTuple):
    """One device as the engine sees it now."""

    state: State
    since: int
    tail: Tail | None
