"""What the collector counts, for Prometheus (the API's /metrics shows the process's default registry)."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("pulse_messages_received", "Messages delivered by the broker, canaries left out.")
ACCEPTED = Counter("pulse_messages_accepted", "Messages that are durable in the spool.")
DUPLICATES = Counter("pulse_messages_duplicate", "Messages recognised as received before.")
LATE = Counter("pulse_messages_late", "Messages measured more than a minute before their reception.")
QUARANTINED = Counter("pulse_messages_quarantined", "Messages that could not be accepted.", ["reason"])
UNREGISTERED = Counter("pulse_messages_unregistered", "Messages of devices that nobody registered.")
BATCHES = Counter("pulse_batches", "Durable batches.")
STORED = Counter("pulse_messages_stored", "Messages taken by the telemetry store.")
REFUSED = Counter("pulse_messages_refused_by_store", "Messages that the telemetry store will never take.")
STORE_FAILURES = Counter("pulse_store_failures", "Writes to the telemetry store that have to be repeated.")
DATABASE_FAILURES = Counter("pulse_database_failures", "Writes to the database that have to be repeated.")
LEDGER_FAILURES = Counter("pulse_ledger_failures", "Times that the ledger was rebuilt after an error.")
CONNECTIONS = Counter("pulse_broker_connections", "Connections that the broker accepted.")
BLIND_SECONDS = Counter("pulse_blind_seconds", "Time in which the collector heard nothing.")
SPOOL_STALLS = Counter("pulse_spool_stalls", "Times that nothing could be acknowledged for want of disk.")
CLOCK_STEPS = Counter("pulse_clock_steps", "Steps of the host's clock.")
DISCARDED = Counter("pulse_messages_discarded", "QoS 0 messages lost while the spool could not take them.")

LISTENING = Gauge("pulse_listening", "1 while the collector is proved to hear the broker.")
INCIDENTS = Gauge("pulse_incidents", "Communities of which more than half is silent together now.")
SPOOL_MESSAGES = Gauge("pulse_spool_messages", "Messages that wait for the telemetry store.")
SPOOL_BYTES = Gauge("pulse_spool_bytes", "Bytes that wait for the telemetry store.")
SPOOL_AGE = Gauge("pulse_spool_oldest_seconds", "Age of the oldest message that waits.")
CLOCK_DRIFT = Gauge("pulse_clock_drift_seconds", "How far the host's clock is from the collector's.")

DETECTION_LAG = Histogram(
    "pulse_detection_lag_seconds",
    "From a deadline to the commit of what it changed.",
    buckets=(0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60, 600),
)
CANARY_ROUND_TRIP = Histogram(
    "pulse_canary_round_trip_seconds",
    "From a canary's sending to its return.",
    buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60),
)
