"""Logs are one JSON object a line, carry the standard library's messages too, and never a secret."""

import json
import logging
from typing import Any

import pytest

from pulse import logs


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_json_object_with_its_details(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    logs.get("pulse.somewhere").info("spool_full", bytes=2_000_000, community="新景楼")
    (line,) = _lines(capsys)
    assert line["event"] == "spool_full"
    assert line["bytes"] == 2_000_000
    assert line["community"] == "新景楼"
    assert line["level"] == "info"
    assert line["logger"] == "pulse.somewhere"
    assert line["timestamp"].endswith("Z")


def test_the_standard_librarys_loggers_come_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    logging.getLogger("somebody.else").warning("took %d s", 3)
    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("took 3 s", "warning", "somebody.else")


def test_what_is_below_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING", json=True)
    logs.get("pulse.x").info("quiet")
    assert _lines(capsys) == []


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    try:
        raise ValueError("broken")
    except ValueError:
        logs.get("pulse.x").exception("failed")
    (line,) = _lines(capsys)
    assert "ValueError: broken" in line["exception"]


@pytest.mark.parametrize("key", ["password", "token", "influxdb_token", "Authorization", "client_secret"])
def test_a_secret_by_its_name_is_blanked(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    logs.get("pulse.x").info("connected", **{key: "hunter2"})
    (line,) = _lines(capsys)
    assert line[key] == "[redacted]"


def test_a_password_inside_an_address_is_blanked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    logs.get("pulse.x").info("connecting to mqtt://u:hunter2@broker", url="postgresql://u:hunter2@db/x")
    logging.getLogger("driver").warning("cannot reach %s", "mqtt://u:hunter2@broker:1883")
    first, second = _lines(capsys)
    assert first["url"] == "postgresql://u:[redacted]@db/x"
    assert first["event"] == "connecting to mqtt://u:[redacted]@broker"
    assert second["event"] == "cannot reach mqtt://u:[redacted]@broker:1883"


def test_a_password_in_a_traceback_is_blanked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=True)
    try:
        raise ConnectionError("no answer from mqtt://u:hunter2@broker")
    except ConnectionError:
        logging.getLogger("driver").exception("failed")
    assert "hunter2" not in capsys.readouterr().err


def test_text_on_a_terminal_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", json=False)
    logs.get("pulse.x").info("spool_full", token="hunter2")
    shown = capsys.readouterr().err
    assert "spool_full" in shown
    assert "hunter2" not in shown
