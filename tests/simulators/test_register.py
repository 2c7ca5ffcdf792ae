"""The simulated fleet goes into a registry once, and never among real devices."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.registry.model import DeviceRecord
from pulse.settings import load
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from simulators import register


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    with closing(Database(load().relational_url())) as opened:
        opened.open()
        yield opened


def _devices(db: Database) -> list[DeviceRecord]:
    with db.read() as connection:
        return registry.devices(connection)


def test_registers_the_fleet_once(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert register.main(["--seed", "1", "--devices", "30"]) == 0
    assert "30 newly registered" in capsys.readouterr().out
    first = _devices(db)
    assert len(first) == 30
    assert register.main(["--seed", "1", "--devices", "30"]) == 0
    assert "0 newly registered" in capsys.readouterr().out
    assert _devices(db) == first


def test_refuses_a_registry_with_other_devices(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert register.main(["--seed", "1", "--devices", "30"]) == 0
    kept = _devices(db)
    assert register.main(["--seed", "1", "--devices", "7"]) == 1
    assert "not of this fleet" in capsys.readouterr().err
    assert _devices(db) == kept
