"""The small installation after its ten minutes, and a client of its API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.api.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        site.live()
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    app = create_app(site.context, pages=False)
    with TestClient(app, raise_server_exceptions=False, headers={"Accept-Language": "en"}) as client:
        yield client
