"""Which telemetry store the settings ask for."""

from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.sqlite import SqliteTelemetryStore

TELEMETRY_FILE = "telemetry.db"


def open_store(settings: Settings) -> TelemetryStore:
    """The opened store: a file in the data folder."""
    store = SqliteTelemetryStore(settings.data_dir / TELEMETRY_FILE)
    store.open()
    return store
