"""An open page stays true by itself, and says so when it cannot."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Server, Visit
from tests.browser.town import Town

WITHIN_MS = 2_500
"""Less than the page's own period, so that only an event explains the change."""


def test_a_transition_changes_number_parts_and_list_without_a_reload(visit: Visit, town: Town) -> None:
    page = visit("/")
    expect(page.locator("#link")).to_have_text("实时")
    page.evaluate("window.stayed = true")
    camera = town.device("xinjinglou", "camera")
    town.later(5)
    town.goes_silent(camera)
    expect(page.locator("#counts")).to_have_text("810/826", timeout=WITHIN_MS)
    expect(page.locator("#rate")).to_have_text("98.1%")
    expect(page).to_have_title(re.compile("98.1%"))
    expect(page.locator("#down .device").first.locator("a")).to_have_id(f"d-{camera.id}")
    expect(page.locator("#communities")).to_contain_text("307/314")
    town.later(5)
    town.comes_back(camera)
    expect(page.locator("#counts")).to_have_text("811/826", timeout=WITHIN_MS)
    expect(page.locator(f"#d-{camera.id}")).to_have_count(0)
    assert page.evaluate("window.stayed")


def test_focus_survives_a_refresh(visit: Visit, town: Town) -> None:
    page = visit("/")
    expect(page.locator("#link")).to_have_text("实时")
    link = page.locator("#down .device a").nth(3)
    ident = link.get_attribute("id")
    link.focus()
    town.later(5)
    town.goes_silent(town.device("rongxinyuan", "smart_lock"))
    expect(page.locator("#counts")).to_have_text("810/826", timeout=WITHIN_MS)
    assert page.evaluate("document.activeElement.id") == ident


def test_a_blind_collector_is_said_with_since_when_and_the_rate_becomes_a_range(
    visit: Visit, town: Town
) -> None:
    page = visit("/", language="en")
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator(".notice.blind")).to_have_count(0)
    town.later(30)
    town.goes_blind()
    town.clock.now += 300_000_000
    town.mark(listening=False)
    notice = page.locator(".notice.blind")
    expect(notice).to_contain_text("The collector hears nothing.", timeout=WITHIN_MS)
    expect(notice).to_contain_text("2026-11-23 17:05:52")
    page.evaluate("htmx.trigger(document.body, 'pulse:refresh')")
    expect(page.locator("#rate")).to_have_text("98.2–99.8%")
    expect(page.locator("#range")).to_contain_text("13 devices are unknown")


def test_a_collector_that_stopped_reporting_is_said(visit: Visit, town: Town) -> None:
    town.collector_dies(60)
    page = visit("/", language="en")
    expect(page.locator(".notice.blind")).to_contain_text("The collector is not running.")
    expect(page.locator(".notice.blind")).to_contain_text("2026-11-23 17:05:22")


def test_a_lost_server_is_said_with_the_time_of_the_numbers_and_recovery_is_noticed(
    watched: Callable[[Server], Visit], server: Server, town: Town
) -> None:
    visit = watched(server)
    page = visit("/", language="en")
    expect(page.locator("#link")).to_have_text("Live")
    server.stop()
    lost = page.locator("#lost")
    expect(lost).to_be_visible(timeout=10_000)
    expect(lost).to_contain_text("2026-11-23 17:05:22")
    expect(page.locator("#link")).to_have_text("Disconnected")
    assert page.locator(".hero").evaluate("(e) => getComputedStyle(e).filter") == "grayscale(1)"
    town.later(120)
    town.goes_silent(town.device("yiminyuan", "camera"))
    server.start()
    expect(lost).to_be_hidden(timeout=15_000)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#counts")).to_have_text("810/826")
    assert page.locator(".hero").evaluate("(e) => getComputedStyle(e).filter") == "none"
    assert all("ERR_" in said or "history" in said for said in visit.complaints), visit.complaints


def test_the_theme_follows_the_system_until_the_reader_chooses(visit: Visit) -> None:
    page = visit("/", theme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.click("#theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate(background) != dark
    expect(page.locator("#theme")).to_have_attribute("aria-label", "主题：浅色")
    page.click("#theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#theme")).to_have_attribute("aria-label", "主题：深色")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(background) == dark
