"""A community that fell silent at once: said on the overview, decided by two people, also on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pulse.access import passwords, people
from pulse.access.roles import Role, system
from pulse.clock import MINUTE_US
from pulse.ledger.correlated import Incident
from pulse.ledger.model import FOREVER
from pulse.stores.relational import events, incidents
from tests.browser.conftest import DESK, PHONE, WALL, Server, Visit
from tests.browser.test_fitness import AXE, WIDTHS, violations
from tests.browser.town import NOW, Town

PASSWORD = "seven quiet lanterns on the river"
MACHINE = system("tests", "here")
Watched = Callable[[Server], Visit]


def befalls(town: Town, community: str = "rongxinyuan", ended: int = FOREVER) -> None:
    """Most of a community fell silent nine minutes ago."""
    start = NOW - 9 * MINUTE_US
    found = Incident(community, start + MINUTE_US, start - MINUTE_US, start, 180, 172, 201, ended)
    with town.db.write() as connection:
        entry = incidents.put(connection, found, NOW)
        events.append(connection, [incidents.event(entry, NOW)])


def manager(town: Town, name: str) -> None:
    with town.db.write() as connection:
        people.create(
            connection,
            MACHINE,
            name,
            Role.MANAGER,
            town.clock.now_us(),
            communities=["rongxinyuan", "yiminyuan"],
            password_hash=passwords.hashed(PASSWORD),
        )


def signed_in(page: Page, name: str) -> Page:
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click(".button.main")
    expect(page.locator("h1")).to_be_visible()
    return page


@pytest.mark.parametrize("path", ["/", "/wall"])
def test_it_appears_without_loading_anew_in_words_for_a_property_manager(
    visit: Visit, town: Town, path: str
) -> None:
    page = visit(path, size=WALL if path == "/wall" else DESK)
    expect(page.locator("#headline")).to_contain_text("811")
    befalls(town)
    notice = page.locator("#notices .notice")
    expect(notice).to_contain_text("荣馨园 201 台中的 180 台在 16:56 前后同时失联")
    expect(notice).to_contain_text("可能是网络或采集问题，而非设备故障")
    expect(notice.get_by_role("link")).to_have_attribute("href", "/incidents#i-1")


def test_one_confirms_another_approves_and_the_notice_goes(
    closed: Server, watched: Watched, town: Town
) -> None:
    befalls(town)
    for name in ("mei", "li"):
        manager(town, name)
    visit = watched(closed)
    first = signed_in(visit("/incidents"), "mei")
    first.get_by_label("您了解的情况").fill("光缆被挖断")
    first.get_by_role("button", name="是网络或采集问题").click()
    expect(first.get_by_role("status")).to_contain_text("等待另一人批准")
    expect(first.locator("#i-1")).to_contain_text("您已确认，须由另一人批准")
    expect(first.get_by_role("button", name="批准：此段沉默按未知计")).to_have_count(0)
    second = signed_in(visit("/incidents", size=PHONE), "li")
    expect(second.locator("#i-1")).to_contain_text("光缆被挖断")
    second.get_by_role("button", name="批准：此段沉默按未知计").click()
    expect(second.locator("#i-1")).to_contain_text("已按未知计")
    second.goto("/")
    expect(second.locator("#headline")).to_be_visible()
    expect(second.locator("#notices .notice")).to_have_count(0)
    assert visit.complaints == []


def test_a_reason_of_blanks_is_refused_at_its_field(closed: Server, watched: Watched, town: Town) -> None:
    befalls(town)
    manager(town, "mei")
    page = signed_in(watched(closed)("/incidents"), "mei")
    page.get_by_label("您了解的情况").fill("   ")
    page.get_by_role("button", name="设备确实失联").click()
    expect(page.locator("#reason-1-fault")).to_contain_text("请说明理由")


def test_who_only_looks_sees_no_forms(visit: Visit, town: Town) -> None:
    befalls(town, ended=NOW - MINUTE_US)
    page = visit("/incidents", language="en")
    expect(page.locator("#i-1")).to_contain_text("180")
    expect(page.locator("#i-1 form")).to_have_count(0)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_fit_and_can_be_read(closed: Server, watched: Watched, town: Town, language: str) -> None:
    befalls(town)
    befalls(town, "yiminyuan", NOW - 2 * MINUTE_US)
    manager(town, "mei")
    page = signed_in(watched(closed)("/incidents", language=language), "mei")
    wrong = []
    for path in ("/incidents", "/"):
        page.goto(path)
        for width in (*WIDTHS, WALL[0]):
            page.set_viewport_size({"width": width, "height": 844})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{path} at {width}")
        for theme in ("light", "dark") if AXE.exists() else ():
            page.emulate_media(color_scheme=theme)
            wrong += [f"{path} {theme} {told}" for told in violations(page)]
    assert wrong == []
