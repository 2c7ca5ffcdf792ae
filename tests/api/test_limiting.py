"""Too many requests, too large ones, tokens in addresses; what is believed of proxies; headers."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import limits.storage.memory
import limits.strategies
import pytest
from fastapi.testclient import TestClient

from api import limits as our_limits
from api.app import create_app
from api.headers import HEADERS
from api.limits import Limits
from pulse import settings
from pulse.access import keys, passwords, people
from pulse.access.network import network
from pulse.access.roles import Role, command_line
from pulse.errors import SettingsError
from pulse.stores.relational import audit
from tests.api.site import Site

RATE = "/api/v1/indicators/online-rate"
CLI = command_line("root", "host")
Make = Callable[..., TestClient]


class Watch:
    """The time that the limits see: it stands still, ten seconds into a minute, until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_795_392_010.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """For every test here: none may depend on how much of the minute is left in which it runs."""
    made = Watch()
    for module in (limits.storage.memory, limits.strategies):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=made.time))
    return made


@pytest.fixture
def guest(site: Site) -> Make:
    """Clients of the installation with limits, from any address."""

    def make(address: str = "192.0.2.7", *, rate: str = "5/minute", **options: Any) -> TestClient:
        folder = site.context.settings.data_dir
        given = settings.load(data_dir=folder, public_view=True, rate_limit=rate, **options)
        app = create_app(replace(site.context, settings=given))
        return TestClient(app, client=(address, 4000), raise_server_exceptions=False)

    return make


def _from(client: TestClient, address: str) -> TestClient:
    """Another client of the same application."""
    return TestClient(client.app, client=(address, 4000), raise_server_exceptions=False)


def test_an_endpoint_of_an_included_router_is_limited_by_address(guest: Make) -> None:
    client = guest()
    assert [client.get(RATE).status_code for _ in range(5)] == [200] * 5
    refused = client.get(RATE)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "60"
    assert _from(client, "192.0.2.8").get(RATE).status_code == 200
    assert client.get("/static/icon.svg").status_code == 200, "files of pages are not counted"


def test_a_person_reads_a_page(guest: Make) -> None:
    client = guest()
    for _ in range(5):
        client.get(RATE)
    for language, words in (("en", "Too many requests"), ("zh", "请求过于频繁")):
        page = client.get("/devices", headers={"Accept": "text/html"}, cookies={"lang": language})
        assert page.status_code == 429
        assert words in page.text
        assert page.headers["content-type"].startswith("text/html")


def test_this_machine_is_limited_in_guessing_only(guest: Make) -> None:
    client = guest("127.0.0.1", rate="2/minute")
    assert {client.get(RATE).status_code for _ in range(20)} == {200}
    answers = [client.post("/sign-in", data={"name": "a", "password": "b"}).status_code for _ in range(21)]
    assert 429 not in answers[:20]
    assert answers[20] == 429


def test_the_forwarded_address_counts_from_trusted_proxies_only(guest: Make) -> None:
    forged = guest()
    hops = [{"X-Forwarded-For": f"198.51.100.{n}"} for n in range(6)]
    assert forged.get(RATE, headers=hops[0]).status_code == 200
    assert [forged.get(RATE, headers=hop).status_code for hop in hops[1:]][-1] == 429
    believed = guest(trusted_proxies="192.0.2.0/24")
    assert {believed.get(RATE, headers=hop).status_code for hop in hops for _ in range(2)} == {200}
    # What a client wrote before the proxy's own entry is not believed.
    spoofed = [{"X-Forwarded-For": f"10.0.0.{n}, 203.0.113.9"} for n in range(6)]
    assert [believed.get(RATE, headers=hop).status_code for hop in spoofed][-1] == 429


def test_wrong_tokens_are_limited_and_a_neighbour_s_good_one_is_not(site: Site, guest: Make) -> None:
    with site.db.write() as connection:
        user = people.create(connection, CLI, "eva", Role.EVALUATOR, site.clock.now)
        good = keys.create(connection, CLI, user, "x", ["indicators:read"], None, 1, site.clock.now)
    client = guest(rate="1000/minute")
    answers = [client.get(RATE, headers={"Authorization": f"Bearer pulse_{n}"}) for n in range(25)]
    assert [a.status_code for a in answers] == [401] * 20 + [429] * 5
    right = client.get(RATE, headers={"Authorization": f"Bearer {good.secret}"})
    assert right.status_code == 200
    with site.db.read() as connection:
        noted = audit.listing(connection, audit.Filter(action="token.use"))
    assert len(noted) == 20, "a flood does not fill the log"


@pytest.mark.parametrize("name", ["token", "access_token", "API_KEY"])
def test_a_token_in_the_address_is_refused_with_advice_and_not_repeated(guest: Make, name: str) -> None:
    refused = guest().get(f"{RATE}?{name}=pulse_secret", headers={"Accept-Language": "en"})
    assert refused.status_code == 400
    assert refused.json()["type"].endswith("token-in-address")
    assert "Authorization" in refused.json()["detail"]
    assert "pulse_secret" not in refused.text
    page = guest().get(f"/devices?{name}=pulse_secret", headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "pulse_secret" not in page.text


def test_bodies_are_limited_in_size(guest: Make) -> None:
    client = guest(rate="1000/minute")
    big = client.post("/api/v1/users", content=b"x" * 262_145)
    assert big.status_code == 413
    endless = client.post("/api/v1/users", content=iter([b"{}"]))
    assert endless.status_code == 411


def test_a_count_is_forgotten_after_its_window_and_no_sooner(watch: Watch) -> None:
    limits = Limits("2/minute")
    assert [limits.wait_s("GET", RATE, "203.0.113.5") for _ in range(3)] == [None, None, 60]
    # The window slides: a count of 2 weighs 2 × 59 / 60 one second into the next minute.
    watch.now_s += 51
    assert [limits.wait_s("GET", RATE, "203.0.113.5") for _ in range(2)] == [None, 60]
    watch.now_s += 120
    assert [limits.wait_s("GET", RATE, "203.0.113.5") for _ in range(3)] == [None, None, 60]


def test_a_flood_of_addresses_takes_no_memory_and_clears_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 600
    monkeypatch.setattr(our_limits, "MOST_ADDRESSES", most)
    limits = Limits("2/minute")
    assert [limits.wait_s("GET", RATE, "203.0.113.5") for _ in range(2)] == [None, None]
    assert limits.wait_s("GET", RATE, "203.0.113.5") is not None
    for number in range(most + 200):
        limits.wait_s("GET", RATE, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limits._storage.storage) <= most + 2, "the flooding network is one more, and no address"
    assert limits.wait_s("GET", RATE, "203.0.113.5") is not None, "who was refused still is"
    assert limits.wait_s("GET", RATE, "10.9.9.9") is not None, "newcomers of the flooding network wait"
    assert limits.wait_s("GET", RATE, "198.18.0.1") is None, "others do not"


def test_who_counts_as_one_client() -> None:
    assert network("2001:db8:1:2:3::9") == network("2001:db8:1:2::1") != network("2001:db8:1:3::1")
    assert network("::ffff:192.0.2.7") == network("192.0.2.7") == "192.0.2.7/32"
    assert network("192.0.2.7", large=True) == "192.0.0.0/8"
    assert network("testclient") == "testclient"


def test_off_is_off_and_a_malformed_rate_is_told(guest: Make) -> None:
    client = guest(rate="off")
    assert {client.get(RATE).status_code for _ in range(50)} == {200}
    with pytest.raises(SettingsError, match="600/minute"):
        settings.load(rate_limit="many")


def test_headers_keep_browsers_from_what_is_not_ours(guest: Make) -> None:
    client = guest(rate="off")
    for path in (RATE, "/", "/sign-in", "/healthz", "/nothing-here", "/api/v1/openapi.json"):
        answer = client.get(path)
        for name in HEADERS:
            assert name in answer.headers, (path, name)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store", path
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
    assert "no-store" not in client.get("/static/icon.svg").headers.get("cache-control", "")
    assert client.request("TRACE", "/").status_code == 405


def test_over_tls_browsers_are_told_to_stay_there(site: Site) -> None:
    client = TestClient(create_app(site.context), base_url="https://testserver")
    assert client.get("/").headers["strict-transport-security"] == "max-age=31536000"


def test_a_refused_person_is_in_the_log_with_the_address_that_counts(site: Site, guest: Make) -> None:
    with site.db.write() as connection:
        people.create(
            connection, CLI, "eva", Role.VIEWER, site.clock.now, password_hash=passwords.hashed("x" * 20)
        )
    client = guest(rate="off", trusted_proxies="192.0.2.7")
    client.get(RATE, headers={"Authorization": "Bearer wrong", "X-Forwarded-For": "203.0.113.50"})
    with site.db.read() as connection:
        (noted,) = audit.listing(connection, audit.Filter(action="token.use"))
    assert (noted.origin, noted.outcome) == ("203.0.113.50", "refused")
    assert "wrong" not in json.dumps(noted._asdict())
