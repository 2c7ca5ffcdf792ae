"""Figures of outlets for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection

from pulse.clock import SECOND_US
from pulse.stores.relational import deliveries, outlets


def families(connection: Connection, now_us: int) -> Iterator[Metric]:
    """What waits for departments, and how many of them got nothing at the last attempt."""
    waiting = GaugeMetricFamily("pulse_outlet_waiting", "Deliveries without a receipt.", labels=["outlet"])
    oldest = GaugeMetricFamily(
        "pulse_outlet_waiting_seconds", "Age of the oldest of them, 0 without any.", labels=["outlet"]
    )
    outstanding = deliveries.outstanding(connection)
    failing = 0
    for outlet in outlets.current(connection):
        found = outstanding.get(outlet.id)
        waiting.add_metric([outlet.id], 0 if found is None else found.deliveries)
        since_us = None if found is None else found.oldest_us
        oldest.add_metric([outlet.id], 0 if since_us is None else (now_us - since_us) / SECOND_US)
        first = deliveries.waiting(connection, outlet.id, limit=1)
        failing += bool(first and first[0].error is not None and not outlet.disabled)
    yield GaugeMetricFamily(
        "pulse_outlets_failing", "Enabled outlets whose last attempt to deliver failed.", failing
    )
    yield waiting
    yield oldest
