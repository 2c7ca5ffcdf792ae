"""The lives of devices and the registry as it was, as operators run the commands."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulse.access.roles import command_line
from pulse.cli import app
from pulse.clock import HOUR_US, SystemClock, to_iso
from pulse.commands import lives as command
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.registry.importing import export_registry, import_registry
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import coverage, registry
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database

NOW = SystemClock().now_us()
LONG_AGO = to_iso(NOW - 5 * HOUR_US)
WHY = ("--reason", "到期")


@pytest.fixture(autouse=True)
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(command, "operator", lambda: command_line("mei", "host"))
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community("south")], 1)
            registry.put_kinds(connection, [Kind("camera")], 1)
            record = DeviceRecord("s-1", "south", "camera", building="3号楼", commissioned_us=1)
            registry.put_devices(connection, [record, DeviceRecord("s-2", "south", "camera")], 1)
            now_us = SystemClock().now_us()
            coverage.set_start(connection, NOW - 6 * HOUR_US)
            coverage.set_watermark(connection, Watermark(now_us, True, now_us, "s"))
        yield db


def run(*words: str, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, words, input=answer)
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_retiring_now_counts_at_once() -> None:
    assert "已生效/recorded" in run("device", "retire", "s-1", *WHY)
    with pytest.raises(Conflict, match="is retired since then"):
        run("device", "retire", "s-1", *WHY)


def test_what_is_long_past_shows_its_effect_and_another_approves(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("device", "retire", "s-1", "--at", LONG_AGO, *WHY, answer="n\n")
    assert re.search(r"retired 0\.0 h → 5\.\d h", told)
    assert "没有保存" in told
    assert run("device", "changes") == ""
    assert "待批准/pending" in run("device", "retire", "s-1", "--at", LONG_AGO, *WHY, "--yes")
    with pytest.raises(Conflict, match="somebody else"):
        run("device", "approve", "1")
    monkeypatch.setattr(command, "operator", lambda: command_line("li", "host"))
    assert "批准/by cli:li" in run("device", "approve", "1")
    assert json.loads(run("device", "changes", "--json", "--status", "recorded"))["device"] == "s-1"


def test_what_waits_can_be_refused_and_withdrawn() -> None:
    for what, said in (("refuse", "驳回/by"), ("cancel", "取消/by")):
        run("device", "commission", "s-2", "--at", LONG_AGO, *WHY, "--yes")
        number = str(json.loads(run("device", "changes", "--json").splitlines()[0])["id"])
        assert said in run("device", what, number, "--reason", "记错了")
    with pytest.raises(NotFound):
        run("device", "refuse", "9", *WHY)
    with pytest.raises(BadInput, match="--status"):
        run("device", "changes", "--status", "open")


def test_a_life_is_told_with_moves_and_the_places_devices() -> None:
    assert "4号楼" in run("device", "move", "s-1", "--building", "4号楼", *WHY)
    run("device", "replace", "s-1", "s-3", *WHY)
    told = run("device", "life", "s-1")
    assert "移动/moved" in told
    assert "building: 3号楼 → 4号楼" in told
    assert "停用/retired" in told
    assert "s-1 → s-3" in told
    assert "位置/place: s-1" in told
    assert [s["device"] for s in json.loads(run("device", "life", "s-3", "--json"))["place"]] == [
        "s-1",
        "s-3",
    ]
    with pytest.raises(NotFound):
        run("device", "life", "nobody")


def test_the_registry_is_exported_as_it_was_known_then(db: Database) -> None:
    before = run("registry", "export")
    at = to_iso(SystemClock().now_us())
    run("device", "move", "s-1", "--building", "4号楼", *WHY)
    assert "4号楼" in run("registry", "export")
    assert run("registry", "export", "--known-at", at) == before
    assert "s-1" not in run("registry", "export", "--known-at", "1969-12-31T00:00:00Z")
    with pytest.raises(BadInput, match="known_at"):
        run("registry", "export", "--what", "kinds", "--known-at", at)


def test_a_file_changes_no_life_that_is_long_past(db: Database) -> None:
    text = export_registry(db, "devices")
    retired = text.replace(to_iso(1) + ",", to_iso(1) + "," + LONG_AGO)
    assert retired != text
    for changed in (retired, text.replace(to_iso(1), to_iso(2))):
        with pytest.raises(BadInput, match="two people") as refused:
            import_registry(db, command_line("mei", "host"), "devices", changed.encode(), NOW)
        assert refused.value.where is not None
        assert refused.value.where.startswith("s-1 ")
    soon = text.replace(to_iso(1) + ",", to_iso(1) + "," + to_iso(NOW))
    assert import_registry(db, command_line("mei", "host"), "devices", soon.encode(), NOW).changed == 1
