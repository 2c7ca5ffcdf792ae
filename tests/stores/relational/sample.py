"""Rows for every table. What a release stored must still be there after every later migration."""

from sqlalchemy import Connection

from pulse import chain
from pulse.access import people, secrets
from pulse.access.chain import links
from pulse.access.lockout import Attempts
from pulse.access.roles import Role, command_line
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER, Blind, Evidence, Maintenance, Run, Scope
from pulse.messages import Quarantined
from pulse.registry.lives import Step
from pulse.registry.model import Community, DeviceRecord, Discovered, Kind, Planned
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.sharing import outlets as outlet_model
from pulse.sharing.catalogue import DataKind, Version
from pulse.sharing.deliveries import Day, Delivery
from pulse.sharing.outlets import Outlet
from pulse.sharing.receipts import Part, Receipt
from pulse.sharing.receipts import links as receipt_links
from pulse.sharing.reconciling import Holding
from pulse.stores.relational import (
    attempts,
    audit,
    catalogue,
    coverage,
    credentials,
    deletions,
    deliveries,
    events,
    incidents,
    intervals,
    invitations,
    jobs,
    lives,
    maintenance,
    meta,
    outlets,
    pastdevices,
    policies,
    published,
    quarantine,
    receipts,
    registry,
    repeats,
    reports,
    sessions,
    tokens,
    users,
)
from pulse.stores.relational.database import Database
from pulse.stores.relational.decisions import Decisions

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
VALUE = published.PublishedValue(
    "online-rate", T, T + 2, 811, 826, {"价": 1.5, "states": {"online": 811}}, inputs={"form": 1, "证": "0"}
)
_WEEKLY = Weekly((1, 4), 1320, 120, "Asia/Shanghai")
_PLAN = Plan(
    Reach(kind="camera", community="xinjinglou", building="1 号楼", tag="室外"),
    T,
    T + 10**12,
    "换灯",
    _WEEKLY,
)
WAITING = maintenance.Entry(0, _PLAN, T + 7, "user:wang")
REFUSED = WAITING._replace(decisions=Decisions(refused=incidents.Decision(T + 8, "user:li", "重复")))
APPROVED = WAITING._replace(
    decisions=Decisions(
        T + 9,
        incidents.Decision(T + 9, "user:li"),
        cancelled=incidents.Decision(T + 12, "user:li", "改期"),
    )
)
STEP = lives.Entry(
    0, Step("replace", "cam-1", T + 9, "到期", "cam-2"), T + 10, "user:wang", Decisions(T + 11)
)
EVENT = events.NewEvent(T, T + 1, "transition", {"device": "cam-1", "名": "门"}, "cam-1/1")
INCIDENT = Incident("xinjinglou", T + 50, T + 1, T + 5, 100, 90, 118, T + 70)
GAS = DataKind(id="gas_reading", name_zh="燃气", name_en="Gas", sources=("gas_alarm",), schema={})
KIND_SAID = Version("gas_reading", T, T + 1, GAS, "cli:root")
RECEIPT = Receipt(
    "fire",
    "fire-1",
    "0" * 64,
    (
        Part(data_kind="gas_reading", community="xinjinglou", count=2, first_us=T + 1, last_us=T + 3),
        Part(
            data_kind="perimeter_event",
            community="xinjinglou",
            count=0,
            quiet_from_us=T,
            quiet_until_us=T + 9,
        ),
    ),
    '{"status":200,"答":"好"}',
    T + 10,
    T + 11,
    T + 12,
)
OUTLET_SAID = outlet_model.Version(
    "fire",
    T,
    Outlet(
        id="fire", mode="http", url="https://fire.example/in", name_zh="消防", data_kinds=("gas_reading",)
    ),
    "cli:root",
)
POSITION = outlets.Position("fire", 17, T, T + 9, 1, T + 20, None, {"gas_reading/not_in_service": 2})
DELIVERY = Delivery(1, b'{"form":1}', RECEIPT.parts, (Day("gas_reading", "2023-11-15", 2, "0f" * 32),), 2)
REPORT = reports.Report(
    "fire",
    "2023-11-15",
    1,
    T + 70,
    "token:1 fire",
    {"gas_reading": Holding(1, "0a" * 32)},
    {"gas_reading": Holding(2, "0f" * 32)},
)
ACCESS = deliveries.Attempt(
    T + 21, "fire", "fire-1", "send", "system:scheduler", "fire.example:443", "done", "好"
)
CLI = command_line("root", "host")
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"
CREDENTIAL = credentials.DeviceCredential("cam-1", "$7$901$c2FsdA==$aGFzaA==", T, 2, T + 5)
BAD = Quarantined(T, "bad_json", "第 1 列", "community/x", b"\x00\xff", 2)


def fill(db: Database) -> None:
    """Store the sample in an empty database."""
    with db.write() as connection:
        registry.put_communities(connection, COMMUNITIES, T)
        registry.put_kinds(connection, KINDS, T)
        registry.put_planned(connection, [Planned("xinjinglou", "camera", 182)], T)
        registry.put_devices(connection, [DEVICE], T)
        policies.declare(connection, "community", "yiminyuan", {"timeout_us": 40_000_000}, T)
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
        entry = incidents.put(connection, INCIDENT, T + 51)
        said = incidents.Decision(T + 60, "user:wang", "断网")
        incidents.decide(connection, entry._replace(confirmed=said, blind_id=1))
    _fill_people(db)
    _fill_maintenance(db)
    _fill_sharing(db)


def _fill_sharing(db: Database) -> None:
    with db.write() as connection:
        catalogue.append(connection, [KIND_SAID])
        receipts.append(connection, RECEIPT)
        outlets.append(connection, OUTLET_SAID)
        outlets.begin(connection, POSITION)
        deliveries.add(connection, "fire", "json", DELIVERY, T + 20)
        deliveries.note(connection, ACCESS)
        reports.append(connection, REPORT)
        repeats.note(connection, "fire", 2, [1])


def _check_sharing(db: Database) -> None:
    with db.read() as connection:
        assert catalogue.load(connection).history("gas_reading") == [KIND_SAID]
        assert catalogue.version(connection) == 1
        (receipt,) = receipts.walk(connection)
        assert receipt[:8] == RECEIPT[:8]
        assert chain.first_broken(receipt_links([receipt]), receipts.head(connection)) is None
        parts = receipts.acknowledged(connection, T, T + 11, T + 12)
        assert [found.part for found in parts] == list(RECEIPT.parts)


def _fill_maintenance(db: Database) -> None:
    with db.write() as connection:
        lives.put(connection, STEP)
        for entry in (WAITING, REFUSED, APPROVED):
            maintenance.put(connection, entry)
        registry.put_devices(connection, [DEVICE._replace(building="旧楼")], T + 80, by="user:wang")
        registry.put_devices(connection, [DEVICE], T + 90, by="user:wang")


def _check_outlets(db: Database) -> None:
    with db.read() as connection:
        assert outlets.history(connection) == [OUTLET_SAID]
        assert outlets.position_of(connection, "fire") == POSITION
        (kept,) = deliveries.listing(connection, "fire")
        assert (kept.id, kept.digest, kept.parts) == ("fire-1", DELIVERY.digest, DELIVERY.parts)
        assert deliveries.content(connection, "fire", 1) == DELIVERY.content
        assert deliveries.days_of(connection, "fire", 1) == list(DELIVERY.days)
        (access,) = deliveries.accesses(connection)
        assert access == ACCESS._replace(id=access.id)


def _check_reports(db: Database) -> None:
    with db.read() as connection:
        found = reports.newest(connection, "fire", REPORT.day)
        assert found is not None
        assert found._replace(number=0) == REPORT
        assert repeats.of(connection, "fire", [1, 2]) == {2: [1]}


def _check_maintenance(db: Database) -> None:
    with db.read() as connection:
        entries = maintenance.listing(connection)
        assert entries[:3] == [
            entry._replace(id=number) for number, entry in ((4, APPROVED), (3, REFUSED), (2, WAITING))
        ]
        forms = pastdevices.forms(connection, "cam-1")
        assert [(f.record.building, f.since_us, f.said_by) for f in forms] == [
            ("1 号楼", T, ""),
            ("旧楼", T + 80, "user:wang"),
            ("1 号楼", T + 90, "user:wang"),
        ]


def _check_incidents(db: Database) -> None:
    with db.read() as connection:
        (entry,) = incidents.listing(connection)
        assert entry[1:] == (
            INCIDENT,
            T + 51,
            incidents.Decision(T + 60, "user:wang", "断网"),
            None,
            None,
            1,
        )


def _fill_people(db: Database) -> None:
    with db.write() as connection:
        user = people.create(
            connection,
            CLI,
            "wang",
            Role.MANAGER,
            T,
            display="王工",
            communities=["xinjinglou"],
            password_hash=HASH,
        )
        secret = secrets.digest("session")
        sessions.add(connection, secret, user.id, T, T + 9, "192.0.2.7", "Firefox")
        tokens.add(
            connection,
            secrets.digest("token"),
            "pulse_abcd",
            "脚本",
            user.id,
            ["devices:read"],
            None,
            T,
            T + 9,
        )
        invitations.add(connection, secrets.digest("code"), user.id, T, T + 9)
        attempts.put(connection, "user:x", Attempts(7, T, T + 30))
        credentials.put(connection, CREDENTIAL)


def _check_people(db: Database) -> None:
    with db.read() as connection:
        (user,) = users.all_of(connection)
        assert user[1:8] == ("wang", "王工", Role.MANAGER, frozenset({"xinjinglou"}), frozenset(), HASH, T)
        session = sessions.found(connection, secrets.digest("session"))
        assert session is not None
        assert session[1:] == (user.id, T, T, T + 9, None, "192.0.2.7", "Firefox")
        token = tokens.found(connection, secrets.digest("token"))
        assert token is not None
        assert token[1:6] == ("pulse_abcd", "脚本", user.id, frozenset({"devices:read"}), None)
        invited = invitations.open_with(connection, secrets.digest("code"), T)
        assert invited is not None
        assert invited.user_id == user.id
        assert attempts.of(connection, "user:x") == Attempts(7, T, T + 30)
        assert credentials.all_of(connection) == [CREDENTIAL]
        log = list(audit.walk(connection))
        assert [entry.action for entry in log] == ["user.create"]
        assert chain.first_broken(links(log), audit.head(connection)) is None


def _check_value(connection: Connection, revision: str) -> None:
    inputs = VALUE.inputs if revision >= "0004" else {published.NOT_RECORDED: "before_0004"}
    found = chain.verify(published.links(published.walk(connection)), published.head(connection))
    assert (found.links, found.broken) == (1, None)
    assert published.latest(connection, "online-rate") == VALUE._replace(
        digest=published.digest(VALUE.figures),
        inputs=inputs,
        inputs_digest=published.digest(inputs),
        sequence=1,
        link=found.head.digest,
    )


def check(db: Database, revision: str) -> None:
    """Assert that what `revision` could hold of the sample is there, whole."""
    if revision >= "0002":
        _check_people(db)
    if revision >= "0003":
        _check_incidents(db)
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
        assert registry.version(connection) == (6 if revision < "0005" else 9)
        assert registry.inbox(connection) == [HEARD]
        assert intervals.runs(connection, T, T + 1, FOREVER) == {"cam-1": [RUN]}
        assert coverage.start_us(connection) == T - 1
        assert [entry for _, entry in coverage.entries(connection)] == [BLIND]
        assert coverage.watermark(connection) == MARK
        window = maintenance.listing(connection)[-1]
        assert maintenance.entries(connection)[0] == WINDOW
        assert (window.plan.reason, window.author, window.recorded_us) == ("换电池", "王工", T - 5)
        _check_value(connection, revision)
        (event,) = events.after(connection, 0, 10)
        assert event[1:] == EVENT[:4]
        assert quarantine.recent(connection, 10) == [(7, BAD)]
        (job,) = jobs.recent(connection, 10)
        assert job[1:] == ("minute", T, T + 1, T + 2, "出错")
        (deletion,) = deletions.recent(connection)
        assert deletion[1:] == ("messages", T, 5, T + 1)
        assert meta.get(connection, "k") == "值"
    if revision >= "0005":
        _check_maintenance(db)
    if revision >= "0007":
        with db.read() as connection:
            assert lives.listing(connection) == [STEP._replace(id=1)]
            assert lives.place(connection, "cam-2") == ["cam-1", "cam-2"]
    if revision >= "0008":
        _check_sharing(db)
    if revision >= "0009":
        _check_outlets(db)
    if revision >= "0010":
        _check_reports(db)
    with db.write() as connection:
        # Counters of ids go on where they were.
        assert events.append(connection, [EVENT._replace(key=None)]) > event.id
