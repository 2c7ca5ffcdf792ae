"""A fleet that runs in a thread, and an ear that judges what it hears by the ledger's readable rule."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from collector.dialects import records
from collector.dialects.native import decode
from collector.dialects.records import Draft
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import State
from pulse.ledger.presence import presence_at
from pulse.messages import Message
from pulse.settings import Broker
from simulators import runner
from simulators.fleet import Fleet
from simulators.runner import Progress
from simulators.scenario import Scenario
from tests.broker.clients import Client


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Running:
    """A simulation in its thread; leaving the block of `running` ends it and raises what it raised."""

    def __init__(self, broker: Broker, scenario: Scenario, options: dict[str, Any]) -> None:
        self.reports: list[Progress] = []
        self.ended: Progress | None = None
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work, args=(broker, scenario, options))
        self.thread.start()

    def _work(self, broker: Broker, scenario: Scenario, options: dict[str, Any]) -> None:
        try:
            self.ended = runner.run(broker, scenario, stop=self.stop, report=self.reports.append, **options)
        except BaseException as error:
            self.error = error

    def end(self) -> Progress:
        """Stop it and give its last words."""
        self.stop.set()
        self.thread.join(20)
        assert self.ended is not None, self.error
        return self.ended


@contextmanager
def running(broker: Broker, scenario: Scenario, **options: Any) -> Iterator[Running]:
    """A simulation that runs while the block does."""
    simulation = Running(broker, scenario, options)
    try:
        yield simulation
    finally:
        simulation.end()


class Ear:
    """Hears every message of a fleet through a broker, decoded by the collector's dialect."""

    def __init__(self, port: int, fleet: Fleet) -> None:
        """`fleet` is the one of the registry, scaled as the simulation is."""
        self._devices = {device.id: device for device in fleet.ledger_devices()}
        self.messages: dict[str, list[Message]] = defaultdict(list)
        self.drafts: dict[str, list[Draft]] = defaultdict(list)
        """Records by the device that told them."""
        self._pieces: dict[str, list[Piece]] = defaultdict(list)
        self._client = Client(port, "ear")
        self._client.paho.on_message = self._on_message
        self._client.subscribe("community/#")

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        observed_us = time.time_ns() // 1000
        if records.is_record_topic(message.topic.encode()):
            draft = records.decode(message.topic, bytes(message.payload), observed_us=observed_us)
            self.drafts[draft.place.device].append(draft)
            return
        heard = decode(
            message.topic,
            bytes(message.payload),
            observed_us=observed_us,
            retained=message.retain,
            queued=False,
        )
        order = len(self._pieces[heard.device])
        facts = Heard(heard.evidence, observed_us, heard.measured_us, heard.retained, heard.queued, order)
        self._pieces[heard.device].extend(pieces(self._devices[heard.device], facts, 0))
        self.messages[heard.device].append(heard)

    def data_kinds(self) -> set[str]:
        """The kinds of data that were told."""
        return {draft.place.data_kind for told in list(self.drafts.values()) for draft in list(told)}

    def states(self) -> dict[str, State]:
        """The state of every device now, given that the ear has always listened."""
        now_us = time.time_ns() // 1000
        return {
            device.id: presence_at(device, list(self._pieces[device.id]), (), now_us)
            for device in self._devices.values()
        }

    def not_running(self) -> set[str]:
        """The devices that are not online now."""
        return {device for device, state in self.states().items() if state is not State.ONLINE}

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> "Ear":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
