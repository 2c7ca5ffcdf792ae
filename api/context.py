"""What the API works with; the command that starts it puts the parts together."""

from dataclasses import dataclass

from pulse.clock import Clock
from pulse.indicators.online_rate import OnlineRate
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
