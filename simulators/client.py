"""One simulated device on MQTT: a paho client of its own, driven by an epoll loop from outside."""

import contextlib
import json
import selectors
import socket
import ssl
from collections import deque
from typing import Any, Protocol

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pulse.clock import HOUR_US, SECOND_US, to_iso
from pulse.registry.model import DeviceRecord
from simulators import chance
from simulators.faults import Beat, Telling
from simulators.metrics import measured
from simulators.records import body as record_body

QOS = 1
MOST_IN_FLIGHT = 20
MOST_KEPT = 20_000
"""Beats and records that a buffering device keeps at most while it has no connection."""

CONNECT_TIMEOUT_S = 3.0


class Watch(Protocol):
    """Who waits for a device's socket: the runner."""

    def opened(self, device: "DeviceClient", sock: Any) -> None:
        """A socket is open: read it from now on."""
        ...

    def closing(self, sock: Any) -> None:
        """A socket is about to close: forget it."""
        ...

    def lost(self, device: "DeviceClient", refusal: str) -> None:
        """The connection is gone; `refusal` is why the broker did not let the device in, "" if it had."""
        ...


class DeviceClient:
    """A device's connection, and what it wants of it.

    Nothing is published inside paho's callbacks: they set flags and tell the watch, and `on_io` acts.
    """

    def __init__(
        self,
        device: DeviceRecord,
        device_key: int,
        keepalive_s: float,
        watch: Watch,
        *,
        username: str,
        password: str | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.device = device
        self.wanted = False
        """Whether it wants to be connected."""
        self.doomed = False
        """Whether it dies as soon as it is connected."""
        self.quiet = False
        """Whether it says nothing when it is connected, where others say `online`."""
        self.attempts = 0
        """Connections tried since the last that the broker accepted."""
        self.connections = 0
        self.sent = 0
        self.missed = 0
        """Beats that fell due without a connection and were not kept."""
        self.told = 0
        """Records published."""
        self.acknowledged = 0
        self._key = device_key
        self._watch = watch
        self._clock_style = chance.bits(device_key, 10) % 4
        self._topic = f"community/{device.community}/{device.kind}/{device.id}"
        self._keepalive_s = max(round(keepalive_s), 1)
        self._kept: deque[tuple[Beat | Telling, int]] = deque(maxlen=MOST_KEPT)
        self._is_cut = False
        self._came_in = False
        self._refusal = ""
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=device.id, clean_session=True, reconnect_on_failure=False
        )
        client.username_pw_set(username, password)
        if tls is not None:
            client.tls_set_context(tls)
        client.will_set(f"{self._topic}/status", "offline", QOS, retain=True)
        client.max_inflight_messages_set(MOST_IN_FLIGHT)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.on_socket_open = lambda _client, _data, sock: watch.opened(self, sock)
        client.on_socket_close = lambda _client, _data, sock: watch.closing(sock)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client

    @property
    def is_connected(self) -> bool:
        """Whether the broker has let it in and the connection stands, as far as it knows."""
        return not self._is_cut and bool(self._client.is_connected())

    @property
    def has_socket(self) -> bool:
        """Whether it is connected or about to be."""
        return not self._is_cut and self._client.socket() is not None

    @property
    def socket(self) -> Any:
        """The socket to serve, None if there is none."""
        return None if self._is_cut else self._client.socket()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return bool(self._client.want_write())

    @property
    def misc_every_s(self) -> float:
        """How often `misc` has to be called for pings to be in time."""
        return max(self._keepalive_s / 4, 0.25)

    def connect(self, host: str, port: int) -> None:
        """Open the connection; this waits for TCP and TLS, not for the broker's answer. Raises `OSError`."""
        self._is_cut = False
        self.attempts += 1
        self.connections += 1
        self._client.connect_async(host, port, self._keepalive_s)
        self._client.reconnect()

    def say_online(self) -> None:
        """Publish the retained status `online`."""
        self._client.publish(f"{self._topic}/status", "online", QOS, retain=True)

    def beat(self, beat: Beat, made_us: int) -> None:
        """Publish a heartbeat made at `made_us`; without a connection keep it or miss it."""
        if self.is_connected:
            self._publish(beat, made_us)
        elif beat.kept:
            self._kept.append((beat, made_us))
        else:
            self.missed += 1

    def tell(self, telling: Telling, made_us: int) -> None:
        """Publish a record made at `made_us`; without a connection keep it or forget it."""
        if self.is_connected:
            self._publish(telling, made_us)
        elif telling.kept:
            self._kept.append((telling, made_us))

    def disconnect(self) -> None:
        """Say goodbye; the broker drops the last will."""
        self.wanted = self.doomed = False
        if not self._is_cut:
            self._client.disconnect()

    def kill(self) -> None:
        """Die without a goodbye; a device that is not connected yet dies when it is."""
        self.doomed = self.wanted and not self.is_connected
        self.wanted = False
        sock = self.socket
        if sock is not None and not self.doomed:
            with contextlib.suppress(OSError):  # The broker may have been faster.
                sock.shutdown(socket.SHUT_RDWR)

    def cut_off(self) -> None:
        """Leave the socket open and untouched from now on, as behind a dead network."""
        self.wanted = False
        sock = self.socket
        self._is_cut = True
        if sock is not None:
            self._watch.closing(sock)

    def on_io(self, events: int) -> None:
        """Serve the socket, then do what has become possible."""
        if events & selectors.EVENT_WRITE:
            self._client.loop_write()
        if events & selectors.EVENT_READ:
            self._client.loop_read()
            # TLS may have decrypted more than was read, which no selector sees.
            while (sock := self._client.socket()) is not None and isinstance(sock, ssl.SSLSocket):
                if not sock.pending():
                    break
                self._client.loop_read()
        if self._came_in:
            self._came_in = False
            self._begin()

    def misc(self) -> None:
        """Send a ping if one is due, and notice a broker that does not answer."""
        if not self._is_cut:
            self._client.loop_misc()

    def _begin(self) -> None:
        self.attempts = 0
        if not self.quiet:
            self.say_online()
        while self._kept:
            self._publish(*self._kept.popleft())
        if self.doomed:
            self.wanted = False
            self.kill()

    def _publish(self, what: Beat | Telling, made_us: int) -> None:
        if isinstance(what, Telling):
            self._publish_record(what, made_us)
            return
        body: dict[str, Any] = {"ts": self._timestamp(made_us + what.clock_offset_us), "seq": what.seq}
        body["status"] = "ok" if what.fault is None else "fault"
        if what.fault is not None:
            body["fault"] = what.fault
        values = measured(self.device.kind, self._key, np.array([made_us], dtype=np.int64))
        body.update({name: float(value[0]) for name, value in values.items()})
        self._client.publish(f"{self._topic}/heartbeat", json.dumps(body, separators=(",", ":")), QOS)
        self.sent += 1

    def _publish_record(self, telling: Telling, made_us: int) -> None:
        said = record_body(telling.data_kind, self.device.community, self._key, telling.number, made_us)
        if said is None:
            return
        body = {"ts": self._timestamp(made_us + telling.clock_offset_us), **said}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self._client.publish(f"{self._topic}/data/{telling.data_kind}", text.encode(), QOS)
        self.told += 1

    def _timestamp(self, at_us: int) -> float | int | str:
        """The device's clock, written the way its maker does."""
        if self._clock_style == 0:
            return round(at_us / SECOND_US, 3)
        if self._clock_style == 1:
            return at_us // 1000
        if self._clock_style == 2:
            return to_iso(at_us)
        return to_iso(at_us + 8 * HOUR_US).replace("Z", "+08:00")

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
        else:
            self._came_in = True

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self._came_in = False
        refusal, self._refusal = self._refusal, ""
        self._watch.lost(self, refusal)

    def _on_publish(self, _client: Any, _data: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        self.acknowledged += 1
