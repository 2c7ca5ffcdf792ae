"""What people decide of a correlated silence: two persons for blindness, one to withdraw it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.access import incidents as deciding
from pulse.access.roles import PERMISSIONS, Actor, Role, command_line, person
from pulse.errors import BadInput, Conflict, NotFound
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER, Blind, Scope
from pulse.registry.model import Community
from pulse.stores.relational import audit, coverage, events, incidents, meta, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.incidents import Entry

NOW = 1_000
FOUND = Incident("south", 300, 110, 200, 180, 180, 201)


def manager(name: str, *communities: str) -> Actor:
    return Actor(name, PERMISSIONS[Role.MANAGER], frozenset(communities or ("south",)), role=Role.MANAGER)


MEI, LI, BOSS = manager("user:mei"), manager("user:li"), command_line("root", "host")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community(c, c, c) for c in ("north", "south")], 1)
            incidents.put(connection, FOUND, 301)
        yield db


def blinds(db: Database) -> list[Blind]:
    with db.read() as connection:
        return [blind for _, blind in coverage.entries(connection)]


def version(db: Database) -> int:
    with db.read() as connection:
        return meta.count(connection, meta.COVERAGE)


def entry(db: Database) -> Entry:
    with db.read() as connection:
        (one,) = incidents.listing(connection)
    return one


def confirmed(db: Database, actor: Actor = MEI) -> None:
    with db.write() as connection:
        deciding.confirm(connection, actor, 1, "光缆被挖断", NOW)


def test_confirming_changes_no_coverage(db: Database) -> None:
    confirmed(db)
    assert entry(db).status == "confirmed"
    assert blinds(db) == []
    assert version(db) == 0


def test_approval_by_another_records_blindness_of_the_community_from_then_on(db: Database) -> None:
    confirmed(db)
    with db.write() as connection:
        after = deciding.approve(connection, LI, 1, NOW + 5)
    assert after == entry(db)
    assert after.status == "approved"
    assert blinds(db) == [
        Blind(200, FOREVER, NOW + 5, scope=Scope(community="south"), cause="confirmed_blindness")
    ]
    assert version(db) == 1


def test_what_has_ended_is_blind_to_its_end_only(db: Database) -> None:
    with db.write() as connection:
        incidents.put(connection, FOUND._replace(silent=90, ended=500), 501)
    confirmed(db)
    with db.write() as connection:
        deciding.approve(connection, LI, 1, NOW)
    assert [(b.start, b.end) for b in blinds(db)] == [(200, 500)]


@pytest.mark.parametrize("same", ["user:mei", "token:17 mei", "cli:mei"])
def test_nobody_approves_what_they_confirmed_by_whatever_way(db: Database, same: str) -> None:
    confirmed(db)
    with pytest.raises(Conflict, match="somebody else than mei"), db.write() as connection:
        deciding.approve(connection, manager(same), 1, NOW)
    assert entry(db).status == "confirmed"
    assert blinds(db) == []


def test_persons_are_told_apart_by_their_names_alone() -> None:
    assert [person(name) for name in ("user:li", "token:17 li", "cli:li", "cli:root")] == [
        "li",
        "li",
        "li",
        "root",
    ]


def test_nothing_is_approved_that_nobody_confirmed(db: Database) -> None:
    with pytest.raises(Conflict, match="not confirmed"), db.write() as connection:
        deciding.approve(connection, LI, 1, NOW)


def test_dismissing_what_was_approved_withdraws_it_as_known_from_then_on(db: Database) -> None:
    confirmed(db)
    with db.write() as connection:
        deciding.approve(connection, BOSS, 1, NOW + 5)
    with db.write() as connection:
        deciding.dismiss(connection, MEI, 1, "是停电", NOW + 9)
    assert [(b.recorded, b.revoked) for b in blinds(db)] == [(NOW + 5, NOW + 9)]
    assert version(db) == 2
    assert entry(db).status == "dismissed"


def test_what_was_dismissed_stays_so(db: Database) -> None:
    with db.write() as connection:
        deciding.dismiss(connection, MEI, 1, "是停电", NOW)
    with pytest.raises(Conflict, match="dismissed"), db.write() as connection:
        deciding.dismiss(connection, LI, 1, "again", NOW)
    with pytest.raises(Conflict, match="dismissed"), db.write() as connection:
        deciding.confirm(connection, LI, 1, "no", NOW)
    with pytest.raises(Conflict, match="dismissed"), db.write() as connection:
        deciding.approve(connection, LI, 1, NOW)
    assert blinds(db) == []


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x1b[2Jb"])
def test_a_reason_is_asked_for(db: Database, reason: str) -> None:
    with pytest.raises(BadInput, match="reason"), db.write() as connection:
        deciding.confirm(connection, MEI, 1, reason, NOW)
    assert entry(db).status == "suspected"


def test_an_incident_of_another_community_is_as_none(db: Database) -> None:
    other = manager("user:wu", "north")
    for number in (1, 999):
        with pytest.raises(NotFound, match=f"no incident {number}"), db.write() as connection:
            deciding.confirm(connection, other, number, "why", NOW)


def test_every_decision_is_audited_and_told_with_the_change(db: Database) -> None:
    confirmed(db)
    with db.write() as connection:
        deciding.approve(connection, LI, 1, NOW + 5)
        deciding.dismiss(connection, LI, 1, "是停电", NOW + 9)
    with db.read() as connection:
        log = [(e.actor, e.action, e.subject, e.community) for e in audit.walk(connection)]
        told = [(e.topic, e.body["status"]) for e in events.after(connection, 0, 10)]
        reason = next(audit.walk(connection)).after
    assert log == [
        ("user:mei", "incident.confirm", "incident:1", "south"),
        ("user:li", "incident.approve", "incident:1", "south"),
        ("user:li", "incident.dismiss", "incident:1", "south"),
    ]
    assert told == [("incident", "confirmed"), ("incident", "approved"), ("incident", "dismissed")]
    assert reason is not None
    assert "光缆被挖断" in reason


def test_what_the_detector_finds_later_keeps_the_decisions(db: Database) -> None:
    confirmed(db)
    with db.write() as connection:
        incidents.put(connection, FOUND._replace(devices=190, silent=190), 400)
    assert entry(db).confirmed is not None
    assert (entry(db).found.devices, entry(db).recorded_us) == (190, 301)


def test_unsettled_are_those_that_wait_for_somebody(db: Database) -> None:
    with db.write() as connection:
        incidents.put(connection, FOUND._replace(community="north"), 301)
        assert [e.id for e in incidents.unsettled(connection)] == [2, 1]
        assert [e.id for e in incidents.unsettled(connection, frozenset({"south"}))] == [1]
        deciding.dismiss(connection, MEI, 1, "是停电", NOW)
        assert [e.id for e in incidents.unsettled(connection)] == [2]
        assert [e.id for e in incidents.listing(connection)] == [2, 1]
