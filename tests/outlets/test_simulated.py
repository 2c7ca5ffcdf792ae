"""Simulated departments at the product's own doors: they verify what it sends, and fetch what it has."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulse.access import keys as tokens
from pulse.access import people
from pulse.access.roles import Role, command_line
from pulse.clock import SECOND_US
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import deliveries, reports
from simulators.departments import description, main
from simulators.departments.control import Order
from simulators.departments.main import Running
from simulators.departments.product import Answered
from simulators.departments.puller import Puller
from simulators.departments.subscriber import Subscriber
from tests import servers
from tests.api.serving import running as served
from tests.outlets.house import House
from tests.simulators.live import until

DAY = "2026-11-23"
CLI = command_line("root", "host")


@contextlib.contextmanager
def department(house: House, **members: Any) -> Iterator[Running]:
    """The department `fire`, by the test's clock."""
    found = description.described({"departments": [{"id": "fire", **members}]}, house.folder, "test")
    with main.running(found, stop=threading.Event(), clock=house.clock) as (made, _):
        yield made["fire"]


@contextlib.contextmanager
def puller(house: House, address: str) -> Iterator[tuple[Running, Puller]]:
    """The department `fire` that pulls when the test says so, and only then."""
    members = {"id": "fire", "receives": "pull", "pulse": address, "token": token(house)}
    found = description.described({"departments": [members]}, house.folder, "test")
    fire = Running(found.departments[0], found, None, house.clock, lambda _line: None, threading.Event())
    assert isinstance(fire.way, Puller)
    with contextlib.closing(fire):
        yield fire, fire.way


def token(house: House) -> str:
    """A file with a token of the department."""
    with house.db.write() as connection:
        user = people.create(
            connection, CLI, "fire-brigade", Role.DEPARTMENT, house.clock.now, outlets=["fire"]
        )
        made = tokens.create(connection, CLI, user, "test", ["sharing:pull"], None, 30, house.clock.now)
    path = house.folder / "fire.token"
    path.write_text(made.secret + "\n")
    return str(path)


def states(house: House) -> list[str]:
    return [stored.state for stored in house.deliveries("fire")]


def key_file(house: House, algorithm: str) -> str:
    return str(house.keys.path("fire", "ed25519.pub" if algorithm == "ed25519" else "hmac"))


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("algorithm", ["hmac-sha256", "ed25519"])
def test_what_is_pushed_is_verified_and_kept(house: House, algorithm: Any, form: Any) -> None:
    house.keys.make("fire", algorithm)
    with department(house, receives="http", keys=[key_file(house, algorithm)]) as fire:
        made = house.put(
            Outlet(id="fire", mode="http", url=fire.way.address, signature=algorithm, format=form)
        )
        house.hear(*(house.record() for _ in range(3)), house.record("door-1", "access_event"))
        house.build(made)
        house.drain(made)
        assert states(house) == ["acknowledged"]
        with house.db.read() as connection:
            assert fire.archive.standing(DAY) == ("fire-1", reports.ours(connection, "fire", DAY, 1))


def test_a_lost_acknowledgement_brings_the_same_id_again_and_nothing_twice(house: House) -> None:
    house.keys.make("fire", "hmac-sha256")
    with department(house, receives="http", keys=[key_file(house, "hmac-sha256")]) as fire:
        made = house.put(Outlet(id="fire", mode="http", url=fire.way.address))
        house.hear(house.record())
        house.build(made)
        fire.tell(Order("lost"))
        house.drain(made)
        assert states(house) == ["waiting"]
        fire.tell(Order("start"))
        house.clock.now += 5 * SECOND_US
        house.drain(made)
        assert states(house) == ["acknowledged"]
        assert fire.archive.totals() == (1, 1, {"gas_reading": 1})


def test_what_is_bridged_is_verified_and_kept(house: House, tmp_path: Path) -> None:
    house.keys.make("fire", "ed25519")
    with (
        servers.mosquitto(tmp_path / "broker") as broker,
        department(house, receives="mqtt", broker=broker.url, keys=[key_file(house, "ed25519")]) as fire,
    ):
        assert isinstance(fire.way, Subscriber)
        assert fire.way.subscribed.wait(10)
        made = house.put(Outlet(id="fire", mode="mqtt", url=broker.url, signature="ed25519"))
        house.hear(house.record(), house.record())
        house.build(made)
        house.drain(made)
        assert states(house) == ["acknowledged"]
        assert until(lambda: fire.archive.totals().records == {"gas_reading": 2}, 10)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_handed_out_is_verified_kept_and_committed(house: House, form: Any) -> None:
    house.keys.make("fire", "ed25519")
    made = house.put(Outlet(id="fire", mode="pull", signature="ed25519", format=form, most_records=2))
    house.hear(*(house.record() for _ in range(5)))
    house.build(made)
    with (
        served(house.context) as server,
        department(
            house,
            receives="pull",
            pulse=server.address,
            token=token(house),
            keys=[key_file(house, "ed25519")],
        ) as fire,
    ):
        assert until(lambda: states(house) == ["acknowledged"] * 3, 10)
        assert fire.archive.totals().records == {"gas_reading": 5}
        assert [receipt.delivery for receipt in house.receipts()] == ["fire-1", "fire-2", "fire-3"]


def test_a_puller_misbehaves_only_as_told(house: House) -> None:
    """Nothing is committed that was not kept, but by the forgetful; a cursor from the future is refused."""
    made = house.put(Outlet(id="fire", mode="pull", signature="none"))
    house.hear(house.record())
    house.build(made)
    with served(house.context) as server, puller(house, server.address) as (fire, way):
        assert way.pull()
        assert states(house) == ["acknowledged"]
        assert not way.pull()
        house.hear(house.record())
        house.build(made)
        for what in ("close", "lost"):
            fire.tell(Order(what))
            assert not way.pull()
            assert states(house)[1] == "waiting"
        fire.tell(Order("future"))
        with pytest.raises(Answered, match="422"):
            way.pull()
        assert states(house)[1] == "waiting"
        fire.tell(Order("start"))
        assert way.pull()
        assert states(house) == ["acknowledged"] * 2
        assert fire.archive.totals() == (2, 1, {"gas_reading": 2})
        house.hear(house.record())
        house.build(made)
        fire.tell(Order("forget"))
        assert way.pull()
        assert states(house) == ["acknowledged"] * 3
        assert fire.archive.totals().records == {"gas_reading": 2}


def test_a_department_told_to_reports_and_both_sides_see_the_difference(house: House) -> None:
    made = house.put(Outlet(id="fire", mode="pull", signature="none"))
    house.hear(house.record())
    house.build(made)
    with served(house.context) as server, puller(house, server.address) as (fire, way):
        way.pull()
        (report,) = fire.tell(Order("report"))["reports"]
        assert report["agrees"]
        house.hear(house.record())
        house.build(made)
        fire.tell(Order("forget"))
        way.pull()
        (report,) = fire.tell(Order("report"))["reports"]
        assert [one["verdict"] for one in report["kinds"]] == ["differs"]
        with house.db.read() as connection:
            last = reports.newest(connection, "fire", DAY)
    assert last is not None
    assert (last.through, last.agrees()) == (2, False)


def test_one_that_comes_back_shows_itself_so_that_nothing_waits_for_its_next_try(house: House) -> None:
    made = house.put(Outlet(id="fire", mode="http", url="http://127.0.0.1:9/", signature="none"))
    house.hear(house.record())
    house.build(made)
    house.drain(made)
    with house.db.read() as connection:
        (waiting,) = deliveries.waiting(connection, "fire")
    assert waiting.next_us > house.clock.now
    with (
        served(house.context) as server,
        department(house, receives="http", pulse=server.address, token=token(house)) as fire,
    ):
        fire.tell(Order("stop"))
        fire.tell(Order("start"))

        def is_due() -> bool:
            with house.db.read() as connection:
                (one,) = deliveries.waiting(connection, "fire")
            return one.next_us <= house.clock.now

        assert until(is_due, 10)
