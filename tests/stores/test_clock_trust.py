"""Whose clock is trusted follows the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.errors import StoreUnavailable
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from pulse.stores.trust import REFRESH_S, ClockTrust
from tests.stores.relational.sample import COMMUNITIES, DEVICE, KINDS, T


class HandClock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def now_us(self) -> int:
        return T

    def monotonic_s(self) -> float:
        return self.at_s


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with db.write() as connection:
        registry.put_communities(connection, COMMUNITIES, T)
        registry.put_kinds(connection, KINDS, T)
    yield db
    db.close()


def put(db: Database, record: DeviceRecord) -> None:
    with db.write() as connection:
        registry.put_devices(connection, [record], T)


def test_trust_follows_the_registry_after_a_while(db: Database) -> None:
    clock = HandClock()
    trust = ClockTrust(db, clock)
    assert trust("cam-1")
    put(db, DEVICE._replace(clock_untrusted=True))
    clock.at_s += REFRESH_S
    assert not trust("cam-1")
    assert trust("somebody-else")
    put(db, DEVICE._replace(clock_untrusted=False))
    assert not trust("cam-1")
    clock.at_s += REFRESH_S
    assert trust("cam-1")


def test_the_last_known_registry_stands_while_the_database_is_away(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    trust = ClockTrust(db, clock)
    put(db, DEVICE._replace(clock_untrusted=True))
    assert not trust("cam-1")

    def away() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(db, "read", away)
    clock.at_s += REFRESH_S
    assert not trust("cam-1")
