"""`pulse maintenance`, as operators run it."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pulse.access.roles import command_line
from pulse.cli import app
from pulse.clock import HOUR_US, SystemClock, to_iso
from pulse.commands import maintenance as command
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, maintenance, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database

NOW = SystemClock().now_us()
SOON = ("--from", to_iso(NOW), "--to", to_iso(NOW + HOUR_US))
LATE = ("--from", to_iso(NOW - 5 * HOUR_US), "--to", to_iso(NOW - HOUR_US))
SOUTH = ("--community", "south")
WHY = ("--reason", "换电池")


@pytest.fixture(autouse=True)
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(command, "operator", lambda: command_line("mei", "host"))
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community("south"), Community("north")], 1)
            registry.put_kinds(connection, [Kind("camera")], 1)
            record = DeviceRecord("s-1", "south", "camera", building="3号楼", commissioned_us=1)
            registry.put_devices(connection, [record], 1)
            coverage.set_start(connection, NOW - 6 * HOUR_US)
            coverage.set_watermark(connection, Watermark(NOW, True, NOW, "s"))
        yield db


def run(*words: str, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, ("maintenance", *words), input=answer)
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def listed(*words: str) -> list[Any]:
    return [json.loads(line) for line in run("list", "--json", *words).splitlines()]


def as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "operator", lambda: command_line("li", "host"))


def test_what_is_planned_is_recorded_without_a_question() -> None:
    line = run("add", *SOON, *SOUTH, "--building", "3号楼", *WHY)
    assert "已生效/recorded" in line
    assert "进行中/running" in line
    assert [(e["status"], e["scope"]["building"]) for e in listed()] == [("recorded", "3号楼")]


def test_what_began_long_ago_shows_its_effect_and_is_saved_if_one_says_so() -> None:
    told = run("add", *LATE, *SOUTH, *WHY, answer="n\n")
    assert "offline 4.0 h → 0.0 h" in told
    assert "excluded 0.0 h → 4.0 h" in told
    assert "另一人批准" in told
    assert "没有保存" in told
    assert listed() == []
    assert "待批准/pending" in run("add", *LATE, *SOUTH, *WHY, "--yes")


def test_another_person_approves_and_shows_before(monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", *LATE, *SOUTH, *WHY, "--yes")
    with pytest.raises(Conflict, match="somebody else"):
        run("approve", "1")
    as_somebody_else(monkeypatch)
    assert "excluded 0.0 h → 4.0 h" in run("show", "1")
    assert "批准/by cli:li" in run("approve", "1")
    assert "excluded" not in run("show", "1")
    assert "取消/by cli:li：改期" in run("cancel", "1", "--reason", "改期")
    assert listed("--status", "cancelled")[0]["cancelled"]["reason"] == "改期"


def test_what_waits_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", *LATE, *SOUTH, *WHY, "--yes")
    as_somebody_else(monkeypatch)
    assert "驳回/by cli:li：没有工单" in run("refuse", "1", "--reason", "没有工单")
    with pytest.raises(NotFound):
        run("refuse", "2", "--reason", "没有工单")


def test_a_preview_saves_nothing(db: Database) -> None:
    told = json.loads(run("preview", *LATE, *SOUTH, "--json"))
    assert told["period"]["all"]["after"]["states"]["excluded"] == 4 * 3600
    assert "尚未开始" in run("preview", "--from", "2099-01-01T00:00Z", "--to", "2099-02-01T00:00Z", *SOUTH)
    with db.read() as connection:
        assert maintenance.listing(connection) == []


def test_weekdays_are_told_by_name() -> None:
    weekly = ("--weekdays", "1,4", "--daily-from", "22:00", "--daily-to", "02:00")
    run("add", "--from", "2099-01-01T00:00Z", "--to", "2099-02-01T00:00Z", *SOUTH, *WHY, *weekly)
    assert "每周一四 22:00–02:00" in run("list")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ((*SOON, *WHY, "--community", "nowhere"), "--community"),
        ((*SOON, *WHY), "--scope"),
        (("--from", "x", "--to", "y", *SOUTH, *WHY), "--from"),
        ((*SOON, *SOUTH, *WHY, "--weekdays", "Mon"), "--weekdays"),
        ((*SOON, *SOUTH, *WHY, "--weekdays", "1", "--daily-to", "25:00"), "--daily-to"),
        ((*SOON, *SOUTH, "--reason", " "), "--reason"),
    ],
)
def test_what_cannot_be_names_the_option(words: tuple[str, ...], option: str) -> None:
    with pytest.raises(BadInput) as refused:
        run("add", *words)
    assert refused.value.where == option


def test_a_status_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="--status"):
        run("list", "--status", "open")
