"""From the printed set-up link to a revoked token, in real browsers; the pages of it fit and can be read."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from pulse.access import passwords, people
from pulse.access.roles import Role, system
from pulse.stores.relational import sessions
from tests.browser.conftest import DESK, PHONE, Server, Visit
from tests.browser.test_fitness import AXE, WIDTHS, violations
from tests.browser.town import Town

PASSWORD = "seven quiet lanterns on the river"
MACHINE = system("tests", "here")
Watched = Callable[[Server], Visit]
_THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
PAGES = ("/sign-in", "/setup", "/welcome", "/account", "/people", "/people/root-admin", "/audit")


def _code(town: Town) -> str:
    with town.db.write() as connection:
        code = people.begin_setup(connection, MACHINE, town.clock.now_us())
    assert code is not None
    return code


def _sign_in(page: Page, name: str = "root-admin") -> None:
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click(".button.main")


def _admin(town: Town) -> None:
    with town.db.write() as connection:
        people.create(
            connection,
            MACHINE,
            "root-admin",
            Role.ADMIN,
            town.clock.now_us(),
            password_hash=passwords.hashed(PASSWORD),
        )


def _asked(server: Server, token: str) -> int:
    request = urllib.request.Request(
        f"{server.address}/api/v1/indicators/online-rate", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["total"] == 826
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_from_the_printed_link_to_a_revoked_token(watched: Watched, closed: Server, town: Town) -> None:
    come = watched(closed)
    admin = come(f"/setup#{_code(town)}", language="en")
    assert "#" not in admin.url
    expect(admin.locator(".length")).to_have_text("")
    admin.fill("#name", "root-admin")
    admin.fill("#password", "seven quiet")
    expect(admin.locator(".length")).to_have_text("4 more to go")
    admin.fill("#password", PASSWORD)
    expect(admin.locator(".length")).to_have_text("Long enough")
    admin.click(".reveal")
    expect(admin.locator("#password")).to_have_attribute("type", "text")
    admin.click(".button.main")
    expect(admin.locator("#rate")).to_have_text("98.2%")

    admin.click("text=People")
    admin.fill("#name", "eva")
    admin.check("input[name=role][value=evaluator]")
    admin.click("text=Create and invite")
    link = admin.locator("#invitation").input_value()
    assert admin.url.endswith("/people/eva")

    eva = come(link.removeprefix(closed.address), language="en")
    expect(eva.locator("h1")).to_have_text("Welcome, eva")
    eva.fill("#password", PASSWORD)
    eva.click(".button.main")
    expect(eva.locator("#rate")).to_have_text("98.2%")
    eva.click("#me summary")
    eva.click("text=My account")
    eva.click("#make-token summary")
    eva.fill("#label", "monthly evaluation")
    eva.click("text=Make the token")
    token = eva.locator("#token-secret").input_value()
    assert _asked(closed, token) == 200
    eva.reload()
    expect(eva.locator("#token-secret")).to_have_count(0)
    expect(eva.locator("#tokens .row")).to_have_count(1)
    eva.click("#tokens .confirm summary")
    eva.click("text=Revoke the token")
    expect(eva.locator(".notice.well")).to_contain_text("The token is revoked")
    assert _asked(closed, token) == 401

    eva.click("#me summary")
    eva.click("text=Sign out")
    expect(eva.locator("h1")).to_have_text("Sign in")
    eva.goto("/account")
    assert eva.url.endswith("/sign-in?next=/account")
    _sign_in(eva, "eva")
    expect(eva.locator("h1")).to_have_text("My account")
    assert [line for line in come.complaints if "401" not in line] == []


def test_an_open_page_whose_session_ends_goes_to_the_sign_in_and_back(
    watched: Watched, closed: Server, town: Town
) -> None:
    _admin(town)
    page = watched(closed)("/devices?kind=camera", language="en")
    _sign_in(page)
    expect(page.locator("html")).to_have_attribute("data-link", "live")
    with town.db.write() as connection:
        sessions.revoke_all(connection, 1, town.clock.now_us())
    page.evaluate("htmx.trigger(document.body, 'pulse:refresh')")
    expect(page.locator("h1")).to_have_text("Sign in")
    _sign_in(page)
    expect(page.locator("#kind")).to_have_value("camera")


def test_the_forms_work_without_scripts(watched: Watched, closed: Server, town: Town) -> None:
    _admin(town)
    come = watched(closed)
    page = come("/", language="en", scripts=False)
    _sign_in(page)
    expect(page.locator("#rate")).to_have_text("98.2%")
    page.click("#me summary")
    page.click("text=Sign out")
    expect(page.locator("h1")).to_have_text("Sign in")


BOTH = [pytest.param("zh", marks=pytest.mark.slow), "en"]
"""Every page each time takes long, and English is the longer one."""


@pytest.mark.parametrize("language", BOTH)
def test_no_page_of_it_scrolls_sideways(watched: Watched, closed: Server, town: Town, language: str) -> None:
    for page in _each(watched(closed), town, language):
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: pip install -e . fetches it from npm")
@pytest.mark.parametrize("language", BOTH)
def test_no_accessibility_violation_in_it(
    watched: Watched, closed: Server, town: Town, language: str
) -> None:
    found = {
        f"{page.url} {size[0]} {theme}": told
        for page in _each(watched(closed), town, language)
        for size in (DESK, PHONE)
        for theme in _THEMES
        if (told := _told(page, size, theme))
    }
    assert found == {}


def _told(page: Page, size: tuple[int, int], theme: Literal["light", "dark"]) -> list[str]:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme=theme)
    return violations(page)


def _each(come: Visit, town: Town, language: str) -> list[Page]:
    """Every page, as somebody sees it who may see it, with what opens in it open."""
    _admin(town)
    admin = come("/account", language=language)
    _sign_in(admin)
    expect(admin.locator("#tokens")).to_be_visible()
    pages = [come(path, language=language) for path in PAGES[:3]]
    for path in PAGES[3:]:
        page = admin.context.new_page()
        page.goto(path)
        page.click("#me summary")
        pages.append(page)
    wrong = come("/sign-in", language=language)
    wrong.fill("#name", "root-admin")
    wrong.fill("#password", "wrong")
    wrong.click(".button.main")
    expect(wrong.locator(".notice")).to_be_visible()
    admin.click("#make-token summary")
    admin.fill("#label", "monthly evaluation")
    admin.check("#tokens [name=reach][value=some]")
    admin.check("#tokens [name=community] >> nth=0")
    admin.click("#tokens .button.main")
    expect(admin.locator(".made")).to_be_visible()
    admin.click("#tokens .confirm summary")
    return [*pages, wrong, admin]
