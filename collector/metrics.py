"""What the collector counts, for Prometheus.

The process's default registry holds it: the API's /metrics shows it beside the API, `served` by itself. What
the figures mean and which of them add up is docs/monitoring.md. A message is counted under what became of it
when that is durable, so that one that comes again is counted again only where it is said.
"""

import contextlib
from collections.abc import Callable, Iterator

from prometheus_client import Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from collector.spool import Depth
from pulse import logs
from pulse.clock import SECOND_US, Clock
from pulse.errors import Conflict

log = logs.get(__name__)

RECEIVED = Counter("pulse_messages_received", "Messages of devices taken from the broker.")
ACCEPTED = Counter("pulse_messages_accepted", "Messages that are durable in the spool.")
DUPLICATES = Counter("pulse_messages_duplicate", "Messages recognised as received before.")
QUARANTINED = Counter("pulse_messages_quarantined", "Messages that could not be accepted.", ["reason"])
GIVEN_UP = Counter(
    "pulse_messages_given_up", "Messages that the spool did not take; the broker delivers them again."
)
LATE = Counter("pulse_messages_late", "Accepted ones measured more than a minute before their reception.")
SEQUENCE_JUMPS = Counter(
    "pulse_sequence_jumps",
    "Times that a device which counts its messages skipped some, in a gap or while we listened.",
    ["when"],
)
for _when in ("gap", "listening"):
    # A counter that is absent until something is lost could not be told from one that nobody has.
    SEQUENCE_JUMPS.labels(_when)
UNREGISTERED = Counter("pulse_messages_unregistered", "Accepted ones of devices that nobody registered.")
STORED = Counter("pulse_messages_stored", "Messages that are new in the telemetry store.")
KNOWN = Counter("pulse_messages_known_to_store", "Messages that the telemetry store had already.")
REFUSED = Counter("pulse_messages_refused_by_store", "Messages that the telemetry store will never take.")
RECORDS_RECEIVED = Counter("pulse_records_received", "Records of kinds of data taken from the broker.")
RECORDS_ACCEPTED = Counter("pulse_records_accepted", "Records that are durable in the spool.")
RECORDS_DUPLICATE = Counter("pulse_records_duplicate", "Records recognised as received before.")
RECORDS_QUARANTINED = Counter("pulse_records_quarantined", "Records that could not be accepted.", ["reason"])
RECORDS_GIVEN_UP = Counter(
    "pulse_records_given_up", "Records that the spool did not take; the broker delivers them again."
)
RECORDS_STORED = Counter("pulse_records_stored", "Records that are new in the telemetry store.")
RECORDS_KNOWN = Counter("pulse_records_known_to_store", "Records that the telemetry store had already.")
RECORDS_REFUSED = Counter(
    "pulse_records_refused_by_store", "Records that the telemetry store will never take."
)
DISCARDED = Counter("pulse_messages_discarded", "QoS 0 messages lost while the spool could not take them.")
STORE_FAILURES = Counter("pulse_store_failures", "Writes to the telemetry store that have to be repeated.")
DATABASE_FAILURES = Counter("pulse_database_failures", "Writes to the database that have to be repeated.")
LEDGER_FAILURES = Counter("pulse_ledger_failures", "Times that the ledger was rebuilt after an error.")
CONNECTIONS = Counter("pulse_broker_connections", "Connections that the broker accepted.")
RECONNECTS = Counter("pulse_broker_reconnects", "Those of them after the first of this process.")
BLIND_SECONDS = Counter("pulse_blind_seconds", "Time of which it is not proved that the broker was heard.")
SPOOL_STALLS = Counter("pulse_spool_stalls", "Times that nothing could be acknowledged for want of disk.")
CLOCK_STEPS = Counter("pulse_clock_steps", "Steps of the host's clock.")

LISTENING = Gauge("pulse_listening", "1 while the collector is proved to hear the broker.")
INCIDENTS = Gauge("pulse_incidents", "Communities of which more than half is silent together now.")
CLOCK_DRIFT = Gauge("pulse_clock_drift_seconds", "How far the host's clock is from the collector's.")

BATCH_MESSAGES = Histogram(
    "pulse_batch_messages",
    "Messages of a durable batch, those in quarantine too.",
    buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 5_000, 10_000, 30_000, 100_000),
)
COMMIT_SECONDS = Histogram(
    "pulse_commit_seconds",
    "Time in which a batch became durable.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
DETECTION_LAG = Histogram(
    "pulse_detection_lag_seconds",
    "From a deadline to when its passing was in the database.",
    buckets=(0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60, 600),
)
CANARY_ROUND_TRIP = Histogram(
    "pulse_canary_round_trip_seconds",
    "From a canary's sending to its return.",
    buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60),
)


class SpoolAtScrape(Collector):
    """What waits in the spool when somebody scrapes: no thread that waits for a store has to tell it."""

    def __init__(self, depth: Callable[[], Depth], clock: Clock) -> None:
        self._depth = depth
        self._clock = clock

    def describe(self) -> list[Metric]:
        """Nothing: registering needs no look into the spool."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Number, size and age of what waits."""
        depth = self._depth()
        age_us = 0 if depth.oldest_us is None else max(0, self._clock.now_us() - depth.oldest_us)
        yield GaugeMetricFamily(
            "pulse_spool_messages",
            "Messages, those in quarantine too, of batches that wait for the telemetry store.",
            depth.messages,
        )
        yield GaugeMetricFamily("pulse_spool_bytes", "Size of those batches.", depth.bytes)
        yield GaugeMetricFamily(
            "pulse_spool_oldest_seconds", "Age of the oldest message in them.", age_us / SECOND_US
        )


@contextlib.contextmanager
def registered(collector: Collector) -> Iterator[None]:
    """Show what `collector` tells while the block runs."""
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


@contextlib.contextmanager
def served(host: str, port: int) -> Iterator[None]:
    """Answer scrapes of this process at `host`:`port` while the block runs; with port 0 nobody does.

    Raises `Conflict` when the address cannot be had.
    """
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        raise Conflict(
            f"无法监听 {host}:{port}（{error.strerror}），请用 PULSE_METRICS_PORT 换一个端口 / "
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port with PULSE_METRICS_PORT"
        ) from error
    log.info("metrics_served", host=host, port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
