"""Embedded telemetry store: one SQLite file, for a community that runs no InfluxDB.

`schema` is the file's layout, `connections` the one writer and the readers, `store` the contract.
"""

from pulse.stores.sqlite.store import SqliteTelemetryStore

__all__ = ["SqliteTelemetryStore"]
