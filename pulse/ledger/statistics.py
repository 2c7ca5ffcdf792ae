"""What a device, or many together, did in a period: exact sums, from which every statistic follows.

Times are microseconds. Sums of devices are sums of their parts, and so are those of adjoining periods, but
for `outages` (one that reaches over the border is one of either), the longest outage and what is said of the
period's end. docs/statistics.md defines each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pulse.ledger.answer import Stretch
from pulse.ledger.flapping import FlapTerms, episodes
from pulse.ledger.model import State
from pulse.ledger.outages import Ending, Outage, changes, outages
from pulse.ledger.rates import Figures

WHOLE = 100_000
"""A threshold is given in these parts: thousandths of a percent."""


class Longest(NamedTuple):
    """The longest outage: its known time down, counted from its beginning, be that before the period."""

    down: int
    start: int
    end: int
    device: str
    ending: Ending

    def exceeds(self, other: "Longest | None") -> bool:
        """Whether this is the longer one; of equals the earlier, then the first by id."""
        return other is None or (-self.down, self.start, self.device) < (
            -other.down,
            other.start,
            other.device,
        )


@dataclass(slots=True)
class Tally:
    """Sums over the devices that were in service in a period.

    `outages` had time down in it, `open` of them go on at its end. `failures` and `restored` are the changes
    that fall into it; `restoration` is the whole time down of the outages restored in it. `episodes` of
    flapping began in it; `flapped` devices flapped at some time in it, `flapping` of them still do.
    """

    devices: int = 0
    figures: Figures = field(default_factory=Figures)
    outages: int = 0
    open: int = 0
    failures: int = 0
    restored: int = 0
    restoration: int = 0
    longest: Longest | None = None
    episodes: int = 0
    flapping_time: int = 0
    flapped: int = 0
    flapping: int = 0

    @property
    def down(self) -> int:
        """Device-time in fault and offline."""
        return self.figures.of(State.FAULT) + self.figures.of(State.OFFLINE)

    @property
    def operating(self) -> int:
        """Device-time online, maintenance left out."""
        return self.figures.of(State.ONLINE)

    def add(self, other: "Tally") -> None:
        """Add another set of devices over the same period."""
        self.devices += other.devices
        self.figures.add(other.figures)
        self.outages += other.outages
        self.open += other.open
        self.failures += other.failures
        self.restored += other.restored
        self.restoration += other.restoration
        if other.longest is not None and other.longest.exceeds(self.longest):
            self.longest = other.longest
        self.episodes += other.episodes
        self.flapping_time += other.flapping_time
        self.flapped += other.flapped
        self.flapping += other.flapping


def tallied(
    device: str, stretches: Sequence[Stretch], figures: Figures, start: int, end: int, terms: FlapTerms
) -> Tally:
    """One device over `[start, end)`: its `figures` there, and its stretches up to `end`.

    The stretches reach back as far as `reaches_back` asks for.
    """
    own = Tally(devices=int(figures.in_service > 0), figures=figures)
    found = outages(stretches, start)
    for outage in found:
        own.failures += outage.failure and start <= outage.start
        if outage.ending is Ending.RESTORED and start <= outage.end:
            own.restored += 1
            own.restoration += outage.down
        if outage.within:
            own.outages += 1
            own.open += outage.ending is Ending.OPEN
            longest = _longest(device, outage)
            if longest.exceeds(own.longest):
                own.longest = longest
    served_until = next((s.start for s in stretches if s.state is State.RETIRED), end)
    for episode in episodes(changes(found), terms):
        own.episodes += episode.start >= start
        spent = min(episode.end, served_until) - max(episode.start, start)
        if spent > 0:
            own.flapping_time += spent
            own.flapped = 1
            own.flapping = int(episode.end > end and served_until == end)
    return own


def _longest(device: str, outage: Outage) -> Longest:
    return Longest(outage.down, outage.start, outage.end, device, outage.ending)


@dataclass(slots=True)
class Meeting:
    """How many devices reach a threshold of availability.

    `surely` by the lower bound of the raw availability and `perhaps` by the upper, of `of` in service;
    `adjusted` of the `judged` that have judged time.
    """

    surely: int = 0
    perhaps: int = 0
    of: int = 0
    adjusted: int = 0
    judged: int = 0

    def add(self, figures: Figures, threshold: int) -> None:
        """Count one device over a period; `threshold` in parts of `WHOLE`."""
        total, judged = figures.in_service, figures.judged
        if total:
            self.of += 1
            self.surely += _reaches(figures.online_raw, total, threshold)
            self.perhaps += _reaches(figures.online_raw + figures.unknown_raw, total, threshold)
        if judged:
            self.judged += 1
            self.adjusted += _reaches(figures.of(State.ONLINE), judged, threshold)


def _reaches(amount: int, total: int, threshold: int) -> bool:
    return amount * WHOLE >= total * threshold
