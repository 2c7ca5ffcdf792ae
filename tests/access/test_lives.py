"""What people record of the lives of devices: at once, or long after with a second person."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pulse.access import lives as recording
from pulse.access.roles import PERMISSIONS, Actor, Role
from pulse.access.showing_lives import life
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, to_iso
from pulse.errors import BadInput, Conflict, NotFound
from pulse.ledger.model import EVER
from pulse.registry.lives import Step
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.stores.relational import audit, lives, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.lives import Entry

NOW = 1_700_000_000_000_000
BACKDATE = 60 * MINUTE_US
LONG_AGO = NOW - 5 * DAY_US


def manager(name: str, *communities: str) -> Actor:
    return Actor(name, PERMISSIONS[Role.MANAGER], frozenset(communities or ("south",)), role=Role.MANAGER)


MEI, LI = manager("user:mei"), manager("user:li")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        with db.write() as connection:
            registry.put_communities(connection, [Community(c, c, c) for c in ("north", "south")], 1)
            registry.put_kinds(connection, [Kind("camera")], 1)
            records = [
                DeviceRecord("s-1", "south", "camera", building="3号楼", commissioned_us=1),
                DeviceRecord("s-new", "south", "camera"),
                DeviceRecord("n-1", "north", "camera", commissioned_us=1),
            ]
            registry.put_devices(connection, records, 1, by="cli:root")
        yield db


def record(db: Database, step: Step, actor: Actor = MEI) -> Entry:
    with db.write() as connection:
        return recording.record(connection, actor, step, NOW, BACKDATE)


def device(db: Database, name: str) -> DeviceRecord:
    with db.read() as connection:
        found = registry.device(connection, name)
    assert found is not None
    return found


def test_what_is_not_long_past_counts_at_once(db: Database) -> None:
    assert record(db, Step("retire", "s-1", NOW - BACKDATE, "到期")).status == "recorded"
    assert device(db, "s-1")[-3:] == (NOW - BACKDATE, 1, NOW)


def test_what_is_long_past_changes_nothing_until_somebody_else_approves(db: Database) -> None:
    entry = record(db, Step("retire", "s-1", LONG_AGO, "早已拆除"))
    assert entry.status == "pending"
    assert device(db, "s-1").retired_us is None
    with db.write() as connection:
        with pytest.raises(Conflict, match="somebody else than mei"):
            recording.approve(connection, manager("cli:mei"), entry.id, NOW + 5)
        assert recording.approve(connection, LI, entry.id, NOW + 5).status == "recorded"
    retired = device(db, "s-1")
    assert (retired.retired_us, retired.retired_recorded_us) == (LONG_AGO, NOW + 5)


def test_commissioning_long_ago_waits_too(db: Database) -> None:
    assert record(db, Step("commission", "s-new", LONG_AGO, "漏记")).status == "pending"
    assert device(db, "s-new").commissioned_us is None


def test_what_is_refused_or_withdrawn_never_counts(db: Database) -> None:
    for decide, status in ((recording.refuse, "refused"), (recording.cancel, "cancelled")):
        entry = record(db, Step("retire", "s-1", LONG_AGO, "拆除"))
        with db.write() as connection:
            with pytest.raises(BadInput, match="reason"):
                decide(connection, LI, entry.id, " ", NOW)
            assert decide(connection, LI, entry.id, "设备仍在", NOW).status == status
            with pytest.raises(Conflict):
                recording.approve(connection, LI, entry.id, NOW)
    assert device(db, "s-1").retired_us is None


def test_a_life_that_went_another_way_meanwhile_is_not_overwritten(db: Database) -> None:
    entry = record(db, Step("retire", "s-1", LONG_AGO, "拆除"))
    record(db, Step("retire", "s-1", NOW - MINUTE_US, "今天拆除"))
    with db.write() as connection, pytest.raises(Conflict, match="is retired since then"):
        recording.approve(connection, LI, entry.id, NOW)


def test_a_replacement_registers_the_new_unit_in_the_place_and_keeps_its_history(db: Database) -> None:
    record(db, Step("replace", "s-1", NOW - MINUTE_US, "到期", "s-2"))
    record(db, Step("replace", "s-2", NOW - MINUTE_US, "装错", "s-new"))
    new = device(db, "s-new")
    assert (new.building, new.commissioned_us) == ("3号楼", NOW - MINUTE_US)
    with db.read() as connection:
        for name in ("s-1", "s-2", "s-new"):
            assert lives.place(connection, name) == ["s-1", "s-2", "s-new"]
        assert [stay["device"] for stay in life(connection, "s-1")["place"]] == ["s-1", "s-2", "s-new"]
        assert lives.place(connection, "n-1") == ["n-1"]


def test_a_replacement_that_waits_registers_the_unit_and_puts_it_into_no_service(db: Database) -> None:
    entry = record(db, Step("replace", "s-1", LONG_AGO, "到期", "s-2"))
    assert device(db, "s-2").commissioned_us is None
    with db.write() as connection:
        assert lives.place(connection, "s-2") == ["s-2"]
        recording.approve(connection, LI, entry.id, NOW + 5)
    assert device(db, "s-2").commissioned_us == device(db, "s-1").retired_us == LONG_AGO


def test_a_move_is_known_from_then_on_and_told_with_its_author(db: Database) -> None:
    with db.write() as connection:
        recording.move(connection, MEI, "s-1", NOW, "改造", building="4号楼", location="北门")
        with pytest.raises(BadInput, match="stands already"):
            recording.move(connection, MEI, "s-1", NOW, "改造", building="4号楼")
        told = life(connection, "s-1")["events"][-1]
        assert registry.ledger_devices(connection)[1].commissioned == 1
    assert told == {
        "what": "moved",
        "at": to_iso(NOW),
        "known_at": to_iso(NOW),
        "by": "user:mei",
        "before": {"building": "3号楼", "location": ""},
        "after": {"building": "4号楼", "location": "北门"},
    }


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (Step("retire", "n-1", NOW, "x"), "device"),
        (Step("retire", "nobody", NOW, "x"), "device"),
        (Step("replace", "s-1", NOW, "x", "n-1"), "successor"),
    ],
)
def test_only_what_is_seen_can_be_named(db: Database, step: Step, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        record(db, step)
    assert refused.value.where == where


def test_another_communitys_step_is_as_none_and_the_attempt_is_noted(db: Database) -> None:
    entry = record(db, Step("retire", "n-1", LONG_AGO, "x"), manager("user:wei", "north"))
    with db.write() as connection:
        recording.note_stranger(connection, LI, entry.id, NOW)
        with pytest.raises(NotFound):
            recording.approve(connection, LI, entry.id, NOW)
        with pytest.raises(NotFound):
            recording.seen(connection, LI, entry.id)
        with pytest.raises(NotFound):
            recording.move(connection, LI, "n-1", NOW, "x", building="1")
        with pytest.raises(BadInput, match="community"):
            recording.move(connection, LI, "s-1", NOW, "x", community="north")
        assert lives.listing(connection, frozenset({"south"})) == []
        assert [e.id for e in lives.listing(connection, frozenset({"north"}), status="pending")] == [1]
        noted = list(audit.walk(connection))[-1]
    assert (noted.outcome, noted.community, noted.subject) == ("refused", "north", f"life:{entry.id}")


def test_every_step_is_in_the_audit_log(db: Database) -> None:
    entry = record(db, Step("retire", "s-1", LONG_AGO, "拆除"))
    with db.write() as connection:
        recording.approve(connection, LI, entry.id, NOW)
        recording.move(connection, MEI, "s-new", NOW, "入库", location="仓库")
        log = [(e.action, e.subject, e.actor, e.community) for e in audit.walk(connection)]
    assert log == [
        ("life.record", "life:1", "user:mei", "south"),
        ("life.approve", "life:1", "user:li", "south"),
        ("device.move", "device:s-new", "user:mei", "south"),
    ]


def test_past_knowledge_of_a_device_stays(db: Database) -> None:
    """As known before the approval the device was in service to the end."""
    entry = record(db, Step("retire", "s-1", LONG_AGO, "拆除"))
    with db.write() as connection:
        recording.approve(connection, LI, entry.id, NOW + HOUR_US)
        (one,) = [d for d in registry.ledger_devices(connection) if d.id == "s-1"]
    assert (one.commissioned_recorded, one.retired, one.retired_recorded) == (1, LONG_AGO, NOW + HOUR_US)
    assert one.commissioned_recorded != EVER
