"""The connection to the broker: paho-mqtt driven by our own epoll loop, in one thread.

Every connection has its own paho client, so that nothing of an old one (packet ids, half-read packets,
acknowledgements) can reach a new one. The loop and what a `Handler` does in it must stay short: pings
wait meanwhile.
"""

import contextlib
import os
import random
import selectors
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from collector.attempts import CONNECTION_LOST, NO_ANSWER, STOPPED, VERSION, Attempts
from collector.client import PUBLISHING_AT_ONCE, V5, V311, BufferedClient, new_client, subscribe
from collector.outbox import Outbox, Outgoing
from collector.reader import PACKETS_A_TURN, BatchClient
from collector.received import DUP, RETAIN, Gathering, Publishes
from pulse import logs
from pulse.batches import Ints
from pulse.clock import Clock
from pulse.errors import SettingsError
from pulse.settings import Broker
from pulse.tls import explained

log = logs.get(__name__)

FILTERS = ("community/+/+/+/heartbeat", "community/+/+/+/status", "community/+/+/+/data/+")
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
"""Mosquitto's count of messages that it dropped because a queue was full; other brokers have none."""

UPTIME_TOPIC = "$SYS/broker/uptime"
"""Mosquitto's time since its start: a session that it kept on disk proves nothing of the time it was down."""
UPTIME_EVERY_S = 10
"""How often it says so (`sys_interval`, its default)."""

LONGEST_WAIT_S = 1.0

UNSUPPORTED_VERSION = 132
BAD_CREDENTIALS = (134, 135)
TAKEN_OVER = 142


class Handler(Protocol):
    """What the loop calls, always in its own thread."""

    def connected(self, session_present: bool) -> None:
        """The broker accepted us; its backlog may follow at once."""

    def subscribed(self) -> None:
        """The broker confirmed the subscriptions."""

    def received(self, publishes: Publishes) -> None:
        """Messages came. Each has to be acknowledged in its connection, or comes again in the next."""

    def disconnected(self) -> None:
        """The connection is gone; what it delivered and was not acknowledged will come again."""

    def turn(self, quiet: bool) -> float:
        """Once a turn of the loop: seconds after which the next is due. `quiet`: nothing more to read now."""
        ...


class Link:
    """Keeps one persistent session of the broker going. `run` is the loop; `publish` is for any thread."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        handler: Handler,
        clock: Clock,
        *,
        ca_file: Path | None = None,
        mqtt_5: bool = True,
        batch_reader: bool = True,
        dice: random.Random | None = None,
    ) -> None:
        self.broker = broker
        self.client_id = client_id
        self.canary_topic = f"pulse/canary/{client_id}"
        self.epoch = 0
        """Number of the connection; a message is acknowledged in its own only."""
        self.connections = 0
        self.outbox = Outbox()
        self._handler = handler
        self._clock = clock
        self._ca_file = ca_file
        self._attempts = Attempts(
            broker,
            client_id,
            V5 if mqtt_5 else V311,
            dice or random.Random(),  # noqa: S311 - jitter, not a secret
        )
        self._client: BufferedClient | None = None
        self._accepted_s: float | None = None
        self._moved_s = 0.0
        """When a handshake last came forward; a backlog may come before the broker's confirmation."""
        self._subscription: int | None = None
        self._joined = False
        self._next_attempt_s = 0.0
        self._held = False
        self._end: str | None = None
        self._taken_over = False
        self._gathered = Gathering()
        """What was read and not yet given to the handler."""
        self._observed_us = 0
        self._delivered = 0
        self._reader = BatchClient if batch_reader else BufferedClient
        self._publishing: dict[int, Outgoing] = {}
        self._at_once = PUBLISHING_AT_ONCE
        self._selector = selectors.EpollSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._over = False
        self._quiet = True
        self._selector.register(self._wake, selectors.EVENT_READ)

    # -- for any thread ------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish when connected; until then it waits (of retained messages the newest of each topic)."""
        self.outbox.put(Outgoing(topic, payload, qos, retain))
        self.wake()

    def wake(self) -> None:
        """Make the loop turn now."""
        with self._wake_lock, contextlib.suppress(BlockingIOError):
            if not self._over:
                os.eventfd_write(self._wake, 1)

    # -- for the handler, in the loop's thread -------------------------------------------------------

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The version spoken, or to be tried next."""
        return self._attempts.protocol

    @property
    def joined(self) -> bool:
        """Whether the broker has confirmed the subscriptions of this connection."""
        return self._joined

    def acknowledge(self, epoch: int, mids: Ints) -> None:
        """Acknowledge messages of connection `epoch`; of another one than the present it does nothing."""
        if epoch != self.epoch or self._client is None:
            return
        if len(mids):
            self._client.acknowledge(mids)

    def send_canary(self, payload: bytes) -> None:
        """Publish to ourselves, in this connection or never."""
        if self._client is not None:
            self._client.publish(self.canary_topic, payload, qos=1)

    def drop(self, reason: str) -> None:
        """End this connection and try again later; the broker keeps the session."""
        self._end = reason

    def hold(self, held: bool) -> None:
        """Stay away from the broker, or come back."""
        self._held = held
        if held:
            self.drop("held")

    # -- the loop ------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Stay connected until `stop` is set (call `wake` after setting it), then leave orderly."""
        try:
            while not stop.is_set():
                self._turn()
            self._leave(STOPPED, orderly=True)
        finally:
            self._selector.close()
            with self._wake_lock:
                self._over = True
                os.close(self._wake)

    def _turn(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._client is None and not self._held and now_s >= self._next_attempt_s:
            self._connect()
        elif self._client is not None:
            self._check(now_s)
        wait_s = LONGEST_WAIT_S
        try:
            wait_s = min(wait_s, self._handler.turn(self._quiet))
        except Exception:
            log.exception("turn_failed")
            self._end = "failed"
        if self._end is not None and self._client is not None:
            self._leave(self._end, orderly=True)
        if self._client is None and not self._held:
            wait_s = min(wait_s, max(0.0, self._next_attempt_s - self._clock.monotonic_s()))
        if self._joined:
            self._publish_waiting()
        for key, mask in self._selector.select(0 if self._pending() else max(0.0, wait_s)):
            if key.fileobj == self._wake:
                os.eventfd_read(self._wake)
            else:
                self._transfer(mask)
        if self._pending():
            self._transfer(selectors.EVENT_READ)

    def _pending(self) -> bool:
        return self._client is not None and self._client.buffered()

    def _transfer(self, mask: int) -> None:
        client = self._client
        if client is None:
            return
        with self._guarded():
            if mask & selectors.EVENT_WRITE:
                client.loop_write()
            if mask & selectors.EVENT_READ:
                self._read(client)
        if self._client is client and client.socket() is None:
            self._leave(self._end or CONNECTION_LOST)

    def _read(self, client: BufferedClient) -> None:
        """Read until nothing more is there, or enough for one turn."""
        self._quiet = False
        start = self._read_so_far()
        while self._read_so_far() - start < PACKETS_A_TURN:
            before = self._read_so_far()
            result = client.loop_read()
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or client.socket() is None:
                break
            if self._read_so_far() == before and not self._pending():
                self._quiet = True
                break
        self._deliver()

    def _read_so_far(self) -> int:
        return self._delivered + len(self._gathered)

    def _deliver(self) -> None:
        """Give the handler what was read."""
        gathered = self._gathered
        if not len(gathered):
            return
        if not self._joined:
            self._moved_s = self._clock.monotonic_s()
        # Each microsecond is given once: a message with neither time nor number is told apart by it.
        publishes = gathered.taken(max(self._clock.now_us(), self._observed_us + 1))
        self._observed_us = publishes.observed_us + len(publishes) - 1
        self._delivered += len(publishes)
        self._handler.received(publishes)

    def _check(self, now_s: float) -> None:
        client = self._client
        if client is None:
            return
        with self._guarded():
            client.loop_misc()
        if not self._joined and now_s - self._moved_s > self._attempts.patience_s():
            self._end = NO_ANSWER
        if client.socket() is None and self._client is client:
            self._leave(self._end or "keepalive timeout")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Nothing that a packet or a callback does may end the loop: the connection ends instead."""
        try:
            yield
        except Exception:
            log.exception("connection_failed")
            self._end = "failed"

    # -- connecting ----------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._end = None
        self._taken_over = False
        self._joined = False
        self._accepted_s = None
        self._moved_s = self._clock.monotonic_s()
        self.epoch += 1
        try:
            client = self._new_client()
            self._client = client
            self._gathered = Gathering()
            if isinstance(client, BatchClient):
                client.gathered = self._gathered
            client.reconnect()
        except (OSError, ValueError, SettingsError) as error:
            self._client = None
            reason = explained(error) if self.broker.tls and isinstance(error, OSError) else str(error)
            self._next_attempt_s = self._clock.monotonic_s() + self._attempts.refused(reason)

    def _new_client(self) -> BufferedClient:
        client = new_client(self._reader, self.broker, self.client_id, self.protocol, self._ca_file)
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    def _leave(self, reason: str, *, orderly: bool = False) -> None:
        """Give up the present connection and say when the next attempt is."""
        client, self._client = self._client, None
        if client is None:
            return
        sock = client.socket()
        if sock is not None and orderly:
            with contextlib.suppress(Exception):
                client.disconnect()
                client.loop_write()
        sock = client.socket()
        if sock is not None:
            self._forget(sock)
            sock.close()
        # What is left of the old client closes its socket again when it is collected.
        client.on_socket_close = client.on_socket_unregister_write = client.on_socket_register_write = None
        self._quiet = True
        self.outbox.give_back(self._publishing.values())
        self._publishing.clear()
        self._joined = False
        accepted_s, self._accepted_s = self._accepted_s, None
        now_s = self._clock.monotonic_s()
        if accepted_s is None:
            wait_s = self._attempts.refused(reason)
        else:
            wait_s = self._attempts.ended(now_s - accepted_s, reason, taken_over=self._taken_over)
        self._next_attempt_s = now_s + wait_s
        if accepted_s is not None:
            self._handler.disconnected()

    # -- paho's callbacks ----------------------------------------------------------------------------

    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ)

    def _on_socket_close(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._forget(sock)

    def _on_register_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _on_unregister_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        with contextlib.suppress(KeyError):
            self._selector.modify(sock, selectors.EVENT_READ)

    def _forget(self, sock: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is not self._client:
            return
        self._deliver()
        if reason.is_failure:
            if reason.value == UNSUPPORTED_VERSION:
                self._end = VERSION
            elif reason.value in BAD_CREDENTIALS:
                self._end = f"the broker refuses the user name or password of PULSE_MQTT_URL ({reason})"
            else:
                self._end = f"the broker refuses: {reason}"
            return
        self._accepted_s = self._moved_s = self._clock.monotonic_s()
        self._attempts.accepted()
        # One place stays free for a canary.
        self._at_once = min(PUBLISHING_AT_ONCE, getattr(properties, "ReceiveMaximum", 65_535) - 1)
        self.connections += 1
        log.info(
            "connected",
            broker=self.broker.shown(),
            protocol="MQTT 5" if self.protocol == V5 else "MQTT 3.1.1",
            session_present=flags.session_present,
        )
        self._handler.connected(flags.session_present)
        self._subscription = subscribe(client, (*FILTERS, self.canary_topic))
        # Not to be queued while we are away: only what the broker says of itself now counts.
        client.subscribe(DROPPED_TOPIC, 0)
        client.subscribe(UPTIME_TOPIC, 0)

    def _on_subscribe(
        self, client: Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        if client is not self._client or mid != self._subscription:
            return
        self._deliver()
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            log.error(
                "subscription_refused",
                reasons=refused,
                action=f"let this user read community/# and read and write {self.canary_topic}",
            )
            self._end = "subscription refused"
            return
        self._joined = True
        self._handler.subscribed()

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if client is not self._client:
            return
        # `message.topic` raises on what is no UTF-8; a contract test holds on to the private name.
        flags = message.qos << 1 | (RETAIN if message.retain else 0) | (DUP if message.dup else 0)
        self._gathered.add(message._topic, bytes(message.payload), flags, message.mid)

    def _on_publish(
        self, client: Client, _userdata: Any, mid: int, _reason: ReasonCode, _properties: Properties
    ) -> None:
        if client is self._client:
            self._publishing.pop(mid, None)

    def _on_disconnect(
        self,
        client: Client,
        _userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is not self._client:
            return
        self._deliver()
        if flags.is_disconnect_packet_from_server:
            self._taken_over = reason.value == TAKEN_OVER
            self._end = f"the broker ended it: {reason}"

    def _publish_waiting(self) -> None:
        client = self._client
        if client is None:
            return
        with self._guarded():
            for item in self.outbox.take(max(0, self._at_once - len(self._publishing))):
                info = client.publish(item.topic, item.payload, item.qos, item.retain)
                if item.qos:
                    self._publishing[info.mid] = item
