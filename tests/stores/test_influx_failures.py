"""InfluxDB that is down, slow, overloaded, wrongly set up, or does not like a point."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.errors import SettingsError, StoreRejected, StoreUnavailable
from pulse.ledger.model import FOREVER
from pulse.settings import Settings, load
from pulse.stores.base import TransitionPoint, Written
from pulse.stores.influx import InfluxTelemetryStore
from pulse.stores.influx.client import Client
from pulse.stores.opening import open_store
from tests import servers
from tests.stores.samples import T, message
from tests.stores.scripted_influx import Reply, ScriptedInflux, scripted_influx

WRITE, QUERY, BUCKETS = "/api/v2/write", "/query", "/api/v2/buckets"
UNAVAILABLE = [
    Reply.error(429, "slow down", Retry_After="7"),
    Reply.error(500, "internal error"),
    Reply.error(502, "bad gateway"),
    Reply.error(503, "busy"),
    Reply(504, b"<html>gateway</html>"),
    Reply(200, b"<html>please log in</html>"),
    Reply(cut=True),
    Reply(hang=True),
]


def client(influx: ScriptedInflux, *, gzip: bool = False) -> Client:
    return Client(
        influx.url, "token", "pulse", "pulse", gzip=gzip, connect_timeout_s=5.0, answer_timeout_s=1.5
    )


@pytest.fixture
def influx() -> Iterator[ScriptedInflux]:
    with scripted_influx() as influx:
        yield influx


@pytest.fixture
def store(influx: ScriptedInflux) -> Iterator[InfluxTelemetryStore]:
    store = InfluxTelemetryStore(client(influx), 400)
    store.open()
    yield store
    store.close()


@pytest.mark.parametrize("reply", UNAVAILABLE, ids=str)
def test_a_failed_write_can_be_done_again(
    influx: ScriptedInflux, store: InfluxTelemetryStore, reply: Reply
) -> None:
    influx.script[WRITE].append(reply)
    with pytest.raises(StoreUnavailable, match="InfluxDB"):
        store.write_messages([message()])
    assert store.write_messages([message()]) == Written(1)
    assert influx.bodies[0] == influx.bodies[1]


@pytest.mark.parametrize("reply", UNAVAILABLE, ids=str)
@pytest.mark.parametrize("call", ["read", "latest", "seen", "ping", "measured", "oldest"])
def test_a_failed_reading_says_that_it_may_succeed_later(
    influx: ScriptedInflux, store: InfluxTelemetryStore, reply: Reply, call: str
) -> None:
    calls = {
        "read": lambda: list(store.read_messages(T, T + 10)),
        "latest": store.latest,
        "seen": lambda: store.seen([message()]),
        "ping": store.ping,
        "measured": lambda: store.read_measured("cam-1", T, T + 10),
        "oldest": store.oldest_us,
    }
    influx.script[QUERY].append(reply)
    with pytest.raises(StoreUnavailable):
        calls[call]()
    calls[call]()


def test_the_wait_that_influxdb_asks_for_is_passed_on(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    for headers, expected in (
        ({"Retry_After": "7"}, 7.0),
        ({}, None),
        ({"Retry_After": "Mon, 23 Nov"}, None),
    ):
        influx.script[WRITE].append(Reply.error(429, "slow down", **headers))
        with pytest.raises(StoreUnavailable) as raised:
            store.write_messages([message()])
        assert raised.value.retry_after_s == expected


def test_an_answer_that_breaks_off_is_not_taken_for_the_end(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    for body in (b'{"results":[{"statement_id":0,"series":[{"na', b"<html>no influx</html>", b"[1]\n"):
        influx.script[QUERY].append(Reply(200, body))
        with pytest.raises(StoreUnavailable, match="check PULSE_INFLUXDB_URL"):
            list(store.read_messages(T, T + 10))


def test_an_answer_of_which_the_last_part_is_missing_is_not_taken_for_the_end(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    influx.script[QUERY].append(Reply(200, b'{"results":[{"statement_id":0,"series":[],"partial":true}]}\n'))
    with pytest.raises(StoreUnavailable, match="broke off"):
        list(store.read_messages(T, T + 10))


def test_an_error_inside_an_answer_is_an_error(influx: ScriptedInflux, store: InfluxTelemetryStore) -> None:
    for body in (b'{"results":[{"statement_id":0,"error":"timeout"}]}\n', b'{"error":"timeout"}\n'):
        influx.script[QUERY].append(Reply(200, body))
        with pytest.raises(StoreUnavailable, match="timeout"):
            list(store.read_messages(T, T + 10))


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{servers.free_port()}"
    store = InfluxTelemetryStore(Client(url, "token", "pulse", "pulse"), 400)
    for call in (store.open, store.ping, store.latest, lambda: store.write_messages([message()])):
        with pytest.raises(StoreUnavailable, match=f"{url}.*check that it runs and PULSE_INFLUXDB_URL"):
            call()
    store.close()


@pytest.mark.parametrize("bad", [{3}, {0, 1, 2}, {99}, {0, 49, 50, 99}, set(range(100))])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_bad_point_does_not_hold_up_the_others(
    influx: ScriptedInflux, store: InfluxTelemetryStore, bad: set[int], status: int
) -> None:
    kept: set[bytes] = set()

    def judge(body: bytes) -> Reply:
        lines = body.split(b"\n")
        if any(f"seq={number}i" in line.decode().split(",") for number in bad for line in lines):
            return Reply.error(status, "partial write: field type conflict")
        kept.update(lines)
        return Reply(204)

    influx.judge = judge
    batch = [message(device=f"d{n}", seq=n, identity=n, fault="x", order=n) for n in range(100)]
    written = store.write_messages(batch)
    assert written.stored == 100 - len(bad)
    assert {position for position, _ in written.refused} == bad
    assert all("field type conflict" in reason for _, reason in written.refused)
    assert len(kept) == 100 - len(bad)


def test_a_refused_transition_is_told_when_the_others_are_stored(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    influx.judge = lambda body: Reply.error(422, "too old") if b"device=b" in body else Reply(204)
    points = [TransitionPoint(d, "c", "k", T, T, "online", "offline", "deadline_passed") for d in "abc"]
    with pytest.raises(StoreRejected, match=r"1 of 3 points refused.*too old"):
        store.write_transitions(points)
    assert any(b"device=a" in body and b"device=b" not in body for body in influx.bodies)
    assert any(b"device=c" in body and b"device=b" not in body for body in influx.bodies)


def test_an_outage_in_the_middle_of_a_split_loses_nothing(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    batch = [message(device=f"d{n}", identity=n) for n in range(4)]
    influx.script[WRITE].extend([Reply.error(422, "conflict"), Reply(204), Reply.error(503, "busy")])
    with pytest.raises(StoreUnavailable):
        store.write_messages(batch)
    assert store.write_messages(batch) == Written(4)
    assert influx.bodies[-1].count(b"\n") == 3


@pytest.mark.parametrize(
    ("reply", "setting"),
    [
        (Reply.error(401, "unauthorized access"), "PULSE_INFLUXDB_TOKEN"),
        (Reply.error(403, "forbidden"), "PULSE_INFLUXDB_TOKEN"),
        (Reply.error(404, 'organization name "org" not found'), "PULSE_INFLUXDB_ORG"),
    ],
)
def test_a_wrong_setting_is_named_at_the_start_and_waited_for_later(
    influx: ScriptedInflux, reply: Reply, setting: str
) -> None:
    influx.script[BUCKETS].append(reply)
    store = InfluxTelemetryStore(client(influx), 400)
    with pytest.raises(SettingsError) as raised:
        store.open()
    assert raised.value.where == setting
    influx.script[BUCKETS].append(reply)
    with pytest.raises(StoreUnavailable, match=setting):
        store.write_messages([message()])
    assert influx.bodies == []
    assert store.write_messages([message()]).stored == 1
    influx.script[WRITE].append(reply)
    with pytest.raises(StoreUnavailable, match=setting):
        store.write_messages([message(observed_us=T + 1_000_000, identity=1)])
    store.close()


def test_no_secret_is_in_an_error(influx: ScriptedInflux) -> None:
    secret = "very-secret-token"
    store = InfluxTelemetryStore(Client(influx.url, secret, "pulse", "pulse"), 400)
    influx.script[BUCKETS].append(Reply.error(401, "unauthorized"))
    with pytest.raises(SettingsError) as raised:
        store.open()
    assert secret not in "".join(traceback.format_exception(raised.value))
    store.close()


def test_a_large_batch_is_sent_in_several_requests(
    influx: ScriptedInflux, store: InfluxTelemetryStore
) -> None:
    batch = [message(device=f"d{n}", identity=n, fault="x" * 60_000) for n in range(200)]
    assert store.write_messages(batch).stored == 200
    assert len(influx.bodies) == 4
    assert max(map(len, influx.bodies)) <= 4_000_000
    assert sum(body.count(b"\n") + 1 for body in influx.bodies) == 200


def test_compressed_requests_hold_the_same_lines(influx: ScriptedInflux) -> None:
    for gzip in (False, True):
        store = InfluxTelemetryStore(client(influx, gzip=gzip), 400)
        store.write_messages([message()])
        store.close()
    assert influx.bodies[0] == influx.bodies[1]
    assert influx.encodings[-1] == "gzip"


# What the settings open


def settings(folder: Path, url: str | None) -> Settings:
    return load(data_dir=folder, influxdb_url=url, influxdb_token="token")


def test_a_file_is_opened_without_influxdb(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path / "data", None))
    store.write_messages([message()])
    store.close()
    assert (tmp_path / "data" / "telemetry.db").is_file()


@pytest.mark.parametrize("url", ["localhost:8086", "ftp://h", "http://", "http://h:99999", "http://[::1"])
def test_an_address_that_is_none_names_its_setting(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        open_store(settings(tmp_path, url))
    assert raised.value.where == "PULSE_INFLUXDB_URL"


def test_an_influxdb_that_is_down_at_the_start_is_opened_when_it_answers(
    influx: ScriptedInflux, tmp_path: Path
) -> None:
    influx.script[BUCKETS].extend([Reply(cut=True), Reply(cut=True)])
    store = open_store(settings(tmp_path, influx.url))
    with pytest.raises(StoreUnavailable):
        store.write_messages([message()])
    assert store.write_messages([message()]).stored == 1
    assert list(store.read_messages(-FOREVER, FOREVER)) == []
    store.close()


def test_a_token_that_is_refused_at_the_start_stops_it(influx: ScriptedInflux, tmp_path: Path) -> None:
    influx.script[BUCKETS].append(Reply.error(401, "unauthorized"))
    with pytest.raises(SettingsError, match="PULSE_INFLUXDB_TOKEN"):
        open_store(settings(tmp_path, influx.url))
