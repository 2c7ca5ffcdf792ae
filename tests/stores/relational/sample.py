"""Rows for every table. What a release stored must still be there after every later migration."""

from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, Run, Scope
from pulse.messages import Quarantined
from pulse.registry.model import Community, DeviceRecord, Discovered, Kind, Planned
from pulse.stores.relational import (
    coverage,
    deletions,
    events,
    intervals,
    jobs,
    maintenance,
    meta,
    published,
    quarantine,
    registry,
)
from pulse.stores.relational.database import Database

T = 1_700_000_000_000_000

COMMUNITIES = [
    Community("xinjinglou", "新景楼", "Xinjinglou"),
    Community("yiminyuan", "益民园", "Yiminyuan"),
]
KINDS = [
    Kind("camera", "摄像机", "Camera", 60.0, 180.0),
    Kind("gas_alarm", "可燃气体报警器", "Gas alarm", 30.0, 90.0),
]
DEVICE = DeviceRecord(
    "cam-1",
    "xinjinglou",
    "camera",
    "大门摄像机",
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
HEARD = Discovered("new-1", "xinjinglou", "camera", T + 3, T + 3)
RUN = Run(T, FOREVER, Evidence.FAULT, T, T + 1)
BLIND = Blind(T, T + 9, T + 10, T + 20, Scope(community="xinjinglou"), "断线 no connection")
MARK = coverage.Watermark(T + 40, True, T + 41, "session")
WINDOW = Maintenance(T, T + 60, T - 5, T + 30, Scope(device="cam-1"))
VALUE = published.PublishedValue("online-rate", T, T + 2, 811, 826, {"价": 1.5, "states": {"online": 811}})
EVENT = events.NewEvent(T, T + 1, "transition", {"device": "cam-1", "名": "门"}, "cam-1/1")
BAD = Quarantined(T, "bad_json", "第 1 列", "community/x", b"\x00\xff", 2)


def fill(db: Database) -> None:
    """Store the sample in an empty database."""
    with db.write() as connection:
        registry.put_communities(connection, COMMUNITIES, T)
        registry.put_kinds(connection, KINDS, T)
        registry.put_planned(connection, [Planned("xinjinglou", "camera", 182)], T)
        registry.put_devices(connection, [DEVICE], T)
        registry.put_community_timeout(connection, "yiminyuan", 40.0, T)
        registry.discover(connection, *HEARD[:4])
        intervals.put_runs(connection, [("cam-1", RUN)])
        coverage.set_start(connection, T - 1)
        coverage.record(connection, BLIND)
        coverage.set_watermark(connection, MARK)
        maintenance.record(connection, WINDOW, "换电池", "王工")
        published.append(connection, VALUE)
        events.append(connection, [EVENT])
        quarantine.put(connection, [(7, BAD)])
        jobs.finished(connection, jobs.started(connection, "minute", T, T + 1), T + 2, "出错")
        deletions.record(connection, "messages", T, 5, T + 1)
        meta.put(connection, "k", "值")


def check(db: Database) -> None:
    """Assert that the sample is there, whole."""
    with db.read() as connection:
        assert registry.communities(connection) == COMMUNITIES
        assert registry.kinds(connection) == KINDS
        assert registry.planned(connection) == {("xinjinglou", "camera"): 182}
        assert registry.devices(connection) == [DEVICE]
        assert [(p.scope, p.subject, p.timeout_s) for p in registry.policies(connection)] == [
            ("community", "yiminyuan", 40.0),
            ("device", "cam-1", 90.5),
            ("kind", "camera", 180.0),
            ("kind", "gas_alarm", 90.0),
        ]
        assert registry.version(connection) == 6
        assert registry.inbox(connection) == [HEARD]
        assert intervals.runs(connection, T, T + 1, FOREVER) == {"cam-1": [RUN]}
        assert coverage.start_us(connection) == T - 1
        assert [entry for _, entry in coverage.entries(connection)] == [BLIND]
        assert coverage.watermark(connection) == MARK
        (window,) = maintenance.listing(connection)
        assert window[1:] == (WINDOW, "换电池", "王工")
        digest = published.digest(VALUE.figures)
        assert published.latest(connection, "online-rate") == VALUE._replace(digest=digest)
        (event,) = events.after(connection, 0, 10)
        assert event[1:] == EVENT[:4]
        assert quarantine.recent(connection, 10) == [(7, BAD)]
        (job,) = jobs.recent(connection, 10)
        assert job[1:] == ("minute", T, T + 1, T + 2, "出错")
        (deletion,) = deletions.recent(connection)
        assert deletion[1:] == ("messages", T, 5, T + 1)
        assert meta.get(connection, "k") == "值"
    with db.write() as connection:
        # Counters of ids go on where they were.
        assert events.append(connection, [EVENT._replace(key=None)]) > event.id
