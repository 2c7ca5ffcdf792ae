"""Databases of both back ends: `url` is an empty one, `db` an open one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pulse.stores.relational.database import Database
from tests import servers
from tests.stores.relational.backends import BACKENDS, empty_url, opened


@pytest.fixture(scope="package")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return empty_url(request, tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with opened(url) as database:
        yield database
