"""What people find in InfluxDB, asked the way Grafana asks, and how a real server is lived with."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pulse.batches import columns_of
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.errors import SettingsError, StoreUnavailable
from pulse.ledger.model import FOREVER
from pulse.messages import Channel, Evidence, Message
from pulse.settings import load
from pulse.stores.base import IndicatorPoint, TransitionPoint, Written
from pulse.stores.influx import InfluxTelemetryStore, late
from pulse.stores.influx.client import Client
from pulse.stores.opening import open_store
from tests import servers
from tests.stores.backends import InfluxBackend
from tests.stores.influx_server import influx_server
from tests.stores.samples import T, message

__all__ = ["influx_server"]


@pytest.fixture
def backend(influx_server: servers.RunningInflux) -> Iterator[InfluxBackend]:
    backend = InfluxBackend(influx_server)
    yield backend
    backend.remove()


Open = Callable[..., InfluxTelemetryStore]


@pytest.fixture
def open_influx(backend: InfluxBackend) -> Iterator[Open]:
    stores = []

    def open_influx(**options: Any) -> InfluxTelemetryStore:
        store = backend.store(**options)
        store.open()
        stores.append(store)
        return store

    yield open_influx
    for store in stores:
        store.close()


def flux(backend: InfluxBackend, measurement: str) -> list[dict[str, Any]]:
    """The points of a measurement by Flux, fields as columns."""
    client = backend.client()
    query = (
        f'from(bucket: "{backend.bucket}") |> range(start: 0)'
        f' |> filter(fn: (r) => r._measurement == "{measurement}")'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    tables = client.api.query_api().query(query)
    client.close()
    return [record.values for table in tables for record in table.records]


def everything(store: InfluxTelemetryStore) -> list[Message]:
    return list(store.read_messages(-FOREVER, FOREVER))


# What people find


def test_a_heartbeat_is_found_by_the_names_that_are_documented(
    backend: InfluxBackend, open_influx: Open
) -> None:
    open_influx().write_messages([message(seq=7, metrics={"temperature": 21}, identity=5_000_123)])
    (point,) = flux(backend, "heartbeat")
    assert {name: point[name] for name in ("community", "kind", "device")} == {
        "community": "xinjinglou",
        "kind": "camera",
        "device": "cam-1",
    }
    assert (point["status"], point["seq"]) == ("ok", 7)
    assert point["temperature"] == 21.0
    assert isinstance(point["temperature"], float)
    assert isinstance(point["seq"], int)
    assert point["_time"].timestamp() == pytest.approx((T - 200_000) / SECOND_US, abs=1e-6)
    assert backend.points("heartbeat")[0]["time"] == (T - 200_000) * 1000 + 123


def test_a_last_will_is_a_heartbeat_point_with_its_word(backend: InfluxBackend, open_influx: Open) -> None:
    will = message(evidence=Evidence.OFFLINE, channel=Channel.STATUS, measured_us=None, queued=True)
    open_influx().write_messages([will])
    (point,) = flux(backend, "heartbeat")
    assert point["status"] == "offline"
    assert open_influx().latest() == {"cam-1": will}


def test_transitions_and_indicators_are_found_by_name(backend: InfluxBackend, open_influx: Open) -> None:
    store = open_influx()
    store.write_transitions(
        [TransitionPoint("cam-1", "c", "camera", T, T + 9, "online", "offline", "deadline_passed")]
    )
    store.write_indicators(
        [
            IndicatorPoint("online-rate", "", T, 811, 826, 0.98, 0.99, {"online": 811, "unknown": 4}),
            IndicatorPoint("online-rate", "yiminyuan", T, 270, 275, 0.5, 0.5, {"online": 270}),
        ]
    )
    (transition,) = flux(backend, "transition")
    assert [transition[n] for n in ("device", "before", "after", "cause", "recorded_us")] == [
        "cam-1",
        "online",
        "offline",
        "deadline_passed",
        T + 9,
    ]
    whole, one = sorted(flux(backend, "indicator"), key=lambda p: p["community"])
    assert (whole["community"], whole["numerator"], whole["denominator"]) == ("*", 811, 826)
    assert (whole["name"], whole["lower"], whole["upper"], whole["unknown"]) == ("online-rate", 0.98, 0.99, 4)
    assert (one["community"], one["numerator"], one["retired"]) == ("yiminyuan", 270, 0)


def test_a_device_whose_clock_is_not_trusted_lies_at_its_reception(
    backend: InfluxBackend, open_influx: Open
) -> None:
    store = open_influx(clock_trusted=lambda device: device != "b")
    given_ = [
        message(device=device, measured_us=T - 3 * HOUR_US, identity=0, order=order)
        for order, device in enumerate("ab")
    ]
    store.write_messages(given_)
    at = {p["device"]: p["time"] for p in backend.points("heartbeat")}
    assert at == {"a": (T - 3 * HOUR_US) * 1000, "b": T * 1000}
    assert everything(store) == given_
    again = [
        message(device=d, observed_us=T + MINUTE_US, measured_us=T - 3 * HOUR_US, identity=0) for d in "ab"
    ]
    store.write_messages(again)
    assert everything(store) == given_
    for one in given_:
        assert store.read_measured(one.device, T - 4 * HOUR_US, T - 2 * HOUR_US) == [one]


def test_a_backlog_comes_back_in_order_of_reception_portion_by_portion(
    backend: InfluxBackend, open_influx: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "AT_ONCE", 30)
    writer = open_influx()
    # Four instalments, of which each counts as received at one time, and a step back by an hour.
    given_ = [
        message(
            device=f"d{n % 5}",
            observed_us=T + n // 40 * SECOND_US - (HOUR_US if n >= 120 else 0),
            measured_us=T - 2 * DAY_US + n * 700 * SECOND_US,
            identity=n,
            seq=n,
            queued=True,
            order=n + 1,
        )
        for n in range(160)
    ]
    for start in range(0, 160, 16):
        writer.write_messages(columns_of(given_[start : start + 16]))
    ordered = given_[120:] + given_[:120]
    reader = open_influx()
    assert list(reader.read_messages(0, FOREVER)) == ordered
    assert list(reader.read_messages(0, FOREVER, newest_first=True)) == ordered[::-1]
    assert list(reader.read_messages(0, FOREVER, limit=7, newest_first=True)) == ordered[:-8:-1]
    assert list(reader.read_messages(T + SECOND_US, T + 2 * SECOND_US)) == given_[40:80]
    assert list(reader.read_messages(0, FOREVER, device="d3")) == [m for m in ordered if m.device == "d3"]
    assert reader.latest() == {f"d{n}": given_[115 + n] for n in range(5)}
    assert reader.oldest_us() == given_[120].observed_us
    assert sum(point["messages"] for point in backend.points("late")) == 160  # type: ignore[misc]


# The bucket


def test_a_missing_bucket_is_made_with_its_retention(
    influx_server: servers.RunningInflux, tmp_path: Path
) -> None:
    bucket = f"made-{uuid.uuid4().hex}"
    options = {
        "data_dir": tmp_path,
        "influxdb_url": influx_server.url,
        "influxdb_token": influx_server.token,
        "influxdb_org": influx_server.org,
        "influxdb_bucket": bucket,
    }
    for _ in range(2):
        store = open_store(load(**options))
        store.ping()
        store.close()
    client = Client(influx_server.url, influx_server.token, influx_server.org, bucket)
    buckets = client.api.buckets_api()
    made = buckets.find_bucket_by_name(bucket)
    assert [rule.every_seconds for rule in made.retention_rules] == [400 * 86400]
    buckets.delete_bucket(made)
    client.close()
    for changed, setting in (
        ({"influxdb_token": "wrong"}, "PULSE_INFLUXDB_TOKEN"),
        ({"influxdb_org": "nobody"}, "PULSE_INFLUXDB_ORG"),
        ({"influxdb_bucket": "_reserved"}, "PULSE_INFLUXDB_BUCKET"),
    ):
        with pytest.raises(SettingsError) as raised:
            open_store(load(**options | changed))
        assert raised.value.where == setting


def test_a_bucket_that_vanishes_is_named_and_made_again(backend: InfluxBackend, open_influx: Open) -> None:
    store = open_influx()
    backend.remove()
    for call in (store.ping, store.latest, lambda: store.write_messages([message()])):
        with pytest.raises(StoreUnavailable, match="PULSE_INFLUXDB_BUCKET"):
            call()
    assert store.write_messages([message()]).stored == 1
    assert everything(store) == [message()]


def test_a_token_for_this_bucket_alone_is_enough(backend: InfluxBackend, open_influx: Open) -> None:
    open_influx()
    client = backend.client()
    bucket = client.api.buckets_api().find_bucket_by_name(backend.bucket)
    resource = {"type": "buckets", "id": bucket.id, "orgID": bucket.org_id}
    permissions = [{"action": action, "resource": resource} for action in ("read", "write")]
    made = client.api.authorizations_api().create_authorization(bucket.org_id, permissions)
    client.close()
    limited = Client(backend.server.url, made.token, backend.server.org, backend.bucket)
    store = InfluxTelemetryStore(limited, 0)
    store.open()
    store.ping()
    assert store.write_messages([message()]).stored == 1
    assert everything(store) == [message()]
    assert store.latest() == {"cam-1": message()}
    store.close()


def test_a_message_from_before_the_retention_lies_at_its_reception(backend: InfluxBackend) -> None:
    store = InfluxTelemetryStore(backend.client(), 2)
    store.open()
    now = time.time_ns() // 1000
    buffered = message(observed_us=now, measured_us=now - 3 * DAY_US, identity=1, order=1)
    expired = message(observed_us=now - 3 * DAY_US, identity=2, order=2)
    written = store.write_messages([buffered, expired])
    assert written.stored == 1
    assert written.refused[0][0] == 1
    assert "retention" in written.refused[0][1]
    assert everything(store) == [buffered]
    store.close()


# Trouble


def test_a_metric_that_somebody_stored_as_text_is_set_aside(
    backend: InfluxBackend, open_influx: Open
) -> None:
    store = open_influx()
    client = backend.client()
    client.write(f'heartbeat,device=other level="high" {T * 1000}'.encode())
    client.close()
    batch = [
        message(device=f"d{n}", identity=n, order=n, metrics={"level" if n in {3, 11} else "v": 1.0})
        for n in range(20)
    ]
    written = store.write_messages(batch)
    assert [position for position, _ in written.refused] == [3, 11]
    assert "conflict" in written.refused[0][1]
    assert everything(store) == [m for n, m in enumerate(batch) if n not in {3, 11}]


def pause(server: servers.Server) -> None:
    """Freeze the server and wait until each of its threads stands still."""
    server.pause()
    deadline = time.monotonic() + 10
    threads = Path(f"/proc/{server.process.pid}/task")
    while any(state(thread) != "T" for thread in threads.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def test_an_outage_leaves_no_gap_and_no_double(tmp_path: Path) -> None:
    with servers.influxd(tmp_path / "influxd") as server:
        if server.server is None:
            pytest.skip("needs influxd: an InfluxDB given by PULSE_TEST_INFLUXDB_URL cannot be stopped")
        store = InfluxTelemetryStore(
            Client(server.url, server.token, server.org, "outage", answer_timeout_s=1.0), 0
        )
        store.open()
        batches = [
            [
                message(device=f"d{n}", observed_us=T + b * MINUTE_US + n, identity=n, order=b * 50 + n)
                for n in range(50)
            ]
            for b in range(3)
        ]
        assert store.write_messages(batches[0]) == Written(50)
        pause(server.server)
        with pytest.raises(StoreUnavailable):
            store.write_messages(batches[1])
        with pytest.raises(StoreUnavailable):
            store.ping()
        server.server.resume()
        # What the frozen server took in may or may not be stored; the same batch comes again.
        assert store.write_messages(batches[1])[:2] == (50, ())
        server.server.stop()
        with pytest.raises(StoreUnavailable, match="check that it runs"):
            store.write_messages(batches[2])
        server.server.start()
        assert store.write_messages(batches[2]) == Written(50)
        assert everything(store) == [m for batch in batches for m in batch]
        store.close()


def test_an_instance_that_reads_sees_what_another_one_writes(open_influx: Open) -> None:
    writer, reader = open_influx(), open_influx()
    assert reader.seen([message()]) == [False]
    writer.write_messages([message()])
    assert reader.seen([message()]) == [True]
    assert reader.latest() == {"cam-1": message()}


def test_devices_silent_for_months_are_among_the_latest(open_influx: Open) -> None:
    now = time.time_ns() // 1000
    ages = {f"d{n}": age for n, age in enumerate([0, HOUR_US, 2 * DAY_US, 30 * DAY_US, 300 * DAY_US] * 30)}
    given_ = [
        message(device=d, observed_us=now - age, identity=n, order=n)
        for n, (d, age) in enumerate(ages.items())
    ]
    store = open_influx()
    store.write_messages(given_)
    assert store.latest() == {m.device: m for m in given_}
