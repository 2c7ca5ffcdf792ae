"""Coming in and going out: what a sign-in gives and refuses, and that no other site does it for anybody."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.pages.refusals import same_site
from pulse.access import people
from pulse.access.roles import Role
from pulse.clock import HOUR_US, SECOND_US
from pulse.stores.relational import audit
from tests.api.pages.visitor import MACHINE, PASSWORD, Visitor, account, hidden, text
from tests.api.site import Site

Come = Callable[..., Visitor]
WRONG = "The name or the password is wrong, or this account cannot sign in now."


def test_a_page_leads_to_the_sign_in_and_from_there_back(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.ADMIN)
    alice = visitor()
    sent = alice.get("/devices?state=offline&q=a b")
    assert sent.status_code == 303
    page = alice.get(sent.headers["location"])
    wanted = hidden(page.text, "/sign-in")["next"]
    assert wanted.startswith("/devices?state=offline&q=a")
    answer = alice.sign_in("alice", next_=wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)
    shown = alice.get("/devices").text
    assert "alice" in shown
    assert 'action="/sign-out"' in shown


def test_programs_get_problem_details_and_open_pages_are_told_to_go_to_the_sign_in(visitor: Come) -> None:
    nobody = visitor()
    answer = nobody.get("/devices", headers={"Accept": "*/*"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    section = nobody.get(
        "/devices", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/devices?kind=camera"}
    )
    assert section.headers["hx-redirect"] == "/sign-in?next=/devices%3Fkind%3Dcamera"
    assert section.text == ""


@pytest.mark.parametrize("case", ["wrong password", "no such user", "disabled", "not yet invited"])
def test_every_failure_says_the_same(site: Site, visitor: Come, case: str) -> None:
    user, guest = account(site, "alice", Role.VIEWER), visitor()
    password = "not the password of anybody" if case == "wrong password" else PASSWORD
    with site.db.write() as connection:
        if case == "disabled":
            people.change(connection, MACHINE, user, people.Change(disabled=True), site.clock.now_us())
        if case == "not yet invited":
            people.create(connection, MACHINE, "bob", Role.VIEWER, site.clock.now_us())
    name = {"no such user": "nobody", "not yet invited": "bob"}.get(case, "alice")
    answer = guest.sign_in(name, password)
    assert answer.status_code == 401
    assert WRONG in text(answer)
    assert guest.session() is None


def test_after_too_many_failures_it_says_for_how_long_to_wait(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    guest = visitor()
    for _ in range(6):
        answer = guest.sign_in("alice", "wrong again and again")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"
    assert "Too many failed attempts. Try again in 30 s." in text(answer)
    assert guest.sign_in("alice").status_code == 429
    site.clock.now += 31 * SECOND_US
    assert guest.sign_in("alice").status_code == 303


def test_a_sign_in_begins_a_new_session_and_ends_the_one_the_browser_brought(
    site: Site, visitor: Come
) -> None:
    account(site, "alice", Role.VIEWER)
    guest, other = visitor(), visitor()
    guest.client.cookies.set("pulse_session", "planted-by-somebody-else", domain="testserver.local")
    guest.sign_in("alice")
    first = guest.session()
    assert first not in {None, "planted-by-somebody-else"}
    fields = hidden(other.get("/sign-in").text, "/sign-in")
    other.client.cookies.set("pulse_session", first or "", domain="testserver.local")
    other.client.post("/sign-in", data={**fields, "name": "alice", "password": PASSWORD})
    assert other.session() != first
    assert guest.get("/devices").status_code == 303


def test_signing_out_ends_the_session_on_the_server_too(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    alice, thief = visitor(), visitor()
    alice.sign_in("alice")
    thief.client.cookies.set("pulse_session", alice.session() or "", domain="testserver.local")
    assert thief.get("/devices").status_code == 200
    answer = alice.send("/devices", "/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert alice.session() is None
    assert thief.get("/devices").status_code == 303


def test_a_session_that_was_not_used_ends(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    alice = visitor()
    alice.sign_in("alice")
    site.clock.now += HOUR_US
    assert alice.get("/devices").status_code == 303


def test_the_cookie_is_for_this_browser_and_this_site_alone(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    plain = _cookies(visitor().sign_in("alice"))["pulse_session"]
    assert plain[1:] == ["HttpOnly", "Path=/", "SameSite=lax"]
    secure = _cookies(visitor("https://testserver").sign_in("alice"))["__Host-pulse_session"]
    assert secure[1:] == ["HttpOnly", "Path=/", "SameSite=lax", "Secure"]
    for base_url in ("http://testserver", "https://testserver"):
        wishes = _cookies(visitor(base_url).get("/sign-in?lang=en&theme=dark"))
        assert {"lang", "theme"} < set(wishes)
        assert all(("Secure" in rest) == (base_url[:5] == "https") for rest in wishes.values())


def test_over_tls_a_session_under_the_plain_name_is_nobody(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    alice, planted = visitor(), visitor("https://testserver")
    alice.sign_in("alice")
    planted.client.cookies.set("pulse_session", str(alice.session()))
    assert alice.get("/devices").status_code == 200
    assert planted.get("/devices").status_code == 303


@pytest.mark.parametrize(
    ("peer", "name"), [("127.0.0.1", "__Host-pulse_session"), ("192.0.2.1", "pulse_session")]
)
def test_only_a_trusted_proxy_says_that_the_browser_came_by_tls(
    site: Site, visitor: Come, peer: str, name: str
) -> None:
    account(site, "alice", Role.VIEWER)
    guest = visitor(client=(peer, 4000))
    guest.client.headers["X-Forwarded-Proto"] = "https"
    page = guest.get("/sign-in")
    before = {cookie.name: cookie.value for cookie in guest.client.cookies.jar}
    answer = guest.client.post(
        "/sign-in",
        data={**hidden(page.text, "/sign-in"), "name": "alice", "password": PASSWORD},
        headers={"Cookie": "; ".join(f"{key}={value}" for key, value in before.items())},
    )
    assert answer.status_code == 303
    assert name in _cookies(answer)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/sign-in?next=/",
    ],
)
def test_no_link_to_the_sign_in_leads_to_another_site(site: Site, visitor: Come, address: str) -> None:
    assert same_site(address) == "/"
    account(site, "alice", Role.VIEWER)
    assert visitor().sign_in("alice", next_=address).headers["location"] == "/"


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"Origin": "https://evil.example"}, None),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
        ({}, ""),
        ({}, "0" * 64),
    ],
)
def test_no_other_site_signs_anybody_in_or_out(
    site: Site, visitor: Come, headers: dict[str, str], form: str | None
) -> None:
    account(site, "alice", Role.VIEWER)
    guest = visitor()
    fields = hidden(guest.get("/sign-in").text, "/sign-in") | ({} if form is None else {"form": form})
    refused = guest.client.post(
        "/sign-in", data={**fields, "name": "alice", "password": PASSWORD}, headers=headers
    )
    assert refused.status_code == 403
    assert guest.session() is None
    guest.sign_in("alice")
    fields = hidden(guest.get("/devices").text, "/sign-out") | ({} if form is None else {"form": form})
    assert guest.client.post("/sign-out", data=fields, headers=headers).status_code == 403
    with site.db.read() as connection:
        (noted,) = audit.listing(connection, audit.Filter(action="request"))
    assert (noted.actor, noted.outcome, noted.subject) == ("user:alice", "refused", "form")
    said = {"method": "POST", "path": "/sign-out"}
    assert json.loads(str(noted.after)) == said | {"sent_from": "evil.example" if "Origin" in headers else ""}
    assert guest.get("/devices").status_code == 200


def test_the_form_of_one_browser_is_of_no_use_in_another(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    attacker, victim = visitor(), visitor()
    fields = hidden(attacker.get("/sign-in").text, "/sign-in")
    victim.get("/sign-in")
    answer = victim.client.post("/sign-in", data={**fields, "name": "alice", "password": PASSWORD})
    assert answer.status_code == 403


def test_the_first_administrator_is_made_once_by_the_printed_code(site: Site, visitor: Come) -> None:
    with site.db.write() as connection:
        code = people.begin_setup(connection, MACHINE, site.clock.now_us()) or ""
    guest = visitor()
    assert "no administrator yet" in text(guest.get("/sign-in"))
    wrong = guest.send("/setup", "/setup", code="AAAAA", name="root-admin", password=PASSWORD)
    assert wrong.status_code == 422
    assert "the link or code is wrong, used or too old" in text(wrong)
    short = guest.send("/setup", "/setup", code=code, name="root-admin", password="short")
    assert "use at least 15 characters" in text(short)
    typed = code.lower().replace("-", " ")
    made = guest.send("/setup", "/setup", code=typed, name="Root-Admin", password=PASSWORD)
    assert (made.status_code, made.headers["location"]) == (303, "/")
    assert guest.get("/people").status_code == 200
    again = visitor().send("/setup", "/setup", code=code, name="second", password=PASSWORD)
    assert again.status_code == 422
    with site.db.read() as connection:
        noted = audit.listing(connection, audit.Filter(action="code.use"))
    assert [(e.actor, e.outcome) for e in noted] == [("anonymous", "refused")] * 2
    assert code not in str(noted)


def test_an_invited_person_sees_their_name_and_chooses_a_password(site: Site, visitor: Come) -> None:
    with site.db.write() as connection:
        user = people.create(connection, MACHINE, "bob", Role.VIEWER, site.clock.now_us())
        code = people.invite(connection, MACHINE, user, site.clock.now_us())
    bob = visitor()
    page = bob.send("/welcome", "/welcome", code=code)
    assert "Welcome, bob" in text(page)
    fields = hidden(page.text, "/welcome")
    guessed = bob.client.post("/welcome", data={**fields, "password": "bob bob bob bob bob"})
    assert "too easy to guess" in text(guessed)
    chosen = bob.client.post("/welcome", data={**fields, "password": PASSWORD})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/")
    assert bob.get("/devices").status_code == 200
    used = visitor().send("/welcome", "/welcome", code=code)
    assert used.status_code == 422
    assert "used or too old" in text(used)


def test_a_password_is_never_repeated_in_a_page(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    secret = "mistyped passphrase of a person"
    assert secret not in visitor().sign_in("alice", secret).text
    assert secret not in visitor().send("/setup", "/setup", code="x", name="y", password=secret).text


def _cookies(answer: Any) -> dict[str, list[str]]:
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        first, *rest = line.split("; ")
        name, _, value = first.partition("=")
        if value.strip('"'):
            found[name] = [value, *sorted(part for part in rest if not part.startswith("expires"))]
    return found
