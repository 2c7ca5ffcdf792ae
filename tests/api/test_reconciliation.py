"""A department reports what it holds over the API, both sides see the difference, and it comes again."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from pulse.access import keys, people
from pulse.access.roles import Role, command_line
from pulse.sharing.deliveries import Item, make
from pulse.sharing.outlets import Outlet, Version
from pulse.sharing.reconciling import of_ids
from pulse.stores.relational import audit, deliveries, outlets
from pulse.stores.relational.outlets import Position
from tests.api.site import END, Site
from tests.api.who import A, closed

DAY = "2026-11-23"
ZONE = ZoneInfo("Asia/Shanghai")
OPERATOR = command_line("operator", "here")
REPORTS = "/api/v1/sharing/outlets/fire/reports"
AGAIN = "/api/v1/sharing/outlets/fire/deliver-again"


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """An installation with an outlet that delivered two gas readings, and nothing shown to strangers."""
    fire = Outlet(id="fire", mode="http", url="https://fire.example/", communities=(A,))
    water = Outlet(id="water", mode="http", url="https://water.example/")
    items = [
        Item(f"{n:016x}", "gas_reading", A, "gas-1", "gas_alarm", END - n, END, {"lel_pct": n})
        for n in (1, 2)
    ]
    with site.db.write() as connection:
        for outlet in (fire, water):
            outlets.append(connection, Version(outlet.id, END, outlet))
            outlets.begin(connection, Position(outlet.id, 9, END, END, number=1))
        deliveries.add(connection, "fire", "json", make(fire, 1, items, (), END, ZONE), END)
        deliveries.acknowledged(connection, "fire", 1, END)
    with TestClient(closed(site), raise_server_exceptions=False, headers={"Accept-Language": "en"}) as client:
        yield client


def token(site: Site, name: str, role: Role, scope: str, **limits: Any) -> dict[str, str]:
    """The headers of somebody with a token."""
    with site.db.write() as connection:
        user = people.create(connection, OPERATOR, name, role, END, **limits)
        made = keys.create(connection, OPERATOR, user, "a test", [scope], None, 30, END)
    return {"Authorization": f"Bearer {made.secret}"}


@pytest.fixture
def fire(site: Site, client: TestClient) -> dict[str, str]:
    """The fire brigade."""
    return token(site, "fire-brigade", Role.DEPARTMENT, "sharing:pull", outlets=["fire"])


@pytest.fixture
def admin(site: Site) -> dict[str, str]:
    """Who may deliver again."""
    return token(site, "chief", Role.ADMIN, "sharing:write")


def body(*numbers: int, through: str | None = "fire-1") -> dict[str, Any]:
    held = of_ids(f"{number:016x}" for number in numbers)
    kinds = [{"data_kind": "gas_reading", "count": held.records, "digest": held.digest}] if numbers else []
    return {"day": DAY, "through": through, "kinds": kinds}


def test_a_report_is_answered_with_the_difference_and_shown_to_both_sides(
    site: Site, client: TestClient, fire: dict[str, str]
) -> None:
    answer = client.post(REPORTS, json=body(1), headers=fire).json()
    ours, theirs = of_ids([f"{1:016x}", f"{2:016x}"]), of_ids([f"{1:016x}"])
    assert answer["agrees"] is False
    assert answer["kinds"] == [
        {
            "data_kind": "gas_reading",
            "ours": {"count": 2, "digest": ours.digest},
            "theirs": {"count": 1, "digest": theirs.digest},
            "verdict": "differs",
        }
    ]
    viewer = token(site, "looker", Role.VIEWER, "sharing:read")
    for headers in (fire, viewer):
        assert client.get(REPORTS, headers=headers).json() == {"reports": [answer]}
        assert client.get(REPORTS, params={"day": DAY}, headers=headers).json() == {"reports": [answer]}
        assert client.get(REPORTS, params={"day": "2026-11-22"}, headers=headers).json() == {"reports": []}


def test_a_report_of_everything_agrees(client: TestClient, fire: dict[str, str]) -> None:
    assert client.post(REPORTS, json=body(1, 2), headers=fire).json()["agrees"] is True


def test_what_it_lacks_is_delivered_again_by_who_may(
    site: Site, client: TestClient, fire: dict[str, str], admin: dict[str, str]
) -> None:
    client.post(REPORTS, json=body(1), headers=fire)
    assert client.post(AGAIN, json={"day": DAY}, headers=fire).status_code == 403
    answer = client.post(AGAIN, json={"day": DAY}, headers=admin)
    assert answer.json() == {
        "outlet": "fire",
        "day": DAY,
        "records": 2,
        "deliveries": [{"id": "fire-2", "again_of": ["fire-1"]}],
        "gone": 0,
        "left": 0,
    }
    with site.db.read() as connection:
        assert [entry.action for entry in audit.walk(connection)][-1] == "outlet.deliver_again"


def test_where_nothing_is_lacking_nothing_comes_again(
    client: TestClient, fire: dict[str, str], admin: dict[str, str]
) -> None:
    client.post(REPORTS, json=body(1, 2), headers=fire)
    answer = client.post(AGAIN, json={"day": DAY}, headers=admin)
    assert answer.status_code == 422
    assert "lacks nothing" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"day": "yesterday"},
        {"day": "2027-01-01"},
        {"through": "fire-7"},
        {"through": "water-1"},
        {"kinds": [{"data_kind": "gas_reading", "count": 1, "digest": "0" * 64}]},
        {"kinds": [{"data_kind": "gas_reading", "count": -1, "digest": "1" * 64}]},
        {"kinds": [{"data_kind": "gas reading", "count": 1, "digest": "1" * 64}]},
        {"kinds": [{"data_kind": "gas_reading", "count": 1, "digest": "x" * 64}]},
        {"kinds": [{"data_kind": "gas_reading", "count": 1, "digest": "1" * 64}] * 2},
        {"kinds": None},
        {"more": 1},
    ],
)
def test_a_report_that_cannot_be_is_refused_by_its_place(
    client: TestClient, fire: dict[str, str], wrong: dict[str, Any]
) -> None:
    answer = client.post(REPORTS, json=body(1) | wrong, headers=fire)
    assert answer.status_code == 422, answer.text
    assert client.get(REPORTS, headers=fire).json() == {"reports": []}


def test_a_department_reaches_no_other_ones_outlet(
    site: Site, client: TestClient, fire: dict[str, str]
) -> None:
    """Neither to look nor to report; that it tried is in the log."""
    for path in ("water", "none"):
        other = f"/api/v1/sharing/outlets/{path}/reports"
        assert client.get(other, headers=fire).status_code == 403
        assert client.post(other, json=body(1), headers=fire).status_code == 403
    with site.db.read() as connection:
        tried = [entry for entry in audit.walk(connection) if entry.subject == "outlet:water"]
    assert [entry.outcome for entry in tried] == ["refused", "refused"]


def test_sums_over_several_communities_are_for_who_sees_them_all(site: Site, client: TestClient) -> None:
    of_a = token(site, "one-community", Role.VIEWER, "sharing:read", communities=[A])
    assert client.get(REPORTS, headers=of_a).status_code == 200
    assert client.get("/api/v1/sharing/outlets/water/reports", headers=of_a).status_code == 404


def test_nobody_reports_without_a_token(client: TestClient) -> None:
    assert client.post(REPORTS, json=body(1)).status_code == 401
    assert client.get(REPORTS).status_code == 401
