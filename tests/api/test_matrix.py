"""Who may use what: every role with communities × every endpoint × objects of two communities.

The tables here are written down a second time on purpose: what the code says of itself proves nothing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
from fastapi.testclient import TestClient

from api.auth.guard import Allowed, Open, guard_of, routes
from tests.api.site import Site
from tests.api.who import WHO, B, Crowd, closed, ending_streams, told_of

LOOKING = {"indicators:read", "devices:read", "collector:read"}
MAY = {
    "admin": LOOKING | {"metrics:read", "audit:read", "credentials:write", "tokens:write", "users:write"},
    "manager of A": LOOKING | {"audit:read", "credentials:write", "tokens:write"},
    "evaluator of A": LOOKING | {"audit:read", "tokens:write"},
    "department": {"tokens:write"},
    "viewer of all": LOOKING | {"metrics:read"},
    "viewer of A": LOOKING,
    "token of A": {"devices:read"},
    "nobody": set(),
}
"""Permissions, metrics and accounts only for those who see every community."""
SEES_ALL = {"admin", "viewer of all"}
WITHOUT_SESSION = {"token of A", "nobody"}


class Row(NamedTuple):
    """What an endpoint asks for: a permission (None: nothing) and, with `session`, to be signed in.

    `done` are the statuses of those who may; what the request lacks beside the right to send it may be
    refused as well. What is about the whole installation (`whole`) is for those who see all of it. `of_a`
    and `of_b` fill the path with an object of either community.
    """

    needs: str | None
    done: frozenset[int] = frozenset({200})
    session: bool = False
    whole: bool = False
    of_a: Mapping[str, str] = MappingProxyType({})
    of_b: Mapping[str, str] = MappingProxyType({})


_DONE = frozenset({200, 303})
_FORM = frozenset({200, 303, 404, 409, 422})
"""A form that is sent empty, or about somebody who does not exist."""
_DEVICE = ({"id": "cam-1"}, {"id": "cam-5"})
_PAGE = ({"device_id": "cam-1"}, {"device_id": "cam-5"})
_ONE = {"name": "nobody-of-this-name", "session_id": "999", "token_id": "999", "number": "999"}

TABLE = {
    ("GET", "/api/v1/indicators/online-rate"): Row("indicators:read"),
    ("GET", "/api/v1/indicators/online-rate/history"): Row("indicators:read"),
    ("GET", "/api/v1/devices"): Row("devices:read"),
    ("GET", "/api/v1/devices/{id}"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/devices/{id}/intervals"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/devices/{id}/statistics"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/statistics"): Row("indicators:read"),
    ("GET", "/api/v1/statistics/devices"): Row("devices:read"),
    ("GET", "/api/v1/events"): Row("devices:read"),
    ("GET", "/api/v1/collector"): Row("collector:read"),
    ("GET", "/api/v1/me"): Row(None),
    ("GET", "/api/v1/users"): Row("users:write"),
    ("POST", "/api/v1/users"): Row("users:write", done=_FORM),
    ("GET", "/api/v1/users/{name}"): Row("users:write", done=_FORM, of_a=_ONE),
    ("PATCH", "/api/v1/users/{name}"): Row("users:write", done=_FORM, of_a=_ONE),
    ("POST", "/api/v1/users/{name}/invitation"): Row("users:write", done=_FORM, of_a=_ONE),
    ("POST", "/api/v1/users/{name}/unlock"): Row("users:write", done=_FORM, of_a=_ONE),
    ("GET", "/api/v1/users/{name}/sessions"): Row("users:write", done=_FORM, of_a=_ONE),
    ("DELETE", "/api/v1/users/{name}/sessions/{number}"): Row("users:write", done=_FORM, of_a=_ONE),
    ("GET", "/api/v1/sessions"): Row(None, session=True),
    ("DELETE", "/api/v1/sessions/{number}"): Row(None, done=_FORM, session=True, of_a=_ONE),
    ("GET", "/api/v1/tokens"): Row("tokens:write"),
    ("POST", "/api/v1/tokens"): Row("tokens:write", done=_FORM),
    ("DELETE", "/api/v1/tokens/{number}"): Row("tokens:write", done=_FORM, of_a=_ONE),
    ("POST", "/api/v1/devices/{id}/credentials"): Row("credentials:write", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("DELETE", "/api/v1/devices/{id}/credentials"): Row(
        "credentials:write", of_a=_DEVICE[0], of_b=_DEVICE[1]
    ),
    ("GET", "/api/v1/audit"): Row("audit:read"),
    ("GET", "/api/v1/audit/verification"): Row("audit:read", whole=True),
    ("GET", "/metrics"): Row("metrics:read"),
    ("GET", "/healthz"): Row(None),
    ("GET", "/readyz"): Row(None),
    ("GET", "/docs"): Row(None, done=frozenset({200, 404})),
    ("GET", "/docs/start.js"): Row(None, done=frozenset({200, 404})),
    ("GET", "/api/v1/problems/{slug}"): Row(None, of_a={"slug": "not-found"}),
    ("GET", "/"): Row("devices:read"),
    ("GET", "/wall"): Row("devices:read"),
    ("GET", "/devices"): Row("devices:read"),
    ("GET", "/devices/{device_id}"): Row("devices:read", of_a=_PAGE[0], of_b=_PAGE[1]),
    # Coming in and going out.
    ("GET", "/sign-in"): Row(None, done=_DONE),
    ("POST", "/sign-in"): Row(None, done=_FORM | {403}),
    ("POST", "/sign-out"): Row(None, done=_FORM | {403}),
    ("GET", "/setup"): Row(None, done=_FORM),
    ("POST", "/setup"): Row(None, done=_FORM | {403}),
    ("GET", "/welcome"): Row(None, done=_FORM),
    ("POST", "/welcome"): Row(None, done=_FORM | {403}),
    # One's own account.
    ("GET", "/account"): Row(None, session=True),
    ("POST", "/account/password"): Row(None, done=_FORM, session=True),
    ("POST", "/account/sessions/others/end"): Row(None, done=_FORM, session=True),
    ("POST", "/account/sessions/{session_id}/end"): Row(None, done=_FORM, session=True, of_a=_ONE),
    ("POST", "/account/tokens"): Row("tokens:write", done=_FORM, session=True),
    ("POST", "/account/tokens/{token_id}/revoke"): Row("tokens:write", done=_FORM, session=True, of_a=_ONE),
    # Everybody's accounts, and the log.
    ("GET", "/people"): Row("users:write"),
    ("POST", "/people"): Row("users:write", done=_FORM, session=True),
    ("GET", "/people/{name}"): Row("users:write", done=_FORM, of_a=_ONE),
    ("POST", "/people/{name}"): Row("users:write", done=_FORM, session=True, of_a=_ONE),
    ("POST", "/people/{name}/disable"): Row("users:write", done=_FORM, session=True, of_a=_ONE),
    ("POST", "/people/{name}/enable"): Row("users:write", done=_FORM, session=True, of_a=_ONE),
    ("POST", "/people/{name}/unlock"): Row("users:write", done=_FORM, session=True, of_a=_ONE),
    ("POST", "/people/{name}/invitation"): Row("users:write", done=_FORM, session=True, of_a=_ONE),
    ("GET", "/audit"): Row("audit:read"),
    ("GET", "/audit.csv"): Row("audit:read"),
    ("POST", "/audit/verify"): Row("audit:read", session=True, whole=True),
}


def expected(name: str, row: Row, *, of_b: bool) -> frozenset[int]:
    """The statuses that are right for somebody; an object that they do not see is as none."""
    if row.needs is not None and row.needs not in MAY[name]:
        return frozenset({401 if name == "nobody" else 403})
    if row.session and name in WITHOUT_SESSION:
        return frozenset({401})
    if row.whole and name not in SEES_ALL:
        return frozenset({403})
    return row.done if not of_b or name in SEES_ALL else frozenset({404})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("matrix")) as site:
        site.live()
        yield site


@pytest.fixture(scope="module")
def crowd(site: Site) -> Crowd:
    return Crowd(site)


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    with ending_streams(closed(site)) as client:
        yield client


def present(site: Site) -> list[tuple[str, str]]:
    """Every endpoint of the table that there is, as method and path."""
    found = {(method, route.path) for route in routes(closed(site)) for method in route.methods or ()}
    # What is issued by a POST can be revoked by a DELETE behind it.
    return sorted(found & TABLE.keys(), key=lambda one: (one[1], one[0]), reverse=True)


def test_every_endpoint_is_in_the_table_with_what_it_declares(site: Site) -> None:
    for route in routes(closed(site)):
        for method in route.methods or ():
            row = TABLE.get((method, route.path))
            assert row is not None, (
                f"nobody thought of who may {method} {route.path}: add it to TABLE with the permission that "
                f"it needs and, if its path names an object, one of community A and one of community B"
            )
            guard = guard_of(route)
            declared = guard.permission.value if isinstance(guard, Allowed) else None
            assert isinstance(guard, Allowed | Open)
            assert declared == row.needs, f"{method} {route.path}"
            parameters = {field.alias for field in route.dependant.path_params}
            assert parameters <= set(row.of_a), f"{method} {route.path}: name an object of community A"


@pytest.mark.parametrize("name", WHO)
def test_everybody_gets_what_their_role_and_communities_allow_and_nothing_else(
    site: Site, crowd: Crowd, client: TestClient, name: str
) -> None:
    wrong = []
    for method, path in present(site):
        row = TABLE[method, path]
        for of_b, names in ((False, row.of_a), (True, row.of_b)):
            if of_b and not names:
                continue
            headers = crowd.headers(WHO[name])
            answer = client.request(
                method, path.format(**names), headers=headers, data=_form(method, headers)
            )
            right = expected(name, row, of_b=of_b)
            if answer.status_code not in right:
                wrong.append(
                    f"{method} {path.format(**names)}: {answer.status_code}, not one of {set(right)}"
                )
    assert not wrong, f"{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("name", ["manager of A", "evaluator of A", "viewer of A", "token of A"])
def test_no_answer_tells_of_another_community(
    site: Site, crowd: Crowd, client: TestClient, name: str
) -> None:
    admin = crowd.headers(WHO["admin"])
    assert client.get(f"/api/v1/devices?format=csv&community={B}", headers=admin).status_code == 200
    told, answered = [], 0
    for method, path in present(site):
        needs = TABLE[method, path].needs
        if method == "GET" and (needs is None or needs in MAY[name]):
            address = path.format(**TABLE[method, path].of_a)
            answer = client.get(address, headers=crowd.headers(WHO[name]))
            answered += answer.status_code == 200
            told += [f"{address}: {word}" for word in told_of(answer.text + str(answer.headers))]
    assert not told
    assert answered > 10


def test_those_who_see_all_are_told_of_both(crowd: Crowd, client: TestClient) -> None:
    headers = crowd.headers(WHO["viewer of all"])
    for path in ("/", "/wall", "/devices", "/api/v1/devices", "/api/v1/indicators/online-rate", "/metrics"):
        assert told_of(client.get(path, headers=headers).text), path


def _form(method: str, headers: dict[str, str]) -> dict[str, str] | None:
    return None if method == "GET" else {"form": headers.get("X-Pulse-Form", "")}
