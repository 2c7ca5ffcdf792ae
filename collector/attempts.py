"""Which version of MQTT to try, and when: what failed attempts and ended connections teach."""

import random

from paho.mqtt.enums import MQTTProtocolVersion

from collector.backoff import Backoff
from collector.client import V5, V311
from pulse import logs
from pulse.settings import Broker

log = logs.get(__name__)

VERSION = "the version is not supported"
CONNECTION_LOST = "connection lost"
NO_ANSWER = "no answer to the handshake"
STOPPED = "stopped"

HANDSHAKE_S = 10.0
FIRST_HANDSHAKE_S = 3.0
"""A broker that never answered may be silent because it does not understand MQTT 5."""

SPEECHLESS = 2


class Attempts:
    """The broker is spoken to in MQTT 5 until it refuses that, hangs up on it or does not answer it.

    Once it has accepted a version, that one stays.
    """

    def __init__(
        self, broker: Broker, client_id: str, protocol: MQTTProtocolVersion, dice: random.Random
    ) -> None:
        self.protocol = protocol
        self._broker = broker
        self._client_id = client_id
        self._backoff = Backoff(dice)
        self._settled = False
        self._speechless = 0

    def patience_s(self) -> float:
        """How long a handshake may stand still."""
        return HANDSHAKE_S if self._settled or self.protocol == V311 else FIRST_HANDSHAKE_S

    def accepted(self) -> None:
        """The broker accepted a connection."""
        self._settled = True

    def refused(self, reason: str) -> float:
        """An attempt failed: seconds to wait for the next."""
        if self.protocol == V5 and reason == VERSION:
            self.protocol = V311
            log.info("falling_back", broker=self._broker.shown(), protocol="MQTT 3.1.1")
            return 0.0
        if not self._settled and reason in (CONNECTION_LOST, NO_ANSWER):
            # Old brokers hang up on a version that they do not know, or wait for the rest of the packet.
            self._speechless += 1
            if reason == NO_ANSWER or self._speechless % SPEECHLESS == 0:
                self.protocol = V311 if self.protocol == V5 else V5
        wait_s = self._backoff.failed()
        log.warning(
            "connection_refused", broker=self._broker.shown(), reason=reason, retry_s=round(wait_s, 1)
        )
        return wait_s

    def ended(self, lived_s: float, reason: str, *, taken_over: bool) -> float:
        """A connection ended after `lived_s`: seconds to wait for the next."""
        wait_s, suspected = self._backoff.ended(lived_s, taken_over=taken_over)
        if suspected:
            log.error(
                "client_id_taken_over",
                client_id=self._client_id,
                told_by_broker=taken_over,
                retry_s=round(wait_s),
                action="another client uses this id; give each collector its own PULSE_MQTT_CLIENT_ID",
            )
        else:
            say = log.info if reason == STOPPED else log.warning
            say("disconnected", broker=self._broker.shown(), reason=reason, retry_s=round(wait_s, 1))
        return wait_s
