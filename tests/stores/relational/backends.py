"""Databases of both back ends for tests."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.stores.relational.database import Database
from tests.servers import RunningPostgres

BACKENDS = ("sqlite", "postgresql")


def empty_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of a database without any table, of the back end that the fixture was asked for.

    The module that uses it has a fixture `postgres_server`.
    """
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'pulse.db'}"
    server: RunningPostgres = request.getfixturevalue("postgres_server")
    return server.fresh_database()


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    """An open database, closed afterwards."""
    database = Database(url)
    try:
        database.open()
        yield database
    finally:
        database.close()
