"""One's own account: nobody reaches another's, and secrets are shown once."""

import re
from collections.abc import Callable

import pytest

from pulse.access.roles import PERMISSIONS, Role
from pulse.stores.relational import audit, sessions, tokens
from tests.api.pages.visitor import PASSWORD, Visitor, account, hidden, text
from tests.api.site import Site

Come = Callable[..., Visitor]
OTHER = "nine paper boats in the gutter"


def test_a_token_is_shown_once_works_and_works_no_more_once_revoked(site: Site, visitor: Come) -> None:
    account(site, "eva", Role.EVALUATOR)
    eva = visitor()
    eva.sign_in("eva")
    made = eva.send(
        "/account", "/account/tokens", label="monthly", scope=["indicators:read"], days="30", reach="all"
    )
    secret = re.findall(r"pulse_[\w-]{43}", made.text)
    assert len(secret) == 1
    assert "curl -H" in text(made)
    assert "/api/v1/indicators/online-rate" in text(made)
    assert secret[0] not in eva.get("/account").text
    program = visitor()
    program.client.cookies.clear()
    headers = {"Authorization": f"Bearer {secret[0]}", "Accept": "application/json"}
    assert program.get("/api/v1/indicators/online-rate", headers=headers).status_code == 200
    assert program.get("/api/v1/devices", headers=headers).status_code == 403
    with site.db.read() as connection:
        (token,) = tokens.listing(connection)
    gone = eva.send("/account", f"/account/tokens/{token.id}/revoke")
    assert gone.headers["location"] == "/account?done=token"
    assert program.get("/api/v1/indicators/online-rate", headers=headers).status_code == 401


@pytest.mark.parametrize("role", list(Role))
def test_a_token_is_offered_no_more_than_its_role_has(site: Site, visitor: Come, role: Role) -> None:
    account(site, "somebody", role)
    person = visitor()
    person.sign_in("somebody")
    offered = re.findall(r'name="scope" value="([\w:]+)"', person.get("/account").text)
    may_make = "tokens:write" in PERMISSIONS[role]
    assert offered == (sorted(PERMISSIONS[role]) if may_make else [])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label": ""}, "say in 1 to 100 characters"),
        ({"scope": ["users:write"]}, "is not a permission of the role"),
        ({"scope": []}, "give at least one scope"),
        ({"days": "4000"}, "valid for 1 to 400 days"),
        ({"days": "x"}, "valid for 1 to 400 days"),
        ({"reach": "some"}, "choose at least one community"),
        ({"reach": "some", "community": ["rongxinyuan"]}, "is none of theirs"),
    ],
)
def test_a_token_that_cannot_be_is_explained_and_what_was_typed_stays(
    site: Site, visitor: Come, fields: dict[str, object], said: str
) -> None:
    account(site, "eva", Role.EVALUATOR, ["xinjinglou"])
    eva = visitor()
    eva.sign_in("eva")
    asked = {"label": "monthly", "scope": ["indicators:read"], "days": "30", "reach": "all"} | fields
    answer = eva.send("/account", "/account/tokens", **asked)
    assert answer.status_code == 422
    assert said in text(answer)
    if asked["label"]:
        assert 'value="monthly"' in answer.text
    with site.db.read() as connection:
        assert tokens.listing(connection) == []


def test_the_present_password_is_asked_before_another_and_other_sessions_end(
    site: Site, visitor: Come
) -> None:
    account(site, "alice", Role.VIEWER)
    here, there = visitor(), visitor()
    here.sign_in("alice")
    there.sign_in("alice")
    wrong = here.send("/account", "/account/password", present=OTHER, password=OTHER)
    assert wrong.status_code == 422
    assert "the present password is wrong" in text(wrong)
    assert there.get("/account").status_code == 200
    changed = here.send("/account", "/account/password", present=PASSWORD, password=OTHER)
    assert changed.headers["location"] == "/account?done=password"
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    assert visitor().sign_in("alice").status_code == 401
    assert visitor().sign_in("alice", OTHER).status_code == 303


def test_guessing_the_present_password_locks_as_a_sign_in_does(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    here = visitor()
    here.sign_in("alice")
    for _ in range(6):
        here.send("/account", "/account/password", present=OTHER, password=OTHER)
    locked = here.send("/account", "/account/password", present=PASSWORD, password=OTHER)
    assert "too many failed attempts" in text(locked)
    with site.db.read() as connection:
        refused = audit.listing(connection, audit.Filter(action="user.password", outcome=audit.REFUSED))
    assert len(refused) == 6


def test_sign_ins_are_listed_and_ended_one_by_one_or_all_others(site: Site, visitor: Come) -> None:
    user = account(site, "alice", Role.VIEWER)
    here, there, elsewhere = visitor(), visitor(), visitor()
    for one in (here, there, elsewhere):
        one.sign_in("alice")
    page = here.get("/account")
    assert text(page).count("Firefox · Linux") == 3
    with site.db.read() as connection:
        numbers = sorted(session.id for session in sessions.of_user(connection, user.id))
    here.send("/account", f"/account/sessions/{numbers[1]}/end")
    assert there.get("/account").status_code == 303
    assert elsewhere.get("/account").status_code == 200
    here.send("/account", "/account/sessions/others/end")
    assert elsewhere.get("/account").status_code == 303
    assert here.get("/account").status_code == 200


def test_nobody_ends_or_revokes_what_is_anothers(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.EVALUATOR)
    account(site, "mallory", Role.EVALUATOR)
    alice, mallory = visitor(), visitor()
    alice.sign_in("alice")
    mallory.sign_in("mallory")
    alice.send("/account", "/account/tokens", label="mine", scope=["devices:read"], days="7", reach="all")
    with site.db.read() as connection:
        (token,) = tokens.listing(connection)
    fields = hidden(mallory.get("/account").text, "/account/tokens")
    for action in (f"/account/tokens/{token.id}/revoke", "/account/sessions/1/end"):
        assert mallory.client.post(action, data=fields).status_code == 404
    assert alice.get("/account").status_code == 200
    with site.db.read() as connection:
        assert tokens.listing(connection)[0].revoked_us is None


@pytest.mark.parametrize(
    "action", ["/account/password", "/account/tokens", "/account/sessions/others/end", "/sign-out"]
)
def test_no_change_without_the_forms_token_of_this_session(site: Site, visitor: Come, action: str) -> None:
    account(site, "alice", Role.ADMIN)
    alice, mallory = visitor(), visitor()
    for one in (alice, mallory):
        one.sign_in("alice")
    others = hidden(mallory.get("/account").text, "/sign-out")
    for form in ({}, {"form": ""}, others):
        assert alice.client.post(action, data=form).status_code == 403
    good = hidden(alice.get("/account").text, "/sign-out")
    from_elsewhere = alice.client.post(action, data=good, headers={"Origin": "https://evil.example"})
    assert from_elsewhere.status_code == 403
    assert "does not come from a page of this site" in text(from_elsewhere)
    assert mallory.get("/account").status_code == 200


def test_a_form_sent_after_the_session_ended_leads_to_the_sign_in_and_back(site: Site, visitor: Come) -> None:
    account(site, "alice", Role.VIEWER)
    alice = visitor()
    alice.sign_in("alice")
    fields = hidden(alice.get("/account").text, "/account/password")
    alice.send("/account", "/sign-out")
    answer = alice.client.post(
        "/account/password", data=fields, headers={"Referer": "http://testserver/account"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/account")


def test_a_department_lands_on_its_account_and_sees_no_way_to_devices(site: Site, visitor: Come) -> None:
    account(site, "desk", Role.DEPARTMENT)
    desk = visitor()
    assert desk.sign_in("desk").headers["location"] == "/account"
    page = desk.get("/account").text
    assert 'href="/devices"' not in page
    refused = desk.get("/devices")
    assert refused.status_code == 403
    assert "Your role may not do this" in text(refused)
