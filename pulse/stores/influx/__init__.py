"""Telemetry in InfluxDB 2.

`lines` writes line protocol and `rows` reads answers back; `placing` gives every message a timestamp of its
own and recognises redeliveries, asking `lookup` only for messages that may have come before; `reading`
brings points back into the order of reception; `client` speaks HTTP and translates failures; `setup`
makes the bucket; `store` is the contract. Reading uses InfluxQL with bound parameters: it returns whole
points without pivoting, which Flux cannot push down.
"""

from pulse.stores.influx.store import InfluxTelemetryStore

__all__ = ["InfluxTelemetryStore"]
