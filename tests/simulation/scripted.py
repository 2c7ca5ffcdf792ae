"""A broker played by a test, and the real collector in one thread on a clock that is moved by hand."""

import os
import threading
from collections import deque
from typing import Any, NamedTuple, cast

from collector.publisher import Publisher
from collector.received import DUP, Gathering, Publishes
from collector.service import Collector
from pulse.batches import Ints
from pulse.settings import Broker, Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational.database import Database
from tests.collector.builders import SteppedClock

AT_LEAST_ONCE = 0x32


class Packet(NamedTuple):
    """A message that waits in the collector's session."""

    topic: bytes
    payload: bytes


class ScriptedBroker:
    """Keeps one session as a broker does: what waits, what is under way, what was acknowledged."""

    def __init__(self) -> None:
        self.up = True
        self.hung = False
        self.session = False
        self.waiting: deque[Packet] = deque()
        self.under_way: dict[int, Packet] = {}
        self.acknowledged: list[Packet] = []
        self._mid = 0

    def publish(self, topic: bytes, payload: bytes) -> bool:
        """A message of a device; whether the broker took it."""
        if self.up and self.session:
            self.waiting.append(Packet(topic, payload))
        return self.up

    def die(self) -> None:
        """Go down and forget the session."""
        self.up = self.session = self.hung = False
        self.waiting.clear()
        self.under_way.clear()

    def handed_out(self, observed_us: int) -> Publishes:
        """What waits, now under way to the collector."""
        gathering = Gathering()
        while self.waiting:
            packet = self.waiting.popleft()
            self._mid = self._mid % 65_535 + 1
            self.under_way[self._mid] = packet
            gathering.add(packet.topic, packet.payload, AT_LEAST_ONCE, self._mid)
        return gathering.taken(observed_us)

    def again(self, observed_us: int) -> Publishes:
        """What was under way in an earlier connection, delivered again."""
        gathering = Gathering()
        for mid, packet in self.under_way.items():
            gathering.add(packet.topic, packet.payload, AT_LEAST_ONCE | DUP, mid)
        return gathering.taken(observed_us)


class ScriptedLink:
    """The collector's link, moved by the test instead of a socket."""

    def __init__(self, broker: ScriptedBroker, clock: SteppedClock) -> None:
        self.broker = broker
        self.clock = clock
        self.epoch = 0
        self.connections = 0
        self.canary_topic = "pulse/canary/simulated"
        self.joined = False
        self.dropped: str | None = None
        self.held = False
        self._last_us = 0

    # -- what the intake asks for --------------------------------------------------------------------

    def acknowledge(self, epoch: int, mids: Ints) -> None:
        if epoch == self.epoch and self.joined:
            for mid in mids.tolist():
                packet = self.broker.under_way.pop(mid, None)
                if packet is not None:
                    self.broker.acknowledged.append(packet)

    def hold(self, held: bool) -> None:
        self.held = held

    def drop(self, reason: str) -> None:
        self.dropped = reason

    def send_canary(self, payload: bytes) -> None:
        self.broker.publish(self.canary_topic.encode(), payload)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """What the collector says to others goes nowhere."""

    def wake(self) -> None:
        """Nobody sleeps here."""

    # -- what the test does --------------------------------------------------------------------------

    def deliver(self, intake: Any, *, again: bool = False) -> None:
        """Give the intake what waits in the session."""
        if not self.joined or self.broker.hung or not self.broker.up:
            return
        # Two deliveries of one instant do not share a microsecond.
        observed_us = max(self.clock.now_us(), self._last_us + 1)
        publishes = self.broker.again(observed_us) if again else self.broker.handed_out(observed_us)
        if len(publishes):
            # Each next message is received a microsecond later, and nothing is received in the future.
            self._last_us = self.clock.us = observed_us + len(publishes)
            intake.received(publishes)


class Simulated:
    """The whole service but for its threads and its socket."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        store: TelemetryStore,
        clock: SteppedClock,
        broker: ScriptedBroker,
    ) -> None:
        url = "mqtt://127.0.0.1:1"
        self.collector = Collector(settings, Broker(url), db, store, clock)
        self.link = ScriptedLink(broker, clock)
        self.intake = self.collector.intake
        self.intake.link = cast(Any, self.link)
        self.keeper = self.collector.keeper
        self.keeper._publisher = Publisher(cast(Any, self.link))
        assert self.collector.lease.acquire(threading.Event())
        store.open()
        assert self.keeper.prepare(threading.Event())

    def connect(self) -> None:
        """Let the broker accept us and deliver what it kept."""
        link = self.link
        if link.joined or not link.broker.up:
            return
        present, link.broker.session = link.broker.session, True
        link.epoch += 1
        link.connections += 1
        link.joined = True
        self.intake.connected(present)
        self.intake.subscribed()
        link.deliver(self.intake, again=True)
        link.deliver(self.intake)

    def disconnect(self) -> None:
        """The connection ends."""
        if self.link.joined:
            self.link.joined = False
            self.intake.disconnected()

    def turn(self) -> None:
        """One turn of the link's loop, and of the canary that it may have sent."""
        self.intake.turn(True)
        if self.link.dropped is not None:
            self.link.dropped = None
            self.disconnect()
        self.link.deliver(self.intake)
        self.intake.turn(True)

    def keep(self, *, hurry: bool = False) -> None:
        """Let the ledger follow all that was told."""
        self.keeper.collect(0)
        while self.keeper.follow(hurry=hurry):
            self.keeper.keep_house()
            # The registry is read beside the ledger's work; here it is read at once.
            thread = self.keeper._reader._thread
            if thread is not None:
                thread.join()
            self.keeper.collect(0)

    def feed(self) -> None:
        """Give the telemetry store what waits."""
        while self.collector.feeder.feed():
            pass
        self.collector.feeder._answering = True

    def stop(self) -> None:
        """End orderly, as the service does."""
        self.intake.stopping()
        self.disconnect()
        self.keep(hurry=True)
        self.keeper.end()
        self.crash()

    def crash(self) -> None:
        """End at once: what is not on disk is gone."""
        self.link.joined = False
        self.collector.lease.release()
        self.collector.spool.close()
        self.collector.link._selector.close()
        os.close(self.collector.link._wake)
