"""Policies: whose word holds, from when on, as known when; set by people with an audit entry."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pulse.access import policies
from pulse.access.policies import Word
from pulse.access.roles import Actor, Permission, command_line
from pulse.cli import app
from pulse.clock import SECOND_US, to_iso
from pulse.errors import BadInput, NotFound, PulseError
from pulse.ledger.model import EVER, Terms
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import audit, registry
from pulse.stores.relational.database import Database

T = 1_795_392_000_000_000
S = SECOND_US
OPERATOR = command_line("operator", "here")
OF_A = Actor("user:mei", frozenset(Permission), frozenset({"a"}))


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community("a"), Community("b")], T)
            registry.put_kinds(connection, [Kind("camera", interval_s=30, timeout_s=90), Kind("lock")], T)
            cameras = [DeviceRecord(f"cam-{c}", c, "camera") for c in "ab"]
            registry.put_devices(connection, [*cameras, DeviceRecord("lock-a", "a", "lock")], T)
        yield db


def declare(
    db: Database, scope: str, subject: str, now_us: int, actor: Actor = OPERATOR, **said: Any
) -> bool:
    since_us, reason = said.pop("since_us", None), said.pop("reason", "")
    with db.write() as connection:
        made = policies.declare(
            connection, actor, scope, subject, said, now_us, since_us=since_us, reason=reason
        )
    return made is not None


def terms(db: Database, device: str, **known: int) -> tuple[Terms, ...]:
    with db.read() as connection:
        fleet = registry.ledger_fleet(connection, default_timeout_s=180, **known)
    return fleet[device].terms


def holds(db: Database, scope: str, subject: str, at_us: int = T + 1000) -> dict[str, Word]:
    with db.read() as connection:
        return policies.holding(connection, OPERATOR, scope, subject, at_us, 180)


def test_the_narrower_word_goes_before_the_wider_member_by_member(db: Database) -> None:
    assert terms(db, "lock-a") == (Terms(EVER, 180 * S),)
    declare(db, "default", "all", T + 1, timeout_s=200, max_lateness_s=7)
    declare(db, "kind", "lock", T + 2, timeout_s=100)
    declare(db, "community", "a", T + 3, timeout_s=50, clock_untrusted=True)
    declare(db, "device", "lock-a", T + 4, max_lateness_s=0, clock_untrusted=False)
    assert terms(db, "lock-a") == (
        Terms(EVER, 180 * S),
        Terms(T + 1, 200 * S, 7 * S),
        Terms(T + 2, 100 * S, 7 * S),
        Terms(T + 3, 50 * S, 7 * S, True),
        Terms(T + 4, 50 * S, 0, False),
    )
    assert holds(db, "device", "lock-a") == {
        "interval_s": Word(None, ""),
        "timeout_s": Word(50.0, "community"),
        "max_lateness_s": Word(0.0, "device"),
        "clock_untrusted": Word(False, "device"),
    }
    # A word that is taken back leaves the decision to the next wider scope.
    declare(db, "community", "a", T + 5, timeout_s=None)
    assert terms(db, "lock-a")[-1] == Terms(T + 5, 100 * S, 0, False)
    assert holds(db, "default", "all")["timeout_s"] == Word(200.0, "default")
    assert holds(db, "kind", "camera")["interval_s"] == Word(30.0, "kind")


def test_a_word_holds_from_its_declaration_on_and_the_past_stays(db: Database) -> None:
    assert declare(db, "kind", "camera", T + 10, timeout_s=300)
    assert not declare(db, "kind", "camera", T + 11, timeout_s=300)
    assert terms(db, "cam-a") == (Terms(EVER, 90 * S), Terms(T + 10, 300 * S))
    assert terms(db, "cam-a", known_us=T + 9) == (Terms(EVER, 90 * S),)
    with pytest.raises(BadInput, match="lies in the past"):
        declare(db, "kind", "camera", T + 20, timeout_s=400, since_us=T + 19)
    with db.read() as connection:
        assert [v.timeout_us for v in policies.history(connection, OPERATOR, "kind", "camera")] == [
            90 * S,
            300 * S,
        ]


def test_the_last_word_holds_from_its_time_on_announced_ones_too(db: Database) -> None:
    declare(db, "kind", "camera", T + 10, timeout_s=300, since_us=T + 100)
    announced = (Terms(EVER, 90 * S), Terms(T + 100, 300 * S))
    assert terms(db, "cam-a") == announced
    assert terms(db, "cam-a", known_us=T + 9) == announced[:1]
    # Another word for the same time, and one that holds before it: what was announced is withdrawn.
    declare(db, "kind", "camera", T + 20, timeout_s=310, since_us=T + 100)
    assert terms(db, "cam-a") == (Terms(EVER, 90 * S), Terms(T + 100, 310 * S))
    declare(db, "kind", "camera", T + 30, timeout_s=95)
    assert terms(db, "cam-a") == (Terms(EVER, 90 * S), Terms(T + 30, 95 * S))
    assert terms(db, "cam-a", known_us=T + 29) == (Terms(EVER, 90 * S), Terms(T + 100, 310 * S))
    # Saying what holds anyway withdraws what is still to come, too.
    declare(db, "kind", "camera", T + 40, timeout_s=1, interval_s=None, since_us=T + 99)
    assert declare(db, "kind", "camera", T + 50, timeout_s=95)
    assert terms(db, "cam-a")[-1] == Terms(T + 30, 95 * S)


def test_the_registry_s_columns_follow_and_an_import_takes_nothing_back(db: Database) -> None:
    declare(db, "device", "cam-a", T + 10, timeout_s=300, max_lateness_s=0)
    declare(db, "kind", "camera", T + 11, interval_s=60, timeout_s=240, max_lateness_s=3600)
    with db.read() as connection:
        record = registry.device(connection, "cam-a")
        assert registry.kinds(connection)[0] == Kind("camera", interval_s=60, timeout_s=240)
    assert record is not None
    assert record.timeout_s == 300
    with db.write() as connection:
        registry.put_devices(connection, [record._replace(name_zh="新名")], T + 20)
        registry.put_kinds(connection, [Kind("camera", "摄像机", interval_s=60, timeout_s=240)], T + 21)
    assert terms(db, "cam-a")[-1] == Terms(T + 10, 300 * S)
    assert terms(db, "cam-b")[-1] == Terms(T + 11, 240 * S, 3600 * S)


def test_whoever_sets_a_policy_is_in_the_log_of_every_community_concerned(db: Database) -> None:
    declare(db, "kind", "camera", T + 10, timeout_s=300, reason="厂家  改为两分钟")
    declare(db, "kind", "camera", T + 11, timeout_s=300)
    declare(db, "device", "lock-a", T + 12, clock_untrusted=True)
    declare(db, "default", "all", T + 13, timeout_s=60)
    with db.read() as connection:
        said = list(audit.walk(connection))
    assert [(e.subject, e.community) for e in said if e.action == "policy.set"] == [
        ("policy:kind:camera", "a"),
        ("policy:kind:camera", "b"),
        ("policy:device:lock-a", "a"),
        ("policy:default:all", "a"),
        ("policy:default:all", "b"),
    ]
    first = next(e for e in said if e.action == "policy.set")
    assert json.loads(first.before or "")["timeout_s"] == 90
    assert json.loads(first.after or "") == {
        "interval_s": 30.0,
        "timeout_s": 300.0,
        "max_lateness_s": None,
        "clock_untrusted": None,
        "since_us": T + 10,
        "reason": "厂家 改为两分钟",
    }


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("device", "cam-b"), ("device", "nobody"), ("community", "b"), ("kind", "camera"), ("default", "all")],
)
def test_whoever_sees_some_communities_sets_nothing_of_others_nor_of_all(
    db: Database, scope: str, subject: str
) -> None:
    with pytest.raises(NotFound):
        declare(db, scope, subject, T + 10, OF_A, timeout_s=300)
    assert declare(db, "device", "cam-a", T + 10, OF_A, timeout_s=300)
    assert declare(db, "community", "a", T + 10, OF_A, timeout_s=300)
    with db.read() as connection:
        seen = [(v.scope, v.subject) for v in policies.listing(connection, OF_A, T + 20)]
    assert seen == [("kind", "camera"), ("community", "a"), ("device", "cam-a")]


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({}, "policy"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"max_lateness_s": 8 * 86_400}, "max_lateness_s"),
        ({"timeout_s": 30}, "timeout_s"),
        ({"interval_s": 90}, "timeout_s"),
        ({"timeout_s": 99, "reason": "x" * 501}, "reason"),
    ],
)
def test_what_cannot_be_agreed_is_refused_and_nothing_is_kept(
    db: Database, said: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadInput) as caught:
        declare(db, "kind", "camera", T + 10, **said)
    assert caught.value.where == where
    assert terms(db, "cam-a") == (Terms(EVER, 90 * S),)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["policy", *words])
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_policies_are_listed_set_and_told_on_the_command_line(db: Database) -> None:
    assert "default  all  超时/timeout 180s" in run("list")
    said = run("set", "--kind", "camera", "--timeout", "300", "--clock", "untrusted", "--reason", "试")
    assert "超时/timeout 300s" in said
    assert "不可信/untrusted" in said
    assert "未更改" in run("set", "--kind", "camera", "--timeout", "300")
    run("set", "--timeout", "70")
    run("set", "--device", "lock-a", "--max-lateness", "inherit", "--interval", "20")
    listed = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert [(one["scope"], one["subject"]) for one in listed] == [
        ("default", "all"),
        ("kind", "camera"),
        ("device", "lock-a"),
    ]
    lines = run("history", "--kind", "camera").splitlines()
    assert "自始/from ever" in lines[0]
    assert "超时/timeout 300s (kind)" in lines[-1]
    assert "超时/timeout 70s (default)" in run("history", "--device", "lock-a").splitlines()[-1]
    assert len(run("history", "--json", "--community", "a").splitlines()) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "--timeout", "soon"), "neither seconds nor inherit"),
        (("set", "--clock", "maybe", "--kind", "camera"), "none of trusted"),
        (("set", "--kind", "camera", "--device", "cam-a", "--timeout", "9"), "give one of"),
        (("set", "--kind", "camera"), "nothing is to be set"),
        (("set", "--timeout", "9", "--from", to_iso(T)), "in the past"),
        (("list", "--scope", "street"), "none of default"),
    ],
)
def test_what_is_given_wrong_is_told_in_one_line(db: Database, words: tuple[str, ...], said: str) -> None:
    del db
    with pytest.raises(BadInput, match=said):
        run(*words)
