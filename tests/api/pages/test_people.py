"""Accounts as an administrator handles them; nobody else does."""

import re
from collections.abc import Callable

import pytest

from pulse.access import people
from pulse.access.roles import Role
from tests.api.pages.visitor import MACHINE, PASSWORD, Visitor, account, hidden, text
from tests.api.site import Site

Come = Callable[..., Visitor]


@pytest.fixture
def admin(site: Site, visitor: Come) -> Visitor:
    account(site, "root-admin", Role.ADMIN)
    admin = visitor()
    admin.sign_in("root-admin")
    return admin


def test_a_new_account_comes_with_a_link_that_is_shown_once_and_works_once(
    admin: Visitor, visitor: Come
) -> None:
    made = admin.send(
        "/people",
        "/people",
        name="Eva",
        display="Evaluation office",
        role="evaluator",
        reach="some",
        community=["xinjinglou"],
    )
    link = re.search(r"http://testserver/welcome#([0-9A-Z-]{29})", made.text)
    assert link
    assert link[1] not in admin.get("/people/eva").text
    rows = text(admin.get("/people"))
    assert "Evaluation office eva Evaluator Communities: Xinjinglou Waiting for a password" in rows
    eva = visitor()
    fields = hidden(eva.send("/welcome", "/welcome", code=link[1]).text, "/welcome")
    assert eva.client.post("/welcome", data={**fields, "password": PASSWORD}).status_code == 303
    assert "Evaluation office eva Evaluator Communities: Xinjinglou Active" in text(admin.get("/people"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x"}, "cannot be a user name"),
        ({"name": "root-admin"}, "is taken"),
        ({"role": "king"}, "is not a role"),
        ({"reach": "some"}, "choose at least one community"),
        ({"reach": "some", "community": ["nowhere"]}, "no community has this id"),
        ({"display": "x" * 101}, "at most 100"),
    ],
)
def test_an_account_that_cannot_be_is_explained_and_what_was_typed_stays(
    admin: Visitor, fields: dict[str, object], said: str
) -> None:
    asked = {"name": "eva", "display": "Eva", "role": "viewer", "reach": "all"} | fields
    answer = admin.send("/people", "/people", **asked)
    assert answer.status_code == 422
    assert said in text(answer)
    assert f'value="{asked["name"]}"' in answer.text
    assert admin.get("/people/eva").status_code == 404


def test_a_change_signs_the_person_out_and_is_told(site: Site, admin: Visitor, visitor: Come) -> None:
    account(site, "vic", Role.VIEWER)
    vic = visitor()
    vic.sign_in("vic")
    sent = admin.send(
        "/people/vic", "/people/vic", display="Vic", role="manager", reach="some", community=["rongxinyuan"]
    )
    assert sent.headers["location"] == "/people/vic?done=changed"
    assert "The account is changed." in text(admin.get(sent.headers["location"]))
    assert vic.get("/devices").status_code == 303
    with site.db.read() as connection:
        user = people.must_be(connection, "vic")
    assert (user.role, user.communities) == (Role.MANAGER, frozenset({"rongxinyuan"}))


def test_a_disabled_account_is_out_at_once_and_can_come_back(
    site: Site, admin: Visitor, visitor: Come
) -> None:
    account(site, "vic", Role.VIEWER)
    vic = visitor()
    vic.sign_in("vic")
    admin.send("/people/vic", "/people/vic/disable")
    assert vic.get("/devices").status_code == 303
    assert vic.sign_in("vic").status_code == 401
    assert "Disabled" in text(admin.get("/people/vic"))
    admin.send("/people/vic", "/people/vic/enable")
    assert vic.sign_in("vic").status_code == 303


def test_a_locked_out_person_is_let_in_again(site: Site, admin: Visitor, visitor: Come) -> None:
    account(site, "vic", Role.VIEWER)
    vic = visitor()
    for _ in range(6):
        vic.sign_in("vic", "wrong again and again")
    assert vic.sign_in("vic").status_code == 429
    assert "Locked out until" in text(admin.get("/people/vic"))
    admin.send("/people/vic", "/people/vic/unlock")
    assert vic.sign_in("vic").status_code == 303


def test_a_new_invitation_replaces_the_one_before(site: Site, admin: Visitor, visitor: Come) -> None:
    with site.db.write() as connection:
        user = people.create(connection, MACHINE, "vic", Role.VIEWER, site.clock.now_us())
        first = people.invite(connection, MACHINE, user, site.clock.now_us())
    assert "works once" in text(admin.send("/people/vic", "/people/vic/invitation"))
    assert visitor().send("/welcome", "/welcome", code=first).status_code == 422


@pytest.mark.parametrize("way", ["disable", "role"])
def test_the_last_administrator_stays(admin: Visitor, way: str) -> None:
    action = "/people/root-admin" + ("/disable" if way == "disable" else "")
    answer = admin.send("/people/root-admin", action, display="", role="viewer", reach="all")
    assert answer.status_code == 409
    assert "this is the last administrator; make another one first" in text(answer)
    assert admin.get("/people").status_code == 200


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_nobody_else_reaches_or_sees_accounts(site: Site, visitor: Come, role: Role) -> None:
    account(site, "vic", role)
    vic = visitor()
    vic.sign_in("vic")
    fields = hidden(vic.get("/account").text, "/sign-out")
    assert 'href="/people"' not in vic.get("/account").text
    assert vic.get("/people").status_code == 403
    assert vic.get("/people/vic").status_code == 403
    for action in ("", "/vic", "/vic/disable", "/vic/unlock", "/vic/invitation"):
        answer = vic.client.post(f"/people{action}", data={**fields, "role": "admin", "reach": "all"})
        assert answer.status_code == 403
    with site.db.read() as connection:
        assert people.must_be(connection, "vic").role is role


def test_a_change_of_an_account_needs_the_forms_token(site: Site, admin: Visitor) -> None:
    account(site, "vic", Role.VIEWER)
    for action in ("", "/vic", "/vic/disable", "/vic/enable", "/vic/unlock", "/vic/invitation"):
        assert admin.client.post(f"/people{action}", data={"role": "admin"}).status_code == 403
    with site.db.read() as connection:
        assert people.must_be(connection, "vic").role is Role.VIEWER
