"""paho's client as the collector wants it, in MQTT 5 and in 3.1.1."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from paho.mqtt.client import PUBACK, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from pulse.batches import Ints
from pulse.settings import Broker
from pulse.tls import client_context

READ_BYTES = 65_536

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311

SESSION_EXPIRY_S = 7 * 86_400
RECEIVE_MAXIMUM = 65_535
KEEPALIVE_S = 30
CONNECT_S = 3.0
PUBLISHING_AT_ONCE = 500


class BufferedClient(Client):
    """paho's client, reading the socket in large pieces and acknowledging many messages in one packet.

    paho asks the socket three times a message and once an acknowledgement; each time another thread may
    take the interpreter away for milliseconds. Relies on two private methods, `_sock_recv` and
    `_packet_queue`: the version is pinned, and tests against real brokers hold on to both.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read = memoryview(b"")

    def buffered(self) -> bool:
        """Whether there are bytes that epoll cannot see: read already, or decrypted by TLS already."""
        sock = self.socket()
        return len(self._read) > 0 or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def acknowledge(self, mids: Ints) -> None:
        """Acknowledge QoS 1 messages."""
        packets = np.empty(len(mids), dtype=[("head", ">u2"), ("mid", ">u2")])
        packets["head"], packets["mid"] = PUBACK << 8 | 2, mids
        self._packet_queue(PUBACK, packets.tobytes(), 0, 1)

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._read:
            self._read = memoryview(super()._sock_recv(READ_BYTES))
        taken, self._read = self._read[:bufsize], self._read[bufsize:]
        return bytes(taken)


ClientT = TypeVar("ClientT", bound=BufferedClient)


def new_client(
    kind: type[ClientT],
    broker: Broker,
    client_id: str,
    protocol: MQTTProtocolVersion,
    ca_file: Path | None = None,
) -> ClientT:
    """A client for one connection: a session that the broker keeps, acknowledgements by hand.

    `reconnect()` connects it. Raises `SettingsError` where the CA file cannot be read.
    """
    options: dict[str, Any] = {} if protocol == V5 else {"clean_session": False}
    client = kind(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=protocol,
        manual_ack=True,
        reconnect_on_failure=False,
        **options,
    )
    client.connect_timeout = CONNECT_S
    client.max_inflight_messages = PUBLISHING_AT_ONCE * 2
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set_context(client_context(ca_file))
    if protocol == V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        client.connect_async(broker.host, broker.port, KEEPALIVE_S, clean_start=False, properties=properties)
    else:
        client.connect_async(broker.host, broker.port, KEEPALIVE_S)
    return client


def subscribe(client: Client, filters: Sequence[str]) -> int | None:
    """Subscribe with QoS 1; the packet's id, None if the connection is gone.

    Retained messages prove nothing (rule 1 of the ledger): where MQTT 5 allows it they are not sent at all.
    """
    if client.protocol == V5:
        wanted = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        return client.subscribe([(name, wanted) for name in filters])[1]
    return client.subscribe([(name, 1) for name in filters])[1]
