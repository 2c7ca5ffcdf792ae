"""From the broker to the stores: connection, dialects, spool, coverage, the ledger's thread, publishing.

Knows no storage engine: databases and telemetry stores come in behind the contracts of `pulse.stores`.
"""
