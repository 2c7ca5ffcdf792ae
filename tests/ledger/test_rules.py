"""Each rule of docs/ledger.md by example. Times are seconds; a device may be silent for 90 of them."""

from collections.abc import Sequence
from typing import Any

import pytest

from pulse.indicators.present import described, percent, scored
from pulse.ledger.evidence import Heard
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Scope, State, Terms
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, ExactMessages, Query, answer

BEAT, FAULT, OFFLINE = Evidence.BEAT, Evidence.FAULT, Evidence.OFFLINE
ONLINE, UNKNOWN, SILENT = State.ONLINE, State.UNKNOWN, State.OFFLINE

CAMERA = Device("cam-1", "xinjinglou", "camera", (Terms(EVER, 90),), commissioned=0)
BUFFERING = CAMERA._replace(terms=(Terms(EVER, 90, max_lateness=3600),))
UNTRUSTED = CAMERA._replace(terms=(Terms(EVER, 90, max_lateness=3600, clock_untrusted=True),))


def figures(
    *heard: Heard,
    at: int,
    known_at: int = FOREVER - 1,
    device: Device = CAMERA,
    blinds: Sequence[Blind] = (),
    maintenance: Sequence[Maintenance] = (),
    start: int = -10_000,
    end: int | None = None,
) -> Figures:
    books = Books([device], start, blinds, maintenance, backlog_lateness=604_800)
    numbered = [(0, h._replace(order=i)) for i, h in enumerate(heard)]
    return answer(books, ExactMessages(books, numbered), [Query(at, end, known_at)])[0]


def state(*heard: Heard, at: int, **circumstances: Any) -> State:
    """The state of one device at one instant."""
    found = figures(*heard, at=at, **circumstances)
    return next(state for state in State if found.of(state))


def beat(observed: int, measured: int | None = None, **how: Any) -> Heard:
    return Heard(BEAT, observed, measured, **how)


def blind(start: int, end: int, **how: Any) -> Blind:
    return Blind(start, end, **{"recorded": EVER, **how})


# Rule 1.


@pytest.mark.parametrize("evidence", [BEAT, FAULT, OFFLINE])
def test_a_retained_message_never_proves_anything(evidence: Evidence) -> None:
    assert state(Heard(evidence, 1000, retained=True), at=1000) is SILENT
    assert state(beat(980), Heard(evidence, 1000, retained=True), at=1000) is ONLINE


# Rule 2.


@pytest.mark.parametrize("measured", [None, 1000, 999, -7_000_000, 9_000_000])
def test_a_live_beat_proves_life_at_its_reception_whatever_the_device_s_clock_says(
    measured: int | None,
) -> None:
    assert state(beat(1000, measured), at=999) is SILENT
    assert state(beat(1000, measured), at=1000) is ONLINE
    assert state(beat(1000, measured), at=1089) is ONLINE
    assert state(beat(1000, measured), at=1090) is SILENT


def test_a_buffered_beat_of_a_device_that_buffers_proves_the_past_too() -> None:
    assert state(beat(1000, 400), at=400, device=BUFFERING) is ONLINE
    assert state(beat(1000, 400), at=400, known_at=999, device=BUFFERING) is SILENT
    assert state(beat(1000, 400), at=400) is SILENT
    assert state(beat(1000, 400), at=400, device=UNTRUSTED) is SILENT


def test_lateness_is_allowed_up_to_and_with_its_last_second() -> None:
    assert state(beat(4600, 1000), at=1000, device=BUFFERING) is ONLINE
    assert state(beat(4601, 1000), at=1000, device=BUFFERING) is SILENT


def test_a_time_ahead_of_reception_is_never_evidence() -> None:
    assert state(beat(1000, 1200), at=1200, device=BUFFERING) is SILENT


# Rule 3.


def test_a_beat_from_the_backlog_counts_when_it_was_measured_and_not_when_it_came() -> None:
    late = beat(5000, 1000, queued=True)
    assert state(late, at=1000) is ONLINE
    assert state(late, at=5000) is SILENT
    assert state(beat(1000, 1000, queued=True), at=1000) is ONLINE


@pytest.mark.parametrize(
    ("late", "device"),
    [
        (beat(1000, None, queued=True), CAMERA),
        (beat(1000, 999, queued=True), UNTRUSTED),
        (beat(1000, 1001, queued=True), CAMERA),
        (beat(605_801, 1000, queued=True), CAMERA),
        (Heard(OFFLINE, 1000, 990, queued=True), CAMERA),
    ],
    ids=["without-a-time", "untrusted-clock", "ahead", "older-than-seven-days", "explicit-offline"],
)
def test_what_else_the_backlog_holds_proves_nothing(late: Heard, device: Device) -> None:
    for at in (990, 999, 1000, 1001, 605_801):
        assert figures(late, at=at, device=device) == figures(at=at, device=device)


# Rule 4.


def test_a_last_will_ends_life_at_its_reception() -> None:
    will = Heard(OFFLINE, 1030, 1010)
    assert state(beat(1000), will, at=1029) is ONLINE
    assert state(beat(1000), will, at=1030) is SILENT
    assert state(beat(1000), will, beat(1040), at=1040) is ONLINE


# Rule 5.


def test_a_fault_is_alive_and_not_running_normally() -> None:
    broken = Heard(FAULT, 1000)
    assert state(broken, at=1000) is State.FAULT
    assert state(broken, at=1090) is SILENT
    assert figures(broken, at=1000).online_raw == 0


def test_of_two_messages_about_one_time_the_one_received_later_counts() -> None:
    first, second = beat(1010, 1000), Heard(FAULT, 1020, 1000)
    assert state(first, second, at=1005, device=BUFFERING) is State.FAULT
    assert state(second, first, at=1005, device=BUFFERING) is State.FAULT
    assert state(first, second, at=1005, known_at=1019, device=BUFFERING) is ONLINE


def test_received_at_one_time_the_one_that_came_second_counts() -> None:
    assert state(beat(1000), Heard(OFFLINE, 1000), at=1000) is SILENT
    assert state(Heard(OFFLINE, 1000), beat(1000), at=1000) is ONLINE


def test_an_explicit_offline_stands_until_the_collector_is_blind() -> None:
    will = Heard(OFFLINE, 1000)
    gap = blind(5000, 5100)
    assert state(will, at=4999, blinds=[gap]) is SILENT
    assert state(will, at=5000, blinds=[gap]) is UNKNOWN
    assert state(will, at=5189, blinds=[gap]) is UNKNOWN
    assert state(will, at=5190, blinds=[gap]) is SILENT
    assert state(will, at=1000, blinds=[blind(900, 1000)]) is SILENT
    assert state(will, at=1000, blinds=[blind(900, 1001)]) is UNKNOWN


# Rule 6.


def test_offline_is_said_after_a_whole_timeout_of_listening_only() -> None:
    gap = blind(2000, 2100)
    assert state(at=1999, blinds=[gap]) is SILENT
    assert state(at=2000, blinds=[gap]) is UNKNOWN
    assert state(at=2189, blinds=[gap]) is UNKNOWN
    assert state(at=2190, blinds=[gap]) is SILENT


def test_the_time_before_the_first_start_is_blind() -> None:
    assert state(at=1089, start=1000) is UNKNOWN
    assert state(at=1090, start=1000) is SILENT


def test_what_is_heard_in_a_blind_interval_counts_all_the_same() -> None:
    assert state(beat(2050), at=2050, blinds=[blind(2000, 2100)]) is ONLINE
    assert state(beat(2050), at=2140, blinds=[blind(2000, 2100)]) is UNKNOWN


# Rule 7.


def test_offline_begins_at_the_deadline() -> None:
    assert state(beat(1000), beat(1060), at=1149) is ONLINE
    assert state(beat(1000), beat(1060), at=1150) is SILENT
    amounts = figures(beat(1000), beat(1060), at=1000, end=2000)
    assert (amounts.of(ONLINE), amounts.of(SILENT)) == (150, 850)


# Rule 8.


def test_a_blind_interval_counts_from_its_recording_to_its_revocation() -> None:
    gap = blind(2000, 2100, recorded=2110, revoked=2500)
    known = [(2109, SILENT), (2110, UNKNOWN), (2499, UNKNOWN), (2500, SILENT)]
    for known_at, expected in known:
        assert state(at=2050, known_at=known_at, blinds=[gap]) is expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), UNKNOWN),
        (Scope(device="cam-1"), UNKNOWN),
        (Scope(community="xinjinglou", kind="camera"), UNKNOWN),
        (Scope(device="cam-2"), SILENT),
        (Scope(community="xinjinglou", kind="smart_lock"), SILENT),
    ],
)
def test_a_blind_interval_is_about_the_devices_in_its_scope(scope: Scope, expected: State) -> None:
    assert state(at=2050, blinds=[blind(2000, 2100, scope=scope)]) is expected


# Rule 9.


def test_commissioning_retirement_and_maintenance_lie_over_presence_in_this_order() -> None:
    device = CAMERA._replace(commissioned=1000, retired=3000)
    window = [Maintenance(500, 3500, recorded=EVER)]
    assert state(at=999, device=device, maintenance=window) is State.NOT_COMMISSIONED
    assert state(at=1000, device=device, maintenance=window) is State.EXCLUDED
    assert state(at=2999, device=device, maintenance=window) is State.EXCLUDED
    assert state(at=3000, device=device, maintenance=window) is State.RETIRED
    assert state(at=2000, device=device) is SILENT


def test_accounting_is_as_known_at_the_time_of_knowing() -> None:
    device = CAMERA._replace(commissioned_recorded=100, retired=3000, retired_recorded=4000)
    assert state(at=99, known_at=99, device=device) is State.NOT_COMMISSIONED
    assert state(at=99, known_at=100, device=device) is SILENT
    assert state(at=3500, known_at=3999, device=device) is SILENT
    assert state(at=3500, known_at=4000, device=device) is State.RETIRED
    window = [Maintenance(1000, 2000, recorded=1500, cancelled=2500)]
    known = [(1499, SILENT), (1500, State.EXCLUDED), (2499, State.EXCLUDED), (2500, SILENT)]
    for known_at, expected in known:
        assert state(at=1200, known_at=known_at, maintenance=window) is expected


def test_each_beat_keeps_the_timeout_in_force_at_its_time() -> None:
    device = CAMERA._replace(terms=(Terms(EVER, 90), Terms(1050, 600)))
    assert state(beat(1049), at=1138, device=device) is ONLINE
    assert state(beat(1050), at=1649, device=device) is ONLINE
    assert state(beat(1050), at=1650, device=device) is SILENT
    silence = [blind(1100, 1200)]
    assert state(at=1799, device=device, blinds=silence) is UNKNOWN
    assert state(at=1800, device=device, blinds=silence) is SILENT


# Rule 10.


def counted(online: int = 0, **others: int) -> Figures:
    found = Figures(online_raw=online, unknown_raw=others.get("unknown", 0))
    found.amounts[ONLINE] = online
    for name, amount in others.items():
        found.amounts[State[name.upper()]] = amount
    return found


def test_811_of_826_are_98_2_percent() -> None:
    told = described(counted(811, offline=12, fault=3))
    assert (told["running"], told["total"], told["percent"]) == (811, 826, "98.2")
    assert told["value"] == 811 / 826
    assert told["determined"] is True
    assert told["bounds"] == [811 / 826, 811 / 826]
    assert told["states"] == {
        "online": 811,
        "fault": 3,
        "offline": 12,
        "unknown": 0,
        "excluded": 0,
        "not_commissioned": 0,
        "retired": 0,
    }


def test_maintenance_leaves_the_raw_rate_alone_and_not_the_adjusted_one() -> None:
    window = [Maintenance(900, 1500, recorded=EVER)]
    found = figures(beat(1000), at=1000, maintenance=window)
    assert (found.online_raw, found.in_service, found.judged) == (1, 1, 0)
    told = described(found)
    assert (told["percent"], told["adjusted"]["percent"], told["adjusted"]["basis"]) == ("100.0", None, None)


def test_what_is_not_in_service_is_in_no_denominator() -> None:
    told = described(counted(3, offline=1, not_commissioned=5, retired=7, excluded=2))
    assert (told["total"], told["adjusted"]["numerator"], told["adjusted"]["denominator"]) == (6, 3, 4)


def test_unknown_makes_a_range_of_the_rate() -> None:
    told = described(counted(6, offline=2, unknown=2))
    assert told["determined"] is False
    assert (told["percent"], told["percent_upper"]) == ("60.0", "80.0")
    assert told["bounds"] == [0.6, 0.8]
    assert (told["adjusted"]["percent"], told["adjusted"]["basis"]) == ("75.0", 0.8)


def test_a_denominator_of_0_gives_no_rate() -> None:
    told = described(counted(not_commissioned=4, retired=1))
    assert [told[name] for name in ("value", "percent", "percent_upper", "bounds")] == [None] * 4
    assert told["adjusted"]["value"] is None
    assert percent(0, 0) is None


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (0, 3, "0.0"),
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (3, 3, "100.0"),
        (1, 2000, "0.1"),
        (999, 2_000_000, "0.0"),
        (9995, 10_000, "100.0"),
        (99_949, 100_000, "99.9"),
        (5, 10_000, "0.1"),
        (15, 10_000, "0.2"),
        (25, 10_000, "0.3"),
        (1225, 10_000, "12.3"),
        (10**30 + 5 * 10**26, 10**30 * 2, "50.0"),
    ],
)
def test_percentages_round_half_up_to_one_decimal(numerator: int, denominator: int, expected: str) -> None:
    assert percent(numerator, denominator) == expected


@pytest.mark.parametrize(
    ("found", "points"),
    [
        (counted(811, offline=15), 2.0),
        (counted(95, offline=5), 2.0),
        (counted(94, offline=6), 1.98),
        (counted(offline=5), 0.0),
        (counted(95, unknown=5), 2.0),
        (counted(94, unknown=6), None),
        (counted(retired=1), None),
    ],
)
def test_a_score_is_given_only_on_a_sufficient_basis(found: Figures, points: float | None) -> None:
    assert scored(found)["points"] == points


# Rule 11.


def test_what_was_known_stays_what_was_known() -> None:
    """A buffered beat, a gap recorded later and its revocation: each changes the answers known from it on."""
    heard = (beat(1000), beat(3000, 1500))
    gap = [blind(1400, 1600, recorded=2000, revoked=4000)]
    known = [(1999, SILENT), (2000, UNKNOWN), (2999, UNKNOWN), (3000, ONLINE), (4000, ONLINE)]
    for known_at, expected in known:
        assert state(*heard, at=1550, known_at=known_at, device=BUFFERING, blinds=gap) is expected
