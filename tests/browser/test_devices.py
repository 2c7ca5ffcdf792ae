"""The list of devices and the page of one."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Server, Visit
from tests.browser.town import Town


def test_filters_narrow_the_list_and_stand_in_the_address(visit: Visit) -> None:
    page = visit("/devices", language="en")
    expect(page.locator("#results [role=status]")).to_contain_text("826")
    page.select_option("#community", "xinjinglou")
    expect(page.locator("#results [role=status]")).to_contain_text("314")
    page.check("input[value=offline]")
    expect(page.locator("#results [role=status]")).to_contain_text("5 devices of 826 registered")
    page.fill("#q", "gas")
    expect(page.locator("#results .device")).to_have_count(2)
    assert "community=xinjinglou" in page.url
    page.reload()
    expect(page.locator("#results .device")).to_have_count(2)
    expect(page.locator("#q")).to_have_value("gas")


def test_a_long_list_is_read_page_by_page(visit: Visit) -> None:
    page = visit("/devices?kind=camera", language="en")
    first = page.locator("#results .device-link").first.get_attribute("id")
    page.click("a[rel=next]")
    expect(page.locator("#results .device")).to_have_count(82)
    page.click("text=First page")
    expect(page.locator("#results .device-link").first).to_have_id(first or "")


def test_an_open_list_follows_events_and_keeps_its_filters(visit: Visit, town: Town) -> None:
    page = visit("/devices?state=offline&community=yiminyuan", language="en")
    expect(page.locator("#results .device")).to_have_count(3)
    expect(page.locator("#link")).to_have_text("Live")
    town.later(5)
    town.goes_silent(town.device("yiminyuan", "gas_alarm"))
    expect(page.locator("#results .device")).to_have_count(4, timeout=2_500)


def test_a_silent_device_is_explained_by_its_last_beat_its_deadline_and_the_listening(
    visit: Visit, town: Town
) -> None:
    silent = next(iter(town.down))
    page = visit("/", language="en")
    page.click(f"#d-{silent}")
    expect(page.locator("#state")).to_contain_text("Offline")
    expect(page.locator("#state")).to_contain_text("since 2026-11-23 16:58:22")
    why = page.locator("#why")
    expect(why).to_contain_text("No heartbeat within the timeout")
    expect(why).to_contain_text("2026-11-23 16:55:22")
    expect(why).to_contain_text("Deadline: 180 s after the last heartbeat")
    expect(why).to_contain_text("the collector listened all through it and heard nothing")
    expect(page.locator("#heard .decides")).to_contain_text("2026-11-23 16:55:22")
    expect(page.locator("#week svg.strip")).to_have_count(7)
    expect(page.locator("#changes li")).to_have_count(4)


def test_an_online_device_says_until_when_it_counts_as_alive(visit: Visit, town: Town) -> None:
    page = visit(f"/devices/{town.device('xinjinglou', 'camera').id}", language="en")
    expect(page.locator("#why")).to_contain_text("Why online?")
    expect(page.locator("#week")).to_contain_text("100.0%")


def test_a_fault_is_explained_from_its_beginning_to_the_next_deadline(visit: Visit, town: Town) -> None:
    (faulty, *_) = (device for device, minutes in town.down.items() if minutes == 41)
    page = visit(f"/devices/{faulty}", language="en")
    steps = page.locator("#why .step").all_inner_texts()
    assert "16:24:22" in steps[0]
    assert "Fault" in steps[0]
    assert "17:05:02" in steps[1]
    assert "a heartbeat that reports a fault" in steps[1]
    assert "Until then it counts as alive" in steps[2]
    expect(page.locator("#heard .decides")).to_contain_text("sensor_blocked")


def test_offline_after_a_blind_time_says_that_it_is_said_again(visit: Visit, town: Town) -> None:
    (silent, *_) = (device for device, minutes in town.down.items() if minutes == 3_900)
    page = visit(f"/devices/{silent}", language="en")
    expect(page.locator("#why")).to_contain_text("offline is said again only after a whole timeout")


def test_a_device_that_nobody_registered_is_a_clear_not_found(
    watched: Callable[[Server], Visit], server: Server
) -> None:
    visit = watched(server)
    page = visit("/devices/no-such-thing", language="en")
    expect(page.locator("h1")).to_have_text("No such device")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus") == 404


def test_without_a_device_the_page_says_how_to_connect_the_first(
    tmp_path: Path, browser: Browser, watched: Callable[[Server], Visit]
) -> None:
    (tmp_path / "empty").mkdir()
    with Town(tmp_path / "empty", empty=True) as town:
        server = Server(town.context)
        server.start()
        try:
            visit = watched(server)
            page = visit("/", language="en")
            expect(page.locator("#start")).to_contain_text("No device is registered yet")
            expect(page.locator("#start")).to_contain_text("mosquitto_pub -h 127.0.0.1 -p 1883")
            expect(page.locator("#link")).to_have_text("Live")
            town.discovers("cam-0001", "my-community", "camera")
            page.evaluate("htmx.trigger(document.body, 'pulse:refresh')")
            expect(page.locator("#start .inbox")).to_contain_text("cam-0001")
            assert visit.complaints == []
        finally:
            server.stop()
