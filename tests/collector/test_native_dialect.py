"""Heartbeats and status messages of our own dialect: what is understood, and what is refused and why."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dialects.native import decode
from pulse.errors import Refused
from pulse.messages import Channel, Evidence, Message

BEAT = "community/xinjinglou/camera/cam-1/heartbeat"
STATUS = "community/xinjinglou/camera/cam-1/status"
NOW_US = 1_763_900_000_000_000


def read(payload: bytes | dict[str, object], topic: str = BEAT, **flags: bool) -> Message:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(
        topic,
        raw,
        observed_us=NOW_US,
        retained=flags.get("retained", False),
        queued=flags.get("queued", False),
    )


def refusal(payload: bytes, topic: str = BEAT) -> str:
    with pytest.raises(Refused) as caught:
        read(payload, topic)
    return caught.value.reason


def test_an_empty_heartbeat_is_a_beat_without_a_measured_time() -> None:
    message = read(b"")
    assert (message.device, message.community, message.kind) == ("cam-1", "xinjinglou", "camera")
    assert message.evidence is Evidence.BEAT
    assert message.channel is Channel.HEARTBEAT
    assert message.observed_us == NOW_US
    assert message.measured_us is None
    assert message.metrics is None


@pytest.mark.parametrize(
    ("ts", "us"),
    [
        (1_763_900_000, 1_763_900_000_000_000),
        (1_763_900_000.25, 1_763_900_000_250_000),
        (1_763_900_000_250, 1_763_900_000_250_000),
        ("2025-11-23T20:13:20+08:00", 1_763_900_000_000_000),
        ("2025-11-23T12:13:20.5Z", 1_763_900_000_500_000),
        (0, 0),
        (-28_800, -28_800_000_000),
        (37, 37_000_000),
    ],
)
def test_the_device_time_is_read_in_each_of_its_forms(ts: object, us: int) -> None:
    assert read({"ts": ts}).measured_us == us


@pytest.mark.parametrize(
    "ts", [True, "yesterday", "2025-11-23T12:13:20", "1763900000", 1e18, -1e17, 9_999_999_999, ""]
)
def test_a_time_that_cannot_be_read_is_refused(ts: object) -> None:
    assert refusal(json.dumps({"ts": ts}).encode()) == "bad_time"


def test_a_reported_fault_is_kept_with_its_code() -> None:
    message = read({"status": "fault", "fault": "E17"})
    assert (message.evidence, message.fault) == (Evidence.FAULT, "E17")
    assert read({"fault": 17}).fault == "17"
    assert read({"fault": "E17"}).evidence is Evidence.FAULT
    assert read({"status": "ok", "fault": "E17"}).evidence is Evidence.BEAT
    assert read({"status": "ok", "fault": ""}).fault is None
    assert read({"status": "fault"}).evidence is Evidence.FAULT


def test_numbers_and_booleans_become_metrics_and_text_does_not() -> None:
    message = read({"seq": 7, "battery": 91, "open": True, "rssi": -61.5, "firmware": "1.2", "note": None})
    assert message.seq == 7
    assert message.metrics == {"battery": 91.0, "open": 1.0, "rssi": -61.5}
    assert all(type(value) is float for value in message.metrics.values())


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"a":NaN}', "not_json"),
        (b'{"a":Infinity}', "not_json"),
        (b'{"a":1e999}', "number_out_of_range"),
        (b'{"a":1,"a":1}', "duplicate_member"),
        (b'{"ts":1,"\\u0074s":2}', "duplicate_member"),
        (b'{"t":"a:b","a":1,"a":1}', "duplicate_member"),
        (b'{"a":"\\ud800"}', "not_json"),
        (b'{"a":"\\ud800x"}', "not_json"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8"),
        (b'{"\xff":1}', "not_utf8"),
        (b'{"seq":9223372036854775808}', "number_out_of_range"),
        (b'{"a":9223372036854775808}', "number_out_of_range"),
        (b'{"a":' + b"9" * 5000 + b"}", "number_out_of_range"),
        (b'{"a":{"b":1}}', "nested"),
        (b'{"a":[]}', "nested"),
        (b'{"a":' + b"[" * 30_000 + b"}", "nested"),
        (b"[" * 30_000, "not_an_object"),
        (b"[]", "not_an_object"),
        (b"1", "not_an_object"),
        (b"null", "not_an_object"),
        (b"hello", "not_json"),
        (b" ", "not_json"),
        (b'{"a":1} x', "not_json"),
        (b'{"seq":1.5}', "bad_seq"),
        (b'{"seq":true}', "bad_seq"),
        (b'{"seq":"7"}', "bad_seq"),
        (b'{"status":"OK"}', "bad_status"),
        (b'{"status":1}', "bad_status"),
        (b'{"fault":true}', "bad_fault_code"),
        (b'{"fault":"a\\nb"}', "bad_fault_code"),
        (b'{"fault":"' + b"x" * 65 + b'"}', "bad_fault_code"),
        (b'{"":1}', "bad_metric_name"),
        (b'{"a b":1}', "bad_metric_name"),
        (b'{"a,b=1\\n":1}', "bad_metric_name"),
        (b'{"observed_us":1}', "bad_metric_name"),
        (b"x" * 65_537, "oversized"),
        (json.dumps({f"m{i}": i for i in range(65)}).encode(), "too_many_members"),
    ],
)
def test_a_bad_payload_is_refused_by_a_stable_reason(payload: bytes, reason: str) -> None:
    assert refusal(payload) == reason


def test_status_words_are_evidence_and_nothing_else_is() -> None:
    assert read(b"online", STATUS).evidence is Evidence.BEAT
    assert read(b"offline", STATUS).evidence is Evidence.OFFLINE
    assert read(b"offline", STATUS).channel is Channel.STATUS
    for word in (b"", b"Online", b"offline\n", b"\xff"):
        assert refusal(word, STATUS) == "bad_status"


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("community/xinjinglou/camera/cam 1/heartbeat", "bad_id"),
        ("community/xinjinglou/camera//heartbeat", "bad_id"),
        ("community/xinjinglou/camera/-cam/heartbeat", "bad_id"),
        ("community/xinjinglou/camera/cam,a=b/heartbeat", "bad_id"),
        ("community/新景楼/camera/cam-1/heartbeat", "bad_id"),
        (f"community/xinjinglou/camera/{'a' * 65}/heartbeat", "bad_id"),
        ("community/xinjinglou/camera/cam-1\n/heartbeat", "bad_id"),
        ("community/xinjinglou/camera/cam-1/heartbeat/x", "unknown_topic"),
        ("community/xinjinglou/camera/cam-1/other", "unknown_topic"),
        ("elsewhere/xinjinglou/camera/cam-1/heartbeat", "unknown_topic"),
        ("", "unknown_topic"),
    ],
)
def test_a_bad_topic_is_refused_by_a_stable_reason(topic: str, reason: str) -> None:
    assert refusal(b"", topic) == reason


def test_delivery_flags_are_carried() -> None:
    assert read(b"offline", STATUS, retained=True).retained
    assert read(b"", queued=True).queued


def test_a_redelivery_has_the_same_identity_whenever_it_arrives() -> None:
    payload = b'{"ts":1763900000,"seq":1}'
    first = decode(BEAT, payload, observed_us=1, retained=False, queued=False)
    again = decode(BEAT, payload, observed_us=2, retained=False, queued=True)
    assert first.identity == again.identity
    other = decode(BEAT, b'{"ts":1763900000,"seq":2}', observed_us=1, retained=False, queued=False)
    assert other.identity != first.identity
    elsewhere = decode(BEAT.replace("cam-1", "cam-2"), payload, observed_us=1, retained=False, queued=False)
    assert elsewhere.identity != first.identity


def test_without_time_and_sequence_each_reception_is_a_message_of_its_own() -> None:
    first = decode(BEAT, b"", observed_us=1, retained=False, queued=False)
    second = decode(BEAT, b"", observed_us=2, retained=False, queued=False)
    assert first.identity != second.identity


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_decode_or_be_refused(payload: bytes) -> None:
    try:
        message = decode(BEAT, payload, observed_us=NOW_US, retained=False, queued=False)
    except Refused:
        return
    assert 0 <= message.identity < 1 << 63


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
names = st.sampled_from(["ts", "seq", "status", "fault"]) | st.text(max_size=6)


@given(st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=8))
def test_whatever_is_accepted_fits_the_stores(members: dict[str, object]) -> None:
    try:
        message = read(members)
    except Refused:
        return
    assert message.seq is None or -(2**63) <= message.seq < 2**63
    assert message.measured_us is None or abs(message.measured_us) < 2**53
    for value in (message.metrics or {}).values():
        assert isinstance(value, float)
        assert math.isfinite(value)
