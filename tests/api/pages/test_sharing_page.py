"""The page of data sharing on the server's side: who sees what of it, and delivering again from it."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.guard import FORM_HEADER
from pulse.access import reconciliation
from pulse.access.roles import command_line
from pulse.errors import StoreUnavailable
from pulse.sharing.deliveries import Item, make
from pulse.sharing.outlets import Outlet, Version
from pulse.sharing.reconciling import of_ids
from pulse.stores.base import Collected
from pulse.stores.relational import deliveries, outlets
from pulse.stores.relational.outlets import Position
from tests.api.site import END, Site
from tests.api.who import WHO, A, B, Crowd, private

DAY = "2026-11-23"
ZONE = ZoneInfo("Asia/Shanghai")
OPERATOR = command_line("operator", "here")
OUTLETS = (
    Outlet(id="fire", name_en="Fire brigade", mode="http", url="https://fire.example/", communities=(A,)),
    Outlet(id="water", name_en="Water company", mode="http", url="https://water.example/"),
)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """Two outlets, each with a record that its department does not hold."""
    with site.db.write() as connection:
        for outlet, community in zip(OUTLETS, (A, B), strict=True):
            item = Item(f"{1:016x}", "gas_reading", community, "gas-1", "gas_alarm", END - 9, END, {})
            outlets.append(connection, Version(outlet.id, END, outlet))
            outlets.begin(connection, Position(outlet.id, 9, END, END, number=1))
            deliveries.add(connection, outlet.id, "json", make(outlet, 1, [item], (), END, ZONE), END)
            deliveries.acknowledged(connection, outlet.id, 1, END)
            reconciliation.report(connection, OPERATOR, outlet.id, DAY, f"{outlet.id}-1", {}, END, ZONE)
    app = create_app(private(site))
    with TestClient(app, follow_redirects=False, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.fixture
def crowd(site: Site) -> Crowd:
    return Crowd(site)


def page(client: TestClient, crowd: Crowd, name: str) -> str:
    answer = client.get("/sharing", params={"lang": "en"}, headers=crowd.headers(WHO[name]))
    assert answer.status_code == 200, answer.text
    return answer.text


def test_who_sees_everything_sees_all_outlets_and_reports(client: TestClient, crowd: Crowd) -> None:
    text = page(client, crowd, "viewer of all")
    for outlet in OUTLETS:
        assert f'id="o-{outlet.id}"' in text
    assert text.count("They differ") == 2
    assert "deliver-again" not in text


def test_who_sees_one_community_sees_nothing_that_tells_of_others(client: TestClient, crowd: Crowd) -> None:
    text = page(client, crowd, "viewer of A")
    assert 'id="o-fire"' in text
    assert 'id="o-water"' not in text
    assert "Water company" not in text
    assert text.count("They differ") == 1


def test_while_the_telemetry_store_is_away_the_ratio_is_told_all_the_same(
    site: Site, client: TestClient, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_period: int) -> Sequence[Collected]:
        raise StoreUnavailable("no connection")

    monkeypatch.setattr(site.store, "collected", away)
    text = page(client, crowd, "viewer of all")
    assert "The telemetry store cannot be reached" in text
    assert 'id="o-fire"' in text


def test_an_administrator_delivers_again_from_the_page(site: Site, client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(WHO["admin"])
    assert "deliver-again" in page(client, crowd, "admin")
    answer = client.post(
        "/sharing/fire/deliver-again", data={"form": headers[FORM_HEADER], "day": DAY}, headers=headers
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/sharing#reports")
    with site.db.read() as connection:
        assert deliveries.one(connection, "fire", 2) is not None
    assert "Delivered again at" in client.get("/sharing?lang=en", headers=headers).text
    # And where nothing is lacking the page says so.
    with site.db.write() as connection:
        held = {"gas_reading": of_ids([f"{1:016x}"])}
        reconciliation.report(connection, OPERATOR, "fire", DAY, "fire-1", held, END + 1, ZONE)
    again = client.post(
        "/sharing/fire/deliver-again?lang=en",
        data={"form": headers[FORM_HEADER], "day": DAY},
        headers=headers,
    )
    assert again.status_code == 422
    assert "lacks nothing" in again.text


def test_others_do_not_deliver_again(client: TestClient, crowd: Crowd) -> None:
    headers = crowd.headers(WHO["manager of all"])
    answer = client.post(
        "/sharing/fire/deliver-again", data={"form": headers[FORM_HEADER], "day": DAY}, headers=headers
    )
    assert answer.status_code == 403
