"""The simulated fleet's passwords: a file that is always right, whatever was lost."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.access import devices
from pulse.access.roles import command_line, system
from pulse.broker import passwords
from pulse.errors import BadInput
from pulse.stores.relational import audit, credentials
from pulse.stores.relational.database import Database
from simulators.credentials import provide
from simulators.fleet import fleet
from simulators.main import load_passwords
from simulators.register import main, register
from simulators.scenario import DEFAULT

FLEET = fleet(2020, 7, DEFAULT)
IDS = sorted(device.id for device in FLEET.devices)
ACTOR = system("demo", "host")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        register(db, FLEET, 1)
        yield db


def _provide(db: Database, path: Path) -> int:
    with db.write() as connection:
        return provide(connection, ACTOR, FLEET, path, 2)


def _right(db: Database, path: Path) -> bool:
    with db.read() as connection:
        entries = {c.device: c.entry for c in credentials.all_of(connection) if c.revoked_us is None}
    known = load_passwords(path)
    return sorted(known) == IDS and all(passwords.matches(known[i], entries[i]) for i in IDS)


def test_every_device_gets_one_once(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    assert _provide(db, path) == len(IDS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert _right(db, path)
    before = path.read_bytes()
    assert _provide(db, path) == 0
    assert path.read_bytes() == before
    with db.read() as connection:
        issued = [entry.subject for entry in audit.walk(connection) if entry.action == "credentials.issue"]
    assert sorted(issued) == sorted(f"device:{device}" for device in IDS)


def test_what_was_lost_or_is_wrong_is_issued_anew(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    _provide(db, path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{IDS[0]}:wrong", *lines[2:], "stranger:x"]))
    path.chmod(0o644)
    with db.write() as connection:
        devices.revoke(connection, command_line("root", "host"), [IDS[-1]], 3)
    assert _provide(db, path) == len([IDS[0], IDS[1], IDS[-1]])
    assert _right(db, path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    assert _provide(db, path) == len(IDS)
    assert _right(db, path)


def test_a_file_that_cannot_be_written_leaves_the_database_alone(db: Database, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        _provide(db, tmp_path / "missing" / "passwords")
    with db.read() as connection:
        assert credentials.all_of(connection) == []


def test_registering_gives_the_passwords_to_simulators_and_broker(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    path = tmp_path / "passwords"
    assert main(["--seed", "2020", "--devices", "7", "--passwords", str(path)]) == 0
    assert _right(db, path)
    assert sorted(passwords.read(tmp_path / "broker" / "passwords")) == IDS
