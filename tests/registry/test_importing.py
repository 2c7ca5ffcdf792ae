"""Files into the database: whole or not at all, counted, and given out again without a change."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.access.roles import command_line
from pulse.errors import BadInput
from pulse.registry.importing import ImportResult, export_registry, import_devices, import_registry
from pulse.registry.model import WHAT, Community, DeviceRecord, Kind, Planned, What
from pulse.stores.relational import audit, registry
from pulse.stores.relational.database import Database

T = 1_790_000_000_000_000
OPERATOR = command_line("ann", "host")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/pulse.db")
    database.open()
    with database.write() as connection:
        registry.put_communities(connection, [Community("xinjinglou", "新景楼", "=1+1")], T)
        registry.put_kinds(connection, [Kind("camera", "摄像机", "Camera", 60, 180), Kind("k")], T)
        registry.put_planned(connection, [Planned("xinjinglou", "camera", 182)], T)
        registry.put_devices(
            connection,
            [
                DeviceRecord("a", "xinjinglou", "camera", "门", tags=("x", "y"), commissioned_us=T),
                DeviceRecord("b", "xinjinglou", "k", "'=x", timeout_s=0.1, clock_untrusted=True),
            ],
            T + 5,
        )
    yield database
    database.close()


def everything(db: Database) -> tuple[object, ...]:
    with db.read() as connection:
        return (
            registry.communities(connection),
            registry.kinds(connection),
            registry.planned(connection),
            registry.devices(connection),
            registry.policies(connection),
            registry.version(connection),
        )


def test_an_export_imported_again_changes_nothing(db: Database) -> None:
    before = everything(db)
    for what in WHAT:
        text = export_registry(db, what).encode("utf-8-sig")
        result = import_registry(db, OPERATOR, what, text, T + 100)
        assert (result.added, result.changed) == (0, 0)
        assert result.unchanged > 0
    assert everything(db) == before


def test_an_export_fills_an_empty_database_in_the_order_of_what(db: Database, tmp_path: Path) -> None:
    other = Database(f"sqlite:///{tmp_path}/other.db")
    other.open()
    for what in WHAT:
        import_registry(other, OPERATOR, what, export_registry(db, what).encode(), T)
    for what in WHAT:
        assert export_registry(other, what) == export_registry(db, what)
    with other.read() as connection:
        found = registry.device(connection, "a")
    assert found is not None
    assert found.commissioned_recorded_us == T
    other.close()


def test_a_dry_run_counts_and_changes_nothing(db: Database) -> None:
    before = everything(db)
    text = export_registry(db, "devices").replace("门", "大门") + "c,xinjinglou,camera" + "," * 13 + "\r\n"
    assert import_devices(db, OPERATOR, text.encode(), T + 9, dry_run=True) == ImportResult(
        "devices", 1, 1, 1, True
    )
    assert everything(db) == before
    assert import_devices(db, OPERATOR, text.encode(), T + 9) == ImportResult("devices", 1, 1, 1, False)
    with db.read() as connection:
        assert [d.id for d in registry.devices(connection)] == ["a", "b", "c"]


def test_nothing_of_a_file_with_a_bad_row_is_taken(db: Database) -> None:
    before = everything(db)
    text = export_registry(db, "devices").replace("门", "大门") + "c,nowhere,camera" + "," * 13 + "\r\n"
    for dry_run in (True, False):
        with pytest.raises(BadInput, match="line 4，community 列 / column community: nowhere 未登记"):
            import_devices(db, OPERATOR, text.encode(), T + 9, dry_run)
    assert everything(db) == before


def test_what_a_file_does_not_mention_stays(db: Database) -> None:
    text = export_registry(db, "devices").splitlines()[0] + "\r\nc,xinjinglou,camera" + "," * 13
    import_devices(db, OPERATOR, text.encode(), T)
    with db.read() as connection:
        assert len(registry.devices(connection)) == 3


def test_ids_are_prefixed_when_asked(db: Database) -> None:
    text = export_registry(db, "devices").splitlines()[0] + "\r\nc,xinjinglou,camera" + "," * 13
    import_devices(db, OPERATOR, text.encode(), T, prefix=True)
    with db.read() as connection:
        assert registry.device(connection, "xinjinglou-c") is not None


def test_an_unknown_sort_of_file_is_refused(db: Database) -> None:
    with pytest.raises(BadInput, match="communities, kinds, planned, devices"):
        export_registry(db, "people")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="communities, kinds, planned, devices"):
        import_registry(db, OPERATOR, "people", b"", T)  # type: ignore[arg-type]


def test_an_import_is_told_by_the_audit_log_and_a_dry_run_is_not(db: Database) -> None:
    text = export_registry(db, "devices").replace("门", "大门").encode()
    import_devices(db, OPERATOR, text, T + 9, dry_run=True)
    with db.read() as connection:
        assert not list(audit.walk(connection))
    import_devices(db, OPERATOR, text, T + 9)
    with db.read() as connection:
        entry, change = audit.walk(connection)
    assert (entry.actor, entry.origin, entry.action) == ("cli:ann", "host", "registry.import")
    assert json.loads(entry.after or "") == {
        "added": 0,
        "changed": 1,
        "unchanged": 1,
        "prefix": False,
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    assert (change.actor, change.action, change.subject) == ("cli:ann", "registry.change", "device:a")
    assert change.community == "xinjinglou"
    assert (json.loads(change.before or ""), json.loads(change.after or "")) == (
        {"name_zh": "门"},
        {"name_zh": "大门"},
    )


def noted(db: Database, what: What, rows: str) -> list[tuple[object, ...]]:
    """What is in the log of a file with these rows, but for the import itself."""
    header = export_registry(db, what).splitlines()[0]
    import_registry(db, OPERATOR, what, f"{header}\r\n{rows}\r\n".encode(), T + 9)
    with db.read() as connection:
        first, *rest = audit.walk(connection)
    assert first.action == "registry.import"
    return [(e.action, e.subject, e.community, e.before, e.after) for e in rest]


def test_a_longer_timeout_is_told_with_what_it_was(db: Database) -> None:
    assert noted(db, "kinds", "camera,摄像机,Camera,60,86400") == [
        ("registry.change", "kind:camera", "xinjinglou", '{"timeout_s":180.0}', '{"timeout_s":86400.0}')
    ]


def test_a_kind_without_devices_is_told_to_those_who_see_all(db: Database) -> None:
    with db.write() as connection:
        registry.put_kinds(connection, [Kind("unused", timeout_s=60)], T)
    assert noted(db, "kinds", "unused,,,,120") == [
        ("registry.change", "kind:unused", None, '{"timeout_s":60.0}', '{"timeout_s":120.0}')
    ]


def test_a_plan_is_told_to_the_community_that_it_is_of(db: Database) -> None:
    assert noted(db, "planned", "xinjinglou,camera,10\r\nxinjinglou,k,5") == [
        ("registry.change", "planned:xinjinglou/camera", "xinjinglou", '{"quantity":182}', '{"quantity":10}'),
        ("registry.add", "registry:planned", "xinjinglou", None, '{"added":{"k":1}}'),
    ]


def test_what_moves_is_told_to_the_community_that_loses_it_too(db: Database) -> None:
    with db.write() as connection:
        registry.put_communities(connection, [Community("other")], T)
    row = "a,other,camera,门,,,,x;y,,,,,0,false,2026-09-21T14:13:20Z,"
    moved = noted(db, "devices", row)
    assert [(action, subject, community) for action, subject, community, _, _ in moved] == [
        ("registry.change", "device:a", "other"),
        ("registry.change", "device:a", "xinjinglou"),
    ]
    assert '"community":"xinjinglou"' in str(moved[0][3])


def test_new_devices_are_told_by_community_and_kind(db: Database) -> None:
    rows = "\r\n".join(f"new-{n},xinjinglou,{'camera' if n else 'k'}" + "," * 13 for n in range(3))
    assert noted(db, "devices", rows) == [
        ("registry.add", "registry:devices", "xinjinglou", None, '{"added":{"camera":2,"k":1}}')
    ]
