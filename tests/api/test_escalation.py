"""Nobody gets more than they were given: by bodies, by tokens, by other people's tokens and sessions."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import csvfile
from pulse.access.roles import Role
from pulse.stores.relational import audit
from tests.api.site import Site
from tests.api.who import WHO, A, B, Crowd, Who, closed

TOKEN = {"label": "mine", "scopes": ["devices:read"], "days": 1}
ADMINS_READER = Who(Role.ADMIN, None, ("devices:read", "tokens:write", "audit:read"))
ADMINS_PEOPLE = Who(Role.ADMIN, None, ("users:write", "tokens:write", "devices:read"))
LIMITED = {
    "admin's token without users:write": ADMINS_READER,
    "manager of A": WHO["manager of A"],
    "evaluator of A": WHO["evaluator of A"],
}


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(closed(site), raise_server_exceptions=False, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.mark.parametrize("who", LIMITED.values(), ids=LIMITED)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"name": "friend", "role": "viewer"}),
        ("PATCH", "/users/someone-1", {"role": "admin"}),
        ("PATCH", "/users/someone-1", {"all_communities": True}),
        ("POST", "/users/someone-2/invitation", None),
        ("POST", "/users/someone-2/unlock", None),
        ("GET", "/users/someone-2/sessions", None),
        ("DELETE", "/users/someone-2/sessions/1", None),
        ("GET", "/tokens?all=true", None),
    ],
)
def test_other_peoples_accounts_and_ones_own_rights_are_out_of_reach(
    crowd: Crowd, client: TestClient, who: Who, method: str, path: str, body: Any
) -> None:
    headers, admin = crowd.headers(who), crowd.headers(WHO["admin"])
    users = client.get("/api/v1/users", headers=admin).json()
    assert client.request(method, f"/api/v1{path}", json=body, headers=headers).status_code == 403
    assert client.get("/api/v1/users", headers=admin).json() == users


@pytest.mark.parametrize("who", LIMITED.values(), ids=LIMITED)
def test_somebody_elses_token_is_neither_seen_nor_revoked(crowd: Crowd, client: TestClient, who: Who) -> None:
    admin = crowd.headers(WHO["admin"])
    made = client.post("/api/v1/tokens", json=TOKEN, headers=admin).json()
    other = crowd.headers(who)
    seen = client.get("/api/v1/tokens", headers=other).json()["tokens"]
    assert made["number"] not in [token["number"] for token in seen]
    assert client.delete(f"/api/v1/tokens/{made['number']}", headers=other).status_code == 404
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/devices", headers=bearer).status_code == 200


@pytest.mark.parametrize("name", ["manager of A", "evaluator of A"])
@pytest.mark.parametrize("more", [{"scopes": ["users:write"]}, {"communities": [B]}, {"communities": [A, B]}])
def test_a_token_beyond_its_maker_is_not_made(
    crowd: Crowd, client: TestClient, name: str, more: dict[str, Any]
) -> None:
    headers = crowd.headers(WHO[name])
    assert client.post("/api/v1/tokens", json=TOKEN | more, headers=headers).status_code == 403
    assert client.get("/api/v1/tokens", headers=headers).json()["tokens"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokens", TOKEN | {"owner": "someone-2"}),
        ("/tokens", TOKEN | {"user_id": 1}),
        ("/tokens", TOKEN | {"role": "admin"}),
        ("/users", {"name": "friend", "role": "viewer", "password_hash": "x"}),
        ("/users", {"name": "friend", "role": "viewer", "user_id": 1}),
    ],
)
def test_members_that_a_body_does_not_have_are_refused(
    crowd: Crowd, client: TestClient, path: str, body: dict[str, Any]
) -> None:
    assert client.post(f"/api/v1{path}", json=body, headers=crowd.headers(WHO["admin"])).status_code == 422


def test_a_token_makes_none_that_outlives_it_or_does_more(crowd: Crowd, client: TestClient) -> None:
    headers = crowd.headers(ADMINS_PEOPLE)  # valid for 30 days
    long = client.post("/api/v1/tokens", json=TOKEN | {"days": 31}, headers=headers)
    assert long.status_code == 422
    assert "not longer than the token" in long.text
    wide = client.post("/api/v1/tokens", json=TOKEN | {"scopes": ["audit:read"]}, headers=headers)
    assert wide.status_code == 403
    assert client.post("/api/v1/tokens", json=TOKEN | {"days": 29}, headers=headers).status_code == 200


def test_a_token_that_may_make_accounts_makes_no_administrator(crowd: Crowd, client: TestClient) -> None:
    headers = crowd.headers(ADMINS_PEOPLE)
    wanted = {"name": "friend", "role": "admin"}
    assert client.post("/api/v1/users", json=wanted, headers=headers).status_code == 403
    assert client.post("/api/v1/users/someone-1/invitation", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/devices/{}"),
        ("GET", "/api/v1/devices/{}/intervals"),
        ("GET", "/devices/{}"),
        ("POST", "/api/v1/devices/{}/credentials"),
        ("DELETE", "/api/v1/devices/{}/credentials"),
    ],
)
def test_asking_for_another_communitys_device_is_in_the_log_whether_there_is_one_or_not(
    site: Site, crowd: Crowd, client: TestClient, method: str, path: str
) -> None:
    limited, admin = crowd.headers(WHO["manager of A"]), crowd.headers(WHO["admin"])
    for device in ("cam-5", "cam-999"):
        assert client.request(method, path.format(device), headers=limited).status_code == 404
    assert client.request(method, path.format("cam-999"), headers=admin).status_code == 404
    with site.db.read() as connection:
        noted = audit.listing(connection, audit.Filter(action="request"))
    assert [(e.actor, e.outcome, e.subject, e.community) for e in reversed(noted)] == [
        ("user:someone-1", "refused", "device:cam-5", B),
        ("user:someone-1", "refused", "device:cam-999", None),
    ]


def test_a_disabled_user_is_out_at_once(crowd: Crowd, client: TestClient) -> None:
    session = crowd.headers(WHO["manager of A"])
    token = crowd.headers(WHO["token of A"])
    for headers in (session, token):
        assert client.get("/api/v1/devices", headers=headers).status_code == 200
    admin = crowd.headers(WHO["admin"])
    for name in ("someone-1", "someone-2"):
        off = client.patch(f"/api/v1/users/{name}", json={"disabled": True}, headers=admin)
        assert off.status_code == 200
    for headers in (session, token):
        assert client.get("/api/v1/devices", headers=headers).status_code == 401


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r"])
def test_fault_29_text_that_begins_like_a_formula_stays_text_in_tables(first: str) -> None:
    text = csvfile.render(["name"], [{"name": f"{first}cmd()"}]).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["name"] == f"'{first}cmd()"
