"""The online rate from a real database: now, then, over a period, and as known at another time."""

import itertools

import pytest

from pulse.clock import to_iso
from pulse.errors import BadInput, NotFound
from pulse.indicators.publication import Publication
from pulse.ledger.model import Evidence, Scope
from pulse.stores.relational import coverage, maintenance
from tests.indicators.site import Site, camera, states, us

FLEET = {
    "camera": 182, "access_control": 118, "smart_lock": 117, "gas_alarm": 300, "flow_meter": 100,
    "sorting_bin": 7, "perimeter_alarm": 2,
}  # fmt: skip


def test_811_of_826_are_98_2_percent_as_a_whole_and_in_parts(site: Site) -> None:
    communities = itertools.cycle(["xinjinglou", "rongxinyuan", "yiminyuan"])
    records = [
        camera(f"{kind}-{i}", kind=kind, community=next(communities))
        for kind, count in FLEET.items()
        for i in range(count)
    ]
    site.register(*records)
    site.start(0)
    down = {f"camera-{i}" for i in range(10)} | {f"gas_alarm-{i}" for i in range(5)}
    for record in records:
        site.hear(record.id, 10, 500 if record.id in down else 2**62)
    site.mark(1000)
    answer = site.rate.instant()
    assert (answer["running"], answer["total"], answer["percent"]) == (811, 826, "98.2")
    assert answer["value"] == 811 / 826
    assert answer["bounds"] == [811 / 826, 811 / 826]
    assert answer["determined"] is True
    assert states(answer) == {"online": 811, "offline": 15}
    assert answer["adjusted"] == {
        "numerator": 811,
        "denominator": 826,
        "value": 811 / 826,
        "percent": "98.2",
        "basis": 1.0,
    }
    assert answer["score"]["points"] == 2.0
    assert answer["at"] == answer["known_at"] == answer["calculated_at"] == "2026-11-23T00:16:40Z"
    assert {name: part["total"] for name, part in answer["by_kind"].items()} == dict(sorted(FLEET.items()))
    assert answer["by_kind"]["camera"]["percent"] == "94.5"
    assert answer["by_kind"]["perimeter_alarm"]["percent"] == "100.0"
    for parts in (answer["by_kind"], answer["by_community"]):
        assert sum(part["running"] for part in parts.values()) == 811
        assert sum(part["total"] for part in parts.values()) == 826


def test_a_period_counts_device_seconds(site: Site) -> None:
    site.register(camera(), camera("cam-2"))
    site.start(0)
    site.hear("cam-1", 100, 250.5)
    site.hear("cam-2", 100)
    site.mark(1000)
    answer = site.rate.period(us(200), us(300))
    assert (answer["running"], answer["total"], answer["unit"]) == (150.5, 200, "device_seconds")
    assert states(answer) == {"online": 150.5, "offline": 49.5}
    assert answer["percent"] == "75.3"
    assert (answer["from"], answer["to"]) == (to_iso(us(200)), to_iso(us(300)))
    assert "at" not in answer


def test_without_devices_in_service_there_is_no_rate(site: Site) -> None:
    site.register(camera(commissioned_us=None, commissioned_recorded_us=None))
    site.start(0)
    site.mark(1000)
    answer = site.rate.instant()
    assert states(answer) == {"not_commissioned": 1}
    assert (answer["total"], answer["value"], answer["percent"], answer["bounds"]) == (0, None, None, None)
    assert answer["score"]["points"] is None


def test_an_installation_where_nothing_ever_ran_knows_nothing(site: Site) -> None:
    site.register(camera())
    site.clock.now = us(1000)
    assert site.rate.as_of()[:4] == (us(1000), False, True, None)
    answer = site.rate.instant()
    assert states(answer) == {"unknown": 1}
    assert (answer["percent"], answer["percent_upper"]) == ("0.0", "100.0")
    assert site.rate.devices()[0].cause == "collector_blind"


# Up to when the database is complete.


def test_now_is_the_watermark_while_it_is_fresh(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 900)
    site.mark(1000, written=1009.9)
    assert site.rate.as_of()[:4] == (us(1000), True, False, None)
    assert site.rate.instant()["at"] == to_iso(us(1000))


def test_behind_a_stale_watermark_everything_is_unknown(site: Site) -> None:
    site.register(camera(), camera("cam-2"))
    site.start(0)
    site.hear("cam-1", 900)
    site.hear("cam-2", 900, said=Evidence.OFFLINE)
    site.mark(1000)
    site.clock.now = us(1010)
    assert site.rate.as_of()[:4] == (us(1010), False, True, us(1000))
    assert states(site.rate.instant()) == {"unknown": 2}
    assert states(site.rate.instant(us(999))) == {"online": 1, "offline": 1}
    assert states(site.rate.period(us(990), us(1010))) == {"online": 10, "offline": 10, "unknown": 20}
    first, second = site.rate.devices()
    assert (first.state, first.since_us, first.cause) == ("unknown", us(1000), "collector_blind")
    assert (first.evidence_us, first.deadline_us) == (None, None)
    assert (second.state, second.since_us) == ("unknown", us(1000))
    assert [s.state for s in site.rate.timeline("cam-1", us(990), us(1010))] == ["online", "unknown"]


def test_a_collector_that_hears_nothing_says_since_when(site: Site) -> None:
    site.register(camera(), camera("cam-2"))
    site.start(0)
    site.hear("cam-1", 900)
    site.hear("cam-2", 800, 960)
    site.deaf(950)
    site.mark(1000, listening=False)
    assert site.rate.as_of()[:4] == (us(1000), False, False, us(950))
    assert states(site.rate.instant()) == {"online": 1, "unknown": 1}
    assert site.rate.device("cam-2").since_us == us(960)


def test_a_gap_about_some_devices_only_is_not_called_blind(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.deaf(950, scope=Scope(device="cam-1"))
    site.mark(1000)
    assert site.rate.as_of().blind_since_us is None
    assert states(site.rate.instant()) == {"unknown": 1}


def test_an_answer_about_this_moment_waits_for_the_watermark(site: Site) -> None:
    """The collector writes, while the answer waits, that the device fell silent."""
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 900)
    site.mark(1000)
    site.clock.now = us(1002)
    waits = itertools.count()

    def collector_works() -> None:
        if next(waits) == 2:
            site.hear("cam-1", 900, 1001)
            site.mark(1003)

    site.clock.while_waiting = collector_works
    assert states(site.rate.instant(us(1002))) == {"offline": 1}
    assert next(waits) < 8


def test_the_future_is_refused_and_a_clock_a_second_ahead_is_not(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.mark(1000)
    site.clock.now = us(1000)
    for ask in (
        lambda: site.rate.instant(us(1001.1)),
        lambda: site.rate.instant(us(900), us(1002)),
        lambda: site.rate.period(us(900), us(1002)),
        lambda: site.rate.devices(us(1002)),
        lambda: site.rate.device("cam-1", us(1002)),
        lambda: site.rate.timeline("cam-1", us(900), us(1002)),
    ):
        with pytest.raises(BadInput, match="future"):
            ask()
    site.mark(1001)
    assert site.rate.instant(us(1001))["total"] == 1


def test_questions_that_contradict_themselves_are_refused(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.mark(1000)
    with pytest.raises(BadInput) as refused:
        site.rate.instant(us(500), us(499))
    assert refused.value.where == "known_at"
    for start, end in ((500, 500), (501, 500)):
        with pytest.raises(BadInput) as refused:
            site.rate.period(us(start), us(end))
        assert refused.value.where == "from"
        with pytest.raises(BadInput) as refused:
            site.rate.timeline("cam-1", us(start), us(end))
        assert refused.value.where == "from"
    with pytest.raises(NotFound):
        site.rate.device("cam-9")
    with pytest.raises(NotFound):
        site.rate.timeline("cam-9", us(1), us(2))


# Two times.


def test_late_evidence_changes_only_what_is_known_from_its_reception_on(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 190)
    site.hear("cam-1", 190, 240, since=100, recorded=300)
    site.hear("cam-1", 300)
    site.mark(1000)
    asked = [(299, "offline"), (300, "online"), (1000, "online")]
    for known_at, expected in asked:
        answer = site.rate.instant(us(200), us(known_at))
        assert states(answer) == {expected: 1}
        assert answer["known_at"] == to_iso(us(known_at))
        status = site.rate.device("cam-1", us(200), us(known_at))
        assert (status.state, status.since_us) == (expected, us(190 if expected == "offline" else 100))
    assert states(site.rate.period(us(100), us(300), us(300))) == {"online": 140, "offline": 60}
    assert states(site.rate.period(us(100), us(299), us(299))) == {"online": 90, "offline": 109}


def test_gaps_and_windows_count_as_they_were_known(site: Site) -> None:
    site.register(camera())
    site.start(0)
    gap = site.deaf(500, 600, recorded=610)
    with site.db.write() as connection:
        coverage.revoke(connection, gap, us(700))
    window = site.maintain(400, 580, recorded=590)
    with site.db.write() as connection:
        maintenance.cancel(connection, window, us(650))
    site.mark(1000)
    known = [(589, "offline"), (590, "excluded"), (649, "excluded"), (650, "unknown"), (700, "offline")]
    for known_at, expected in known:
        assert states(site.rate.instant(us(550), us(known_at))) == {expected: 1}, known_at


def test_the_running_rate_ignores_maintenance_and_the_adjusted_one_does_not(site: Site) -> None:
    site.register(camera(), camera("cam-2"), camera("cam-3"))
    site.start(0)
    site.hear("cam-1", 100)
    site.hear("cam-2", 100)
    site.maintain(900, 2000, recorded=900, scope=Scope(device="cam-2"))
    site.mark(1000)
    answer = site.rate.instant()
    assert (answer["running"], answer["total"]) == (2, 3)
    assert (answer["adjusted"]["numerator"], answer["adjusted"]["denominator"]) == (1, 2)


def test_a_changed_timeout_leaves_the_past_alone(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.deaf(100, 200)
    site.register(camera(timeout_s=600), at=250)
    site.mark(2000)
    stretches = site.rate.timeline("cam-1", us(0), us(2000))
    assert [(s.state, (s.start_us - us(0)) // 1_000_000) for s in stretches] == [
        ("unknown", 0),
        ("offline", 90),
        ("unknown", 100),
        ("offline", 800),
    ]


def test_a_registry_that_changes_shows_at_the_next_watermark(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.mark(1000)
    assert site.rate.instant()["total"] == 1
    site.register(camera("cam-2"), at=1000)
    site.mark(1001)
    assert site.rate.instant()["total"] == 2


# Devices: state, since when, why.


def test_every_state_has_its_cause_and_beginning(site: Site) -> None:
    site.register(
        camera("beats"),
        camera("broken"),
        camera("goodbye"),
        camera("new", commissioned_us=None, commissioned_recorded_us=None),
        camera("never"),
        camera("old", retired_us=us(600), retired_recorded_us=us(590)),
        camera("repaired"),
        camera("silent"),
    )
    site.start(0)
    site.hear("beats", 200)
    site.hear("broken", 300, said=Evidence.FAULT)
    site.hear("goodbye", 100, 400)
    site.hear("goodbye", 400, said=Evidence.OFFLINE)
    site.hear("old", 100)
    site.hear("repaired", 800)
    site.hear("silent", 100, 700)
    site.maintain(750, 2000, recorded=740, scope=Scope(device="repaired"))
    site.mark(1000)
    told = {
        s.device: (s.state, None if s.since_us is None else (s.since_us - us(0)) // 1_000_000, s.cause)
        for s in site.rate.devices()
    }
    assert told == {
        "beats": ("online", 200, "heartbeat"),
        "broken": ("fault", 300, "fault_reported"),
        "goodbye": ("offline", 400, "explicit_offline"),
        "never": ("offline", 90, "never_heard"),
        "new": ("not_commissioned", None, "not_commissioned"),
        "old": ("retired", 600, "retired"),
        "repaired": ("excluded", 750, "maintenance"),
        "silent": ("offline", 700, "deadline_passed"),
    }
    silent = site.rate.device("silent")
    assert (silent.evidence_us, silent.deadline_us) == (us(610), us(700))
    goodbye = site.rate.device("goodbye")
    assert (goodbye.evidence_us, goodbye.deadline_us) == (us(400), None)
    assert [s.device for s in site.rate.devices()] == sorted(told)


def test_a_will_that_comes_after_the_deadline_does_not_make_the_silence_younger(site: Site) -> None:
    """The broker tells of a dead connection at 240; the device was offline from its deadline on."""
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 190)
    site.hear("cam-1", 240, 500, said=Evidence.OFFLINE)
    site.hear("cam-1", 500, said=Evidence.OFFLINE)
    site.mark(1000)
    status = site.rate.device("cam-1")
    assert (status.state, status.since_us, status.cause) == ("offline", us(190), "explicit_offline")
    assert site.rate.devices() == [status]


def test_a_will_of_a_device_that_was_never_heard_counts_from_the_proof_of_silence(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 240, said=Evidence.OFFLINE)
    site.mark(1000)
    assert site.rate.device("cam-1").since_us == us(90)


def test_offline_of_a_device_that_was_heard_before_a_gap_begins_with_its_proof(site: Site) -> None:
    site.register(camera())
    site.start(0)
    site.hear("cam-1", 100, 190)
    site.deaf(150, 500, recorded=500)
    site.mark(1000)
    status = site.rate.device("cam-1")
    assert (status.state, status.since_us, status.cause) == ("offline", us(590), "deadline_passed")
    assert (status.evidence_us, status.deadline_us) == (us(100), us(190))


def test_a_timeline_fills_its_period(site: Site) -> None:
    site.register(camera(commissioned_us=us(50), retired_us=us(900), retired_recorded_us=us(800)))
    site.start(0)
    site.hear("cam-1", 200, 300)
    site.hear("cam-1", 400, 600, said=Evidence.FAULT)
    site.maintain(700, 750, recorded=700)
    site.mark(1000)
    stretches = site.rate.timeline("cam-1", us(0), us(1000))
    assert [(s.state, (s.start_us - us(0)) // 1_000_000) for s in stretches] == [
        ("not_commissioned", 0),
        ("unknown", 50),
        ("offline", 90),
        ("online", 200),
        ("offline", 300),
        ("fault", 400),
        ("offline", 600),
        ("excluded", 700),
        ("offline", 750),
        ("retired", 900),
    ]
    assert [s.end_us for s in stretches] == [*(s.start_us for s in stretches[1:]), us(1000)]


# What is published.


def test_published_figures_hold_every_state_and_both_pairs(site: Site) -> None:
    site.register(camera(), camera("cam-2", community="rongxinyuan"))
    site.start(0)
    site.hear("cam-1", 100)
    site.deaf(950)
    site.mark(1000)
    figures = Publication(site.rate.library).draft(us(1000)).value.figures
    none = {"fault": 0, "offline": 0, "excluded": 0, "not_commissioned": 0, "retired": 0}
    assert figures["all"] == {
        "states": {"online": 1, "unknown": 1, **none},
        "raw": [1, 2],
        "unknown_raw": 1,
        "adjusted": [1, 1],
    }
    assert list(figures["by_community"]) == ["rongxinyuan", "xinjinglou"]
    assert figures["by_community"]["rongxinyuan"]["raw"] == [0, 1]
    assert figures["by_kind"] == {"camera": figures["all"]}
