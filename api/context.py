"""What the API works with; the command that starts it puts the parts together."""

from dataclasses import dataclass, field

from pulse.clock import Clock
from pulse.indicators.online_rate import OnlineRate
from pulse.indicators.publication import Publication
from pulse.indicators.statistics import Statistics, flap_terms
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational.database import Database


@dataclass(frozen=True, slots=True)
class Context:
    """One installation, opened. Every part may be used from any thread."""

    settings: Settings
    db: Database
    store: TelemetryStore
    clock: Clock
    rate: OnlineRate
    statistics: Statistics = field(init=False)
    publication: Publication = field(init=False)

    def __post_init__(self) -> None:
        statistics = Statistics(self.rate.library, self.clock, flap_terms(self.settings))
        object.__setattr__(self, "statistics", statistics)
        object.__setattr__(self, "publication", Publication(self.rate.library))
