"""The telemetry stores under contract, each with what a test needs beyond the contract: to look inside."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pulse.stores.base import TelemetryStore
from pulse.stores.sqlite import SqliteTelemetryStore

BACKENDS = ("sqlite",)


class Backend(Protocol):
    """One empty place to store in."""

    own_retention: bool
    """Whether the store's engine deletes by itself, so that `delete_before` has nothing to do."""

    def store(self) -> TelemetryStore:
        """A store on this place, not yet opened; every call gives another one on the same data."""
        ...

    def points(self, measurement: str) -> list[dict[str, object]]:
        """What the engine itself holds of `transition` or `indicator`, one mapping a point."""
        ...


class SqliteBackend:
    """A file in a temporary folder."""

    own_retention = False

    def __init__(self, folder: Path) -> None:
        self.path = folder / "data" / "telemetry.db"

    def store(self) -> SqliteTelemetryStore:
        return SqliteTelemetryStore(self.path)

    def points(self, measurement: str) -> list[dict[str, object]]:
        with sqlite3.connect(self.path) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {measurement}")]


fresh_names = (f"d{number}" for number in itertools.count(1))
"""Device ids that no other example of a test has used."""


@contextlib.contextmanager
def made(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The back end of that name, empty; skips the test when its program is not here."""
    assert name == "sqlite"
    yield SqliteBackend(folder)
