"""Errors: RFC 9457 for all of them, in the language asked for, naming every bad parameter."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import cursor
from api.listing import Filters
from api.problem_kinds import FAULTS, KINDS
from pulse.clock import SECOND_US, to_iso
from pulse.errors import PulseError, StoreUnavailable
from tests.api.site import END, T0, Site

RATE = "/api/v1/indicators/online-rate"
NOON = "2026-11-23T00:05:00Z"
LATER = to_iso(END + 60 * SECOND_US)
FORGED = cursor.encode(cursor.Cursor("cam-1", 1 << 62, 1 << 62, cursor.digest(Filters(), None)))
OTHER = cursor.encode(cursor.Cursor("cam-1", T0, T0, cursor.digest(Filters(q="x"), None)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this module: they only read."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        site.live()
        yield site


def refused(client: TestClient, url: str, status: int = 422, **headers: str) -> dict[str, Any]:
    answer = client.get(url, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert problem["status"] == status
    assert problem["instance"] == url.partition("?")[0]
    assert client.get(problem["type"]).json()["status"] == status
    return problem


@pytest.mark.parametrize(
    ("url", "parameter", "code"),
    [
        (f"{RATE}?know_at={NOON}", "know_at", "unknown_parameter"),
        (f"{RATE}?at={NOON}&at={NOON}", "at", "given_twice"),
        (f"{RATE}?at=yesterday", "at", "not_a_time"),
        (f"{RATE}?at=2026-11-23T08:00:00", "at", "not_a_time"),
        (f"{RATE}?at=2026-11-23", "at", "not_a_time"),
        (f"{RATE}?at=", "at", "not_a_time"),
        (f"{RATE}?at={LATER}", "at", "in_the_future"),
        (f"{RATE}?known_at={LATER}", "known_at", "in_the_future"),
        (f"{RATE}?at={NOON}&known_at=2026-11-23T00:04:59Z", "at", "after_known_at"),
        (f"{RATE}?from={NOON}&to={NOON}", "from", "not_before_to"),
        (f"{RATE}?from={NOON}&to=2026-11-23T00:04:00Z", "from", "not_before_to"),
        (f"{RATE}?from={NOON}&to={LATER}", "to", "in_the_future"),
        (f"{RATE}?from={NOON}", "from", "needs_partner"),
        (f"{RATE}?to={NOON}", "to", "needs_partner"),
        (f"{RATE}?from=0&to={NOON}&known_at=2026-11-23T00:04:59Z", "to", "after_known_at"),
        (f"{RATE}?from=0&to={NOON}&at={NOON}", "at", "excludes"),
        (f"{RATE}?at={'9' * 300}", "at", "too_long"),
        (f"{RATE}/history?step_s=90", "step_s", "not_of_step"),
        (f"{RATE}/history?step_s=30", "step_s", "not_of_step"),
        (f"{RATE}/history?step_s=-60", "step_s", "out_of_range"),
        (f"{RATE}/history?step_s=1m", "step_s", "not_a_number"),
        (f"{RATE}/history?from=0&to={NOON}", "step_s", "too_many_points"),
        (f"{RATE}/history?community=nowhere", "community", "unknown_value"),
        (f"{RATE}/history?kind=toaster", "kind", "unknown_value"),
        (f"{RATE}/history?community=xinjinglou&kind=camera", "kind", "excludes"),
        ("/api/v1/devices?state=broken", "state", "unknown_value"),
        ("/api/v1/devices?community=nowhere", "community", "unknown_value"),
        ("/api/v1/devices?kind=toaster", "kind", "unknown_value"),
        ("/api/v1/devices?limit=1001", "limit", "out_of_range"),
        ("/api/v1/devices?limit=0", "limit", "out_of_range"),
        ("/api/v1/devices?limit=many", "limit", "not_a_number"),
        ("/api/v1/devices?format=xml", "format", "unknown_value"),
        ("/api/v1/devices?cursor=garbage", "cursor", "bad_cursor"),
        (f"/api/v1/devices?cursor={FORGED}", "cursor", "bad_cursor"),
        (f"/api/v1/devices?cursor={OTHER}", "cursor", "cursor_of_other_query"),
        (f"/api/v1/devices?q={'x' * 101}", "q", "too_long"),
        ("/api/v1/devices/no%20id", "id", "not_an_id"),
        ("/api/v1/devices/cam-5/intervals?at=0", "at", "unknown_parameter"),
        ("/api/v1/collector?verbose=1", "verbose", "unknown_parameter"),
        ("/healthz?x=1", "x", "unknown_parameter"),
    ],
)
def test_a_bad_parameter_is_named(client: TestClient, url: str, parameter: str, code: str) -> None:
    (error,) = refused(client, url.replace("+", "%2B"))["errors"]
    assert (error["parameter"], error["code"]) == (parameter, code)
    assert parameter in refused(client, url)["detail"]


def test_every_bad_parameter_is_named_at_once(client: TestClient) -> None:
    problem = refused(client, "/api/v1/devices?state=broken&community=nowhere&at=never")
    assert {error["parameter"] for error in problem["errors"]} == {"state", "community", "at"}


def test_what_may_be_given_instead_is_said(client: TestClient) -> None:
    (error,) = refused(client, "/api/v1/devices?community=nowhere")["errors"]
    assert error["detail"] == "no such value; there are: rongxinyuan, xinjinglou"
    (error,) = refused(client, f"{RATE}?know_at=0")["errors"]
    assert error["detail"] == "no such parameter; there are: at, from, to, known_at"
    (error,) = refused(client, f"{RATE}/history?from=0&to={NOON}")["errors"]
    advised = int(error["detail"].split("step_s of ")[1].split()[0])
    assert client.get(f"{RATE}/history?from=0&to={NOON}&step_s={advised}").status_code == 200


@pytest.mark.parametrize(
    "url", ["/api/v1/nothing", "/nothing", "/api/v2/devices", "/api/v1/devices/cam-5/beats"]
)
def test_an_unknown_address_is_a_problem(client: TestClient, url: str) -> None:
    assert refused(client, url, 404)["type"] == "/api/v1/problems/unknown-path"


@pytest.mark.parametrize("url", ["/api/v1/devices/cam-99", "/api/v1/devices/cam-99/intervals"])
def test_an_unknown_device_is_a_problem(client: TestClient, url: str) -> None:
    problem = refused(client, url, 404)
    assert (problem["type"], problem["device"]) == ("/api/v1/problems/unknown-device", "cam-99")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "url", [RATE, "/api/v1/devices", "/api/v1/devices/cam-5", "/api/v1/events", "/healthz"]
)
def test_another_method_is_a_problem_that_says_which_is_allowed(
    client: TestClient, method: str, url: str
) -> None:
    answer = client.request(method, url)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["type"] == "/api/v1/problems/method-not-allowed"


@pytest.mark.parametrize(
    ("accepted", "title", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "请求参数有误", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "Some parameters cannot be accepted", "en"),
        ("en;q=0.1, zh-TW;q=0.2", "请求参数有误", "zh-CN"),
        ("fr, *;q=0.5", "请求参数有误", "zh-CN"),
        ("", "请求参数有误", "zh-CN"),
        ("en;q=broken", "请求参数有误", "zh-CN"),
    ],
)
def test_problems_speak_the_language_asked_for_chinese_first(
    client: TestClient, accepted: str, title: str, language: str
) -> None:
    answer = client.get(f"{RATE}?at=never", headers={"Accept-Language": accepted})
    assert answer.json()["title"] == title
    assert answer.headers["content-language"] == language
    assert "Accept-Language" in answer.headers["vary"]


def test_a_database_that_is_away_is_a_problem_with_advice(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("postgresql://db: connection refused")

    monkeypatch.setattr(site.rate, "instant", away)
    problem = refused(client, RATE, 503)
    assert problem["type"] == "/api/v1/problems/unavailable"
    assert "refused" not in problem["detail"]


@pytest.mark.parametrize("error", [ZeroDivisionError("secret words"), PulseError("secret words")])
def test_a_fault_of_ours_tells_a_number_and_nothing_else(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(site.rate, "instant", broken)
    problem = refused(client, RATE, 500)
    assert len(problem["request_id"]) == 32
    assert "secret" not in str(problem)


def test_every_kind_of_problem_is_described_in_both_languages(client: TestClient) -> None:
    for kind in KINDS.values():
        described = client.get(kind.type).json()
        assert described["status"] == kind.status
        assert all(described["title"].values())
        assert all(described["remedy"].values())
    assert refused(client, "/api/v1/problems/none", 404)["type"] == "/api/v1/problems/not-found"
    for text in FAULTS.values():
        assert text.zh
        assert text.en


def test_every_answer_carries_the_headers_that_protect_browsers(client: TestClient) -> None:
    for url in (RATE, "/api/v1/nothing", "/healthz", "/docs"):
        headers = client.get(url).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
