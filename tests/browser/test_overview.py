"""The first page says what it has to say, in both languages."""

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.town import DOWN, Town


def test_headline_shows_811_of_826_as_percent_and_when_it_is_as_of(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("#rate")).to_have_text("98.2%")
    expect(page.locator("#counts")).to_have_text("811/826")
    expect(page.locator("#asof")).to_contain_text("2026-11-23 17:05:22")
    expect(page).to_have_title("98.2% · 社区脉搏")


def test_chinese_comes_first_and_english_stays_once_chosen(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("h1")).to_contain_text("智慧设备在线率")
    page.click("#lang")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("h1")).to_contain_text("Device online rate")
    page.goto("/devices")
    expect(page.locator("h1")).to_have_text("Devices")
    page.click("#lang")
    expect(page.locator("h1")).to_have_text("设备")


def test_a_page_keeps_its_language_while_another_one_changes_it(visit: Visit, town: Town) -> None:
    chinese = visit("/")
    english = chinese.context.new_page()
    english.goto("/?lang=en")
    town.later(60)
    for page in (english, chinese):
        page.evaluate("htmx.trigger(document.body, 'pulse:refresh')")
        expect(page.locator("#asof")).to_contain_text("17:06:22")
    expect(english.locator("h1")).to_contain_text("Device online rate")
    expect(chinese.locator("h1")).to_contain_text("智慧设备在线率")


def test_states_communities_and_kinds_add_up(visit: Visit) -> None:
    page = visit("/")
    legend = page.locator("#headline .legend b").all_inner_texts()
    assert sum(map(int, legend)) == 826
    for part in ("#communities", "#kinds"):
        counts = [text.split("/") for text in page.locator(f"{part} .part-counts").all_inner_texts()]
        assert sum(int(running) for running, _ in counts) == 811
        assert sum(int(total) for _, total in counts) == 826


def test_every_device_that_is_down_is_listed_with_since_when_and_why(visit: Visit) -> None:
    page = visit("/", language="en")
    rows = page.locator("#down .device")
    expect(rows).to_have_count(DOWN)
    first = rows.nth(0)
    expect(first.locator(".ago")).to_have_text("3 min")
    expect(first.locator("time")).to_have_text("17:02:22")
    expect(first.locator(".device-why")).to_contain_text("last will")
    faults = page.locator("#down .s-fault.device .device-why")
    assert set(faults.all_inner_texts()) == {"The device reports a fault"}


def test_the_score_is_marked_as_an_assumption_and_simulated_data_as_such(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator(".sides")).to_contain_text("假设")
    expect(page.locator(".demo")).to_contain_text("模拟数据")
    page.click(".about")
    expect(page.locator("#about")).to_be_visible()
    expect(page.locator("#about")).to_contain_text("评分细则没有公布")


def test_the_chart_draws_the_published_values_of_either_period(visit: Visit) -> None:
    page = visit("/", language="en")
    chart = page.locator("#chart")
    expect(chart.locator("canvas")).to_have_count(1)
    day = chart.get_attribute("aria-label") or ""
    assert day.startswith("From 11-22 17:")
    page.click("[data-hours='168']")
    expect(chart).not_to_have_attribute("aria-label", day)
    expect(page.locator("[data-hours='168']")).to_have_attribute("aria-pressed", "true")


def test_the_wall_screen_shows_all_without_scrolling(visit: Visit) -> None:
    page = visit("/wall", size=(1920, 1080))
    expect(page.locator("#rate")).to_have_text("98.2%")
    expect(page.locator("#down .device")).to_have_count(DOWN)
    hidden = "(e) => Math.max(e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth)"
    assert page.locator("html").evaluate(hidden) == 0
    assert page.locator("#down .devices").evaluate(hidden) == 0
