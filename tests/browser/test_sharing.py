"""The page of data sharing: what is shared, where the rest is stuck, and both sides; live, for everybody."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, WALL, Visit
from tests.browser.sharing import share, water_comes_back
from tests.browser.test_fitness import AXE, WIDTHS, settled, violations
from tests.browser.town import Town


def test_the_headline_says_how_many_kinds_are_shared_and_each_why(visit: Visit, town: Town) -> None:
    share(town, water_down=True)
    page = settled(visit("/sharing", language="en"))
    expect(page.locator("#rate")).to_have_text("87.5%")
    expect(page.locator("#counts")).to_have_text("7/8")
    expect(page.locator("#headline .bar rect")).to_have_count(8)
    expect(page).to_have_title("7/8 · Data sharing · Community Pulse")
    kinds = page.locator("#funnel .flow")
    expect(kinds).to_have_count(8)
    # What is not as it should be comes first.
    expect(kinds.first).to_contain_text("Flow readings")
    expect(kinds.first).to_contain_text("the last receipt is too old")
    expect(page.locator("#k-perimeter_event")).to_contain_text("acknowledged that nothing happened")
    expect(page.locator("#k-gas_reading .flow-receipt")).to_contain_text("Fire brigade")


def test_where_records_are_stuck_is_seen_with_the_reason(visit: Visit, town: Town) -> None:
    share(town, water_down=True)
    page = settled(visit("/sharing"))
    flow = page.locator("#k-flow_reading")
    counts = [int(text.replace(",", "")) for text in flow.locator(".flow-step b").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    assert counts[3] < counts[2] < counts[1]
    expect(flow.locator(".outlet-error")).to_contain_text("连接失败")
    expect(page.locator("#o-water")).to_contain_text("未送达")
    expect(page.locator("#o-fire")).to_contain_text("正常投递")


def test_both_sides_are_shown_where_they_differ_first(visit: Visit, town: Town) -> None:
    share(town, water_down=True)
    page = settled(visit("/sharing", language="en"))
    first = page.locator("#reports .report").first
    expect(first).to_contain_text("Water company")
    expect(first).to_contain_text("They differ")
    expect(page.locator("#reports .report")).to_have_count(6)
    # Nobody is signed in: there is nothing to press.
    expect(page.locator("#reports form")).to_have_count(0)


def test_the_page_follows_what_departments_acknowledge(visit: Visit, town: Town) -> None:
    share(town, water_down=True)
    page = settled(visit("/sharing"))
    overview = settled(visit("/"))
    expect(page.locator("#counts")).to_have_text("7/8")
    expect(overview.locator("#second")).to_contain_text("7/8")
    water_comes_back(town)
    expect(page.locator("#counts")).to_have_text("8/8", timeout=15_000)
    expect(page.locator("#rate")).to_have_text("100.0%")
    expect(overview.locator("#second")).to_contain_text("8/8", timeout=15_000)


def test_without_an_outlet_the_page_says_that_nothing_is_shared(visit: Visit) -> None:
    page = settled(visit("/sharing", language="en"))
    expect(page.locator("#rate")).to_have_text("—")
    expect(page.locator("#outlets")).to_contain_text("nothing is shared with anybody")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_never_scrolls_sideways(visit: Visit, town: Town, language: str) -> None:
    share(town, water_down=True)
    for path in ("/sharing", "/", "/wall"):
        page = settled(visit(path, size=PHONE, language=language))
        for width in (*WIDTHS, WALL[0]):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: pip install -e . fetches it from npm")
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", ["/sharing", "/", "/wall"])
def test_it_has_no_accessibility_violation(visit: Visit, town: Town, path: str, language: str) -> None:
    share(town, water_down=True)
    page = settled(visit(path, language=language))
    for width, height in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            assert violations(page) == [], f"{width} {theme}"
