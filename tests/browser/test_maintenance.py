"""Maintenance on the pages: looked at before it is saved, approved by another, also on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pulse.access import lives
from pulse.access import maintenance as recording
from pulse.access.roles import command_line
from pulse.clock import DAY_US, HOUR_US, MINUTE_US
from pulse.registry.lives import Step
from pulse.registry.plans import Plan, Reach, Weekly
from tests.browser.conftest import DESK, PHONE, WALL, Server, Visit
from tests.browser.test_fitness import AXE, WIDTHS, violations
from tests.browser.test_incidents import manager, signed_in
from tests.browser.town import NOW, Town

Watched = Callable[[Server], Visit]
MEI, LI = command_line("mei", "host"), command_line("li", "host")
BACKDATE = 60 * MINUTE_US


def some(town: Town) -> None:
    """An entry in every state."""
    here = Reach(community="rongxinyuan")
    nights = Weekly((1, 3, 5), 23 * 60, 5 * 60, "Asia/Shanghai")
    building = town.device("rongxinyuan", "camera").building
    with town.db.write() as connection:

        def record(plan: Plan) -> int:
            return recording.record(connection, MEI, plan, NOW, BACKDATE).id

        record(Plan(here._replace(kind="camera"), NOW - HOUR_US // 2, NOW + 2 * HOUR_US, "固件升级"))
        record(Plan(here, NOW + DAY_US, NOW + 40 * DAY_US, "夜间弱电井改造", nights))
        record(Plan(here._replace(building=building), NOW - 9 * HOUR_US, NOW - 4 * HOUR_US, "更换电池"))
        refused = record(Plan(here, NOW - 3 * DAY_US, NOW - 2 * DAY_US, "停电"))
        recording.refuse(connection, LI, refused, "没有工单，当日并未停电", NOW)
        over = record(Plan(Reach(kind="camera"), NOW - 5 * DAY_US, NOW - 5 * DAY_US + HOUR_US, "校时"))
        recording.approve(connection, LI, over, NOW)
        cancelled = record(Plan(Reach(device=town.devices[0].id), NOW + DAY_US, NOW + 2 * DAY_US, "换门锁"))
        recording.cancel(connection, MEI, cancelled, "改期", NOW)
    town.later(1)


def fill(page: Page, begins: str, ends: str) -> None:
    page.get_by_label("小区", exact=True).select_option("rongxinyuan")
    page.get_by_label("开始", exact=True).fill(begins)
    page.get_by_label("结束", exact=True).fill(ends)
    page.get_by_label("理由").fill("更换电池")
    page.get_by_role("button", name="查看影响").click()


def test_what_began_long_ago_shows_its_effect_and_another_approves(
    closed: Server, watched: Watched, town: Town
) -> None:
    for name in ("mei", "li"):
        manager(town, name)
    visit = watched(closed)
    first = signed_in(visit("/maintenance"), "mei")
    day = first.get_by_label("开始", exact=True).input_value()[:10]
    fill(first, f"{day}T08:00", f"{day}T12:00")
    shown = first.locator("#preview")
    expect(shown).to_contain_text("荣馨园")
    expect(shown).to_contain_text("维护")
    expect(shown).to_contain_text("须由另一人批准")
    expect(first.locator(".incident")).to_have_count(0)
    shown.get_by_role("button", name="保存，待批准").click()
    expect(first.get_by_role("status")).to_contain_text("等待另一人批准")
    expect(first.locator("#m-1")).to_contain_text("您记录的，须由另一人批准")
    second = signed_in(visit("/maintenance", size=PHONE), "li")
    second.get_by_role("link", name="查看影响").click()
    expect(second.locator("h1")).to_contain_text("1")
    expect(second.locator(".compared").first).to_contain_text("荣馨园")
    second.get_by_role("button", name="批准：从现在起生效").click()
    expect(second.locator("#m-1")).to_contain_text("批准人")
    assert visit.complaints == []


def test_what_is_to_come_is_recorded_at_once_and_can_be_cancelled(
    closed: Server, watched: Watched, town: Town
) -> None:
    manager(town, "mei")
    page = signed_in(watched(closed)("/maintenance"), "mei")
    page.get_by_text("只在每周的某些时段").click()
    page.get_by_label("周一").check()
    page.get_by_label("每天从").fill("22:00")
    page.get_by_label("到", exact=True).fill("02:00")
    fill(page, "2030-01-01T00:00", "2030-03-01T00:00")
    expect(page.locator("#preview")).to_contain_text("周一 22:00–02:00")
    page.get_by_role("button", name="记录", exact=True).click()
    expect(page.locator("#m-1")).to_contain_text("未开始")
    page.locator("#m-1 summary").click()
    page.get_by_label("为什么取消？").fill("改期")
    page.locator("#m-1").get_by_role("button", name="取消此记录").click()
    expect(page.locator("#m-1")).to_contain_text("改期")


def test_what_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    closed: Server, watched: Watched, town: Town
) -> None:
    manager(town, "mei")
    page = signed_in(watched(closed)("/maintenance"), "mei")
    page.get_by_label("楼栋").fill("999号楼")
    fill(page, "2030-01-01T00:00", "2030-03-01T00:00")
    expect(page.locator("#building-fault")).to_contain_text("没有符合的设备")
    expect(page.get_by_label("楼栋")).to_have_value("999号楼")
    expect(page.get_by_label("理由")).to_have_value("更换电池")


def test_a_devices_life_is_on_its_page_with_what_stood_in_its_place(visit: Visit, town: Town) -> None:
    device = town.device("rongxinyuan", "camera")
    late = town.device("rongxinyuan", "camera", 1)
    with town.db.write() as connection:
        lives.move(connection, MEI, device.id, NOW - DAY_US, "改造", building="9号楼")
        step = Step("replace", device.id, NOW - MINUTE_US, "到期", "cam-new")
        lives.record(connection, MEI, step, NOW, BACKDATE)
        lives.record(connection, MEI, Step("retire", late.id, NOW - DAY_US, "拆除"), NOW, BACKDATE)
    town.later(1)
    page = visit(f"/devices/{device.id}", size=PHONE)
    told = page.locator("#life")
    expect(told).to_contain_text("9号楼")
    expect(told).to_contain_text("停用")
    told.get_by_role("link", name="cam-new").click()
    expect(page.locator("#life")).to_contain_text(device.id)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.goto(f"/devices/{late.id}")
    expect(page.locator("#life")).to_contain_text("待批准：停用")


def test_who_only_looks_sees_no_forms(visit: Visit, town: Town) -> None:
    some(town)
    page = visit("/maintenance", language="en")
    expect(page.locator(".incident")).to_have_count(6)
    expect(page.locator("main form")).to_have_count(0)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_fit_and_can_be_read(closed: Server, watched: Watched, town: Town, language: str) -> None:
    some(town)
    manager(town, "wang")
    page = signed_in(watched(closed)("/maintenance", size=DESK, language=language), "wang")
    wrong = []
    for path in ("/maintenance", "/maintenance/3"):
        page.goto(path)
        for width in (*WIDTHS, WALL[0]):
            page.set_viewport_size({"width": width, "height": 844})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{path} at {width}")
        for theme in ("light", "dark") if AXE.exists() else ():
            page.emulate_media(color_scheme=theme)
            wrong += [f"{path} {theme} {told}" for told in violations(page)]
    assert wrong == []
