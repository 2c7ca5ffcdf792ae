"""The telemetry stores under contract, each with what a test needs beyond the contract: to look inside."""

import contextlib
import itertools
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pulse.stores.base import TelemetryStore
from pulse.stores.influx import InfluxTelemetryStore
from pulse.stores.influx.client import Client
from pulse.stores.sqlite import SqliteTelemetryStore
from tests import servers

BACKENDS = ("sqlite", "influxdb")


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


class InfluxBackend:
    """A new bucket of a running InfluxDB, without retention, so that tests may choose their times."""

    own_retention = True

    def __init__(self, server: servers.RunningInflux) -> None:
        self.server = server
        self.bucket = f"test-{uuid.uuid4().hex}"

    def client(self) -> Client:
        return Client(self.server.url, self.server.token, self.server.org, self.bucket)

    def store(self, clock_trusted: Callable[[str], bool] = lambda _: True) -> InfluxTelemetryStore:
        return InfluxTelemetryStore(self.client(), 0, clock_trusted=clock_trusted)

    def points(self, measurement: str) -> list[dict[str, object]]:
        client = self.client()
        try:
            found = [
                dict(zip(series.columns, row, strict=True))
                for series in client.query(f'SELECT * FROM "{measurement}"')
                for row in series.values
            ]
        finally:
            client.close()
        for point in found:
            if point.get("community") == "*":
                point["community"] = ""
        return found

    def remove(self) -> None:
        client = self.client()
        buckets = client.api.buckets_api()
        found = buckets.find_bucket_by_name(self.bucket)
        if found is not None:
            buckets.delete_bucket(found)
        client.close()


@contextlib.contextmanager
def made(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The back end of that name, empty; skips the test when its program is not here."""
    if name == "sqlite":
        yield SqliteBackend(folder)
        return
    backend = InfluxBackend(request.getfixturevalue("influx_server"))
    try:
        yield backend
    finally:
        backend.remove()
