"""A collector at work for tests: a database, a telemetry store, devices that are registered, a clock."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.service import Collector
from pulse.clock import Clock, SystemClock
from pulse.ledger.model import FOREVER, Blind, Run
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.settings import Broker, Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import coverage, events, intervals, quarantine, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import Event
from pulse.stores.sqlite.store import SqliteTelemetryStore

TIMEOUT_S = 2.0


class Station:
    """What stays when a collector restarts."""

    def __init__(self, folder: Path, url: str, *, timeout_s: float = TIMEOUT_S, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        values = {"data_dir": folder, "canary_interval_s": 0.5, **options}
        self.settings = Settings(_env_file=None, **values)  # type: ignore[arg-type,call-arg]
        self.url = url
        self.clock: Clock = SystemClock()
        self.db = Database(self.settings.relational_url())
        self.db.open()
        self.store: TelemetryStore = SqliteTelemetryStore(folder / "telemetry.db")
        # Tests look into it before the collector had anything to feed it with.
        self.store.open()
        with self.db.write() as connection:
            now_us = self.clock.now_us()
            registry.put_communities(connection, [Community("xinjinglou", "新景楼", "Xinjinglou")], now_us)
            registry.put_kinds(connection, [Kind("camera", "摄像机", "Camera", 1.0, timeout_s)], now_us)

    def register(self, *names: str, **members: object) -> None:
        """Register and commission devices long ago."""
        with self.db.write() as connection:
            registry.put_devices(
                connection,
                [
                    DeviceRecord(name, "xinjinglou", "camera", commissioned_us=0, **members)  # type: ignore[arg-type]
                    for name in names
                ],
                self.clock.now_us(),
            )

    @contextmanager
    def collecting(self, *, clock: Clock | None = None) -> Iterator[Collector]:
        """A collector from start to orderly stop."""
        collector = Collector(self.settings, Broker(self.url), self.db, self.store, clock or self.clock)
        stop = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                collector.run(stop)
            except BaseException as error:
                failures.append(error)
                raise

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield collector
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()
            assert not failures

    def runs(self, device: str) -> list[Run]:
        with self.db.read() as connection:
            return intervals.runs(connection, 0, FOREVER // 2, FOREVER // 2, [device]).get(device, [])

    def blinds(self) -> list[Blind]:
        with self.db.read() as connection:
            return [blind for _, blind in coverage.entries(connection)]

    def listening(self) -> bool:
        with self.db.read() as connection:
            mark = coverage.watermark(connection)
        return mark is not None and mark.listening

    def through_us(self) -> int:
        with self.db.read() as connection:
            mark = coverage.watermark(connection)
        return 0 if mark is None else mark.through_us

    def has_taken(self, device: str, seq: int) -> bool:
        """Whether the store has the message, and the database everything received up to it.

        Two threads write them: what the store has, the database may get to know later. The watermark is in
        one transaction with all that it covers, the quarantine too.
        """
        found = [m for m in self.store.read_messages(0, FOREVER // 4, device=device) if m.seq == seq]
        return bool(found) and self.through_us() > found[-1].observed_us

    def _transitions(self, device: str) -> list[Event]:
        with self.db.read() as connection:
            found = events.after(connection, 0, 10_000)
        return [e for e in found if e.topic == "transition" and e.body["device"] == device]

    def transitions(self, device: str) -> list[tuple[str, str, str]]:
        """Before, after and cause of each."""
        return [(e.body["before"], e.body["after"], e.body["cause"]) for e in self._transitions(device)]

    def transition_times(self, device: str, cause: str) -> list[int]:
        """When the transitions of one cause happened."""
        return [e.at_us for e in self._transitions(device) if e.body["cause"] == cause]

    def state(self, device: str) -> str | None:
        """The last state that a transition told of."""
        found = self.transitions(device)
        return found[-1][1] if found else None

    def quarantined(self) -> dict[str, int]:
        with self.db.read() as connection:
            return quarantine.counts(connection)


def topic(device: str, channel: str = "heartbeat", community: str = "xinjinglou") -> str:
    return f"community/{community}/camera/{device}/{channel}"


class Field:
    """One MQTT client that speaks for many devices."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def beat(self, device: str, payload: bytes = b"") -> None:
        """Publish a heartbeat and wait for the broker to take it."""
        self.say(topic(device), payload)

    def say(self, where: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(where, payload, qos=1, retain=retain).wait_for_publish(10)

    def beats(self, devices: Sequence[str], payload: bytes = b"") -> None:
        for info in [self.client.publish(topic(device), payload, qos=1) for device in devices]:
            info.wait_for_publish(10)


@contextmanager
def field(url: str, protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311) -> Iterator[Field]:
    broker = Broker(url)
    client = Client(CallbackAPIVersion.VERSION2, "field", protocol=protocol)
    client.max_inflight_messages = 1000
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield Field(client)
    finally:
        client.disconnect()
        client.loop_stop()
