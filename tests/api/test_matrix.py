"""Who may use what: every role with communities × every endpoint × objects of two communities.

The tables here are written down a second time on purpose: what the code says of itself proves nothing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
from fastapi.testclient import TestClient

from api.auth.guard import FORM_HEADER, Allowed, Open, guard_of, routes
from pulse.clock import HOUR_US, to_iso
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER, Blind, Scope
from pulse.registry.lives import Step
from pulse.registry.plans import Plan, Reach
from pulse.sharing import catalogue as kinds
from pulse.sharing.catalogue import DataKind
from pulse.sharing.outlets import Outlet, Version
from pulse.stores.relational import catalogue, coverage, incidents, lives, maintenance, outlets
from tests.api.site import END, T0, Site
from tests.api.who import WHO, A, B, Crowd, closed, ending_streams, told_of

LOOKING = {"indicators:read", "devices:read", "collector:read", "sharing:read"}
MANAGING = LOOKING | {
    "audit:read",
    "coverage:write",
    "credentials:write",
    "maintenance:write",
    "registry:write",
    "tokens:write",
}
MAY = {
    "admin": MANAGING | {"metrics:read", "policies:write", "users:write", "sharing:pull", "sharing:write"},
    "manager of all": MANAGING | {"metrics:read"},
    "manager of A": MANAGING,
    "evaluator of all": LOOKING | {"metrics:read", "audit:read", "tokens:write"},
    "evaluator of A": LOOKING | {"audit:read", "tokens:write"},
    "department": {"tokens:write", "sharing:pull"},
    "viewer of all": LOOKING | {"metrics:read"},
    "viewer of A": LOOKING,
    "token of A": {"devices:read"},
    "nobody": set(),
}
"""Permissions, metrics and accounts only for those who see every community."""
SEES_ALL = {"admin", "manager of all", "evaluator of all", "viewer of all"}
WITHOUT_SESSION = {"token of A", "nobody"}


class Row(NamedTuple):
    """What an endpoint asks for: a permission (None: nothing) and, with `session`, to be signed in.

    `done` are the statuses of those who may; what the request lacks beside the right to send it may be
    refused as well; `body` is sent as JSON. What is about the whole installation (`whole`) is for those who
    see all of it. `of_a` and `of_b` fill the path with an object of either community.
    """

    needs: str | None
    done: frozenset[int] = frozenset({200})
    session: bool = False
    whole: bool = False
    of_a: Mapping[str, str] = MappingProxyType({})
    of_b: Mapping[str, str] = MappingProxyType({})
    body: Mapping[str, object] | None = None


_DONE = frozenset({200, 303})
_FORM = frozenset({200, 303, 404, 409, 422})
"""A form that is sent empty, or about somebody who does not exist."""
_DEVICE = ({"id": "cam-1"}, {"id": "cam-5"})
_PAGE = ({"device_id": "cam-1"}, {"device_id": "cam-5"})
_SILENCE = ({"incident_id": "1"}, {"incident_id": "2"})
_UPKEEP = ({"entry_id": "1"}, {"entry_id": "2"})
_INCIDENT = ({"id": "1"}, {"id": "2"})
_POLICY = ({"scope": "device", "subject": "cam-1"}, {"scope": "device", "subject": "cam-5"})
_OUTLET = ({"outlet": "of-a"}, {"outlet": "of-b"})
_PULLED = {"mode": "pull", "communities": [A]}
_DECIDED = frozenset({200, 409})
"""Somebody else may have decided before."""
_REASON = {"reason": "光缆被挖断"}
_MOVE = {"location": "北门", "reason": "改造"}
"""Once it stands there, it cannot be moved there again."""
_STEP = {"device": "cam-1", "what": "retire", "at": to_iso(END + HOUR_US), "reason": "到期"}
_PLAN = {"community": A, "from": to_iso(END), "to": to_iso(END + HOUR_US), "reason": "换电池"}
_DATA_KIND = {"id": "video_status"}
_SAYS = {"name_zh": "视频", "name_en": "Video", "sources": ["camera"], "schema": {"type": "object"}}
_REPORT = {"day": "2026-11-23", "kinds": []}
_ONE = {"name": "nobody-of-this-name", "session_id": "999", "token_id": "999", "number": "999"}

TABLE = {
    ("GET", "/api/v1/indicators/online-rate"): Row("indicators:read"),
    ("GET", "/api/v1/indicators/online-rate/history"): Row("indicators:read"),
    ("GET", "/api/v1/indicators/online-rate/explanation"): Row("devices:read"),
    ("GET", "/api/v1/indicators/data-sharing-ratio"): Row("indicators:read"),
    ("GET", "/api/v1/indicators/data-sharing-ratio/history"): Row("indicators:read"),
    ("GET", "/api/v1/catalogue"): Row("sharing:read"),
    ("GET", "/api/v1/catalogue/{id}"): Row("sharing:read", of_a=_DATA_KIND),
    ("PUT", "/api/v1/catalogue/{id}"): Row("sharing:write", of_a=_DATA_KIND, body=_SAYS),
    ("DELETE", "/api/v1/catalogue/{id}"): Row("sharing:write", done=_FORM, of_a=_DATA_KIND),
    ("GET", "/api/v1/devices"): Row("devices:read"),
    ("GET", "/api/v1/devices/{id}"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/devices/{id}/intervals"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/devices/{id}/statistics"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("GET", "/api/v1/statistics"): Row("indicators:read"),
    ("GET", "/api/v1/statistics/devices"): Row("devices:read"),
    ("GET", "/api/v1/events"): Row("devices:read"),
    ("GET", "/api/v1/collector"): Row("collector:read"),
    ("GET", "/api/v1/coverage"): Row("collector:read"),
    ("GET", "/api/v1/incidents"): Row("collector:read"),
    ("POST", "/api/v1/incidents/{id}/confirm"): Row(
        "coverage:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
    ("POST", "/api/v1/incidents/{id}/approve"): Row(
        "coverage:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1]
    ),
    ("POST", "/api/v1/incidents/{id}/dismiss"): Row(
        "coverage:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
    ("GET", "/api/v1/maintenance"): Row("devices:read"),
    ("POST", "/api/v1/maintenance"): Row("maintenance:write", body=_PLAN),
    ("POST", "/api/v1/maintenance/preview"): Row("maintenance:write", body=_PLAN),
    ("GET", "/api/v1/maintenance/{id}"): Row("devices:read", of_a=_INCIDENT[0], of_b=_INCIDENT[1]),
    ("POST", "/api/v1/maintenance/{id}/approve"): Row(
        "maintenance:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1]
    ),
    ("POST", "/api/v1/maintenance/{id}/refuse"): Row(
        "maintenance:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
    ("POST", "/api/v1/maintenance/{id}/cancel"): Row(
        "maintenance:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
    ("GET", "/api/v1/devices/{id}/life"): Row("devices:read", of_a=_DEVICE[0], of_b=_DEVICE[1]),
    ("POST", "/api/v1/devices/{id}/move"): Row(
        "registry:write", done=frozenset({200, 422}), of_a=_DEVICE[0], of_b=_DEVICE[1], body=_MOVE
    ),
    ("GET", "/api/v1/life-changes"): Row("devices:read"),
    ("POST", "/api/v1/life-changes"): Row("registry:write", done=_DECIDED, body=_STEP),
    ("POST", "/api/v1/life-changes/preview"): Row("registry:write", done=_DECIDED, body=_STEP),
    ("GET", "/api/v1/life-changes/{id}"): Row("devices:read", of_a=_INCIDENT[0], of_b=_INCIDENT[1]),
    ("POST", "/api/v1/life-changes/{id}/approve"): Row(
        "registry:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1]
    ),
    ("POST", "/api/v1/life-changes/{id}/refuse"): Row(
        "registry:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
    ("POST", "/api/v1/life-changes/{id}/cancel"): Row(
        "registry:write", done=_DECIDED, of_a=_INCIDENT[0], of_b=_INCIDENT[1], body=_REASON
    ),
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
    ("GET", "/api/v1/policies"): Row("devices:read"),
    ("GET", "/api/v1/policies/{scope}/{subject}"): Row("devices:read", of_a=_POLICY[0], of_b=_POLICY[1]),
    ("PATCH", "/api/v1/policies/{scope}/{subject}"): Row(
        "policies:write", of_a=_POLICY[0], of_b=_POLICY[1], body={"timeout_s": 120}
    ),
    ("GET", "/api/v1/sharing/outlets"): Row("sharing:read"),
    ("GET", "/api/v1/sharing/outlets/{outlet}"): Row("sharing:read", of_a=_OUTLET[0], of_b=_OUTLET[1]),
    ("PUT", "/api/v1/sharing/outlets/{outlet}"): Row("sharing:write", of_a=_OUTLET[0], body=_PULLED),
    ("POST", "/api/v1/sharing/outlets/{outlet}/test"): Row(
        "sharing:write", done=frozenset({422}), of_a=_OUTLET[0]
    ),
    ("POST", "/api/v1/sharing/outlets/{outlet}/retry"): Row("sharing:write", of_a=_OUTLET[0]),
    # Their outlets are of nobody here: that is refused, whatever the role.
    ("GET", "/api/v1/sharing/outlets/{outlet}/deliveries"): Row(
        "sharing:pull", done=frozenset({403}), of_a=_OUTLET[0]
    ),
    ("POST", "/api/v1/sharing/outlets/{outlet}/cursor"): Row(
        "sharing:pull", done=frozenset({403}), of_a=_OUTLET[0], body={"cursor": "of-a-1"}
    ),
    ("POST", "/api/v1/sharing/outlets/{outlet}/reports"): Row(
        "sharing:pull", done=frozenset({403}), of_a=_OUTLET[0], body=_REPORT
    ),
    ("GET", "/api/v1/sharing/outlets/{outlet}/reports"): Row(
        "sharing:read", of_a=_OUTLET[0], of_b=_OUTLET[1]
    ),
    ("POST", "/api/v1/sharing/outlets/{outlet}/deliver-again"): Row(
        "sharing:write", done=frozenset({422}), of_a=_OUTLET[0], body={"day": "2026-11-23"}
    ),
    ("GET", "/api/v1/sharing/deliveries"): Row("sharing:read", done=frozenset({200, 422})),
    ("GET", "/api/v1/sharing/receipts"): Row("sharing:read"),
    ("GET", "/api/v1/sharing/funnel"): Row("sharing:read"),
    ("GET", "/api/v1/sharing/accesses"): Row("audit:read", whole=True),
    ("GET", "/api/v1/audit"): Row("audit:read"),
    ("GET", "/api/v1/audit/verification"): Row("audit:read", whole=True),
    ("GET", "/api/v1/indicators/verification"): Row("audit:read", whole=True),
    ("GET", "/metrics"): Row("metrics:read"),
    ("GET", "/healthz"): Row(None),
    ("GET", "/readyz"): Row(None),
    ("GET", "/docs"): Row(None, done=frozenset({200, 404})),
    ("GET", "/docs/start.js"): Row(None, done=frozenset({200, 404})),
    ("GET", "/api/v1/problems/{slug}"): Row(None, of_a={"slug": "not-found"}),
    ("GET", "/"): Row("devices:read"),
    ("GET", "/wall"): Row("devices:read"),
    ("GET", "/sharing"): Row("sharing:read"),
    ("POST", "/sharing/{outlet}/deliver-again"): Row(
        "sharing:write", done=_FORM, session=True, of_a=_OUTLET[0]
    ),
    ("GET", "/incidents"): Row("collector:read"),
    ("POST", "/incidents/{incident_id}/confirm"): Row(
        "coverage:write", done=_FORM, session=True, of_a=_SILENCE[0], of_b=_SILENCE[1]
    ),
    ("POST", "/incidents/{incident_id}/approve"): Row(
        "coverage:write", done=_FORM, session=True, of_a=_SILENCE[0], of_b=_SILENCE[1]
    ),
    ("POST", "/incidents/{incident_id}/dismiss"): Row(
        "coverage:write", done=_FORM, session=True, of_a=_SILENCE[0], of_b=_SILENCE[1]
    ),
    ("GET", "/maintenance"): Row("devices:read"),
    ("POST", "/maintenance"): Row("maintenance:write", done=_FORM, session=True),
    ("POST", "/maintenance/preview"): Row("maintenance:write", done=_FORM, session=True),
    ("GET", "/maintenance/{entry_id}"): Row("devices:read", of_a=_UPKEEP[0], of_b=_UPKEEP[1]),
    ("POST", "/maintenance/{entry_id}/approve"): Row(
        "maintenance:write", done=_FORM, session=True, of_a=_UPKEEP[0], of_b=_UPKEEP[1]
    ),
    ("POST", "/maintenance/{entry_id}/refuse"): Row(
        "maintenance:write", done=_FORM, session=True, of_a=_UPKEEP[0], of_b=_UPKEEP[1]
    ),
    ("POST", "/maintenance/{entry_id}/cancel"): Row(
        "maintenance:write", done=_FORM, session=True, of_a=_UPKEEP[0], of_b=_UPKEEP[1]
    ),
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
        with site.db.write() as connection:
            for community in (A, B):
                found = Incident(community, END - 9, END - 99, END - 90, 2, 2, 2)
                incidents.put(connection, found, END)
                blind = Blind(END - 90, FOREVER, END, scope=Scope(community=community), cause="confirmed")
                coverage.record(connection, blind)
            only = Blind(END - 90, END, END, scope=Scope(device="cam-5"), cause="queued_without_time")
            coverage.record(connection, only)
            for reach in (Reach(community=A), Reach(device="cam-5")):
                plan = Plan(reach, END - 9, END, "换电池")
                maintenance.put(connection, maintenance.Entry(0, plan, END, "user:wang"))
            kind = DataKind(id="video_status", name_zh="", name_en="", sources=("camera",), schema={})
            catalogue.append(connection, [kinds.Version(kind.id, T0, T0, kind)])
            for name, community in (("of-a", A), ("of-b", B)):
                made = Outlet(id=name, mode="pull", communities=(community,))
                outlets.append(connection, Version(name, END, made, "cli:root"))
            for device in ("cam-2", "cam-6"):
                step = Step("retire", device, END - 9, "到期")
                lives.put(connection, lives.Entry(0, step, END, "user:wang"))
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
                method,
                path.format(**names),
                headers=headers,
                data=None if row.body else _form(method, headers),
                json=row.body,
            )
            right = expected(name, row, of_b=of_b)
            if answer.status_code not in right:
                wrong.append(
                    f"{method} {path.format(**names)}: {answer.status_code}, not one of {set(right)}"
                )
    assert not wrong, f"{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("kind", [None, "application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("lacking", ["the form's token", "our own site"])
def test_no_change_is_made_with_a_cookie_alone(
    site: Site, crowd: Crowd, client: TestClient, kind: str | None, lacking: str
) -> None:
    """What a page of another site can have a browser send, whatever it says that its body is."""
    headers = crowd.headers(WHO["admin"])
    token = headers.pop(FORM_HEADER)
    content = b"{}" if kind == "application/json" else b""
    if kind is not None:
        headers["Content-Type"] = kind
    if lacking == "our own site":
        headers |= {FORM_HEADER: token, "Sec-Fetch-Site": "cross-site"}
        content = content or f"form={token}".encode()
    changing = [(method, path) for method, path in present(site) if method not in {"GET", "HEAD"}]
    let_in = []
    for method, path in changing:
        address = path.format(**TABLE[method, path].of_a)
        if client.request(method, address, content=content, headers=headers).status_code != 403:
            let_in.append(f"{method} {path}")
    assert not let_in
    assert len(changing) > 20


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
