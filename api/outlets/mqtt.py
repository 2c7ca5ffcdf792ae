"""Publishing a delivery to a department's broker: MQTT 5, QoS 1; the PUBACK is the receipt.

It counts only if it says success and not "no matching subscribers": a broker that nobody listens to has
nothing of it.
"""

import queue
import threading
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from api.outlets import parcel as parcels
from api.outlets import trust
from api.outlets.answers import Answer, failure
from api.outlets.parcel import Parcel
from pulse.clock import Clock
from pulse.sharing import signing
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, address

NO_SUBSCRIBERS = 0x10
TOO_LARGE = 0x95
_OVERHEAD_BYTES = 4096
"""Of a packet beside its payload: topic and properties."""
_KEEPALIVE_S = 30


class Bridge:
    """A connection to one department's broker, made when it is needed first."""

    def __init__(self, outlet: Outlet, keys: Keys, clock: Clock) -> None:
        """Raises `BadInput` naming a file of the outlet that cannot be used."""
        self._outlet = outlet
        self._keys = keys
        self._clock = clock
        self._answers: queue.Queue[tuple[str, int, str]] = queue.Queue()
        self._connected = threading.Event()
        self._most_bytes: int | None = None
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"pulse-outlet-{outlet.id}",
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        self._address = address(outlet)
        if self._address.tls:
            client.tls_set_context(trust.context(outlet, keys))
        password = keys.password(outlet.id)
        if password is not None:
            client.username_pw_set(*password)
        client.connect_timeout = outlet.timeout_s
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client = client
        self._running = False

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            self._client.disconnect()
            self._client.loop_stop()

    def send(self, parcel: Parcel) -> Answer:
        """Publish a delivery and wait for the broker. Raises `BadInput` naming a key that cannot be used."""
        outlet = self._outlet
        fields = parcels.fields(
            parcel,
            outlet,
            self._keys,
            self._clock.now_us(),
            id_field="delivery",
            covered=signing.MESSAGE,
        )
        refused = self._connect()
        if refused is not None:
            return failure(refused)
        if self._most_bytes is not None and len(parcel.content) + _OVERHEAD_BYTES > self._most_bytes:
            return Answer(
                False,
                f"大于对方代理所收的 {self._most_bytes} 字节 / larger than the {self._most_bytes} bytes that "
                "its broker takes",
                too_large=True,
            )
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = list(fields.items())
        properties.ContentType = fields["content-type"]
        try:
            sent = self._client.publish(outlet.published_to, parcel.content, qos=1, properties=properties)
        except ValueError as error:
            return failure(f"无法发布 / cannot be published: {error}")
        return self._wait(sent.mid)

    def _connect(self) -> str | None:
        """Be connected; why not, None if so."""
        if self._running:
            return (
                None
                if self._connected.is_set()
                else "与对方代理的连接已断 / the connection to its broker broke"
            )
        try:
            self._client.connect(
                self._address.host, self._address.port, keepalive=_KEEPALIVE_S, clean_start=True
            )
        except (OSError, ValueError) as error:
            return trust.explained(error)
        self._client.loop_start()
        self._running = True
        kind, code, said = self._next()
        if kind == "connected" and code == 0:
            return None
        return f"对方代理拒绝连接 / its broker refused the connection: {said}"

    def _wait(self, mid: int) -> Answer:
        while True:
            kind, code, said = self._next(mid)
            match kind:
                case "published" if code == NO_SUBSCRIBERS:
                    return failure(
                        "代理已收，但无人订阅此主题 / the broker has it, but nobody subscribes to the topic"
                    )
                case "published" if code < 0x80:
                    return Answer(True, f"PUBACK 0x{code:02X}", {"reason_code": code, "reason": said})
                case "published" | "disconnected":
                    text = f"对方代理未接受 / its broker did not take it: {said} (0x{code:02X})"
                    return Answer(False, text, too_large=code == TOO_LARGE)
                case "silent":
                    return failure(
                        f"{self._outlet.timeout_s:g} 秒内没有确认 / no acknowledgement within "
                        f"{self._outlet.timeout_s:g} s"
                    )

    def _next(self, mid: int | None = None) -> tuple[str, int, str]:
        """What the client's thread tells next, of this message or of the connection."""
        while True:
            try:
                kind, number, said = self._answers.get(timeout=self._outlet.timeout_s)
            except queue.Empty:
                return "silent", 0, "没有回答 / no answer"
            if kind.startswith("published:"):
                if kind != f"published:{mid}":
                    continue
                kind = "published"
            return kind, number, said

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, properties: Properties | None
    ) -> None:
        if not code.is_failure:
            self._most_bytes = getattr(properties, "MaximumPacketSize", None)
            self._connected.set()
        self._answers.put(("connected", code.value, str(code)))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._connected.clear()
        self._answers.put(("disconnected", code.value, str(code)))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._answers.put((f"published:{mid}", code.value, str(code)))
