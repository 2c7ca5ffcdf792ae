"""Deliveries as a product sends them, and departments that run in this process."""

import contextlib
import http.client
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pulse.clock import SystemClock
from pulse.sharing import signing
from pulse.sharing.keyfiles import hmac_key
from pulse.sharing.signing import Key, Request
from simulators.departments import description, main
from simulators.departments.main import Running
from tests.servers import HOST

SECRET = "00" * 31 + "17"
DAY = "2026-11-23"
MORNING = "2026-11-23T02:00:00Z"


def record(number: int, data_kind: str = "gas_reading", at: str | None = MORNING) -> dict[str, Any]:
    """A record as it travels."""
    return {
        "id": f"{number:016x}",
        "data_kind": data_kind,
        "community": "xinjinglou",
        "device": "gas-1",
        "kind": "gas_alarm",
        "at": at,
        "received": MORNING,
        "data": {"lel_pct": 1.5, "alarm": "none"},
    }


def body(delivery: str, *records: dict[str, Any], quiet: tuple[dict[str, Any], ...] = ()) -> bytes:
    """A delivery's content in JSON."""
    members = {
        "form": 1,
        "delivery": delivery,
        "outlet": delivery.rpartition("-")[0],
        "created": MORNING,
        "records": list(records),
        "quiet": list(quiet),
    }
    return json.dumps(members).encode()


class Answer(NamedTuple):
    """What a department answered."""

    status: int
    body: bytes
    location: str | None


def push(
    address: str,
    delivery: str,
    content: bytes,
    key: Key | None,
    *,
    content_type: str = "application/json",
    created_s: int | None = None,
    context: Any = None,
    changed: Mapping[str, str] | None = None,
) -> Answer:
    """POST a delivery; `changed` fields are other than what was signed."""
    fields = {
        "content-type": content_type,
        "content-digest": signing.content_digest(content),
        "idempotency-key": delivery,
    }
    if key is not None:
        now_s = SystemClock().now_us() // 1_000_000 if created_s is None else created_s
        signed = signing.sign(Request(fields, "POST", address), key, now_s)
        fields |= signed.as_fields()
    fields |= changed or {}
    parts = urlsplit(address)
    assert parts.hostname
    connection = (
        http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        if context is None
        else http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=context)
    )
    with contextlib.closing(connection):
        connection.request("POST", parts.path, content, fields)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), answer.getheader("Location"))


def hmac_file(folder: Path, outlet: str) -> tuple[Path, Key]:
    """A key's file, and the key."""
    path = folder / f"{outlet}.hmac"
    path.write_text(SECRET + "\n")
    return path, hmac_key(outlet, path.read_bytes(), str(path))


class Town(NamedTuple):
    """Departments that run, and where they can be told to behave."""

    departments: dict[str, Running]
    control: str
    said: list[str]


@contextlib.contextmanager
def running(folder: Path, *departments: dict[str, Any], state: Path | None = None) -> Iterator[Town]:
    """Departments while the block lasts; `state` keeps what they accept."""
    said: list[str] = []
    found = description.described({"departments": list(departments)}, folder, "test")
    with main.running(found, stop=threading.Event(), folder=state, say=said.append) as (made, control):
        yield Town(made, control.address, said)


class Publisher:
    """An MQTT 5 client that publishes deliveries and tells the broker's reason code."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._codes: queue.Queue[int] = queue.Queue()
        self._client.on_publish = lambda _c, _d, _mid, code, _p: self._codes.put(code.value)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, delivery: str, content: bytes, key: Key | None) -> int:
        """The reason code of the acknowledgement."""
        fields = {
            "content-type": "application/json",
            "content-digest": signing.content_digest(content),
            "delivery": delivery,
        }
        if key is not None:
            now_s = SystemClock().now_us() // 1_000_000
            fields |= signing.sign(Request(fields), key, now_s, covered=signing.MESSAGE).as_fields()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = list(fields.items())
        topic = f"pulse/sharing/{delivery.rpartition('-')[0]}"
        self._client.publish(topic, content, qos=1, properties=properties)
        return self._codes.get(timeout=10)
