"""A department that deliveries reach through a broker of its own: an MQTT 5 subscriber.

The broker's acknowledgement is the receipt. Stopped, it has no subscription, and the broker says
"no matching subscribers".
"""

import contextlib
import queue
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from pulse.settings import Broker
from pulse.sharing.signing import MESSAGE, Request
from pulse.tls import client_context, explained
from simulators.departments.description import Department
from simulators.departments.desk import Desk, NotAccepted
from simulators.departments.temper import Do

_LOOK_S = 0.05
_RETRY_S = 1.0
_CA = "broker_ca"


class Subscriber:
    """The subscription; it stands while the department does not stop."""

    def __init__(self, department: Department, desk: Desk, stop: threading.Event) -> None:
        self._department = department
        self._desk = desk
        self._stop = stop
        self._broker = Broker(department.broker)
        self._waiting: queue.Queue[paho.MQTTMessage] = queue.Queue(maxsize=1000)
        self._client = self._made()
        self._is_on = False
        self._again_s = 0.0
        self.subscribed = threading.Event()
        """Set while the broker has granted the subscription."""

    @property
    def address(self) -> str:
        """Where deliveries are published."""
        return f"{self._broker.shown()} {self._department.subscription}"

    def run(self) -> None:
        """Follow the department's behaviour until `stop`."""
        while not self._stop.is_set():
            self._follow()
            with contextlib.suppress(queue.Empty):
                self._take(self._waiting.get(timeout=_LOOK_S))
        self._off()

    def _follow(self) -> None:
        if self._desk.temper().do is Do.STOP:
            self._off()
        elif not self._is_on and self._desk.clock.monotonic_s() >= self._again_s:
            self._on()

    def _on(self) -> None:
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=10, clean_start=True)
        except OSError as error:
            self._again_s = self._desk.clock.monotonic_s() + _RETRY_S
            self._desk.say(f"{self._broker.shown()}: {explained(error, _CA)}")
            return
        self._client.loop_start()
        self._is_on = True

    def _off(self) -> None:
        if not self._is_on:
            return
        # Clean start and no expiry: with the connection the subscription goes too.
        self._client.disconnect()
        self._client.loop_stop()
        self.subscribed.clear()
        self._is_on = False

    def _made(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"department-{self._department.id}", protocol=paho.MQTTv5
        )
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        ca = self._department.broker_ca
        if self._broker.tls:
            client.tls_set_context(client_context(Path(ca) if ca else None, where=_CA))
        client.reconnect_delay_set(1, 5)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self.subscribed.set()
        client.on_disconnect = lambda *_: self.subscribed.clear()
        client.on_message = lambda _client, _data, message: self._waiting.put(message)
        return client

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._desk.say(f"{self._broker.shown()}: {code}")
            return
        client.subscribe(self._department.subscription, options=SubscribeOptions(qos=1))

    def _take(self, message: paho.MQTTMessage) -> None:
        temper = self._desk.temper()
        if temper.do is Do.SLOW:
            self._stop.wait(temper.delay_s)
        fields, body = fields_of(message.properties), bytes(message.payload)
        try:
            self._desk.verify(Request(fields), body, MESSAGE)
            self._desk.keep(fields["delivery"], body, fields, forget=temper.do is Do.FORGET)
        except NotAccepted as error:
            self._desk.refuse(str(error))
        except KeyError:
            self._desk.refuse("there is no user property delivery")


def fields_of(properties: Properties | None) -> dict[str, str]:
    """The user properties of a message by name in lower case, and its content type."""
    found: dict[str, str] = {}
    for name, value in getattr(properties, "UserProperty", []):
        found[name.lower()] = value
    said = getattr(properties, "ContentType", None)
    if said and "content-type" not in found:
        found["content-type"] = said
    return found
