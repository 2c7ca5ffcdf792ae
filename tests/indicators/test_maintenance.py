"""Maintenance in answers: before and after approval, every week, of a building; and what it would change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulse.access import maintenance as recording
from pulse.access.roles import Actor, command_line
from pulse.clock import MINUTE_US
from pulse.indicators import effect as effects
from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, State
from pulse.registry.plans import Plan, Reach, Weekly
from pulse.stores.relational import maintenance, registry
from pulse.stores.relational.decisions import Decisions
from tests.indicators.site import Site, camera, states, us
from tests.ledger.live import Kept

BACKDATE = 60 * MINUTE_US
_HALF = [18_000_000_000, 36_000_000_000]
MEI, LI = command_line("mei", "host"), command_line("li", "host")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """`ok` is heard all the time; `broken` fell silent at 1,000 s, `other` (another community) too."""
    site = Site(tmp_path)
    site.register(
        camera("ok"),
        camera("broken", building="3号楼"),
        camera("other", community="rongxinyuan", building="3号楼"),
    )
    site.start(0)
    site.hear("ok", 10)
    site.hear("broken", 10, 1_000)
    site.hear("other", 10, 1_000)
    site.mark(20_000)
    yield site
    site.close()


def plan(start: float, end: float, reach: Reach, weekly: Weekly | None = None) -> Plan:
    return Plan(reach, us(start), us(end), "换电池", weekly)


SOUTH = Reach(community="xinjinglou")


def record(site: Site, what: Plan, at: float, actor: Actor = MEI) -> int:
    with site.db.write() as connection:
        return recording.record(connection, actor, what, us(at), BACKDATE).id


def approve(site: Site, entry: int, at: float) -> None:
    with site.db.write() as connection:
        recording.approve(connection, LI, entry, us(at))


def test_what_waits_changes_nothing_and_what_is_approved_is_known_from_then_on(site: Site) -> None:
    before = site.rate.period(us(2_000), us(8_000), us(15_000))
    entry = record(site, plan(2_000, 8_000, SOUTH), at=10_000)
    assert site.rate.period(us(2_000), us(8_000), us(15_000)) == before
    approve(site, entry, at=15_000)
    after = site.rate.period(us(2_000), us(8_000), us(15_000))
    assert states(before) == {"online": 6_000, "offline": 12_000}
    assert states(after) == {"excluded": 12_000, "offline": 6_000}
    assert (before["running"], before["total"]) == (after["running"], after["total"])
    earlier = site.rate.period(us(2_000), us(8_000), us(14_999))
    assert states(earlier) == states(before)


def test_what_is_cancelled_is_unknown_from_then_on_and_was_known_before(site: Site) -> None:
    entry = record(site, plan(9_000, 12_000, SOUTH), at=9_500)
    with site.db.write() as connection:
        recording.cancel(connection, MEI, entry, "改期", us(18_000))
    excluded = [
        states(site.rate.period(us(9_000), us(10_000), us(known))).get("excluded", 0)
        for known in (10_000, 17_999, 18_000)
    ]
    assert excluded == [2_000, 2_000, 0]


def test_a_recurring_entry_excludes_its_windows_only(site: Site) -> None:
    # T0 is eight o'clock in the morning of a Monday in Shanghai.
    weekly = Weekly((1,), 9 * 60, 10 * 60, "Asia/Shanghai")
    record(site, plan(0, 86_400, SOUTH, weekly), at=0)
    found = site.rate.period(us(0), us(20_000), us(20_000))
    assert states(found)["excluded"] == 2 * 3_600


def test_a_building_is_who_the_registry_said_was_in_it_at_every_instant(site: Site) -> None:
    record(site, plan(9_000, 19_000, Reach(community="xinjinglou", building="3号楼")), at=9_000)
    site.register(camera("broken", building="4号楼"), at=12_000)
    site.register(camera("ok", building="3号楼"), at=15_000)
    found = {
        device: [
            interval[1:]
            for interval in site.rate.timeline(device, us(8_000), us(20_000))
            if interval.state == "excluded"
        ]
        for device in ("ok", "broken", "other")
    }
    assert found == {
        "ok": [(us(15_000), us(19_000))],
        "broken": [(us(9_000), us(12_000))],
        "other": [],
    }


def test_the_engine_that_learns_of_each_step_agrees_with_the_answers(site: Site) -> None:
    """Recorded, approved, moved and cancelled while the ledger runs: the collector and the API say one."""
    weekly = Weekly((1,), 9 * 60, 10 * 60, "Asia/Shanghai")
    steps: dict[int, Callable[[], object]] = {
        3_000: lambda: record(site, plan(2_500, 9_000, Reach(community="rongxinyuan"), weekly), at=3_000),
        5_000: lambda: record(
            site, plan(500, 16_000, Reach(community="xinjinglou", building="3号楼")), 5_000
        ),
        7_000: lambda: approve(site, 2, at=7_000),
        9_000: lambda: site.register(camera("ok", building="3号楼"), at=9_000),
        11_000: lambda: site.register(camera("broken", building="4号楼"), at=11_000),
        13_000: lambda: _cancel(site, 1, at=13_000),
    }
    kept = Kept()
    engine = _engine(site, kept, us(0))
    for at in range(250, 18_000, 250):
        step = steps.get(at)
        if step is not None:
            step()
            with site.db.read() as connection:
                fleet = registry.ledger_fleet(connection)
                windows = maintenance.entries(connection)
            engine.set_registry(fleet, windows, us(at))
        engine.sweep(us(at))
        over = {d: engine.status(d) for d in ("ok", "broken", "other")}
        told = {
            device: status is not None and status.state is State.EXCLUDED for device, status in over.items()
        }
        answered = {s.device: s.state == "excluded" for s in site.rate.devices(us(at), us(at))}
        assert told == answered, at


def _cancel(site: Site, entry: int, at: float) -> None:
    with site.db.write() as connection:
        recording.cancel(connection, MEI, entry, "改期", us(at))


def _engine(site: Site, kept: Kept, now: int) -> Engine:
    return Engine(
        Fleet(site.devices()), kept, start=us(0), blinds=(), maintenance=(), backlog_lateness=0, now=now
    )


def test_the_effect_is_the_difference_that_saving_makes(site: Site) -> None:
    what = plan(2_000, 30_000, SOUTH)
    with site.db.read() as connection:
        entry = maintenance.Entry(0, what, us(20_000), "x", Decisions(EVER))
        windows = maintenance.ledger_windows(connection, entry)
    found = effects.of_windows(site.rate.library, windows)
    assert (found.from_us, found.to_us, found.devices) == (us(2_000), us(20_000), 2)
    assert found.concerned == ("xinjinglou",)
    unsaved = site.rate.period(us(2_000), us(20_000))
    now = site.rate.instant()
    told = effects.shown(found)
    assert told["period"]["all"]["before"] == {k: unsaved[k] for k in told["period"]["all"]["before"]}
    assert told["now"]["all"]["before"] == {k: now[k] for k in told["now"]["all"]["before"]}
    approve(site, record(site, what, at=20_000), at=20_000)
    saved, later = site.rate.period(us(2_000), us(20_000)), site.rate.instant(us(20_000), us(20_000))
    for name, answer in (("period", saved), ("now", later)):
        both = told[name]
        assert both["all"]["after"] == {k: answer[k] for k in both["all"]["after"]}
        (own,) = both["by_community"].values()
        assert own["after"] == {k: answer["by_community"]["xinjinglou"][k] for k in own["after"]}
    assert effects.kept(found) == {
        "xinjinglou": {
            "before": {"raw": _HALF, "adjusted": _HALF},
            "after": {"raw": _HALF, "adjusted": [0, 0]},
        }
    }


def test_what_is_yet_to_come_has_an_effect_on_no_past(site: Site) -> None:
    with site.db.read() as connection:
        entry = maintenance.Entry(
            0, plan(30_000, 40_000, Reach(device="ok")), us(20_000), "x", Decisions(EVER)
        )
        found = effects.of_windows(site.rate.library, maintenance.ledger_windows(connection, entry))
    told = effects.shown(found)
    assert told["period"] is None
    assert told["now"]["all"]["before"] == told["now"]["all"]["after"]
    assert found.devices == 1


def test_an_effect_within_a_community_tells_of_that_one_only(site: Site) -> None:
    with site.db.read() as connection:
        entry = maintenance.Entry(
            0, plan(9_000, 10_000, Reach(kind="camera")), us(20_000), "x", Decisions(EVER)
        )
        windows = maintenance.ledger_windows(connection, entry)
    found = effects.of_windows(site.rate.library, windows, frozenset({"rongxinyuan"}))
    assert found.concerned == ("rongxinyuan",)
    assert effects.shown(found)["now"]["all"]["before"]["total"] == 1
