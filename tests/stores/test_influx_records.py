"""How records lie in InfluxDB: what charts see, and when the store has to ask for what it has."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pulse.clock import DAY_US, HOUR_US, SECOND_US
from pulse.messages import Record
from pulse.stores.influx.client import Client
from pulse.stores.influx.records import VALUES, line, numbers_of
from tests.stores.backends import InfluxBackend
from tests.stores.influx_server import influx_server
from tests.stores.samples import T

__all__ = ["influx_server"]


def reading(number: int, **changes: object) -> Record:
    at_us = T + number * SECOND_US
    body = b'{"ts":1,"lel_pct":%d,"alarm":"none","leak":true}' % number
    plain = Record(
        "gas-1",
        "xinjinglou",
        "gas_alarm",
        "gas_reading",
        at_us,
        at_us,
        at_us,
        False,
        number,
        body,
        5000 + number,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture
def backend(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[InfluxBackend]:
    backend = InfluxBackend(request.getfixturevalue("influx_server"))
    yield backend
    backend.remove()


def test_a_point_lies_at_its_reception_with_the_numbers_of_its_body_beside_it(backend: InfluxBackend) -> None:
    store = backend.store()
    store.open()
    store.write_records([reading(7, measured_us=T - DAY_US, at_us=T - DAY_US)])
    (point,) = backend.points("record")
    assert point["time"] == (T + 7 * SECOND_US) * 1000 + 7
    assert (point["community"], point["device"], point["kind"], point["data_kind"]) == (
        "xinjinglou",
        "gas-1",
        "gas_alarm",
        "gas_reading",
    )
    assert (point["value.lel_pct"], point["value.leak"], point["measured_us"]) == (7.0, 1.0, T - DAY_US)
    assert not {"value.ts", "value.alarm"} & point.keys()
    store.close()


def test_numbers_are_always_floats_so_that_no_record_is_refused_for_its_type(backend: InfluxBackend) -> None:
    store = backend.store()
    store.open()
    bodies = [b'{"v":1}', b'{"v":1.5}', b'{"v":true}', b'{"v":-1e300}', b'{"v":"x"}', b'{"v":1e-320}']
    records = [reading(number, body=body) for number, body in enumerate(bodies)]
    assert store.write_records(records).refused == ()
    assert store.read_records(0, 9000, since_us=T, limit=10) == records
    store.close()


def test_only_what_may_have_come_before_is_looked_for(
    backend: InfluxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = backend.store()
    store.open()
    store.write_records([reading(1), reading(5)])
    asked = []
    query = Client.query

    def counting(self: Client, influxql: str, *rest: object, **options: object) -> object:
        asked.append(influxql)
        return query(self, influxql, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "query", counting)
    store.write_records([reading(6), reading(7, measured_us=None), reading(1, device="gas-2")])
    assert asked == []
    # Measured before the last one, whatever its reception: it may be a redelivery, and is none.
    assert store.write_records([reading(8, measured_us=T + 3 * SECOND_US)]).known == 0
    assert len(asked) == 1
    assert store.write_records([reading(1, observed_us=T + HOUR_US, order=9000)]).known == 1
    store.close()


def test_odd_names_get_no_field_and_many_numbers_are_cut() -> None:
    assert numbers_of(b'{"a b":1,"a":2,"\xe6\xb8\xa9":3,"ts":4,"n":null,"o":{"x":1},"_x.y-z":0}') == [
        ("a", 2.0),
        ("_x.y-z", 0.0),
    ]
    many = msgspec.json.encode({f"n{number}": number for number in range(VALUES + 5)})
    assert len(numbers_of(many)) == VALUES
    assert numbers_of(b"not json") == []
    assert " body=" in line(reading(1))
