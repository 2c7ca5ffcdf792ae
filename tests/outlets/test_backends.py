"""Outlets on PostgreSQL as on SQLite: schedulers that share a database, crashes, and the whole chain."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from pulse import chain
from pulse.access.receipts import verify
from pulse.sharing.outlets import Outlet
from tests import servers
from tests.outlets.house import House
from tests.outlets.test_sending import FarSide, Killed
from tests.stores.relational.backends import BACKENDS, empty_url

FIRE = Outlet(id="fire", mode="http", url="https://x", signature="none", data_kinds=("gas_reading",))


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, database_url=empty_url(request, tmp_path)) as house:
        yield house


def test_many_that_build_and_send_at_once_lose_and_repeat_nothing(shared: House) -> None:
    """Each of four processes builds and sends in turn, all at the same time, with one record a delivery."""
    outlet = shared.put(structs.replace(FIRE, most_records=1))
    shared.hear(*(shared.record() for _ in range(20)))
    far = FarSide()
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(10):
                shared.build(outlet)
                shared.drain(outlet, shared.post(far, name))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"process-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.build(outlet)
    shared.drain(outlet, shared.post(far, "last"))
    assert not failed
    assert sum(stored.records for stored in shared.deliveries("fire")) == 20
    assert [stored.state for stored in shared.deliveries("fire")] == ["acknowledged"] * 20
    assert sorted(parcel.id for parcel in far.parcels) == sorted(f"fire-{n}" for n in range(1, 21))
    with shared.db.read() as connection:
        found = verify(connection)
    assert (found.links, found.broken) == (20, None)


def test_outlets_that_send_at_once_make_one_chain(shared: House) -> None:
    made = [shared.put(structs.replace(FIRE, id=f"fire-{n}")) for n in range(5)]
    for _ in range(3):
        shared.hear(shared.record())
        for outlet in made:
            shared.build(outlet)
    threads = [
        threading.Thread(target=shared.drain, args=(outlet, shared.post(FarSide(), "here")))
        for outlet in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with shared.db.read() as connection:
        found = verify(connection)
    assert (found.links, found.broken) == (15, None)
    assert found.head != chain.Head()


def test_killed_between_sending_and_acknowledgement_the_same_goes_out_again(shared: House) -> None:
    outlet = shared.put(FIRE)
    shared.hear(shared.record())
    shared.build(outlet)
    far = FarSide(Killed())
    with pytest.raises(Killed):
        shared.drain(outlet, shared.post(far))
    assert shared.drain(outlet, shared.post(far)).received == 1
    assert far.parcels[0] == far.parcels[1]
    assert len(shared.receipts()) == 1
