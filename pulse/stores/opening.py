"""Which telemetry store the settings ask for."""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from pulse import logs
from pulse.errors import SettingsError, StoreUnavailable
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore

log = logs.get(__name__)

TELEMETRY_FILE = "telemetry.db"


def open_store(
    settings: Settings, *, clock_trusted: Callable[[str], bool] = lambda _device: True
) -> TelemetryStore:
    """The opened store: InfluxDB if its address is set, else a file in the data folder.

    `clock_trusted` says of a device whether its measured times may be timestamps in InfluxDB. An InfluxDB
    that cannot be reached now is no error: devices go on being heard, and it is opened when it answers.
    Raises `SettingsError` naming the setting that is wrong, `StoreError` if the file cannot be used.
    """
    if not settings.influxdb_url:
        from pulse.stores.sqlite import SqliteTelemetryStore  # noqa: PLC0415 - as below

        file = SqliteTelemetryStore(settings.data_dir / TELEMETRY_FILE)
        file.open()
        return file
    store = _influx(settings, clock_trusted)
    try:
        store.open()
    except StoreUnavailable as error:
        log.warning("telemetry_store_unavailable", reason=str(error))
    except BaseException:
        store.close()
        raise
    return store


def _influx(settings: Settings, clock_trusted: Callable[[str], bool]) -> TelemetryStore:
    # Its client library takes longer to import than everything else that a site without InfluxDB needs.
    from pulse.stores.influx import InfluxTelemetryStore  # noqa: PLC0415
    from pulse.stores.influx.client import Client  # noqa: PLC0415

    url = settings.influxdb_url or ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{url!r} is not an address: {error}", where="PULSE_INFLUXDB_URL") from error
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise SettingsError("use http://host:8086 or https://host", where="PULSE_INFLUXDB_URL")
    if settings.influxdb_token is None:
        raise SettingsError("InfluxDB needs a token", where="PULSE_INFLUXDB_TOKEN")
    client = Client(
        url.rstrip("/"),
        settings.influxdb_token.get_secret_value(),
        settings.influxdb_org,
        settings.influxdb_bucket,
        gzip=not _is_local(host),
    )
    return InfluxTelemetryStore(client, settings.raw_retention(), clock_trusted=clock_trusted)


def _is_local(host: str) -> bool:
    """Whether compressing costs more than sending."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
