"""The broker that `pulse serve` and `pulse demo` start: who may connect to it, and what is noted about it."""

import contextlib
import ipaddress
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from pulse.broker import passwords
from pulse.broker.files import BrokerFiles, Own
from pulse.broker.publishing import own_folder, write
from pulse.commands.parts import Parts
from pulse.errors import SettingsError
from pulse.settings import Broker, Settings
from pulse.stores.relational import credentials

COLLECTOR = "_collector"


class Running(NamedTuple):
    """The collector's way to the broker, whether to try MQTT 5 there, and the port that it has."""

    broker: Broker
    mqtt_5: bool
    port: int


@contextlib.contextmanager
def running(parts: Parts, port: int, *, prefer_embedded: bool = False) -> Iterator[Running]:
    """Start a broker that ends with the block. Raises `SettingsError`, or `PulseError` if none starts.

    Where passwords are asked for, its files are written from the database first, which mends whatever a
    crash left, and the collector gets a new password that only this process knows.
    """
    from collector import broker

    settings = parts.settings
    if settings.broker_dir is not None:
        raise SettingsError(
            "用于自备的 Mosquitto，请同时设置 PULSE_MQTT_URL / "
            "is for a Mosquitto of yours; set PULSE_MQTT_URL too",
            where="PULSE_BROKER_DIR",
        )
    files, password = BrokerFiles(own_folder(settings)), None
    # Whoever changes a password meanwhile waits until the broker runs, and then tells it.
    with files.held():
        with parts.db.read() as connection:
            issued = any(c.revoked_us is None for c in credentials.all_of(connection))
        if asks(settings, issued):
            password = secrets.token_urlsafe(32)
            write(parts.db, files, {COLLECTOR: passwords.hashed(password)})
        local = broker.start(
            settings.data_dir,
            port,
            host=settings.mqtt_host,
            prefer_embedded=prefer_embedded,
            password_file=files.passwords if password else None,
            acl_file=files.acl if password else None,
        )
        mosquitto = local.kind is not broker.Kind.EMBEDDED
        files.set_own(Own(local.pid, mosquitto, asks=password is not None))
    try:
        yield Running(_address(local.url, password), mosquitto, local.port)
    finally:
        files.set_own(None)
        local.stop()


def asks(settings: Settings, issued: bool) -> bool:
    """Whether the broker asks for passwords; `issued`: some device has one. Raises `SettingsError`."""
    alone = ipaddress.ip_address(settings.mqtt_host).is_loopback
    if settings.broker_auth == "never" and not alone:
        raise SettingsError(
            f"never 只适用于本机地址 / `never` is for the loopback address only, but PULSE_MQTT_HOST is "
            f"{settings.mqtt_host}; use auto",
            where="PULSE_BROKER_AUTH",
        )
    return settings.broker_auth == "always" or (settings.broker_auth == "auto" and (issued or not alone))


def _address(url: str, password: str | None) -> Broker:
    if password is None:
        return Broker(url)
    return Broker(url.replace("://", f"://{COLLECTOR}:{password}@", 1))
