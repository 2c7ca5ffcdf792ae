"""Records of kinds of data on their way in: what is accepted, as of when, and why something is not."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.datakinds import DataKinds
from collector.dialects import records as dialect
from collector.received import DUP, RETAIN, Gathering
from collector.recordtaker import RecordTaker, Taken
from collector.redeliveries import Redeliveries
from pulse.clock import DAY_US, HOUR_US, SECOND_US
from pulse.errors import Refused
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Device, Terms
from pulse.messages import Record
from pulse.settings import Settings
from pulse.sharing import catalogue_file
from pulse.sharing.catalogue import Catalogue, DataKind, Version
from tests.collector.builders import NOON_US

GAS = b"community/xinjinglou/gas_alarm/gas-1/data/gas_reading"
READING = {"lel_pct": 0.4, "alarm": "none"}
QOS_1 = 0x32


def device(name: str, kind: str, *terms: Terms) -> Device:
    return Device(name, "xinjinglou", kind, terms or (Terms(0, 90 * SECOND_US),), 0, None, 0, 0)


FLEET = Fleet(
    [
        device("gas-1", "gas_alarm"),
        device("gas-2", "gas_alarm", Terms(0, 90 * SECOND_US, clock_untrusted=True)),
        device("cam-1", "camera"),
    ]
)


def standing(*kinds: DataKind, since_us: int = 0) -> Catalogue:
    """A catalogue in which these kinds hold."""
    return Catalogue(Version(kind.id, since_us, since_us, kind) for kind in kinds)


class Door:
    """A taker of records with the default catalogue."""

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        settings = Settings(_env_file=None, data_dir=Path("unused"))  # type: ignore[call-arg]
        self.redeliveries = Redeliveries()
        self.taker = RecordTaker(settings, self.redeliveries)
        self.taker.kinds = DataKinds(catalogue or standing(*catalogue_file.default()), NOON_US)

    def take(
        self,
        payload: bytes | dict[str, Any],
        topic: bytes = GAS,
        *,
        at_us: int = NOON_US,
        flags: int = 0,
        queued: bool = False,
    ) -> Taken:
        gathering = Gathering()
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        gathering.add(topic, body, QOS_1 | flags, 1)
        return self.taker.take(gathering.taken(at_us), [0], FLEET, queued=queued)

    def record(self, payload: bytes | dict[str, Any], topic: bytes = GAS, **options: Any) -> Record:
        taken = self.take(payload, topic, **options)
        assert not taken.rejected, taken
        (record,) = taken.records
        return record

    def reason(self, payload: bytes | dict[str, Any], topic: bytes = GAS, **options: Any) -> tuple[str, str]:
        taken = self.take(payload, topic, **options)
        assert not taken.records
        (rejected,) = taken.rejected
        return rejected.reason, rejected.detail


@pytest.fixture
def door() -> Door:
    return Door()


# What is accepted


def test_a_record_keeps_its_bytes_and_says_what_its_topic_says(door: Door) -> None:
    body = b' {"ts": 1763899199.5, "lel_pct":0.40, "alarm":"none"} '
    found = door.record(body)
    assert found == Record(
        "gas-1",
        "xinjinglou",
        "gas_alarm",
        "gas_reading",
        NOON_US,
        NOON_US - SECOND_US // 2,
        NOON_US - SECOND_US // 2,
        False,
        found.identity,
        body,
    )


@pytest.mark.parametrize(
    ("age_us", "queued", "gas", "expected_age_us"),
    [
        (SECOND_US, False, b"gas-1", SECOND_US),
        (SECOND_US, True, b"gas-1", SECOND_US),
        (0, True, b"gas-1", 0),
        (7 * DAY_US, False, b"gas-1", 7 * DAY_US),
        (7 * DAY_US + 1000, False, b"gas-1", 0),
        (7 * DAY_US + 1000, True, b"gas-1", None),
        (-SECOND_US, False, b"gas-1", 0),
        (-SECOND_US, True, b"gas-1", None),
        (SECOND_US, False, b"gas-2", 0),
        (SECOND_US, True, b"gas-2", None),
        (None, False, b"gas-1", 0),
        (None, True, b"gas-1", None),
    ],
)
def test_a_record_is_evidence_of_its_measured_time_if_that_is_believed_else_of_its_live_reception(
    door: Door, age_us: int | None, queued: bool, gas: bytes, expected_age_us: int | None
) -> None:
    timed = READING if age_us is None else {**READING, "ts": (NOON_US - age_us) // 1000}
    found = door.record(timed, GAS.replace(b"gas-1", gas), queued=queued)
    assert found.measured_us == (None if age_us is None else NOON_US - age_us)
    assert found.at_us == (None if expected_age_us is None else NOON_US - expected_age_us)
    assert found.queued is queued


@pytest.mark.parametrize("kind", catalogue_file.default(), ids=lambda kind: kind.id)
def test_every_kind_of_the_default_catalogue_takes_its_required_members_only(kind: DataKind) -> None:
    whole = {
        "event": {"access_event": "granted", "perimeter_event": "test"}.get(kind.id),
        "direction": "in",
        "locked": True,
        "battery_pct": 50,
        "recording": True,
        "plate": "冀B12345",
        "lel_pct": 1,
        "alarm": "none",
        "total_m3": 1.5,
        "zone": "north",
        "category": "kitchen",
        "weight_kg": 1.25,
    }
    kinds = DataKinds(standing(kind))
    required = {name: whole[name] for name in kind.schema["required"]}
    kinds.check(kind.id, kind.sources[0], required, NOON_US)
    for name in required:
        with pytest.raises(Refused, match=f'"{name}" is a required property'):
            kinds.check(kind.id, kind.sources[0], {k: v for k, v in required.items() if k != name}, 0)
    with pytest.raises(Refused, match="'surplus' was unexpected"):
        kinds.check(kind.id, kind.sources[0], {**required, "surplus": 1}, NOON_US)


# What is not


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"alarm":"\xff"}', "not_utf8"),
        (b'{"lel_pct":1e999}', "number_out_of_range"),
        (b'{"lel_pct":NaN}', "not_json"),
        (b"x" * 65_537, "oversized"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
        (b'{"lel_pct":1,"alarm":"none","lel_pct":2}', "duplicate_member"),
        (b'{"lel_pct":1,"alarm":"none","a":{"b":1,"b":2}}', "duplicate_member"),
        (json.dumps({f"a{n}": n for n in range(65)}).encode(), "too_many_members"),
        (b'{"ts":true,"lel_pct":1,"alarm":"none"}', "bad_time"),
        (b'{"ts":[1],"lel_pct":1,"alarm":"none"}', "bad_time"),
        (b'{"ts":{"a":1},"lel_pct":1,"alarm":"none"}', "bad_time"),
        (b'{"ts":"2026-11-27T08:00:00","lel_pct":1,"alarm":"none"}', "bad_time"),
        (b'{"ts":1e300,"lel_pct":1,"alarm":"none"}', "bad_time"),
    ],
)
def test_what_is_no_object_within_the_limits_is_refused(door: Door, payload: bytes, reason: str) -> None:
    assert door.reason(payload)[0] == reason


@pytest.mark.parametrize(
    ("topic", "reason", "detail"),
    [
        (GAS.replace(b"gas-1", b"gas 1"), "bad_id", "the device is not an id"),
        (GAS.replace(b"gas_reading", b"\xe7\x94\xb5"), "bad_id", "the kind of data is not an id"),
        (GAS.replace(b"xinjinglou", b"\xff"), "not_utf8", "the topic"),
        (GAS.replace(b"gas-1", b"gas-9"), "unregistered", "nobody registered the device gas-9"),
        (GAS.replace(b"xinjinglou", b"a"), "wrong_place", "registered in xinjinglou as gas_alarm"),
        (GAS.replace(b"gas_alarm", b"camera"), "wrong_place", "registered in xinjinglou as gas_alarm"),
        (
            GAS.replace(b"gas_reading", b"weather"),
            "unknown_data_kind",
            "weather is not in the catalogue, which has access_event, ",
        ),
        (
            GAS.replace(b"gas_alarm/gas-1", b"camera/cam-1"),
            "wrong_source",
            "gas_reading comes from gas_alarm, not from camera",
        ),
    ],
)
def test_what_does_not_belong_there_is_refused_in_words(
    door: Door, topic: bytes, reason: str, detail: str
) -> None:
    found = door.reason(READING, topic)
    assert found[0] == reason
    assert found[1].startswith(detail)


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({"lel_pct": 120, "alarm": "none"}, "lel_pct: 120 is greater than the maximum of 100"),
        ({"lel_pct": 1, "alarm": "loud"}, 'alarm: "loud" is not one of "none", "low" or "high"'),
        ({"lel_pct": "1", "alarm": "none"}, 'lel_pct: "1" is not of type "number"'),
        ({"alarm": "none"}, '"lel_pct" is a required property'),
        (
            {**READING, "owner": "x"},
            "Additional properties are not allowed ('owner' was unexpected)",
        ),
    ],
)
def test_a_body_that_does_not_fit_says_which_member_and_why(
    door: Door, members: dict[str, Any], detail: str
) -> None:
    assert door.reason(members) == ("wrong_schema", detail)


def test_a_place_within_a_body_is_named_and_long_words_are_cut() -> None:
    schema = {
        "properties": {"doors": {"type": "array", "items": {"properties": {"no": {"type": "integer"}}}}}
    }
    kinds = DataKinds(standing(DataKind(id="x", name_zh="", name_en="", sources=("y",), schema=schema)))
    with pytest.raises(Refused, match=r'doors\[1\].no: "a" is not of type "integer"'):
        kinds.check("x", "y", {"doors": [{"no": 1}, {"no": "a"}]}, 0)
    with pytest.raises(Refused) as refused:
        kinds.check("x", "y", {"doors": "z" * 3000}, 0)
    assert len(refused.value.detail) < 320


# The catalogue in time


def test_the_catalogue_of_the_reception_decides() -> None:
    kind = DataKind(id="gas_reading", name_zh="", name_en="", sources=("gas_alarm",), schema={})
    strict = msgspec.structs.replace(kind, schema={"required": ["ts"]})
    catalogue = Catalogue(
        [
            Version("gas_reading", NOON_US, 1, kind),
            Version("gas_reading", NOON_US + 10, 2, strict),
            Version("gas_reading", NOON_US + 20, 3, None),
        ]
    )
    door = Door(catalogue)
    assert door.reason(READING, at_us=NOON_US - 1)[0] == "unknown_data_kind"
    door.record(READING, at_us=NOON_US)
    door.record(READING, at_us=NOON_US + 9)
    assert door.reason(READING, at_us=NOON_US + 10) == ("wrong_schema", '"ts" is a required property')
    assert door.reason(READING, at_us=NOON_US + 20)[0] == "unknown_data_kind"
    door.record(READING, at_us=NOON_US + 5)


def test_an_empty_catalogue_knows_no_kind() -> None:
    door = Door(Catalogue(()))
    assert door.reason(READING)[1].endswith("which has none")


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:9/schema.json"}])
def test_a_schema_that_cannot_be_used_holds_up_only_its_own_kind(schema: dict[str, Any]) -> None:
    bad = DataKind(id="gas_reading", name_zh="", name_en="", sources=("gas_alarm",), schema=schema)
    good = msgspec.structs.replace(bad, id="other", schema={})
    door = Door(standing(bad, good))
    assert door.reason(READING)[0] == "unusable_schema"
    door.record(READING, GAS.replace(b"gas_reading", b"other"))


# Redelivery


def test_a_record_with_a_time_is_recognised_however_late_it_comes_again(door: Door) -> None:
    timed = {**READING, "ts": NOON_US // 1000}
    first = door.record(timed)
    for flags, queued in ((0, False), (DUP, False), (0, True)):
        again = door.take(timed, at_us=NOON_US + HOUR_US, flags=flags, queued=queued)
        assert (again.records, again.rejected, again.duplicates) == ([], [], 1)
    door.redeliveries.forget([first.identity])
    assert door.record(timed).identity == first.identity


def test_of_a_clock_that_stands_still_only_what_comes_at_once_is_a_redelivery(door: Door) -> None:
    stuck = {**READING, "ts": 0}
    first = door.record(stuck)
    assert door.take(stuck, at_us=NOON_US + SECOND_US).duplicates == 1
    assert door.take(stuck, at_us=NOON_US + HOUR_US, flags=DUP).duplicates == 1
    later = door.record(stuck, at_us=NOON_US + HOUR_US)
    assert later.identity != first.identity
    assert later.at_us == NOON_US + HOUR_US


def test_without_a_time_each_reception_is_a_record(door: Door) -> None:
    first, second = door.record(READING), door.record(READING, at_us=NOON_US + 1)
    assert first.identity != second.identity


def test_a_retained_copy_is_a_duplicate_if_known_and_quarantined_if_not(door: Door) -> None:
    timed = {**READING, "ts": NOON_US // 1000}
    reason, detail = door.reason(timed, flags=RETAIN)
    assert reason == "retained"
    assert "do not publish records retained" in detail
    door.record(timed)
    assert door.take(timed, flags=RETAIN).duplicates == 1
    assert door.reason(READING, flags=RETAIN)[0] == "retained"


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (GAS, True),
        (b"community/a/b/c/data/\xff", True),
        (b"community/a/b/c/data", False),
        (b"community/a/b/c/data/x/y", False),
        (b"community/a/b/c/date/x", False),
        (b"communities/a/b/c/data/x", False),
        (b"", False),
    ],
)
def test_the_topics_of_records_are_known_by_their_form(topic: bytes, expected: bool) -> None:
    assert dialect.is_record_topic(topic) is expected
