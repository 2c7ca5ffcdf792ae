"""Rates of a set of devices, at an instant (devices) or over a period (device-time), by rule 10."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pulse.ledger.answer import Listening, in_service, presence_now, presence_of, timeline
from pulse.ledger.model import Device, Maintenance, Run, State


@dataclass(slots=True)
class Figures:
    """How much there is of every state, and how much of it was online with maintenance ignored.

    Amounts are devices at an instant, device-time over a period.
    """

    amounts: list[int] = field(default_factory=lambda: [0] * len(State))
    online_raw: int = 0
    unknown_raw: int = 0

    def add(self, other: "Figures") -> None:
        """Add the amounts of another set of devices."""
        for position, amount in enumerate(other.amounts):
            self.amounts[position] += amount
        self.online_raw += other.online_raw
        self.unknown_raw += other.unknown_raw

    def of(self, state: State) -> int:
        """The amount in one state."""
        return self.amounts[state]

    @property
    def in_service(self) -> int:
        """Everything but not commissioned and retired: the denominator of the raw rate."""
        return sum(self.amounts) - self.of(State.NOT_COMMISSIONED) - self.of(State.RETIRED)

    @property
    def judged(self) -> int:
        """Online, fault and offline: the denominator of the adjusted rate."""
        return self.of(State.ONLINE) + self.of(State.FAULT) + self.of(State.OFFLINE)


def at_instant(
    device: Device,
    runs: Sequence[Run],
    listening: Listening,
    maintenance: Iterable[Maintenance],
    at: int,
    known_at: int,
) -> tuple[State, State]:
    """The device's presence and its accounted state at one instant."""
    presence = presence_now(runs, listening, device.terms_at(at).timeout, at)
    low, high = in_service(device, at, at + 1, known_at)
    if low > at:
        return presence, State.NOT_COMMISSIONED
    if high <= at:
        return presence, State.RETIRED
    if any(window.start <= at < window.end for window in maintenance):
        return presence, State.EXCLUDED
    return presence, presence


def instant_figures(presence: State, state: State) -> Figures:
    """One device's figures at one instant."""
    figures = Figures()
    figures.amounts[state] = 1
    if state not in {State.NOT_COMMISSIONED, State.RETIRED}:
        figures.online_raw = int(presence is State.ONLINE)
        figures.unknown_raw = int(presence is State.UNKNOWN)
    return figures


def period_figures(
    device: Device,
    runs: Sequence[Run],
    listening: Listening,
    maintenance: Sequence[Maintenance],
    start: int,
    end: int,
    known_at: int,
) -> Figures:
    """One device's figures over `[start, end)`; the amounts add up to its length."""
    figures = Figures()
    for stretch in timeline(device, runs, listening, maintenance, start, end, known_at):
        figures.amounts[stretch.state] += stretch.end - stretch.start
    if not maintenance:
        figures.online_raw = figures.of(State.ONLINE)
        figures.unknown_raw = figures.of(State.UNKNOWN)
        return figures
    low, high = in_service(device, start, end, known_at)
    for stretch in presence_of(runs, listening, low, high) if low < high else ():
        if stretch.state is State.ONLINE:
            figures.online_raw += stretch.end - stretch.start
        elif stretch.state is State.UNKNOWN:
            figures.unknown_raw += stretch.end - stretch.start
    return figures
