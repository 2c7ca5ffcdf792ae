"""The live fleet: every device a real MQTT connection, all on one epoll loop in one thread.

paho's own loop uses select(), which cannot serve descriptors from 1024 on; so sockets are registered with
a selector here, and a heap of timers drives plans, pings and reconnections.
"""

import heapq
import itertools
import resource
import selectors
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, Clock, SystemClock
from pulse.errors import BadInput, Missing
from pulse.settings import Broker
from pulse.tls import client_context, explained
from simulators import chance
from simulators.client import DeviceClient
from simulators.faults import Do, Step
from simulators.fleet import Fleet, device_key, fleet
from simulators.rhythm import keepalive_s
from simulators.scenario import DEFAULT, Scenario
from simulators.telling import whole_plan

_CA = "--ca-file (PULSE_MQTT_CA_FILE)"
SPARE_DESCRIPTORS = 200
"""For logs, libraries and whatever else the process has open."""
LONGEST_WAIT_S = 0.25
"""How soon the loop notices that it is to stop."""
GOODBYE_S = 2.0
EVERYONE = "*"
"""Stands for every device that has no password of its own."""
CONNECTING_REPORT_S = 1.0
STEADY_REPORT_S = 10.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 15.0


class Progress(NamedTuple):
    """How the simulation stands; `acknowledged` counts every message that the broker confirmed."""

    elapsed_s: float
    devices: int
    wanted: int
    """How many devices want to be connected now."""
    connected: int
    beats: int
    beats_per_s: float
    acknowledged: int
    missed: int
    lost: int
    """Connections that ended without the device's will."""
    refused: int
    trouble: str
    """The last reason why a connection failed, "" when the last one succeeded."""
    records: int = 0
    """Records of kinds of data published."""


def run(
    broker: Broker,
    scenario: Scenario = DEFAULT,
    *,
    seed: int,
    devices: int | None = None,
    time_scale: float = 1.0,
    stop: threading.Event,
    report: Callable[[Progress], None] = lambda _progress: None,
    passwords: Mapping[str, str] | None = None,
    ca_file: Path | None = None,
    certificates: Path | None = None,
    clock: Clock | None = None,
) -> Progress:
    """Run a fleet against a broker until `stop` is set, then let every device say goodbye.

    `time_scale` divides every interval, timeout and time of the scenario, but not how far clocks are off.
    A device signs in with its id as user name and its password of `passwords` (`*` for all others); a
    user name in the broker's address is used by all instead. `certificates` holds a client certificate of
    each device, ID.pem and ID-key.pem. Without a goodbye the broker would announce
    every device dead, so at the end they disconnect normally: no last will, the collector hears silence.
    Raises `BadInput` for a fleet, scale or certificate that makes no sense and `Missing` where the machine
    does not allow as many open sockets.
    """
    if not 0.001 <= time_scale <= 10_000:
        raise BadInput(f"{time_scale:g}; use 0.001 to 10000", where="time-scale")
    whole = fleet(seed, devices, scenario)
    allow_descriptors(len(whole.devices) + SPARE_DESCRIPTORS)
    if certificates is not None and not broker.tls:
        raise BadInput("certificates are for mqtts:// only", where="--certificates")
    tls = client_context(ca_file, where=_CA) if broker.tls else None
    loop = _Loop(broker, whole, scenario.connects_per_s, time_scale, clock or SystemClock(), report)
    loop.populate(
        passwords or {}, lambda device: tls if certificates is None else _own(ca_file, certificates, device)
    )
    try:
        return loop.run(stop)
    finally:
        loop.close()


def _own(ca_file: Path | None, certificates: Path, device: str) -> ssl.SSLContext:
    pair = (certificates / f"{device}.pem", certificates / f"{device}-key.pem")
    return client_context(ca_file, where=_CA, certificate=pair[0], key=pair[1])


def allow_descriptors(needed: int) -> None:
    """Raise the soft limit of open files to `needed` at least. Raises `Missing` where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Missing(
            f"{needed} open files are needed, one for each device, but this machine allows {hard}; "
            f"raise the limit (ulimit -Hn {needed} as root, or LimitNOFILE={needed} of the service) "
            f"or simulate fewer devices with --devices {max(hard - SPARE_DESCRIPTORS, 1)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Gate:
    """Lets devices connect one after the other, at a pace, and waits when the broker is not there."""

    def __init__(self, per_s: float, jitter_key: int) -> None:
        self.troubles = 0
        self._pause_s = 1 / per_s
        self._jitter_key = jitter_key
        self._waiting: deque[DeviceClient] = deque()
        self._members: set[str] = set()
        self.opens_s = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, client: DeviceClient) -> None:
        """Queue up, once."""
        if client.device.id not in self._members:
            self._members.add(client.device.id)
            self._waiting.append(client)

    def next(self, now_s: float) -> DeviceClient | None:
        """Whose turn it is, if the gate is open now."""
        if not self._waiting or now_s < self.opens_s:
            return None
        client = self._waiting.popleft()
        self._members.discard(client.device.id)
        return client

    def passed(self, now_s: float) -> None:
        """A connection was opened: the next one a moment later."""
        self.troubles = 0
        self.opens_s = max(self.opens_s + self._pause_s, now_s)

    def failed(self, now_s: float, client: DeviceClient) -> None:
        """The broker cannot be reached: all wait, longer every time."""
        self.opens_s = now_s + backoff_s(self.troubles, chance.uniform(self._jitter_key, self.troubles))
        self.troubles += 1
        self._members.add(client.device.id)
        self._waiting.appendleft(client)


def backoff_s(attempts: int, chance_share: float) -> float:
    """How long to wait after so many failures in a row, a quarter of it to all of it by chance."""
    return float(
        min(FIRST_BACKOFF_S * 2 ** min(attempts, 10), LONGEST_BACKOFF_S) * (0.25 + 0.75 * chance_share)
    )


class _Loop:
    def __init__(
        self,
        broker: Broker,
        whole: Fleet,
        connects_per_s: float,
        time_scale: float,
        clock: Clock,
        report: Callable[[Progress], None],
    ) -> None:
        self._broker = broker
        self._fleet = whole
        self._time_scale = time_scale
        self._clock = clock
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._clients: list[DeviceClient] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self._gate = _Gate(connects_per_s, chance.key(whole.seed, "gate"))
        self._start_s = clock.monotonic_s()
        self._start_us = clock.now_us()
        self._lost = 0
        self._refused = 0
        self._trouble = ""
        self._reported = (self._start_s, 0)
        self._all_in = False
        self._ending = False

    def populate(self, passwords: Mapping[str, str], tls_of: Callable[[str], ssl.SSLContext | None]) -> None:
        """Make the devices and begin their plans, in an order that looks like chance."""
        shuffled = sorted(self._fleet.devices, key=lambda d: chance.key(self._fleet.seed, "order", d.id))
        for device in shuffled:
            interval_s, _ = self._fleet.beats_s[device.kind]
            client = DeviceClient(
                device,
                device_key(self._fleet.seed, device.id),
                keepalive_s(interval_s) / self._time_scale,
                self,
                username=self._broker.username or device.id,
                password=self._password(device.id, passwords),
                tls=tls_of(device.id),
            )
            self._clients.append(client)
            steps = whole_plan(
                self._fleet.unit(device),
                self._fleet.duties.get(device.id, ()),
                self._fleet.faults.get(device.id),
            )
            self._schedule(client, steps)

    def run(self, stop: threading.Event) -> Progress:
        self._at(self._start_s, self._tell)
        while not stop.is_set():
            self._turn(self._clock.monotonic_s())
        self._ending = True
        for client in self._clients:
            client.disconnect()
        until_s = self._clock.monotonic_s() + GOODBYE_S
        while any(client.has_socket for client in self._clients) and self._clock.monotonic_s() < until_s:
            self._serve(0.05)
        return self._progress()

    def close(self) -> None:
        """Let go of the selector; sockets close with their clients."""
        self._selector.close()

    def opened(self, device: DeviceClient, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, device)

    def closing(self, sock: Any) -> None:
        # A client that outlives the run closes its socket when it is collected; the selector has no map then.
        if sock in (self._selector.get_map() or ()):
            self._selector.unregister(sock)

    def lost(self, device: DeviceClient, refusal: str) -> None:
        if refusal:
            self._refused += 1
            self._trouble = f"{device.device.id}: {refusal}"
        if (device.wanted or device.doomed) and not self._ending:
            self._lost += not refusal
            share = chance.uniform(chance.key(device.device.id, "retry"), device.connections)
            wait_s = backoff_s(device.attempts, share)
            self._at(self._clock.monotonic_s() + wait_s, lambda: self._join(device))

    def _turn(self, now_s: float) -> None:
        while self._timers and self._timers[0][0] <= now_s:
            heapq.heappop(self._timers)[2]()
        while (client := self._gate.next(now_s)) is not None:
            if not self._connect(client, now_s):
                break
        next_s = min(
            self._timers[0][0] if self._timers else now_s + LONGEST_WAIT_S,
            self._gate.opens_s if len(self._gate) else now_s + LONGEST_WAIT_S,
        )
        self._serve(min(max(next_s - self._clock.monotonic_s(), 0.0), LONGEST_WAIT_S))

    def _serve(self, wait_s: float) -> None:
        for ready, events in self._selector.select(wait_s):
            client: DeviceClient = ready.data
            client.on_io(events)
            self._arm(client)

    def _arm(self, client: DeviceClient) -> None:
        """Wait for the socket to be writable as long as something is to be written."""
        sock = client.socket
        if sock is None:
            return
        registered = self._selector.get_map().get(sock)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.wants_write else 0)
        if registered is not None and registered.events != events:
            self._selector.modify(sock, events, client)

    def _connect(self, client: DeviceClient, now_s: float) -> bool:
        """Open a connection if it is still wanted; False when the broker cannot be reached."""
        if client.has_socket or not (client.wanted or client.doomed):
            return True
        try:
            client.connect(self._broker.host, self._broker.port)
        except OSError as error:
            said = explained(error, _CA) if self._broker.tls else str(error)
            self._trouble = f"{self._broker.shown()}: {said}"
            self._gate.failed(self._clock.monotonic_s(), client)
            return False
        self._trouble = ""
        self._gate.passed(now_s)
        self._arm(client)
        self._keep_alive(client, client.connections)
        return True

    def _keep_alive(self, client: DeviceClient, connection: int) -> None:
        def ping() -> None:
            if client.connections == connection and client.has_socket:
                client.misc()
                self._arm(client)
                self._at(self._clock.monotonic_s() + client.misc_every_s, ping)

        self._at(self._clock.monotonic_s() + client.misc_every_s, ping)

    def _join(self, client: DeviceClient) -> None:
        if (client.wanted or client.doomed) and not client.has_socket:
            self._gate.join(client)

    def _schedule(self, client: DeviceClient, steps: Iterator[Step]) -> None:
        step = next(steps, None)
        if step is None:
            return

        def due() -> None:
            self._do(client, step)
            self._schedule(client, steps)

        self._at(self._start_s + step.at_us / SECOND_US / self._time_scale, due)

    def _do(self, client: DeviceClient, step: Step) -> None:
        if step.do is Do.BEAT and step.beat is not None:
            # Counted from the start, not from now: copies of a beat have to carry one and the same time.
            client.beat(step.beat, self._start_us + round(step.beat.made_us / self._time_scale))
        elif step.do is Do.TELL and step.telling is not None:
            client.tell(step.telling, self._start_us + round(step.telling.made_us / self._time_scale))
        elif step.do in {Do.CONNECT, Do.CONNECT_QUIETLY}:
            client.wanted = True
            client.quiet = step.do is Do.CONNECT_QUIETLY
            if client.is_connected:
                if not client.quiet:
                    client.say_online()
            else:
                self._join(client)
        elif step.do is Do.DISCONNECT:
            client.disconnect()
        elif step.do is Do.KILL:
            client.kill()
        else:
            client.cut_off()
        self._arm(client)

    def _at(self, when_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when_s, next(self._tie), act))

    def _tell(self) -> None:
        progress = self._progress()
        self._report(progress)
        self._reported = (self._clock.monotonic_s(), progress.beats)
        self._all_in = self._all_in or (progress.connected >= progress.wanted and not len(self._gate))
        pause_s = STEADY_REPORT_S if self._all_in else CONNECTING_REPORT_S
        self._at(self._clock.monotonic_s() + pause_s, self._tell)

    def _progress(self) -> Progress:
        now_s = self._clock.monotonic_s()
        beats = sum(client.sent for client in self._clients)
        since_s, before = self._reported
        return Progress(
            elapsed_s=now_s - self._start_s,
            devices=len(self._clients),
            wanted=sum(client.wanted for client in self._clients),
            connected=sum(client.is_connected for client in self._clients),
            beats=beats,
            beats_per_s=(beats - before) / (now_s - since_s) if now_s > since_s else 0.0,
            acknowledged=sum(client.acknowledged for client in self._clients),
            missed=sum(client.missed for client in self._clients),
            lost=self._lost,
            refused=self._refused,
            trouble=self._trouble,
            records=sum(client.told for client in self._clients),
        )

    def _password(self, device: str, passwords: Mapping[str, str]) -> str | None:
        if self._broker.username is not None:
            return self._broker.password
        return passwords.get(device, passwords.get(EVERYONE))
