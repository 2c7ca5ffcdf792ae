"""`pulse coverage` and `pulse incidents`, as the operator runs them."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulse.access.roles import person
from pulse.cli import app
from pulse.clock import to_iso
from pulse.commands.operating import operator
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER, Blind, Scope
from pulse.stores.relational import coverage, incidents
from pulse.stores.relational.database import Database
from pulse.stores.relational.incidents import Decision

T = 1_795_392_000_000_000
SECOND = 1_000_000


@pytest.fixture(autouse=True)
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            coverage.record(connection, Blind(T, T + 60 * SECOND, T + 61 * SECOND, cause="no_connection"))
            gone = Blind(T, FOREVER, T + 5 * SECOND, T + 61 * SECOND, cause="no_connection")
            coverage.record(connection, gone)
            own = Scope(device="cam-1")
            coverage.record(connection, Blind(T + 90 * SECOND, T + 99 * SECOND, T + 99 * SECOND, scope=own))
            found = Incident("south", T + 90, T, T + 60, 180, 170, 201)
            incidents.put(connection, found, T + 91)
            incidents.put(connection, found._replace(community="north"), T + 91)
        yield db


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def ids(*words: str) -> list[int]:
    return [json.loads(line)["id"] for line in run("coverage", "--json", *words).splitlines()]


def test_every_interval_is_listed_with_scope_cause_and_both_times() -> None:
    lines = run("coverage").splitlines()
    assert len(lines) == 3
    assert "device cam-1" in lines[0]
    assert f"撤销/revoked {to_iso(T + 61 * SECOND)}" in lines[1]
    assert lines[2].startswith(f"1  {to_iso(T)} → {to_iso(T + 60 * SECOND)}  no_connection  全部/all")
    (one,) = [json.loads(line) for line in run("coverage", "--json", "--limit", "1").splitlines()]
    assert one["scope"] == {"device": "cam-1", "kind": None, "community": None}
    assert one["revoked_at"] is None


def test_times_choose_what_touches_them_and_what_was_known() -> None:
    assert ids("--from", to_iso(T + 70 * SECOND)) == [3, 2]
    assert ids("--to", to_iso(T + 90 * SECOND)) == [2, 1]
    assert ids("--known-at", to_iso(T + 60 * SECOND)) == [2]
    assert ids("--known-at", to_iso(T + 61 * SECOND)) == [1]
    with pytest.raises(BadInput, match="before --to"):
        run("coverage", "--from", to_iso(T), "--to", to_iso(T))


def test_two_people_decide_on_the_command_line_too(db: Database) -> None:
    assert "180/201" in run("incidents", "list", "--community", "south")
    assert "待批准/confirmed" in run("incidents", "confirm", "1", "--reason", "光缆被挖断")
    with pytest.raises(Conflict, match="somebody else"):
        run("incidents", "approve", "1")
    with db.write() as connection:
        entry = incidents.of(connection, 1)
        assert entry is not None
        assert entry.confirmed is not None
        assert person(entry.confirmed.by) == person(operator().name)
        incidents.decide(connection, entry._replace(confirmed=Decision(T, "user:mei", "光缆被挖断")))
    assert "已批准/approved" in run("incidents", "approve", "1")
    assert "confirmed_blindness" in run("coverage", "--limit", "1")
    assert "已排除/dismissed" in run("incidents", "dismiss", "1", "--reason", "是停电")
    waiting = [
        json.loads(line)["id"] for line in run("incidents", "list", "--unsettled", "--json").splitlines()
    ]
    assert waiting == [2]
    with pytest.raises(NotFound, match="no incident 9"):
        run("incidents", "dismiss", "9", "--reason", "why")
