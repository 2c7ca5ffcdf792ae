"""Statistics from a real database: as far back as they have to look, and those of a replay."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse.clock import DAY_US, SECOND_US, to_iso
from pulse.errors import BadInput, NotFound
from pulse.indicators import statistics
from pulse.indicators.statistics import Chosen, Period, Statistics, worst
from pulse.ledger.flapping import FlapTerms
from pulse.ledger.model import FOREVER, Evidence, Scope
from pulse.ledger.statistics import Tally, tallied
from tests.indicators.site import Site, camera, us
from tests.indicators.test_equals_replay import END, lived_through, on_the_product_s_axis
from tests.ledger.strategies import World, worlds
from tests.ledger.test_statistics import stretches_of

TERMS = FlapTerms(changes=4, window=600 * SECOND_US)
DAY = 86_400


def asked(site: Site, terms: FlapTerms = TERMS) -> Statistics:
    return Statistics(site.rate.library, site.clock, terms)


def in_pairs(instants: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Each two that follow each other: from when until when it is heard."""
    yield from zip(instants[::2], instants[1::2], strict=False)


def device(site: Site, start: float, end: float, name: str = "cam-1") -> dict[str, Any]:
    own = asked(site)
    return own.device(name, own.period(us(start), us(end), None))


def test_one_device_is_told_with_every_figure(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 1000)
    site.hear("cam-1", 1300, 2000)
    site.hear("cam-1", 2000, 2050, said=Evidence.FAULT)
    site.hear("cam-1", 2100)
    site.mark(4000)
    answer = device(site, 500, 3500)
    assert answer["availability"]["states"]["offline"] == 350
    assert answer["availability"]["percent"] == "86.7"
    assert (answer["down_s"], answer["operating_s"]) == (400, 2600)
    assert (answer["outages"], answer["open"], answer["failures"], answer["restored"]) == (2, 0, 2, 2)
    assert (answer["mtbf_s"], answer["mttr_s"], answer["restoration_s"]) == (1300, 200, 400)
    assert answer["longest"] == {
        "device": "cam-1",
        "down_s": 300,
        "from": to_iso(us(1000)),
        "to": to_iso(us(1300)),
    }
    assert answer["faults_per_device_year"] == 2 * 365 * DAY / 3000
    assert answer["device_years"] == 3000 / (365 * DAY)
    assert answer["determined"] is True
    assert answer["flapping"] == {"now": False, "episodes": 0, "seconds": 0}
    assert (answer["from"], answer["to"], answer["known_at"]) == (
        to_iso(us(500)),
        to_iso(us(3500)),
        to_iso(us(4000)),
    )
    assert answer["flapping_terms"] == {"changes": 4, "window_s": 600}


def test_without_failures_and_repairs_there_are_no_means(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100)
    site.mark(4000)
    answer = device(site, 500, 3500)
    assert (answer["mtbf_s"], answer["mttr_s"], answer["longest"]) == (None, None, None)
    assert answer["faults_per_device_year"] == 0.0


def test_without_judged_time_there_is_no_figure_at_all(site: Site) -> None:
    site.register(camera(), camera("new", commissioned_us=None, commissioned_recorded_us=None))
    site.start(3600)
    site.mark(4000)
    answer = device(site, 500, 3500)
    assert answer["availability"]["percent"] == "0.0"
    assert answer["availability"]["percent_upper"] == "100.0"
    assert answer["availability"]["adjusted"]["percent"] is None
    assert (answer["faults_per_device_year"], answer["mtbf_s"], answer["determined"]) == (None, None, False)
    new = device(site, 500, 3500, "new")
    assert (new["availability"]["total"], new["availability"]["percent"]) == (0, None)
    own = asked(site)
    whole = own.answer(own.period(us(500), us(3500), None))
    assert whole["devices"] == 1


@pytest.mark.parametrize("down_days", [0.5, 3, 40, 400])
def test_an_outage_is_followed_back_to_its_beginning(site: Site, down_days: float) -> None:
    long = 500 * DAY
    site.register(camera(commissioned_us=us(-long), commissioned_recorded_us=us(-long)), at=-long)
    site.start(-long)
    site.hear("cam-1", -long, -down_days * DAY)
    site.hear("cam-1", 1000)
    site.mark(4000)
    answer = device(site, 500, 3500)
    assert (answer["outages"], answer["failures"], answer["restored"]) == (1, 0, 1)
    assert answer["longest"]["from"] == to_iso(us(-down_days * DAY))
    assert answer["mttr_s"] == down_days * DAY + 1000
    assert answer["down_s"] == 500


def test_flapping_is_followed_back_as_far_as_it_goes(site: Site) -> None:
    """Four changes in ten minutes, three days ago; since then a change just within every ten minutes."""
    old = camera(commissioned_us=us(-10 * DAY), commissioned_recorded_us=us(-10 * DAY))
    site.register(*(old._replace(id=name) for name in ("cam-1", "calm", "slow")), at=-10 * DAY)
    site.start(-4 * DAY)
    site.hear("calm", -4 * DAY)
    flips = [-3 * DAY + n * 100 for n in range(5)]
    while flips[-1] < 3000:
        flips.append(flips[-1] + 599)
    slow = [-3 * DAY + n * 599 for n in range(439)]
    for name, changes in (("cam-1", flips), ("slow", slow)):
        for up, down in in_pairs([-4 * DAY, *changes, FOREVER]):
            site.hear(name, up, down)
    site.mark(3600)
    own = asked(site)
    period = own.period(us(500), us(2500), None)
    found = {one.device.id: one.tally for one in own.devices(period)}
    assert (found["cam-1"].episodes, found["cam-1"].flapping) == (0, 1)
    assert found["cam-1"].flapping_time == 2000 * SECOND_US
    assert (found["slow"].flapped, found["calm"].flapped) == (0, 0)
    assert own.flapping_now() == {"cam-1"}
    site.mark(flips[-1] + 600)
    assert asked(site).flapping_now() == frozenset()


def test_who_flaps_now_is_remembered_for_some_seconds(site: Site) -> None:
    site.register(camera())
    site.start(-DAY)
    site.hear("cam-1", -DAY, 100)
    own = asked(site)
    site.mark(1000)
    assert own.flapping_now() == frozenset()
    for up in (200, 400):
        site.hear("cam-1", up, up + 100)
    site.mark(1009)
    assert own.flapping_now() == frozenset()
    site.mark(1010)
    assert own.flapping_now() == {"cam-1"}


def test_groups_are_the_sums_of_their_devices(site: Site) -> None:
    site.register(
        camera("a"), camera("b"), camera("c", community="rongxinyuan"), camera("d", kind="smart_lock")
    )
    site.start(0)
    for number, name in enumerate("abcd"):
        site.hear(name, 100, 1000 + 100 * number)
    site.hear("a", 1500)
    site.hear("c", 1300, 1400)
    site.mark(4000)
    own = asked(site)
    period = own.period(us(500), us(2500), None)
    answer = own.answer(period, threshold=45_000)
    assert (answer["devices"], answer["outages"], answer["open"], answer["failures"]) == (4, 5, 3, 5)
    assert answer["mtbf_s"] == (500 + 1000 + 600 + 700 + 100 + 800) / 5
    assert answer["mttr_s"] == (500 + 100) / 2
    assert answer["longest"]["device"] == "b"
    assert answer["above"] == {
        "threshold": 45.0,
        "devices": 1,
        "devices_upper": 1,
        "of": 4,
        "adjusted": 1,
        "adjusted_of": 4,
    }
    for parts in (answer["by_community"], answer["by_kind"]):
        for member in ("devices", "outages", "failures", "restored", "down_s", "operating_s"):
            assert sum(part[member] for part in parts.values()) == answer[member]
        assert sum(part["above"]["devices"] for part in parts.values()) == 1
    assert list(answer["by_kind"]) == ["camera", "smart_lock"]
    only = own.answer(period, Chosen(community="rongxinyuan"))
    assert {**only["by_community"]["rongxinyuan"]} == {
        name: only[name] for name in only["by_community"]["rongxinyuan"]
    }
    assert own.answer(period, Chosen(within=frozenset({"rongxinyuan"})))["devices"] == 1
    assert own.answer(period, Chosen(kind="smart_lock"))["by_community"]["xinjinglou"]["devices"] == 1
    assert [one.device.id for one in worst(own.devices(period))] == ["b", "c", "d", "a"]


def test_maintenance_hides_time_but_not_from_the_raw_availability(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 1000)
    site.hear("cam-1", 1500)
    site.maintain(1200, 1700, recorded=1100, scope=Scope(device="cam-1"))
    site.mark(4000)
    answer = device(site, 500, 2500)
    assert (answer["down_s"], answer["failures"], answer["mttr_s"]) == (200, 1, 200)
    assert answer["longest"]["to"] == to_iso(us(1700))
    assert answer["availability"]["percent"] == "75.0"
    assert answer["availability"]["adjusted"]["percent"] == "86.7"


def test_statistics_are_those_of_what_was_known(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 1000)
    site.hear("cam-1", 1000, 1300, since=900, recorded=1500)
    site.hear("cam-1", 1300)
    site.mark(4000)
    own = asked(site)
    before, after = (own.device("cam-1", own.period(us(500), us(1400), us(known))) for known in (1499, 1500))
    assert (before["failures"], before["down_s"]) == (1, 300)
    assert (after["failures"], after["down_s"], after["mtbf_s"]) == (0, 0, None)


def test_the_last_thirty_days_are_looked_at_by_default(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.mark(4000)
    own = asked(site)
    assert own.period(None, None, None) == Period(us(4000) - 30 * DAY_US, us(4000), us(4000))
    assert own.period(us(0), None, None) == Period(us(0), us(4000), us(4000))


def test_questions_without_an_answer_are_refused(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.mark(4000)
    own = asked(site)
    for wrong in ((us(500), us(500), None), (us(0), us(4002), None), (us(0), us(1000), us(999))):
        with pytest.raises(BadInput):
            own.period(*wrong)
    with pytest.raises(NotFound):
        own.device("cam-9", own.period(us(0), us(1000), None))


SMALL = FlapTerms(changes=3, window=6 * SECOND_US)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(size=24), st.integers(1, 40), st.data())
def test_statistics_from_the_database_are_those_of_a_replay(
    small: World, pace: int, data: st.DataObject
) -> None:
    world = on_the_product_s_axis(small)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(statistics, "FIRST_REACH_US", SECOND_US)
        site = Site(Path(folder))
        try:
            lived_through(site, world, pace)
            own = asked(site, SMALL)
            for _ in range(6):
                known_at = data.draw(st.integers(1, END))
                end = data.draw(st.integers(1, known_at))
                start = data.draw(st.integers(0, end - 1))
                same(own, world, Period(us(start), us(end), us(known_at)))
        finally:
            site.close()


def same(own: Statistics, world: World, period: Period) -> None:
    """Every device's statistics, and those of all together, from all that there ever was."""
    start, end, known_at = period
    found = {one.device.id: one.tally for one in own.devices(period)}
    whole = Tally()
    for device, stretches in stretches_of(world, known_at, us(-100), end):
        if device.id not in found:
            assert not any(s.state < 5 and s.end > start for s in stretches)
            continue
        tally = found[device.id]
        expected = tallied(device.id, stretches, tally.figures, start, end, SMALL)
        assert tally == expected
        whole.add(expected)
    answer = own.answer(period)
    assert answer["devices"] == len(found)
    assert (answer["outages"], answer["failures"]) == (whole.outages, whole.failures)
