"""Prometheus metrics: what the requests cost, and the indicator as it is when somebody scrapes."""

import time
from collections import Counter as Count
from collections.abc import Iterator

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.live import Hub
from api.outlets.figures import families
from api.present import Present
from pulse import logs
from pulse.clock import SECOND_US
from pulse.errors import PulseError
from pulse.stores.relational import coverage, incidents, spoolstatus

STREAMS = frozenset({"/api/v1/events"})
"""Endless answers, whose duration says nothing."""

_log = logs.get(__name__)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self, context: Context, present: Present, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._requests = Counter(
            "pulse_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "pulse_http_request_seconds",
            "Time to answer a request.",
            ("method", "route"),
            registry=self._registry,
        )
        self._registry.register(_AtScrape(context, present, hub))
        self._registry.register(_ThisProcess())

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        if route not in STREAMS:
            self._seconds.labels(method, route).observe(seconds)


class _ThisProcess(Collector):
    """What other parts of this process count for themselves, such as a collector beside the API."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        return (family for family in REGISTRY.collect() if family.name.startswith("pulse_"))


class _AtScrape(Collector):
    """What is asked for only when somebody scrapes; `pulse_up` 0 says that it could not be worked out."""

    def __init__(self, context: Context, present: Present, hub: Hub) -> None:
        self._context = context
        self._present = present
        self._hub = hub

    def describe(self) -> list[Metric]:
        # Registering must not ask the database.
        return []

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        yield GaugeMetricFamily("pulse_live_clients", "Clients of the live stream.", hub.clients)
        yield CounterMetricFamily("pulse_live_dropped", "Live clients dropped as too slow.", hub.dropped)
        try:
            found = [
                *self._indicator(),
                *self._ratio(),
                *self._devices(),
                *self._collector(),
                *self._sharing(),
            ]
        except PulseError as error:
            _log.warning("metrics_incomplete", error=str(error))
            found = []
        yield GaugeMetricFamily("pulse_up", "Whether the indicator can be worked out.", int(bool(found)))
        yield from found

    def _indicator(self) -> Iterator[Metric]:
        rate = self._present.rate()
        for name, label, groups in (
            ("pulse_online_rate", None, {"": rate}),
            ("pulse_online_rate_community", "community", rate["by_community"]),
            ("pulse_online_rate_kind", "kind", rate["by_kind"]),
        ):
            labels = [label] if label else []
            running = GaugeMetricFamily(f"{name}_running", "Devices running normally.", labels=labels)
            total = GaugeMetricFamily(f"{name}_total", "Devices in service.", labels=labels)
            percent = GaugeMetricFamily(
                f"{name}_percent", "Running of all in service, percent (the lower bound).", labels=labels
            )
            for group, figures in groups.items():
                values = [group] if label else []
                running.add_metric(values, figures["running"])
                total.add_metric(values, figures["total"])
                if figures["value"] is not None:
                    percent.add_metric(values, 100 * figures["value"])
            yield from (running, total, percent)

    def _ratio(self) -> Iterator[Metric]:
        ratio = self._context.sharing.instant()
        for name, text in (
            ("shared", "Kinds of data that are shared."),
            ("collectable", "Kinds of data that can be collected."),
            ("unknown", "Kinds of data of which nobody can say."),
        ):
            yield GaugeMetricFamily(f"pulse_data_sharing_{name}", text, ratio[name])
        kinds = GaugeMetricFamily(
            "pulse_data_sharing_kind_shared",
            "1 for a kind of data that is shared, 0 for one that is not; none for others.",
            labels=["data_kind"],
        )
        for kind in ratio["kinds"]:
            if kind["state"] in {"shared", "not_shared"}:
                kinds.add_metric([kind["id"]], int(kind["state"] == "shared"))
        yield kinds

    def _devices(self) -> Iterator[Metric]:
        _, statuses = self._present.devices()
        counts = Count((s.state, s.community, s.kind) for s in statuses)
        gauge = GaugeMetricFamily("pulse_devices", "Devices by state.", labels=["state", "community", "kind"])
        for labels, count in sorted(counts.items()):
            gauge.add_metric(labels, count)
        yield gauge

    def _sharing(self) -> Iterator[Metric]:
        with self._context.db.read() as connection:
            yield from families(connection, self._context.clock.now_us())

    def _collector(self) -> Iterator[Metric]:
        as_of = self._context.rate.as_of()
        yield GaugeMetricFamily(
            "pulse_collector_listening", "Whether the collector hears the devices.", int(as_of.listening)
        )
        with self._context.db.read() as connection:
            mark = coverage.watermark(connection)
            spool = spoolstatus.read(connection)
            unsettled = Count((e.found.community, e.status) for e in incidents.unsettled(connection))
        gauge = GaugeMetricFamily(
            "pulse_incidents_unsettled",
            "Correlated silences that wait for people to confirm, approve or dismiss them.",
            labels=["community", "status"],
        )
        for labels, count in sorted(unsettled.items()):
            gauge.add_metric(labels, count)
        yield gauge
        if spool is not None:
            yield GaugeMetricFamily(
                "pulse_spool_stalled", "1 while nothing can be acknowledged.", int(spool.stalled is not None)
            )
            yield GaugeMetricFamily("pulse_spool_share", "Used part of the spool's limit, of 1.", spool.share)
        if mark is not None:
            age_s = (self._context.clock.now_us() - mark.through_us) / SECOND_US
            yield GaugeMetricFamily("pulse_watermark_age_seconds", "How far the database lags behind.", age_s)


class Measuring:
    """ASGI middleware that counts requests by the route that answered them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # A path that anybody may invent must not become a label.
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.count(scope["method"], route, status, time.perf_counter() - begun)
