"""Every setting, read from the environment, `.env` and `*_FILE` secrets, and checked at start.

`PULSE_X_FILE=/run/secrets/x` gives the value of `PULSE_X` from a file (trailing newlines dropped), for
every setting. The environment wins over `.env`. docs/settings.md documents each; a test compares.
"""

import ipaddress
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pulse.clock import MINUTE_US
from pulse.errors import SettingsError

PREFIX = "PULSE_"
_RATE_LIMIT = "600/minute"


class Settings(BaseSettings):
    """All settings of one installation; the environment name of a field is `PULSE_` + its name."""

    # Compose files hand over empty what is not set.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Field(Path("data"), description="Folder of the embedded databases, the spool and keys.")
    database_url: SecretStr | None = Field(
        None,
        description="Relational database: sqlite:///… or postgresql://…; SQLite in the data folder if unset.",
    )
    mqtt_url: SecretStr | None = Field(
        None,
        description="Broker: mqtt://user:password@host:1883 or mqtts://…:8883; "
        "`pulse serve` starts its own if unset.",
    )
    mqtt_client_id: str = Field(
        "community-pulse",
        description="Client id of the collector's session; keep it the same across restarts.",
    )
    mqtt_ca_file: Path | None = Field(
        None, description="CA certificates for mqtts://; the system's if unset."
    )
    mqtt_reader: Literal["batch", "paho"] = Field(
        "batch", description="Who cuts messages out of the stream: our batch reader, or paho-mqtt's own."
    )
    mqtt_port: int = Field(1883, ge=1, le=65535, description="Port of the broker that `pulse serve` starts.")
    mqtt_host: str = Field(
        "127.0.0.1",
        description="Address of the broker of `pulse serve`; beyond loopback it asks for passwords.",
    )
    broker_auth: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether the broker of `pulse serve` asks for passwords; auto: once a device has one, "
        "and beyond loopback.",
    )
    broker_dir: Path | None = Field(
        None, description="Folder of a Mosquitto's password and access files, written from the database."
    )
    broker_pid: str | None = Field(
        None, description="Process id of that Mosquitto, or a file with it, to have it reload."
    )
    influxdb_url: str | None = Field(None, description="InfluxDB 2 address; embedded SQLite if unset.")
    influxdb_token: SecretStr | None = Field(None, description="InfluxDB token with read and write access.")
    influxdb_org: str = Field("pulse", description="InfluxDB organisation.")
    influxdb_bucket: str = Field(
        "pulse", description="InfluxDB bucket; made with its retention when missing."
    )
    http_host: str = Field("127.0.0.1", description="Address that the API and the pages listen on.")
    http_port: int = Field(8000, ge=1, le=65535, description="Port that the API and the pages listen on.")
    http_tls_cert_file: Path | None = Field(
        None, description="Certificate (PEM, with its chain) to serve https:// with; needs its key."
    )
    http_tls_key_file: Path | None = Field(None, description="Private key (PEM) of that certificate.")
    metrics_host: str = Field(
        "127.0.0.1", description="Address that `pulse collector` serves its own metrics on, to anybody."
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of these metrics of `pulse collector`; 0: they are not served."
    )
    public_url: str | None = Field(
        None, description="Address by which people reach the pages, for the links that are printed."
    )
    rate_limit: str = Field(
        _RATE_LIMIT, description="Most requests of one client address to the API and the pages, or off."
    )
    trusted_proxies: str | None = Field(
        None,
        description="Addresses or networks, by commas, of reverse proxies whose X-Forwarded-For, -Proto and "
        "-Host are believed; nobody's by default.",
    )
    public_view: bool = Field(
        False, description="Let people look at everything without signing in; `pulse demo` does."
    )
    session_idle_minutes: int = Field(
        30, ge=1, le=43_200, description="Minutes without use after which a sign-in ends."
    )
    session_max_hours: int = Field(
        12, ge=1, le=8_760, description="Hours after which a sign-in ends in any case."
    )
    password_min_length: int = Field(
        15, ge=8, le=64, description="Fewest characters of a password, after NIST SP 800-63B-4."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    timezone: str = Field("Asia/Shanghai", description="Zone of schedules and of the times that people see.")
    raw_retention_days: int = Field(
        0, ge=0, description="Days that raw heartbeats and records are kept; 0: 400 in InfluxDB, 30 embedded."
    )
    max_payload_bytes: int = Field(65536, ge=256, description="Largest accepted MQTT payload, bytes.")
    spool_max_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Size at which the spool stops acknowledging, bytes."
    )
    canary_interval_s: float = Field(10.0, gt=0, description="Seconds between canaries through the broker.")
    batch_max_messages: int = Field(5000, ge=1, le=100_000, description="Most messages of one durable batch.")
    batch_max_delay_ms: int = Field(50, ge=0, le=5000, description="Longest wait for a batch to fill, ms.")
    default_timeout_s: float = Field(
        180.0, gt=0, description="Timeout of a device for which neither it nor its kind gives one, seconds."
    )
    backlog_lateness_s: float = Field(
        604_800.0, gt=0, description="How old a measured time from the broker's backlog may be, seconds."
    )
    flap_changes: int = Field(
        6, ge=3, le=100, description="Changes between running and not running that make a device flap."
    )
    flap_window_minutes: int = Field(
        30,
        ge=1,
        le=1440,
        description="Minutes within which these changes make it flap, and without one of which it stops.",
    )
    maintenance_backdate_min: int = Field(
        60,
        ge=0,
        le=10_080,
        description="Minutes after its beginning up to which maintenance can be recorded by one person; "
        "later ones wait for a second.",
    )
    outlet_keys_dir: Path | None = Field(
        None, description="Folder of the outlets' keys and passwords; `outlets` in the data folder if unset."
    )
    outbox_max_bytes: int = Field(
        200_000_000,
        ge=1_000_000,
        description="Size of what waits for one department at which no more deliveries are made, bytes.",
    )
    delivery_retention_days: int = Field(
        7, ge=0, description="Days that a delivery's content is kept after its receipt."
    )
    demo: bool = Field(
        False, description="Say on every page that the data is simulated; set by `pulse demo`."
    )

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("use DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("rate_limit")
    @classmethod
    def _a_rate(cls, value: str) -> str:
        if value in {"off", _RATE_LIMIT}:
            return value
        # It brings half a framework along, which a collector never needs.
        from limits import parse as parse_rate  # noqa: PLC0415

        try:
            parse_rate(value)
        except ValueError:
            raise ValueError("use a number per second, minute or hour such as 600/minute, or off") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _a_page_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("use an address such as https://pulse.example.org")
        return value.rstrip("/")

    @field_validator("mqtt_host")
    @classmethod
    def _an_address(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("use an IP address such as 127.0.0.1 or 0.0.0.0") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("use a zone of the tz database such as Asia/Shanghai") from None
        return value

    @model_validator(mode="after")
    def _influxdb_whole(self) -> "Settings":
        if self.influxdb_url and self.influxdb_token is None:
            raise ValueError("PULSE_INFLUXDB_URL is set but PULSE_INFLUXDB_TOKEN (or _TOKEN_FILE) is not")
        return self

    @model_validator(mode="after")
    def _tls_whole(self) -> "Settings":
        if (self.http_tls_cert_file is None) != (self.http_tls_key_file is None):
            raise ValueError(
                "give both PULSE_HTTP_TLS_CERT_FILE and PULSE_HTTP_TLS_KEY_FILE, or neither of them"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSecrets(settings_cls), dotenv_settings

    def relational_url(self) -> str:
        """SQLAlchemy URL of the relational database, with the psycopg 3 driver for PostgreSQL."""
        if self.database_url is None:
            return f"sqlite:///{(self.data_dir / 'pulse.db').resolve()}"
        url = self.database_url.get_secret_value()
        for scheme in ("postgresql://", "postgres://"):
            if url.startswith(scheme):
                return "postgresql+psycopg://" + url.removeprefix(scheme)
        return url

    def flap_window_us(self) -> int:
        """The window of flapping in microseconds."""
        return self.flap_window_minutes * MINUTE_US

    def maintenance_backdate_us(self) -> int:
        """How long after its beginning maintenance can be recorded by one person, microseconds."""
        return self.maintenance_backdate_min * MINUTE_US

    def page_address(self) -> str:
        """The address of the pages for links that people are given, without a slash at its end."""
        if self.public_url is not None:
            return self.public_url
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.http_host, self.http_host)  # noqa: S104 - not bound here
        host = f"[{reachable}]" if ":" in reachable else reachable
        return f"{'https' if self.http_tls_cert_file else 'http'}://{host}:{self.http_port}"

    def outlet_keys(self) -> Path:
        """The folder of the outlets' keys."""
        return self.outlet_keys_dir or self.data_dir / "outlets"

    def raw_retention(self) -> int:
        """Days that raw heartbeats and records are kept in the store in use."""
        return self.raw_retention_days or (400 if self.influxdb_url else 30)


class _FileSecrets(PydanticBaseSettingsSource):
    """`PULSE_X_FILE` names a file with the value of `PULSE_X`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if not path or f"{PREFIX}{field_name.upper()}" in os.environ:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read {path}: {error}", where=variable) from error

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


def load(**overrides: Any) -> Settings:
    """Read the settings; `overrides` (from command-line options) win. Raises `SettingsError`."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"][0] if first["loc"] else None
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(message, where=f"{PREFIX}{str(place).upper()}" if place else None) from None


class Broker:
    """The parts of `PULSE_MQTT_URL`."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"not a broker address: {error}", where="PULSE_MQTT_URL") from None
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise SettingsError(
                "use mqtt://user:password@host:1883 or mqtts://user:password@host:8883",
                where="PULSE_MQTT_URL",
            )
        self.tls = parts.scheme == "mqtts"
        self.host: str = parts.hostname
        self.port: int = port or (8883 if self.tls else 1883)
        self.username: str | None = unquote(parts.username) if parts.username else None
        self.password: str | None = unquote(parts.password) if parts.password else None

    def shown(self) -> str:
        """The address without its secrets, for logs and pages."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"
