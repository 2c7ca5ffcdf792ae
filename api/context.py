"""What the API works with; the command that starts it puts the parts together."""

from dataclasses import dataclass, field

from pulse.clock import Clock
from pulse.indicators.data_sharing import DataSharing
from pulse.indicators.indicator import Indicator
from pulse.indicators.online_rate import OnlineRate
from pulse.indicators.published import published
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
    sharing: DataSharing = field(init=False)
    indicators: tuple[Indicator, ...] = field(init=False)
    """What is published."""

    def __post_init__(self) -> None:
        statistics = Statistics(self.rate.library, self.clock, flap_terms(self.settings))
        object.__setattr__(self, "statistics", statistics)
        library = self.rate.library
        object.__setattr__(self, "sharing", DataSharing(self.db, library, self.clock))
        object.__setattr__(self, "indicators", published(self.db, library))
