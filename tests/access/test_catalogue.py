"""The catalogue in people's hands: in force from a time on, as known when, with an audit entry each."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pulse.access import catalogue as declaring
from pulse.access.roles import command_line
from pulse.cli import app
from pulse.clock import SECOND_US, to_iso
from pulse.errors import BadInput, NotFound, PulseError
from pulse.registry.model import Kind
from pulse.sharing.catalogue import DataKind
from pulse.stores.relational import audit, catalogue, registry
from pulse.stores.relational.database import Database

T = 1_795_392_000_000_000
S = SECOND_US
OPERATOR = command_line("operator", "here")


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_kinds(connection, [Kind("camera"), Kind("gate")], T)
        yield db


def kind(name: str = "lens", **more: Any) -> DataKind:
    said: dict[str, Any] = {
        "id": name,
        "name_zh": "镜头",
        "name_en": "Lens",
        "sources": ("camera",),
        "schema": {"type": "object"},
        **more,
    }
    return DataKind(**said)


def declare(db: Database, one: DataKind, now_us: int, **more: Any) -> bool:
    with db.write() as connection:
        return declaring.declare(connection, OPERATOR, one, now_us, **more) is not None


def in_force(db: Database, at_us: int, known_us: int = T + 10**12) -> dict[str, DataKind]:
    with db.read() as connection:
        return catalogue.load(connection).in_force(at_us, known_us)


def entries(db: Database) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    with db.read() as connection:
        return [
            (e.action, e.subject, json.loads(e.before or "{}"), json.loads(e.after or "{}"))
            for e in audit.walk(connection)
        ]


def test_a_word_holds_from_its_declaration_on_and_changes_nothing_before(db: Database) -> None:
    assert declare(db, kind(freshness_s=60), T)
    assert declare(db, kind(freshness_s=30), T + S, since_us=T + 9 * S, reason="公安 要求")
    assert not declare(db, kind(freshness_s=30), T + 10 * S)
    assert [in_force(db, T + at * S)["lens"].freshness_s for at in (0, 8, 9)] == [60, 60, 30]
    assert in_force(db, T + 9 * S, known_us=T)["lens"].freshness_s == 60
    assert in_force(db, T - 1) == {}
    (_, _, no, first), (action, subject, before, after) = entries(db)
    assert (action, subject, no, first["freshness_s"]) == ("catalogue.set", "data_kind:lens", {}, 60)
    assert (before["freshness_s"], after["freshness_s"], after["reason"]) == (60, 30, "公安 要求")
    assert after["since_us"] == T + 9 * S


def test_nothing_is_said_of_the_past(db: Database) -> None:
    with pytest.raises(BadInput, match="from"):
        declare(db, kind(), T, since_us=T - 1)
    declare(db, kind(), T)
    with pytest.raises(BadInput, match="from"), db.write() as connection:
        declaring.withdraw(connection, OPERATOR, "lens", T + S, since_us=T)
    assert len(entries(db)) == 1


def test_a_kind_leaves_and_comes_back(db: Database) -> None:
    declare(db, kind(), T)
    with db.write() as connection:
        declaring.withdraw(connection, OPERATOR, "lens", T + S, reason="停止")
    with pytest.raises(NotFound), db.write() as connection:
        declaring.withdraw(connection, OPERATOR, "lens", T + 2 * S)
    declare(db, kind(), T + 3 * S)
    assert ["lens" in in_force(db, T + at * S) for at in range(4)] == [True, False, False, True]
    assert [e[0] for e in entries(db)] == ["catalogue.set", "catalogue.withdraw", "catalogue.set"]
    with db.read() as connection, pytest.raises(NotFound):
        declaring.history(connection, "other")


def test_a_word_now_ends_one_for_later(db: Database) -> None:
    declare(db, kind(freshness_s=60), T)
    declare(db, kind(freshness_s=30), T + 1, since_us=T + 9 * S)
    assert declare(db, kind(freshness_s=60), T + 2)
    assert in_force(db, T + 9 * S)["lens"].freshness_s == 60


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (kind(sources=("camera", "drone")), r"sources\[1\]"),
        (kind(schema={"type": "array"}), "schema"),
        (kind(personal=True, masked={"card": "hash"}), "masked.card"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_of_it_is_taken(
    db: Database, bad: DataKind, place: str
) -> None:
    good = kind("gate_event", sources=("gate",))
    with pytest.raises(BadInput, match=place), db.write() as connection:
        declaring.take(connection, OPERATOR, [("f: kinds[0]", good), ("f: kinds[1]", bad)], T)
    assert in_force(db, T) == {}
    assert entries(db) == []


def test_the_kinds_that_came_with_the_product_may_name_devices_that_nobody_registered(db: Database) -> None:
    with db.write() as connection:
        catalogue.seed(connection, T)
        same = list(catalogue.load(connection).in_force(T).values())
        found = declaring.take(connection, OPERATOR, [("f", one) for one in same], T + S)
    assert (len(found.same), found.changed, found.new) == (8, [], [])


# Commands.


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_the_commands_take_a_file_and_tell_what_holds(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "kinds.yaml"
    file.write_text(
        "kinds:\n- id: gate_event\n  name_zh: 闸机\n  name_en: Gate\n  sources: [gate]\n"
        "  schema: {type: object}\n  quiet: true\n  freshness_s: 600\n"
    )
    assert "+ gate_event" in run("catalogue", "import", str(file), "--dry-run")
    assert run("catalogue", "list") == ""
    assert "已更改 1 种" in run("catalogue", "import", str(file), "--reason", "试点")
    assert "= gate_event" in run("catalogue", "import", str(file))
    listed = run("catalogue", "list")
    assert "gate_event" in listed
    assert "600 s" in listed
    assert json.loads(run("catalogue", "list", "--json"))["quiet"] is True
    assert "闸机" in run("catalogue", "show", "gate_event")
    assert json.loads(run("catalogue", "show", "gate_event", "--json"))["sources"] == ["gate"]
    exported = run("catalogue", "export")
    file.write_text(exported)
    assert "= gate_event" in run("catalogue", "import", str(file))
    assert "gate_event" in run("catalogue", "withdraw", "gate_event", "--reason", "结束")
    assert run("catalogue", "list") == ""
    assert len(run("catalogue", "history", "gate_event").splitlines()) == 2
    versions = [json.loads(line) for line in run("catalogue", "history", "gate_event", "--json").splitlines()]
    assert versions[1]["says"] is None
    assert "gate_event" in run("catalogue", "list", "--at", versions[0]["from"])
    with pytest.raises(NotFound):
        run("catalogue", "show", "gate_event")


def test_a_bad_file_is_named_by_place_and_nothing_is_taken(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "kinds.yaml"
    file.write_text(
        "kinds:\n- id: a\n  name_zh: a\n  name_en: a\n  sources: [gate]\n  schema: {type: object}\n"
        "- id: b\n  name_zh: b\n  name_en: b\n  sources: [tram]\n  schema: {type: object}\n"
    )
    with pytest.raises(BadInput, match=r"kinds.yaml: kinds\[1\].sources\[0\]"):
        run("catalogue", "import", str(file))
    assert run("catalogue", "list") == ""
    with pytest.raises(BadInput, match="--from"):
        run("catalogue", "import", str(file), "--from", "yesterday")
    with pytest.raises(PulseError, match="nowhere"):
        run("catalogue", "import", str(tmp_path / "nowhere.yaml"))
    file.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="UTF-8"):
        run("catalogue", "import", str(file))


def test_the_ratio_is_told_on_the_command_line(db: Database) -> None:
    declare(db, kind(), T)
    told = run("sharing", "ratio", "--at", to_iso(T + S))
    assert "not_collectable" in told
    assert "—" in told
    answer = json.loads(run("sharing", "ratio", "--json"))
    assert (answer["shared"], answer["collectable"], answer["percent"]) == (0, 0, None)
    with pytest.raises(BadInput, match="--community"):
        run("sharing", "ratio", "--community", "nowhere")


def test_a_file_is_worked_out_by_a_command(tmp_path: Path) -> None:
    vectors = Path(__file__).parents[1] / "sharing" / "vectors"
    done = json.loads(run("sharing", "replay", str(vectors / "11-two-outlets.json")))
    assert [answer["ratio"] for answer in done["answers"]] == [[1, 1]] * 3 + [[0, 1], [1, 1], [0, 1]]
    (tmp_path / "f.json").write_text("{}")
    with pytest.raises(BadInput, match=r"f\.json"):
        run("sharing", "replay", str(tmp_path / "f.json"))
