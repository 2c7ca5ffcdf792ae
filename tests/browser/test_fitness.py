"""Pages fit every screen and reader, and nothing in them comes from anywhere else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, WALL, Server, Visit
from tests.browser.town import Town

AXE = Path(__file__).resolve().parents[2] / "api/frontend/node_modules/axe-core/axe.min.js"
WIDTHS = (320, 390, 768, 1024, 1440)
PATHS = ("/", "/wall", "/sharing", "/devices", "/devices/{down}")


def settled(page: Page) -> Page:
    expect(page.locator("html")).to_have_attribute("data-link", "live")
    page.evaluate("document.fonts.ready")
    return page


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PATHS)
def test_no_page_scrolls_sideways(visit: Visit, town: Town, path: str, language: str) -> None:
    page = settled(visit(path.format(down=next(iter(town.down))), size=PHONE, language=language))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_page_scrolls_sideways_while_the_rate_is_a_range(visit: Visit, town: Town) -> None:
    town.collector_dies(3600)
    for size in (PHONE, DESK, WALL):
        page = settled(visit("/", size=size, language="en"))
        expect(page.locator("#rate")).to_contain_text("–")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: pip install -e . fetches it from npm")
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PATHS)
def test_no_accessibility_violation(visit: Visit, town: Town, path: str, language: str) -> None:
    page = settled(visit(path.format(down=next(iter(town.down))), language=language))
    for width, height in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            assert violations(page) == [], f"{width} {theme}"


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: pip install -e . fetches it from npm")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_accessibility_violation_when_blind_disconnected_or_explained(
    watched: Callable[[Server], Visit], server: Server, town: Town, theme: str
) -> None:
    town.later(30)
    town.goes_blind()
    page = settled(watched(server)("/", theme=theme))
    expect(page.locator(".notice.blind")).to_be_visible()
    page.click(".about")
    assert violations(page) == []
    page.keyboard.press("Escape")
    server.stop()
    expect(page.locator("#lost")).to_be_visible(timeout=10_000)
    # What is greyed out is meant to look stale; everything else has to stay readable.
    assert violations(page, "contrast") == []


def test_the_keyboard_reaches_everything_in_order(visit: Visit) -> None:
    page = settled(visit("/"))
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className"
                " || document.activeElement.textContent.trim()"
            )
        )
    assert reached[:12] == [
        "skip",
        "brand",
        "总览",
        "设备",
        "数据共享",
        "维护",
        "集中失联",
        "tool wide-only",
        "theme",
        "lang",
        "sign-in",
        "about",
    ]
    assert "second" in reached[12:]
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_pages_forbid_scripts_and_styles_that_are_not_files_of_this_server(visit: Visit) -> None:
    page = visit("/")
    answer = page.request.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style", "link"):
        for element in page.locator(kind).all():
            assert (element.get_attribute("src") or element.get_attribute("href") or "").startswith(
                "/static/"
            )
    assert page.locator("[style]:not(#chart):not(#chart *)").count() == 0


def violations(page: Page, without: str = "") -> list[str]:
    """What axe finds on the page, but for the rules whose names hold `without`."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
        if not without or without not in violation["id"]
    ]
