"""Devices' passwords: told once, kept as hashes, audited with the change, all of a call or none."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulse.access import devices
from pulse.access.roles import PERMISSIONS, Actor, Role, command_line
from pulse.broker import passwords
from pulse.cli import app
from pulse.errors import Conflict, NotFound
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import audit, credentials, registry
from pulse.stores.relational.database import Database
from simulators.main import load_passwords

OPERATOR = command_line("root", "host")
MANAGER = Actor("user:mei", PERMISSIONS[Role.MANAGER], frozenset({"south"}), role=Role.MANAGER)
NOW_US = 2_000_000
ISSUED = 2


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community(c, c, c) for c in ("north", "south")], 1)
            registry.put_kinds(connection, [Kind("camera", "", "", 60.0, 180.0)], 1)
            records = [
                DeviceRecord("n1", "north", "camera"),
                DeviceRecord("n2", "north", "camera"),
                DeviceRecord("s1", "south", "camera"),
                DeviceRecord("old", "south", "camera", commissioned_us=1, retired_us=NOW_US),
            ]
            registry.put_devices(connection, records, 1)
        yield db


def _entry(db: Database, device: str) -> credentials.DeviceCredential:
    with db.read() as connection:
        found = credentials.of(connection, device)
    assert found is not None
    return found


def _audited(db: Database) -> list[tuple[str, str, str, str | None]]:
    with db.read() as connection:
        return [(e.actor, e.action, e.subject, e.community) for e in audit.walk(connection)]


def test_a_password_is_long_random_and_kept_as_a_hash_only(db: Database, tmp_path: Path) -> None:
    with db.write() as connection:
        made = devices.issue(connection, OPERATOR, ["n1", "n2", "n1"], NOW_US)
    assert [(issued.device, issued.generation) for issued in made] == [("n1", 1), ("n2", 1)]
    assert made[0].password != made[1].password
    for issued in made:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", issued.password)
        assert passwords.matches(issued.password, _entry(db, issued.device).entry)
    db.close()
    for path in tmp_path.iterdir():
        assert not any(issued.password.encode() in path.read_bytes() for issued in made), path


def test_every_change_is_in_the_audit_log_with_the_devices_community(db: Database) -> None:
    with db.write() as connection:
        devices.issue(connection, OPERATOR, ["n1"], NOW_US)
    with db.write() as connection:
        devices.rotate(connection, OPERATOR, ["n1"], NOW_US + 1)
        devices.revoke(connection, OPERATOR, ["n1"], NOW_US + 2)
    assert _audited(db) == [
        ("cli:root", f"credentials.{action}", "device:n1", "north")
        for action in ("issue", "rotate", "revoke")
    ]
    with db.read() as connection:
        last = list(audit.walk(connection))[-1]
    assert last.before == '{"generation":2,"revoked":false}'
    assert last.after == '{"generation":2,"revoked":true}'


def test_rotating_replaces_and_revoking_ends(db: Database) -> None:
    with db.write() as connection:
        (first,) = devices.issue(connection, OPERATOR, ["n1"], NOW_US)
        (second,) = devices.rotate(connection, OPERATOR, ["n1"], NOW_US + 1)
    assert second.generation == ISSUED
    assert not passwords.matches(first.password, _entry(db, "n1").entry)
    assert passwords.matches(second.password, _entry(db, "n1").entry)
    with db.write() as connection:
        assert devices.revoke(connection, OPERATOR, ["n1"], NOW_US + 2) == ["n1"]
    assert _entry(db, "n1").revoked_us == NOW_US + 2
    with db.write() as connection:
        (third,) = devices.issue(connection, OPERATOR, ["n1"], NOW_US + 3)
    assert third.generation == ISSUED + 1
    assert _entry(db, "n1").revoked_us is None


def test_what_cannot_be_done_changes_nothing_and_says_what_to_do(db: Database) -> None:
    with db.write() as connection:
        devices.issue(connection, OPERATOR, ["n1"], NOW_US)
    before = _audited(db)
    for error, match, act, ids in (
        (NotFound, "no device nobody", devices.issue, ["n2", "nobody"]),
        (Conflict, "old .*retired", devices.issue, ["n2", "old"]),
        (Conflict, "`rotate`", devices.issue, ["n2", "n1"]),
        (Conflict, "`issue`", devices.rotate, ["n1", "n2"]),
        (Conflict, "no valid password", devices.revoke, ["n1", "n2"]),
        (NotFound, "no device n1", lambda c, _a, d, t: devices.issue(c, MANAGER, d, t), ["s1", "n1"]),
    ):
        with pytest.raises(error, match=match), db.write() as connection:
            act(connection, OPERATOR, ids, NOW_US)
    assert _audited(db) == before
    with db.read() as connection:
        assert [c.device for c in credentials.all_of(connection)] == ["n1"]


def test_missing_ones_are_those_that_never_had_one_and_are_not_retired(db: Database) -> None:
    with db.write() as connection:
        devices.issue(connection, OPERATOR, ["n1"], NOW_US)
        devices.revoke(connection, OPERATOR, ["n1"], NOW_US)
        made = devices.issue_missing(connection, OPERATOR, NOW_US, community="north")
        assert [issued.device for issued in made] == ["n2"]
        assert [issued.device for issued in devices.issue_missing(connection, OPERATOR, NOW_US)] == ["s1"]
        assert devices.issue_missing(connection, OPERATOR, NOW_US) == []
        with pytest.raises(NotFound, match="nowhere"):
            devices.issue_missing(connection, OPERATOR, NOW_US, community="nowhere")


def test_a_manager_sees_and_changes_the_own_communities_only(db: Database) -> None:
    with db.write() as connection:
        listed = devices.listing(connection, MANAGER, NOW_US)
        assert [(standing.device, standing.retired) for standing in listed] == [("old", True), ("s1", False)]
        assert [i.device for i in devices.issue_missing(connection, MANAGER, NOW_US)] == ["s1"]
        with pytest.raises(NotFound):
            devices.listing(connection, MANAGER, NOW_US, community="north")
        with pytest.raises(NotFound):
            devices.revoke(connection, MANAGER, ["n1"], NOW_US)


def run(tmp_path: Path, *words: str) -> tuple[str, str]:
    result = CliRunner().invoke(
        app, ["device", "credentials", *words], env={"PULSE_DATA_DIR": str(tmp_path)}, catch_exceptions=False
    )
    return result.stdout, result.stderr


def test_the_commands_output_is_a_passwords_file(db: Database, tmp_path: Path) -> None:
    told, said = run(tmp_path, "issue", "--all-missing")
    (tmp_path / "told").write_text(told)
    known = load_passwords(tmp_path / "told")
    assert sorted(known) == ["n1", "n2", "s1"]
    assert "3 devices" in said
    entries = passwords.read(tmp_path / "broker" / "passwords")
    assert all(passwords.matches(known[device], entries[device]) for device in known)
    run(tmp_path, "revoke", "n1")
    assert sorted(passwords.read(tmp_path / "broker" / "passwords")) == ["n2", "s1"]
    listed = run(tmp_path, "list", "--community", "north")[0].splitlines()
    assert [line.split()[2] for line in listed] == ["已撤销/revoked", "有效/valid"]
    assert not any(password in line for line in listed for password in known.values())


def test_an_output_file_is_its_owners_only_and_never_overwritten(db: Database, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(tmp_path, "issue", "n1", "--out", str(out))[0] == ""
    assert out.stat().st_mode & 0o777 == 0o600
    first = out.read_text()
    assert first.startswith("n1:")
    with pytest.raises(Exception, match="--out"):
        run(tmp_path, "rotate", "n1", "--out", str(out))
    assert out.read_text() == first
    with pytest.raises(Conflict):
        run(tmp_path, "issue", "n1", "--out", str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    assert _entry(db, "n1").generation == 1
