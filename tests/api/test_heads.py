"""HEAD gives what GET would, without its body."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.api.site import Site


@pytest.fixture
def browser(site: Site) -> Iterator[TestClient]:
    with TestClient(create_app(site.context), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/devices", "/api/v1/indicators/online-rate", "/healthz", "/metrics", "/nowhere"]
)
def test_head_answers_as_get_does_without_a_body(browser: TestClient, path: str) -> None:
    whole, head = browser.get(path), browser.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b""
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert head.headers["X-Content-Type-Options"] == "nosniff"


def test_a_stream_without_an_end_refuses_it(browser: TestClient) -> None:
    answer = browser.head("/api/v1/events")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
