"""What every relational back end promises to those who use its repositories."""

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from pulse.clock import SECOND_US
from pulse.errors import BadInput, Conflict, NotFound, StoreUnavailable
from pulse.ledger.model import EVER, FOREVER, Blind, Evidence, Maintenance, Run, Scope, Terms
from pulse.messages import Quarantined
from pulse.registry.model import Changes, Community, DeviceRecord, Discovered, Kind, Planned, Policy
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational import (
    coverage,
    deletions,
    events,
    intervals,
    jobs,
    maintenance,
    meta,
    pastdevices,
    policies,
    published,
    quarantine,
    registry,
)
from pulse.stores.relational.database import Database
from pulse.stores.relational.decisions import Decisions
from pulse.stores.relational.events import NewEvent
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.published import PublishedValue
from tests import servers
from tests.stores.relational.backends import BACKENDS, empty_url, opened

T = 1_700_000_000 * SECOND_US
FULL = DeviceRecord(
    "cam-1",
    "xinjinglou",
    "camera",
    "一号楼大门摄像机",
    "Gate camera",
    "1 号楼",
    "大门",
    ("室外", "gate"),
    "海康",
    "DS-2CD",
    "SN 0001",
    90.5,
    3600.0,
    True,
    T,
    T + 10,
    T + 1,
    T + 11,
)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with opened(empty_url(request, tmp_path)) as database:
        yield database


def fill_registry(db: Database) -> None:
    with db.write() as connection:
        registry.put_communities(
            connection, [Community("xinjinglou", "新景楼", "Xinjinglou"), Community("yiminyuan")], 1
        )
        registry.put_kinds(
            connection, [Kind("camera", "摄像机", "Camera", 60, 180), Kind("smart_lock", "门锁", "Lock")], 1
        )


def register(db: Database, *records: DeviceRecord, now_us: int = T) -> Changes:
    with db.write() as connection:
        return registry.put_devices(connection, records, now_us)


def terms_of(db: Database, device: str, default_timeout_s: float = 180.0) -> tuple[Terms, ...]:
    with db.read() as connection:
        devices = registry.ledger_devices(connection, default_timeout_s=default_timeout_s)
    return next(d.terms for d in devices if d.id == device)


# Transactions


def test_a_write_that_raises_leaves_nothing(db: Database) -> None:
    def write() -> None:
        with db.write() as connection:
            meta.put(connection, "a", "1")
            maintenance.cancel(connection, 12345, T)

    with pytest.raises(NotFound):
        write()
    with db.read() as connection:
        assert meta.get(connection, "a") is None


def test_a_reader_sees_one_state_throughout(db: Database) -> None:
    with db.write() as connection:
        meta.put(connection, "a", "1")
    with db.read() as reader:
        assert meta.get(reader, "a") == "1"
        with db.write() as writer:
            meta.put(writer, "a", "2")
            meta.put(writer, "b", "2")
        assert meta.get(reader, "a") == "1"
        assert meta.get(reader, "b") is None
    with db.read() as reader:
        assert meta.get(reader, "a") == "2"


def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(StoreUnavailable, match=r"readonly|read-only"), db.read() as connection:
        meta.put(connection, "a", "1")


def test_many_readers_and_one_writer_share_the_database(db: Database) -> None:
    """Readers see the two values of each commit together, and every commit gets through."""
    rounds, problems = 60, list[object]()
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(rounds):
                with db.write() as connection:
                    meta.put(connection, "left", str(number))
                    meta.put(connection, "right", str(number))
        except Exception as error:
            problems.append(error)
        finally:
            done.set()

    def read() -> None:
        try:
            while not done.is_set():
                with db.read() as connection:
                    pair = meta.get(connection, "left"), meta.get(connection, "right")
                if pair[0] != pair[1]:
                    problems.append(pair)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(12)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    with db.read() as connection:
        assert meta.get(connection, "left") == str(rounds - 1)


def test_writers_of_many_threads_take_turns(db: Database) -> None:
    with db.write() as connection:
        meta.put(connection, "sum", "0")

    def add() -> None:
        for _ in range(10):
            with db.write() as connection:
                meta.grow(connection, meta.REGISTRY)

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with db.read() as connection:
        assert meta.count(connection, meta.REGISTRY) == 60


def test_check_answers_on_an_open_database(db: Database) -> None:
    db.check()


def test_a_contradiction_is_a_conflict_with_the_drivers_error_as_its_cause(db: Database) -> None:
    with pytest.raises(Conflict) as caught, db.write() as connection:
        connection.execute(text("INSERT INTO planned VALUES ('nowhere', 'nothing', 1)"))
    assert "foreign key" in str(caught.value).lower()
    assert caught.value.__cause__ is not None


def test_opening_again_changes_nothing(db: Database) -> None:
    fill_registry(db)
    db.open()
    with db.read() as connection:
        assert len(registry.communities(connection)) == 2


# Registry


def test_what_is_registered_comes_back(db: Database) -> None:
    fill_registry(db)
    assert register(db, FULL) == Changes(1, 0, 0)
    with db.read() as connection:
        assert registry.communities(connection) == [
            Community("xinjinglou", "新景楼", "Xinjinglou"),
            Community("yiminyuan"),
        ]
        assert registry.kinds(connection)[0] == Kind("camera", "摄像机", "Camera", 60, 180)
        assert registry.device(connection, "cam-1") == FULL
        assert registry.device(connection, "cam-2") is None


def test_devices_come_by_id_in_order_of_code_points_and_by_community_and_kind(db: Database) -> None:
    fill_registry(db)
    ids = ["a.b", "a-b", "a_b", "B", "b", "a", "A", "a0", "9"]
    register(db, *(DeviceRecord(i, "xinjinglou", "camera") for i in ids))
    register(db, DeviceRecord("z", "yiminyuan", "smart_lock"))
    with db.read() as connection:
        assert [d.id for d in registry.devices(connection)] == [*sorted(ids), "z"]
        assert [d.id for d in registry.devices(connection, community="yiminyuan")] == ["z"]
        assert [d.id for d in registry.devices(connection, kind="smart_lock")] == ["z"]
        assert registry.devices(connection, community="yiminyuan", kind="camera") == []


def test_putting_the_same_again_changes_nothing_and_a_change_is_counted(db: Database) -> None:
    fill_registry(db)
    one, two = DeviceRecord("a", "xinjinglou", "camera"), DeviceRecord("b", "xinjinglou", "camera")
    register(db, one, two)
    with db.read() as connection:
        before = registry.version(connection)
    assert register(db, one, two) == Changes(0, 0, 2)
    with db.read() as connection:
        assert registry.version(connection) == before
    assert register(db, one._replace(name_zh="新"), two, two._replace(id="c")) == Changes(1, 1, 1)
    with db.read() as connection:
        assert registry.version(connection) > before


def test_the_version_grows_with_every_sort_of_change(db: Database) -> None:
    seen = []

    def note() -> None:
        with db.read() as connection:
            seen.append(registry.version(connection))

    note()
    fill_registry(db)
    note()
    register(db, DeviceRecord("a", "xinjinglou", "camera"))
    note()
    with db.write() as connection:
        registry.put_planned(connection, [Planned("xinjinglou", "camera", 3)], T)
    note()
    with db.write() as connection:
        policies.declare(connection, "community", "xinjinglou", {"timeout_us": 7}, T)
    note()
    with db.write() as connection:
        window = maintenance.record(connection, Maintenance(T, T + 5, T), "换电池", "王")
    note()
    with db.write() as connection:
        maintenance.cancel(connection, window, T + 1)
    note()
    assert seen == sorted(set(seen))


def test_planned_quantities_come_by_community_and_kind(db: Database) -> None:
    fill_registry(db)
    with db.write() as connection:
        registry.put_planned(connection, [Planned("xinjinglou", "camera", 182)], T)
        registry.put_planned(
            connection, [Planned("xinjinglou", "camera", 183), Planned("yiminyuan", "camera", 0)], T
        )
        assert registry.planned(connection) == {("xinjinglou", "camera"): 183, ("yiminyuan", "camera"): 0}


@pytest.mark.parametrize(
    ("record", "where"),
    [
        (DeviceRecord("a", "nowhere", "camera"), "device a"),
        (DeviceRecord("a", "xinjinglou", "nothing"), "device a"),
        (DeviceRecord("a/b", "xinjinglou", "camera"), "a/b id"),
        (DeviceRecord("a", "xinjinglou", "camera", timeout_s=0), "a timeout_s"),
        (DeviceRecord("a", "xinjinglou", "camera", timeout_s=float("nan")), "a timeout_s"),
        (DeviceRecord("a", "xinjinglou", "camera", max_lateness_s=-1), "a max_lateness_s"),
        (DeviceRecord("a", "xinjinglou", "camera", name_zh="a\0b"), "a name_zh"),
        (DeviceRecord("a", "xinjinglou", "camera", tags=("a;b",)), "a tags"),
        (DeviceRecord("a", "xinjinglou", "camera", commissioned_us=T, retired_us=T - 1), "a retired_at"),
    ],
)
def test_a_bad_device_is_refused_naming_it_and_nothing_is_stored(
    db: Database, record: DeviceRecord, where: str
) -> None:
    fill_registry(db)
    with pytest.raises(BadInput) as caught:
        register(db, DeviceRecord("good", "xinjinglou", "camera"), record)
    assert caught.value.where == where
    with db.read() as connection:
        assert registry.devices(connection) == []


def test_one_device_twice_in_one_call_is_refused(db: Database) -> None:
    fill_registry(db)
    with pytest.raises(BadInput, match="given twice"):
        register(db, *[DeviceRecord("a", "xinjinglou", "camera")] * 2)


def test_commissioning_counts_as_known_from_the_change_that_said_so(db: Database) -> None:
    fill_registry(db)
    plain = DeviceRecord("a", "xinjinglou", "camera")
    register(db, plain, now_us=1)
    with db.read() as connection:
        assert registry.ledger_devices(connection)[0].commissioned == FOREVER
    register(db, plain._replace(commissioned_us=T - 9), now_us=T)
    register(db, plain._replace(commissioned_us=T - 9, name_zh="新"), now_us=T + 5)
    register(db, plain._replace(commissioned_us=T - 9, retired_us=T + 7), now_us=T + 8)
    with db.read() as connection:
        device = registry.ledger_devices(connection)[0]
    assert (device.commissioned, device.commissioned_recorded) == (T - 9, T)
    assert (device.retired, device.retired_recorded) == (T + 7, T + 8)
    register(db, plain, now_us=T + 20)
    with db.read() as connection:
        assert registry.device(connection, "a") == plain


def test_terms_are_the_devices_own_else_its_communitys_else_its_kinds_else_the_default(db: Database) -> None:
    fill_registry(db)
    with db.write() as connection:
        policies.declare(connection, "community", "yiminyuan", {"timeout_us": 40 * SECOND_US}, T)
    register(
        db,
        DeviceRecord("own", "yiminyuan", "camera", timeout_s=30),
        DeviceRecord("of_community", "yiminyuan", "camera"),
        DeviceRecord("of_kind", "xinjinglou", "camera"),
        DeviceRecord("of_default", "xinjinglou", "smart_lock", max_lateness_s=5, clock_untrusted=True),
    )
    assert terms_of(db, "own") == (Terms(EVER, 30 * SECOND_US),)
    assert terms_of(db, "of_community") == (Terms(EVER, 180 * SECOND_US), Terms(T, 40 * SECOND_US))
    assert terms_of(db, "of_kind") == (Terms(EVER, 180 * SECOND_US),)
    assert terms_of(db, "of_default", 77.5) == (Terms(EVER, 77_500_000, 5 * SECOND_US, True),)


def test_a_changed_policy_is_in_force_from_the_change_and_the_past_stays(db: Database) -> None:
    fill_registry(db)
    device = DeviceRecord("a", "xinjinglou", "camera")
    register(db, device)
    register(db, device._replace(max_lateness_s=60), now_us=T + 10)
    with db.write() as connection:
        registry.put_kinds(connection, [Kind("camera", "摄像机", "Camera", 60, 90)], T + 20)
    register(db, device._replace(max_lateness_s=60, name_zh="名"), now_us=T + 25)
    register(db, device._replace(timeout_s=10, clock_untrusted=True), now_us=T + 30)
    assert terms_of(db, "a") == (
        Terms(EVER, 180 * SECOND_US),
        Terms(T + 10, 180 * SECOND_US, 60 * SECOND_US),
        Terms(T + 20, 90 * SECOND_US, 60 * SECOND_US),
        Terms(T + 30, 10 * SECOND_US, 0, True),
    )


def test_a_device_that_moves_keeps_the_terms_of_where_it_was(db: Database) -> None:
    fill_registry(db)
    with db.write() as connection:
        registry.put_kinds(connection, [Kind("smart_lock", timeout_s=20)], T - 50)
    register(db, DeviceRecord("a", "xinjinglou", "camera"))
    register(db, DeviceRecord("a", "xinjinglou", "smart_lock"), now_us=T + 10)
    with db.write() as connection:
        registry.put_kinds(connection, [Kind("camera", timeout_s=1)], T + 20)
    assert terms_of(db, "a") == (Terms(EVER, 180 * SECOND_US), Terms(T + 10, 20 * SECOND_US))


def test_a_clock_that_went_back_does_not_hide_a_change_of_policy(db: Database) -> None:
    fill_registry(db)
    device = DeviceRecord("a", "xinjinglou", "camera", timeout_s=10)
    register(db, device)
    register(db, device._replace(timeout_s=20), now_us=T + 10)
    register(db, device._replace(timeout_s=30), now_us=T)
    assert terms_of(db, "a")[-1].timeout == 30 * SECOND_US


def test_every_version_of_a_policy_can_be_listed(db: Database) -> None:
    fill_registry(db)
    register(db, DeviceRecord("a", "xinjinglou", "camera", timeout_s=10))
    with db.read() as connection:
        assert registry.policies(connection) == [
            Policy("device", "a", EVER, EVER, None, 10.0, None, None, "xinjinglou", "camera"),
            Policy("kind", "camera", EVER, EVER, 60.0, 180.0),
            Policy("kind", "smart_lock", EVER, EVER),
        ]


def test_many_devices_are_registered_and_compared_at_once(db: Database) -> None:
    fill_registry(db)
    records = [DeviceRecord(f"d{n:05}", "xinjinglou", "camera") for n in range(1203)]
    assert register(db, *records) == Changes(1203, 0, 0)
    assert register(db, *records) == Changes(0, 0, 1203)
    with db.read() as connection:
        assert len(registry.ledger_devices(connection)) == 1203


def test_the_inbox_holds_what_was_heard_and_nobody_registered(db: Database) -> None:
    fill_registry(db)
    register(db, DeviceRecord("known", "xinjinglou", "camera"))
    with db.write() as connection:
        registry.discover(connection, "known", "xinjinglou", "camera", T)
        registry.discover(connection, "new", "nowhere", "camera", T + 5)
        registry.discover(connection, "new", "nowhere", "camera", T + 9)
        registry.discover(connection, "new", "nowhere", "camera", T + 5)
        registry.discover(connection, "late", "nowhere", "camera", T + 1)
        assert registry.inbox(connection) == [
            Discovered("new", "nowhere", "camera", T + 5, T + 9),
            Discovered("late", "nowhere", "camera", T + 1, T + 1),
        ]
        assert len(registry.inbox(connection, limit=1)) == 1


# Runs


BEAT, FAULT, OFFLINE = Evidence.BEAT, Evidence.FAULT, Evidence.OFFLINE
A1 = Run(100, 200, BEAT, 100, 100)
A2 = Run(300, 400, FAULT, 300, 300)
A3 = Run(400, FOREVER, OFFLINE, 400, 400)
B1 = Run(50, FOREVER, BEAT, 50)


def put_runs(db: Database, *runs: tuple[str, Run]) -> None:
    with db.write() as connection:
        intervals.put_runs(connection, runs)


@pytest.mark.parametrize(
    ("from_us", "to_us", "expected"),
    [
        (0, 50, {}),
        (0, 51, {"b": [B1]}),
        (199, 200, {"a": [A1], "b": [B1]}),
        (200, 300, {"b": [B1]}),
        (200, 301, {"a": [A2], "b": [B1]}),
        (150, 350, {"a": [A1, A2], "b": [B1]}),
        (399, 10**15, {"a": [A2, A3], "b": [B1]}),
        (FOREVER - 2, FOREVER - 1, {"a": [A3], "b": [B1]}),
    ],
)
def test_runs_that_overlap_a_period_come_by_device_in_order(
    db: Database, from_us: int, to_us: int, expected: dict[str, list[Run]]
) -> None:
    put_runs(db, ("a", A3), ("b", B1), ("a", A1), ("a", A2))
    with db.read() as connection:
        assert intervals.runs(connection, from_us, to_us, FOREVER) == expected


def test_runs_of_some_devices(db: Database) -> None:
    put_runs(db, ("a", A1), ("b", B1), ("c", A1), ("d'\"", A1))
    with db.read() as connection:
        assert intervals.runs(connection, 150, 151, FOREVER, ["c", "a", "x", "d'\"", "a"]) == {
            "a": [A1],
            "c": [A1],
            "d'\"": [A1],
        }
        assert intervals.runs(connection, 150, 151, FOREVER, []) == {}
        assert intervals.last_runs(connection, 500, FOREVER, ["c", "x"]) == {"c": A1}
        assert intervals.last_runs(connection, 500, FOREVER, []) == {}


def test_runs_are_those_known_at_the_time_asked_about(db: Database) -> None:
    told = Run(100, 200, BEAT, 100, 100, superseded=500)
    corrected = Run(100, 160, BEAT, 100, 500)
    added = Run(160, 300, OFFLINE, 160, 500)
    put_runs(db, ("a", told), ("a", corrected), ("a", added))
    with db.read() as connection:
        assert intervals.runs(connection, 0, 1000, 99) == {}
        assert intervals.runs(connection, 0, 1000, 499) == {"a": [told]}
        assert intervals.runs(connection, 0, 1000, 500) == {"a": [corrected, added]}
        assert intervals.runs(connection, 199, 200, 499) == {"a": [told]}
        assert intervals.last_runs(connection, 400, 499) == {"a": told}
        assert intervals.last_runs(connection, 400, 500) == {"a": added}
        assert intervals.last_runs(connection, 400, 99) == {}


def test_runs_in_columns_are_the_same(db: Database) -> None:
    late = Run(350, 390, FAULT, 340, 500, 900)
    put_runs(db, ("a", A3), ("b", B1), ("a", A1), ("a", A2), ("c'", A2), ("c'", late), ("d", A1))
    for from_us, to_us, known_us in ((0, 50, 50), (0, 10**6, 499), (150, 351, 500), (250, 10**6, 900)):
        with db.read() as connection:
            expected = intervals.runs(connection, from_us, to_us, known_us)
            found = intervals.run_columns(connection, from_us, to_us, known_us)
        assert found.devices == sorted(expected)
        device = np.repeat(np.arange(len(found.devices)), found.counts).tolist()
        rows = sorted(zip(device, *(column.tolist() for column in found[2:]), strict=True))
        assert rows == [
            (found.devices.index(name), run.start, run.end, run.evidence, run.since, run.recorded)
            for name, own in expected.items()
            for run in own
        ]


def test_an_unknown_later_run_does_not_hide_the_known_one_before_the_period(db: Database) -> None:
    long = Run(100, 900, BEAT, 100, 100)
    put_runs(db, ("a", long), ("a", Run(300, 310, FAULT, 300, 5000, 6000)))
    with db.read() as connection:
        assert intervals.runs(connection, 400, 401, 1000) == {"a": [long]}
        assert intervals.last_runs(connection, 400, 7000) == {"a": long}


def test_the_last_run_is_found_whether_it_reaches_the_time_or_not(db: Database) -> None:
    put_runs(db, ("a", A1), ("a", A2), ("b", B1))
    with db.read() as connection:
        assert intervals.last_runs(connection, 49, FOREVER) == {}
        assert intervals.last_runs(connection, 250, FOREVER) == {"a": A1, "b": B1}
        assert intervals.last_runs(connection, 300, FOREVER) == {"a": A2, "b": B1}


def test_a_run_put_again_is_overwritten_and_puts_in_any_order_agree(db: Database) -> None:
    put_runs(db, ("a", A1._replace(end=FOREVER)))
    put_runs(db, ("a", A1), ("a", A1))
    put_runs(db)
    with db.read() as connection:
        assert intervals.runs(connection, 0, 1000, FOREVER) == {"a": [A1]}


def test_replacing_a_devices_runs_leaves_earlier_ones_and_other_devices(db: Database) -> None:
    other = Run(200, 500, BEAT, 200)
    put_runs(db, ("a", A1), ("a", A2), ("a", A3), ("b", B1))
    with db.write() as connection:
        intervals.replace_runs(connection, "a", 300, [other._replace(start=300)])
    with db.read() as connection:
        assert intervals.runs(connection, 0, 10**6, FOREVER) == {
            "a": [A1, other._replace(start=300)],
            "b": [B1],
        }
    with db.write() as connection:
        intervals.replace_runs(connection, "a", EVER, [])
    with db.read() as connection:
        assert intervals.runs(connection, 0, 10**6, FOREVER) == {"b": [B1]}


# Coverage and maintenance


def test_the_first_start_is_kept(db: Database) -> None:
    with db.write() as connection:
        assert coverage.start_us(connection) is None
        coverage.set_start(connection, T)
    with db.read() as connection:
        assert coverage.start_us(connection) == T


def test_blind_intervals_come_back_with_scope_and_revocation(db: Database) -> None:
    whole = Blind(10, FOREVER, 12, cause="no connection")
    part = Blind(10, 20, 21, FOREVER, Scope("dev", "camera", "xinjinglou"), "")
    with db.write() as connection:
        first, second = coverage.record(connection, whole), coverage.record(connection, part)
        coverage.revoke(connection, first, 30)
        coverage.revoke(connection, first, 40)
        assert coverage.entries(connection) == [(first, whole._replace(revoked=30)), (second, part)]
        with pytest.raises(NotFound):
            coverage.revoke(connection, second + 1, 30)


def test_the_watermark_is_overwritten(db: Database) -> None:
    with db.write() as connection:
        assert coverage.watermark(connection) is None
        coverage.set_watermark(connection, coverage.Watermark(T, True, T + 1, "one"))
        coverage.set_watermark(connection, coverage.Watermark(T + 5, False, T + 6, "two"))
    with db.read() as connection:
        assert coverage.watermark(connection) == coverage.Watermark(T + 5, False, T + 6, "two")


def test_maintenance_comes_back_with_reason_author_and_cancellation(db: Database) -> None:
    window = Maintenance(10, 20, 5, scope=Scope(community="xinjinglou"))
    with db.write() as connection:
        first = maintenance.record(connection, window, "换电池", "王工")
        second = maintenance.record(connection, window._replace(end=FOREVER), "", "")
        maintenance.cancel(connection, first, 7)
        maintenance.cancel(connection, first, 9)
        assert maintenance.entries(connection) == [
            window._replace(cancelled=7),
            window._replace(end=FOREVER),
        ]
        plan = Plan(Reach(community="xinjinglou"), 10, 20, "换电池")
        assert maintenance.of(connection, first) == maintenance.Entry(
            first, plan, 5, "王工", Decisions(5, cancelled=Decision(7, ""))
        )
        with pytest.raises(NotFound):
            maintenance.cancel(connection, second + 1, 9)
        with pytest.raises(BadInput):
            maintenance.record(connection, window._replace(end=10), "", "")


def test_a_recurring_entry_comes_back_with_its_decisions(db: Database) -> None:
    reach = Reach(kind="camera", community="xinjinglou", building="1 号楼", tag="室外")
    plan = Plan(reach, T, T + 9 * 86_400 * SECOND_US, "换电池", Weekly((1, 4), 1320, 120, "Asia/Shanghai"))
    with db.write() as connection:
        waiting = maintenance.Entry(0, plan, T, "user:wang")
        number = maintenance.put(connection, waiting)
        before = registry.version(connection)
        assert maintenance.entries(connection) == []
        assert maintenance.of(connection, number) == waiting._replace(id=number)
        said = Decision(T + 1, "user:li", "重复")
        stored = waiting._replace(id=number)
        for decided in (Decisions(refused=said), Decisions(cancelled=said)):
            maintenance.decide(connection, stored._replace(decisions=decided))
            assert maintenance.of(connection, number, locked=True) == stored._replace(decisions=decided)
            assert [e.id for e in maintenance.listing(connection, status=decided.status)] == [number]
        assert registry.version(connection) == before
        approved = stored._replace(decisions=Decisions(T + 2, Decision(T + 2, "user:li")))
        maintenance.decide(connection, approved)
        assert registry.version(connection) == before + 1
        assert maintenance.listing(connection, status="recorded") == [approved]
        assert maintenance.listing(connection, frozenset({"elsewhere"})) == []


def test_what_was_said_of_a_device_before_is_kept(db: Database) -> None:
    fill_registry(db)
    with db.write() as connection:
        registry.put_devices(connection, [FULL], T, by="user:wang")
        registry.put_devices(connection, [FULL], T + 5, by="user:li")
        moved = FULL._replace(building="2 号楼", tags=("a%_", "室外"))
        registry.put_devices(connection, [moved], T + 10, by="user:li")
        other = FULL._replace(id="cam-2", building="2 号楼", tags=())
        registry.put_devices(connection, [other], T + 20)
        assert pastdevices.forms(connection, "cam-1") == [
            pastdevices.Form(FULL, T, T + 10, "user:wang"),
            pastdevices.Form(moved, T + 10, FOREVER, "user:li"),
        ]
        assert pastdevices.forms(connection, "nobody") == []
        for at, expected in ((T - 1, []), (T, [FULL]), (T + 9, [FULL]), (T + 10, [moved])):
            assert pastdevices.known_at(connection, at) == expected
        assert pastdevices.known_at(connection, T + 20) == [moved, other]

        def members(**reach: str) -> list[tuple[str, int, int]]:
            return [(*member,) for member in pastdevices.members(connection, Reach(**reach))]

        assert members(building="1 号楼", community="xinjinglou") == [("cam-1", EVER, T + 10)]
        assert members(building="2 号楼") == [("cam-1", T + 10, FOREVER), ("cam-2", EVER, FOREVER)]
        assert members(tag="室外", kind="camera") == [("cam-1", EVER, FOREVER)]
        assert members(tag="a%_") == [("cam-1", T + 10, FOREVER)]
        assert members(tag="GATE") == members(tag="a_%") == members(tag="室外", kind="lock") == []


def test_two_changes_at_one_moment_leave_the_last(db: Database) -> None:
    fill_registry(db)
    with db.write() as connection:
        for building in ("1", "2", "3"):
            registry.put_devices(connection, [FULL._replace(building=building)], T)
        assert [d.building for d in pastdevices.known_at(connection, T)] == ["3"]
        reach = Reach(building="2")
        assert pastdevices.members(connection, reach) == []


# Published values


def value(at_us: int, **figures: object) -> PublishedValue:
    return PublishedValue("online-rate", at_us, at_us + 1, 811, 826, figures)


def test_what_was_published_comes_back_with_the_digest_of_its_canonical_bytes(db: Database) -> None:
    figures = {"states": {"online": 811, "offline": 15}, "value": 811 / 826, "备注": "é", "none": None}
    with db.write() as connection:
        published.append(connection, value(T, **figures))
    with db.read() as connection:
        (stored,) = published.series(connection, "online-rate", T, T + 1)
        written = connection.scalar(text("SELECT figures FROM published"))
    assert stored[:6] == value(T, **figures)[:6]
    assert stored.digest == hashlib.sha256(written.encode()).hexdigest()
    assert written == json.dumps(figures, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stored.digest == published.digest(figures)


def test_a_value_is_published_once_and_for_all(db: Database) -> None:
    with db.write() as connection:
        published.append(connection, value(T, a=1))
        for again in (value(T, a=2), value(T, a=1)):
            with pytest.raises(Conflict, match="published already"):
                published.append(connection, again)
        with pytest.raises(Conflict):
            published.append_many(connection, [value(T + 1), value(T)])
        published.append(connection, value(T)._replace(name="other"))
    with db.read() as connection:
        assert [v.figures for v in published.series(connection, "online-rate", 0, FOREVER)] == [{"a": 1}]


def test_a_wrong_digest_is_refused(db: Database) -> None:
    with pytest.raises(BadInput, match="digest"), db.write() as connection:
        published.append(connection, value(T)._replace(digest="00"))


def test_figures_that_are_no_json_are_refused(db: Database) -> None:
    with pytest.raises(BadInput, match="JSON"), db.write() as connection:
        published.append(connection, value(T, rate=float("nan")))


def test_a_series_is_half_open_and_in_order_and_the_latest_is_the_last(db: Database) -> None:
    with db.write() as connection:
        assert published.latest(connection, "online-rate") is None
        published.append_many(connection, [value(T + n) for n in (3, 1, 2, 0)])
        published.append_many(connection, [])
        times = [v.at_us - T for v in published.series(connection, "online-rate", T + 1, T + 3)]
        last = published.latest(connection, "online-rate")
    assert times == [1, 2]
    assert last is not None
    assert last.at_us == T + 3


def test_a_series_with_a_step_has_the_first_value_of_every_step_from_1970_on(db: Database) -> None:
    start = T // 300 * 300
    with db.write() as connection:
        published.append_many(connection, [value(start + n) for n in (10, 299, 300, 301, 950, 1200)])
        found = published.series(connection, "online-rate", start + 20, start + 1200, step_us=300)
    assert [v.at_us - start for v in found] == [299, 300, 950]


# Events


def transition(number: int, key: str | None = None, recorded_us: int = T) -> NewEvent:
    return NewEvent(T, recorded_us, "transition", {"n": number, "名": "门"}, key)


def test_events_come_in_order_after_an_id(db: Database) -> None:
    with db.write() as connection:
        assert events.last_id(connection) == events.first_id(connection) == 0
        first = events.append(connection, [transition(1)])
        last = events.append(connection, [transition(2), transition(3)])
        assert events.append(connection, []) == last == events.last_id(connection)
        assert events.first_id(connection) == first
    with db.read() as connection:
        assert [e.body["n"] for e in events.after(connection, 0, 2)] == [1, 2]
        later = events.after(connection, first, 10)
        assert [e.body["n"] for e in later] == [2, 3]
        assert later[-1] == events.Event(last, T, T, "transition", {"n": 3, "名": "门"})
        assert events.after(connection, last, 10) == []


def test_an_event_of_the_same_topic_and_key_is_told_once(db: Database) -> None:
    with db.write() as connection:
        events.append(connection, [transition(1, "a"), transition(2, "a"), transition(3, "b")])
        last = events.append(connection, [transition(4, "a"), transition(5), transition(6)])
        told = events.after(connection, 0, 10)
    assert [e.body["n"] for e in told] == [1, 3, 5, 6]
    assert told[-1].id == last


def test_an_unknown_topic_is_refused(db: Database) -> None:
    with pytest.raises(BadInput), db.write() as connection:
        events.append(connection, [NewEvent(T, T, "gossip", {})])


def test_ids_are_never_given_again_after_trimming(db: Database) -> None:
    with db.write() as connection:
        events.append(connection, [transition(n, recorded_us=T + n) for n in range(5)])
        last = events.last_id(connection)
        assert events.trim(connection, T + 3) == 3
        assert [e.body["n"] for e in events.after(connection, 0, 10)] == [3, 4]
        assert events.trim(connection, T + 100) == 1
        assert events.last_id(connection) == last
        assert events.append(connection, [transition(9)]) > last


def test_an_event_never_becomes_visible_behind_a_later_one(db: Database) -> None:
    """Who follows the ids would miss it: a writer waits for those who drew smaller ids."""

    def write() -> None:
        with db.write() as connection:
            events.append(connection, [transition(2)])

    def told() -> list[object]:
        with db.read() as connection:
            return [event.body["n"] for event in events.after(connection, 0, 10)]

    later = threading.Thread(target=write)
    with db.write() as connection:
        events.append(connection, [transition(1)])
        later.start()
        later.join(0.5)
        assert later.is_alive()
        assert told() == []
    later.join(30)
    assert told() == [1, 2]


# Quarantine, jobs, deletions, meta


def test_quarantine_keeps_each_order_once_and_survives_any_bytes(db: Database) -> None:
    item = Quarantined(T, "bad_utf8", "\ud800\0", "community/\udcff/\0", b"\x00\xff\xfe", 70_000)
    with db.write() as connection:
        quarantine.put(connection, [(7, item), (8, item._replace(reason="too_big"))])
        quarantine.put(connection, [(7, item._replace(reason="other")), (9, item)])
        quarantine.put(connection, [])
    with db.read() as connection:
        assert quarantine.counts(connection) == {"bad_utf8": 2, "too_big": 1}
        found = quarantine.recent(connection, 2)
        assert [order for order, _ in found] == [9, 8]
        assert found[0][1] == item._replace(detail="\\ud800\\x00", topic="community/\\udcff/\\x00")
        assert [order for order, _ in quarantine.recent(connection, 10, "bad_utf8")] == [9, 7]


def test_quarantine_is_trimmed_by_time(db: Database) -> None:
    item = Quarantined(T, "bad_json", "", "t", b"", 0)
    with db.write() as connection:
        quarantine.put(connection, [(1, item), (2, item._replace(observed_us=T + 5))])
        assert quarantine.trim(connection, T + 5) == 1
        assert [order for order, _ in quarantine.recent(connection, 10)] == [2]


def test_the_last_success_of_a_job_is_the_latest_due_time_done_without_error(db: Database) -> None:
    with db.write() as connection:
        assert jobs.last_success(connection, "minute") is None
        for due, error in ((60, None), (180, None), (120, None), (240, "boom")):
            jobs.finished(connection, jobs.started(connection, "minute", due, due + 1), due + 2, error)
        running = jobs.started(connection, "minute", 300, 301)
        jobs.finished(connection, jobs.started(connection, "other", 999, 999), 1000, None)
        assert jobs.last_success(connection, "minute") == 180
        latest, failed = jobs.recent(connection, 2, "minute")
        assert latest == jobs.JobRun(running, "minute", 300, 301, None, None)
        assert (failed.due_us, failed.error) == (240, "boom")
        assert jobs.recent(connection, 1)[0].name == "other"
        with pytest.raises(NotFound):
            jobs.finished(connection, 10**6, 1, None)


def test_trimming_jobs_keeps_each_jobs_last_success(db: Database) -> None:
    with db.write() as connection:
        for due in (60, 120, 180):
            jobs.finished(connection, jobs.started(connection, "minute", due, due), due, None)
        jobs.finished(connection, jobs.started(connection, "daily", 1, 1), 1, None)
        assert jobs.trim(connection, 1000) == 2
        assert jobs.last_success(connection, "minute") == 180
        assert jobs.last_success(connection, "daily") == 1


def test_deletions_are_listed_last_first(db: Database) -> None:
    with db.write() as connection:
        deletions.record(connection, "messages", T, 5, T + 1)
        deletions.record(connection, "events", T, -1, T + 2)
        first, second = deletions.recent(connection)
    assert (first.what, first.deleted, first.before_us, first.at_us) == ("events", -1, T, T + 2)
    assert second.what == "messages"


def test_meta_overwrites(db: Database) -> None:
    with db.write() as connection:
        meta.put(connection, "k", "一")
        meta.put(connection, "k", "二")
        assert meta.get(connection, "k") == "二"
        assert meta.get(connection, "x") is None
