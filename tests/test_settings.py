"""Settings come from the environment, secret files and .env, in this order, and bad ones are explained."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from pulse import settings
from pulse.errors import SettingsError
from pulse.settings import Broker, Settings, load


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.env` in the working directory, as an installation has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path / ".env"


def test_nothing_set_gives_the_embedded_installation_on_loopback() -> None:
    given = load()
    assert given.http_host == "127.0.0.1"
    assert given.influxdb_url is None
    assert given.mqtt_url is None
    assert given.demo is False
    assert given.relational_url() == f"sqlite:///{Path('data/pulse.db').resolve()}"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docker-compose.yml hands over what `.env` does not name."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"PULSE_{name.upper()}", "")
    given = load()
    assert {name: getattr(given, name) for name in Settings.model_fields} == {
        name: field.default for name, field in Settings.model_fields.items()
    }


def test_env_file_is_read(env_file: Path) -> None:
    env_file.write_text("PULSE_HTTP_PORT=9001\n# a comment\nOTHER=ignored\nPULSE_LOG_LEVEL=debug\n")
    assert load().http_port == 9001
    assert load().log_level == "DEBUG"


def test_environment_wins_over_env_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("PULSE_HTTP_PORT=9001\n")
    monkeypatch.setenv("PULSE_HTTP_PORT", "9002")
    assert load().http_port == 9002


def test_command_line_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_HTTP_PORT", "9002")
    assert load(http_port=9003, http_host=None).http_port == 9003


def test_secret_file_gives_the_value_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "token"
    secret.write_text(" s3cret \n\n")
    monkeypatch.setenv("PULSE_INFLUXDB_URL", "http://influxdb:8086")
    monkeypatch.setenv("PULSE_INFLUXDB_TOKEN_FILE", str(secret))
    token = load().influxdb_token
    assert token is not None
    assert token.get_secret_value() == " s3cret "


def test_secret_file_wins_over_env_file_and_loses_to_the_environment(
    env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    secret.write_text("mqtt://u:from-file@broker")
    env_file.write_text("PULSE_MQTT_URL=mqtt://u:from-env-file@broker\n")
    monkeypatch.setenv("PULSE_MQTT_URL_FILE", str(secret))
    assert _mqtt() == "mqtt://u:from-file@broker"
    monkeypatch.setenv("PULSE_MQTT_URL", "mqtt://u:from-environment@broker")
    assert _mqtt() == "mqtt://u:from-environment@broker"


def _mqtt() -> str:
    given = load().mqtt_url
    assert given is not None
    return given.get_secret_value()


def test_every_setting_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "port"
    port.write_text("9004\n")
    monkeypatch.setenv("PULSE_HTTP_PORT_FILE", str(port))
    assert load().http_port == 9004


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_INFLUXDB_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"PULSE_INFLUXDB_TOKEN_FILE: cannot read .*/none"):
        load()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PULSE_HTTP_PORT", "many", "integer"),
        ("PULSE_HTTP_PORT", "70000", "65535"),
        ("PULSE_LOG_LEVEL", "LOUD", "use DEBUG, INFO, WARNING or ERROR"),
        ("PULSE_TIMEZONE", "Mars/Olympus", "such as Asia/Shanghai"),
        ("PULSE_TIMEZONE", "../../etc/passwd", "such as Asia/Shanghai"),
        ("PULSE_RAW_RETENTION_DAYS", "-1", "greater than or equal to 0"),
        ("PULSE_CANARY_INTERVAL_S", "0", "greater than 0"),
    ],
)
def test_a_bad_value_names_its_variable_and_what_is_accepted(
    variable: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load()
    assert raised.value.where == variable
    assert str(raised.value).startswith(f"{variable}: ")
    assert says in str(raised.value)


def test_influxdb_without_a_token_is_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_INFLUXDB_URL", "http://localhost:8086")
    with pytest.raises(SettingsError, match=r"PULSE_INFLUXDB_TOKEN \(or _TOKEN_FILE\)"):
        load()


def test_secrets_are_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_MQTT_URL", "mqtt://u:hunter2@broker")
    monkeypatch.setenv("PULSE_DATABASE_URL", "postgresql://u:hunter2@db/pulse")
    monkeypatch.setenv("PULSE_INFLUXDB_TOKEN", "hunter2")
    given = load()
    assert "hunter2" not in f"{given} {given!r} {given.model_dump()} {given.model_dump_json()}"


def test_whatever_can_hold_a_password_is_a_secret() -> None:
    telling = re.compile(r"token|password|secret|database_url|mqtt_url")
    open_ones = [
        name
        for name, field in Settings.model_fields.items()
        if telling.search(name) and field.annotation is not int and "SecretStr" not in str(field.annotation)
    ]
    assert open_ones == []
    assert Settings.model_fields["influxdb_token"].annotation == SecretStr | None


def test_every_setting_has_a_description_and_no_secret_default() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert not isinstance(field.default, SecretStr), name


@pytest.mark.parametrize(
    ("given", "sqlalchemy"),
    [
        ("postgresql://u:p@db/pulse", "postgresql+psycopg://u:p@db/pulse"),
        ("postgres://u:p@db/pulse", "postgresql+psycopg://u:p@db/pulse"),
        ("sqlite:////var/lib/pulse/pulse.db", "sqlite:////var/lib/pulse/pulse.db"),
    ],
)
def test_a_database_address_gets_its_driver(
    given: str, sqlalchemy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_DATABASE_URL", given)
    assert load().relational_url() == sqlalchemy


def test_raw_retention_follows_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().raw_retention() == 30
    monkeypatch.setenv("PULSE_INFLUXDB_URL", "http://localhost:8086")
    monkeypatch.setenv("PULSE_INFLUXDB_TOKEN", "t")
    assert load().raw_retention() == 400
    monkeypatch.setenv("PULSE_RAW_RETENTION_DAYS", "7")
    assert load().raw_retention() == 7


@pytest.mark.parametrize(
    ("url", "tls", "host", "port", "user", "password"),
    [
        ("mqtt://broker", False, "broker", 1883, None, None),
        ("mqtts://broker", True, "broker", 8883, None, None),
        ("mqtt://u:p%40ss%3A%2F@10.0.0.5:1884", False, "10.0.0.5", 1884, "u", "p@ss:/"),
        ("mqtt://u@[::1]:1885", False, "::1", 1885, "u", None),
    ],
)
def test_a_broker_address_is_taken_apart(
    url: str, tls: bool, host: str, port: int, user: str | None, password: str | None
) -> None:
    broker = Broker(url)
    assert (broker.tls, broker.host, broker.port) == (tls, host, port)
    assert (broker.username, broker.password) == (user, password)


@pytest.mark.parametrize(
    "url", ["", "broker:1883", "http://broker", "mqtt://", "mqtt://broker:port", "mqtt://broker:99999"]
)
def test_a_bad_broker_address_is_refused_with_the_form(url: str) -> None:
    with pytest.raises(SettingsError, match="PULSE_MQTT_URL: "):
        Broker(url)


def test_a_shown_broker_address_has_no_secret() -> None:
    assert Broker("mqtts://u:hunter2@broker").shown() == "mqtts://broker:8883"


def test_settings_cannot_be_changed_after_start() -> None:
    given = load()
    with pytest.raises(ValueError, match="frozen"):
        given.http_port = 1


def test_the_prefix_is_what_the_documentation_says() -> None:
    assert settings.PREFIX == "PULSE_"
