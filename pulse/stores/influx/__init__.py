"""Telemetry in InfluxDB 2.

Batches stay in columns. `placing` gives every message a timestamp of its own and recognises redeliveries by
what `memory` remembers; `lookup` asks only for messages that may have come before, and those are looked at
one by one (`ground`). `lines` writes line protocol, `receipts` what a message is recognised by, `spans`
where late messages lie; `rows` reads answers back, `windows` piece by piece, and `reading` and `late` bring
points back into the order of reception. `records` and `recordreading` are the same for records of kinds of
data, in far less: each lies at its reception. `client` speaks HTTP and translates failures; `setup`
makes the bucket; `store` is the contract. Reading uses InfluxQL with bound
parameters: it returns whole points without pivoting, which Flux cannot push down.
"""

from pulse.stores.influx.store import InfluxTelemetryStore

__all__ = ["InfluxTelemetryStore"]
