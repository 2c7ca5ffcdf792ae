"""What people record of maintenance: at once, afterwards with a second person, and withdrawn."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.access import maintenance as recording
from pulse.access.roles import PERMISSIONS, Actor, Role, command_line
from pulse.clock import HOUR_US, MINUTE_US
from pulse.errors import BadInput, Conflict, NotFound
from pulse.ledger.model import FOREVER, Maintenance, Scope
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational import audit, maintenance, meta, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.maintenance import Entry

NOW = 1_700_000_000_000_000
BACKDATE = 60 * MINUTE_US


def manager(name: str, *communities: str) -> Actor:
    return Actor(name, PERMISSIONS[Role.MANAGER], frozenset(communities or ("south",)), role=Role.MANAGER)


MEI, LI, BOSS = manager("user:mei"), manager("user:li"), command_line("root", "host")
PLAN = Plan(Reach(community="south"), NOW - 5 * HOUR_US, NOW + HOUR_US, "换电池")
SOON = PLAN._replace(start=NOW - BACKDATE)


def camera(name: str, community: str, building: str = "", tags: tuple[str, ...] = ()) -> DeviceRecord:
    return DeviceRecord(name, community, "camera", building=building, tags=tags, commissioned_us=1)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community(c, c, c) for c in ("north", "south")], 1)
            registry.put_kinds(connection, [Kind("camera")], 1)
            records = [
                camera("s-1", "south", "3号楼", ("室外",)),
                camera("s-2", "south", "4号楼"),
                camera("n-1", "north", "3号楼", ("室外",)),
            ]
            registry.put_devices(connection, records, 1)
        yield db


def record(db: Database, plan: Plan = PLAN, actor: Actor = MEI) -> Entry:
    with db.write() as connection:
        return recording.record(connection, actor, plan, NOW, BACKDATE)


def windows(db: Database) -> list[Maintenance]:
    with db.read() as connection:
        return maintenance.entries(connection)


def version(db: Database) -> int:
    with db.read() as connection:
        return meta.count(connection, meta.REGISTRY)


def test_what_begins_not_long_ago_counts_at_once(db: Database) -> None:
    before = version(db)
    entry = record(db, SOON)
    assert entry.status == "recorded"
    assert windows(db) == [Maintenance(SOON.start, SOON.end, NOW, FOREVER, Scope(community="south"))]
    assert version(db) == before + 1


def test_what_began_longer_ago_changes_nothing_until_somebody_else_approves(db: Database) -> None:
    before = version(db)
    assert record(db).status == "pending"
    assert windows(db) == []
    assert version(db) == before
    with db.write() as connection:
        after = recording.approve(connection, LI, 1, NOW + 9)
    assert (after.status, after.known_us) == ("recorded", NOW + 9)
    assert windows(db) == [Maintenance(PLAN.start, PLAN.end, NOW + 9, FOREVER, Scope(community="south"))]
    assert version(db) == before + 1


@pytest.mark.parametrize("same", ["user:mei", "token:17 mei", "cli:mei"])
def test_its_author_cannot_approve(db: Database, same: str) -> None:
    record(db)
    with db.write() as connection, pytest.raises(Conflict, match="somebody else than mei"):
        recording.approve(connection, manager(same), 1, NOW)
    assert windows(db) == []


def test_what_is_refused_never_counts(db: Database) -> None:
    record(db)
    with db.write() as connection:
        assert recording.refuse(connection, LI, 1, "没有工单", NOW + 1).status == "refused"
        with pytest.raises(Conflict, match="was refused"):
            recording.approve(connection, LI, 1, NOW + 2)
        with pytest.raises(Conflict, match="was refused"):
            recording.cancel(connection, MEI, 1, "算了", NOW + 2)
    assert windows(db) == []


def test_cancelling_withdraws_the_whole_entry_as_known_from_then_on(db: Database) -> None:
    record(db, SOON)
    with db.write() as connection:
        recording.cancel(connection, MEI, 1, "改期", NOW + 5)
    assert [(w.recorded, w.cancelled) for w in windows(db)] == [(NOW, NOW + 5)]
    with db.write() as connection, pytest.raises(Conflict, match="was cancelled"):
        recording.cancel(connection, MEI, 1, "改期", NOW + 6)


def test_its_author_can_withdraw_what_waits(db: Database) -> None:
    record(db)
    with db.write() as connection:
        assert recording.cancel(connection, MEI, 1, "记错了", NOW + 5).status == "cancelled"
    assert windows(db) == []


def test_what_counts_already_needs_no_approval(db: Database) -> None:
    record(db, SOON)
    with db.write() as connection, pytest.raises(Conflict, match="counts already"):
        recording.approve(connection, LI, 1, NOW)


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\x00b"])
def test_a_decision_against_it_has_a_reason(db: Database, reason: str) -> None:
    record(db)
    with db.write() as connection:
        for decide in (recording.refuse, recording.cancel):
            with pytest.raises(BadInput, match="reason"):
                decide(connection, LI, 1, reason, NOW)


@pytest.mark.parametrize(
    ("reach", "where"),
    [
        (Reach(community="north"), "community"),
        (Reach(community="nowhere"), "community"),
        (Reach(device="n-1"), "device"),
        (Reach(device="nobody"), "device"),
        (Reach(kind="camera"), "community"),
        (Reach(kind="lock", community="south"), "kind"),
        (Reach(tag="室外"), "community"),
        (Reach(community="south", building="5号楼"), "building"),
        (Reach(community="south", tag="室内"), "tag"),
    ],
)
def test_only_what_is_registered_and_seen_can_be_named(db: Database, reach: Reach, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        record(db, SOON._replace(reach=reach))
    assert refused.value.where == where


def test_a_building_in_too_many_windows_is_refused(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_PIECES", 10)
    weekly = Weekly((1, 2, 3, 4, 5, 6, 7), 0, 60, "Asia/Shanghai")
    reach = Reach(community="south", building="3号楼")
    with pytest.raises(BadInput, match="are more than 10"):
        record(db, SOON._replace(reach=reach, end=NOW + 20 * 24 * HOUR_US, weekly=weekly))


def test_another_communitys_entry_is_as_none_and_the_attempt_is_noted(db: Database) -> None:
    record(db, PLAN._replace(reach=Reach(device="n-1")), manager("user:wei", "north"))
    with db.write() as connection:
        recording.note_stranger(connection, LI, 1, NOW)
        attempts: list[Callable[[], Entry]] = [
            lambda: recording.approve(connection, LI, 1, NOW),
            lambda: recording.refuse(connection, LI, 1, "x", NOW),
            lambda: recording.cancel(connection, LI, 1, "x", NOW),
            lambda: recording.seen(connection, LI, 1),
        ]
        for decide in attempts:
            with pytest.raises(NotFound):
                decide()
        noted = list(audit.walk(connection))[-1]
    assert (noted.outcome, noted.community, noted.subject) == ("refused", "north", "maintenance:1")


def test_what_is_about_more_than_their_communities_can_be_seen_and_not_decided(db: Database) -> None:
    record(db, PLAN._replace(reach=Reach(tag="室外")), BOSS)
    with db.write() as connection:
        assert recording.seen(connection, LI, 1).id == 1
        with pytest.raises(Conflict, match="more than your communities"):
            recording.approve(connection, LI, 1, NOW)


def test_a_building_and_a_tag_become_their_devices(db: Database) -> None:
    record(db, SOON._replace(reach=Reach(community="south", building="3号楼")))
    record(db, SOON._replace(reach=Reach(tag="室外", kind="camera")), BOSS)
    assert [w.scope.device for w in windows(db)] == ["s-1", "n-1", "s-1"]


def test_who_leaves_the_building_leaves_its_maintenance_and_who_comes_is_in_it(db: Database) -> None:
    record(db, SOON._replace(reach=Reach(community="south", building="3号楼")))
    with db.write() as connection:
        moved = [camera("s-1", "south", "4号楼"), camera("s-2", "south", "3号楼")]
        registry.put_devices(connection, moved, NOW + 10, by="user:mei")
    assert [(w.scope.device, w.start, w.end) for w in windows(db)] == [
        ("s-1", SOON.start, NOW + 10),
        ("s-2", NOW + 10, SOON.end),
    ]


def test_every_step_is_in_the_audit_log(db: Database) -> None:
    weekly = Weekly((1, 3), 60, 120, "Asia/Shanghai")
    with db.write() as connection:
        recording.record(connection, MEI, PLAN, NOW, BACKDATE, effect={"south": {}})
        recording.record(
            connection, MEI, PLAN._replace(end=NOW + 8 * 24 * HOUR_US, weekly=weekly), NOW, BACKDATE
        )
        recording.approve(connection, LI, 1, NOW + 1)
        recording.cancel(connection, LI, 1, "改期", NOW + 2)
        recording.refuse(connection, LI, 2, "重复", NOW + 3)
        log = list(audit.walk(connection))
    assert [(e.action, e.subject, e.community) for e in log] == [
        ("maintenance.record", "maintenance:1", "south"),
        ("maintenance.record", "maintenance:2", "south"),
        ("maintenance.approve", "maintenance:1", "south"),
        ("maintenance.cancel", "maintenance:1", "south"),
        ("maintenance.refuse", "maintenance:2", "south"),
    ]
    said = [json.loads(entry.after or "") for entry in log]
    assert said[0]["effect"] == {"south": {}}
    assert said[1]["daily"] == "01:00–02:00 Asia/Shanghai"
    assert said[3] == {"status": "cancelled", "reason": "改期"}


def test_the_list_is_newest_first_by_status_and_community(db: Database) -> None:
    record(db, SOON)
    record(db, PLAN, BOSS)
    record(db, SOON._replace(reach=Reach(device="n-1")), BOSS)
    record(db, SOON._replace(reach=Reach(kind="camera")), BOSS)
    with db.read() as connection:
        assert [e.id for e in maintenance.listing(connection)] == [4, 3, 2, 1]
        assert [e.id for e in maintenance.listing(connection, frozenset({"south"}))] == [4, 2, 1]
        assert [e.id for e in maintenance.listing(connection, frozenset({"north"}))] == [4, 3]
        assert [e.id for e in maintenance.listing(connection, status="pending")] == [2]
        assert [e.id for e in maintenance.listing(connection, status="recorded", before_id=4, limit=1)] == [3]
