"""The seven days before: what they tell is what the ledger finds in the raw messages."""

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from collector.recovery import Proof, read_proof
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from pulse.indicators.online_rate import NAME, OnlineRate
from pulse.indicators.present import compact
from pulse.ledger.evidence import Heard, pieces
from pulse.ledger.model import Evidence, Run
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, Known, Query, device_figures
from pulse.ledger.runs import RunHistory, known_runs
from pulse.messages import Channel, Message
from pulse.stores.relational import coverage, intervals, maintenance, published, registry
from pulse.stores.relational.database import Database
from simulators.faults import Behaviour
from simulators.figures import published_values
from simulators.fleet import Fleet, fleet
from simulators.history import History, enter, raw_beats
from tests.simulators.scenes import SIXTY

END_US = 1_795_420_800 * SECOND_US + 12_345_678


class Replayed(NamedTuple):
    """A week with what the ledger makes of all its raw messages."""

    history: History
    runs: dict[str, list[Run]]
    last: dict[str, tuple[int, Evidence]]


@pytest.fixture(
    name="replayed",
    scope="module",
    params=[
        pytest.param((1, 7), id="seven-days", marks=pytest.mark.slow),
        pytest.param((2, 3), id="three-days"),
    ],
)
def _replayed(request: pytest.FixtureRequest) -> Replayed:
    """A fleet in which every behaviour occurs."""
    seed, days = request.param
    history = History(fleet(seed, scenario=SIXTY), seed, END_US, days)
    return replay(history, history.week.start_us)


def replay(history: History, from_us: int) -> Replayed:
    """Put the raw messages from `from_us` on through the ledger, one by one."""
    devices = {device.id: device for device in history.devices}
    ledgers = {device.id: RunHistory(device) for device in history.devices}
    last: dict[str, tuple[int, Evidence]] = {}
    for batch in history.raw_beats(from_us, END_US + 1):
        for m in batch:
            heard = Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order)
            for piece in pieces(devices[m.device], heard, 0):
                ledgers[m.device].add(piece)
            last[m.device] = (m.observed_us, m.evidence)
    return Replayed(
        history, {device: runs for device, ledger in ledgers.items() if (runs := ledger.runs())}, last
    )


@pytest.fixture(name="small", scope="module")
def _small(replayed: Replayed) -> History:
    return replayed.history


@pytest.fixture(name="whole", scope="module")
def _whole() -> History:
    return History(fleet(1), 1, END_US)


def by_device(history: History, from_us: int, to_us: int) -> dict[str, list[Message]]:
    messages: dict[str, list[Message]] = {device.id: [] for device in history.devices}
    for batch in history.raw_beats(from_us, to_us):
        for message in batch:
            messages[message.device].append(message)
    return messages


def test_the_ledger_finds_the_stated_runs_in_the_raw_messages(replayed: Replayed) -> None:
    stated = replayed.history.runs()
    assert stated.keys() == replayed.runs.keys()
    for device, runs in stated.items():
        assert runs == replayed.runs[device], device


def test_the_last_evidence_is_that_of_the_raw_messages(replayed: Replayed) -> None:
    stated = replayed.history.last_evidence()
    assert {device: tuple(last) for device, last in stated.items()} == replayed.last


def test_the_last_day_alone_gives_the_runs_of_the_last_day(small: History) -> None:
    from_us = END_US - DAY_US
    found = replay(small, from_us).runs
    # What was said just before the day still holds at its beginning.
    settled = from_us + HOUR_US
    for device, runs in small.runs().items():
        # A run that fills a gap says since when the run goes on that it prolongs: that is before the day.
        later = [run._replace(since=0) for run in runs if run.start >= settled]
        assert later == [r._replace(since=0) for r in found.get(device, []) if r.start >= settled], device
        across = [
            run.end for run in runs if run.start < settled < run.end and run.evidence is not Evidence.OFFLINE
        ]
        assert across == [
            run.end
            for run in found.get(device, [])
            if run.start < settled < run.end and run.evidence is not Evidence.OFFLINE
        ]


def test_every_behaviour_shows_in_the_raw_messages(small: History) -> None:
    raw = by_device(small, END_US - DAY_US, END_US + 1)
    for device, fault in small.fleet.faults.items():
        beats = [m for m in raw[device] if m.channel is Channel.HEARTBEAT]
        if fault.behaviour is Behaviour.DUPLICATES:
            assert max(Counter(m.identity for m in beats).values()) == 1 + fault.copies
        elif fault.behaviour is Behaviour.LATE:
            measured = [m.measured_us for m in beats if m.measured_us is not None]
            assert measured != sorted(measured)
        elif fault.behaviour is Behaviour.WRONG_CLOCK:
            skews = {
                round((m.measured_us - m.observed_us) / HOUR_US) for m in beats if m.measured_us is not None
            }
            assert skews == {fault.clock_offset_us / HOUR_US}
        elif fault.behaviour is Behaviour.FLAPPING:
            assert len([m for m in raw[device] if m.channel is Channel.STATUS]) > 100
        elif fault.behaviour is Behaviour.FAULT:
            assert raw[device][-1].fault == fault.code


def test_raw_messages_come_in_order_each_once_and_however_the_windows_are_cut(small: History) -> None:
    from_us = END_US - 2 * HOUR_US
    whole = [m for batch in small.raw_beats(from_us, END_US) for m in batch]
    orders = [m.order for m in whole]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)
    assert max(orders) < 0
    times = [m.observed_us for m in whole]
    assert times == sorted(times)
    middle = from_us + 1234567891
    cut = [m for part in ((from_us, middle), (middle, END_US)) for b in small.raw_beats(*part) for m in b]
    assert cut == whole
    back = list(small.raw_beats(from_us, END_US, newest_first=True))
    assert [m for batch in reversed(back) for m in batch] == whole
    assert back[0][-1] == whole[-1]
    distinct = {(m.device, m.identity) for m in whole}
    copies = sum(
        small.fleet.faults[d].behaviour is Behaviour.DUPLICATES
        for d, _ in distinct
        if d in small.fleet.faults
    )
    assert len(distinct) < len(whole)
    assert copies


def test_published_values_are_the_ledgers_answers_of_their_minutes(small: History) -> None:
    runs, week = small.runs(), small.week
    values = {value.at_us: value for value in published_values(small.devices, runs, week)}
    books = Books(small.devices, week.start_us, week.blinds, [work.window for work in week.works])
    edges = [blind.start for blind in week.blinds] + [blind.end for blind in week.blinds]
    edges += [work.window.start for work in week.works] + [week.start_us + 3 * MINUTE_US, END_US]
    minutes = {edge // MINUTE_US * MINUTE_US + n * MINUTE_US for edge in edges for n in (-1, 0, 1, 2, 3)}
    minutes |= set(list(values)[::97])
    asked = sorted(minutes & set(values))
    assert len(asked) > 50
    for at_us in asked:
        known = Known(books, at_us)
        figures, kinds = Figures(), dict[str, Figures]()
        for device in small.devices:
            own = device_figures(
                device, known_runs(runs.get(device.id, ()), at_us), known, Query(at_us, None, at_us)
            )
            figures.add(own)
            kinds.setdefault(device.kind, Figures()).add(own)
        assert values[at_us].figures["all"] == compact(figures)
        assert values[at_us].figures["by_kind"] == {name: compact(own) for name, own in kinds.items()}


def test_the_week_ends_at_811_of_826_with_every_other_device_alive(whole: History) -> None:
    values = list(published_values(whole.devices, whole.runs(), whole.week))
    assert len(values) == 7 * 24 * 60
    assert (values[-1].numerator, values[-1].denominator) == (811, 826)
    assert {b.at_us - a.at_us for a, b in pairwise(values)} == {MINUTE_US}
    assert values[-1].at_us <= END_US < values[-1].at_us + MINUTE_US
    last = whole.last_evidence()
    for device in whole.fleet.devices:
        interval_us = whole.fleet.beats_s[device.kind][0] * SECOND_US
        if device.id not in whole.fleet.down:
            assert last[device.id].evidence is Evidence.BEAT
            assert END_US - last[device.id].at_us < 2.2 * interval_us
        elif whole.fleet.faults[device.id].behaviour is Behaviour.NEVER_ACTIVATED:
            assert device.id not in last
        elif whole.fleet.faults[device.id].behaviour is Behaviour.FAULT:
            assert last[device.id].evidence is Evidence.FAULT
        else:
            assert END_US - last[device.id].at_us > HOUR_US


def test_the_week_is_worth_looking_at(whole: History) -> None:
    values = list(published_values(whole.devices, whole.runs(), whole.week))
    certain = [v for v in values[10:] if v.figures["all"]["unknown_raw"] == 0]
    rates = [v.numerator / v.denominator for v in certain]
    assert 0.975 < sum(rates) / len(rates) < 0.995
    assert min(rates) < 0.955, "an incident that hits a building shows"
    assert max(rates) < 1
    excluded = [v for v in values if v.figures["all"]["states"]["excluded"]]
    assert len(excluded) == 120
    assert any(v.figures["all"]["adjusted"] != v.figures["all"]["raw"] for v in excluded)
    blind = [v for v in values[10:] if v.figures["all"]["unknown_raw"] > 400]
    assert 2 <= len(blind) <= 10


def test_down_devices_fell_at_different_times(whole: History) -> None:
    since = {
        device: whole.runs()[device][-1].start
        for device in whole.fleet.down
        if whole.fleet.faults[device].behaviour is Behaviour.FAULT
    }
    outages = [
        outages[-1].start
        for device, outages in whole.week.outages.items()
        if device in whole.fleet.down and outages
    ]
    assert len(set(outages)) == 13
    assert all(2 * HOUR_US <= END_US - at <= 6 * DAY_US for at in outages)
    assert len(since) == 3


def test_the_same_seed_gives_the_same_week_and_another_another() -> None:
    def runs(seed: int) -> dict[str, list[Run]]:
        return History(fleet(1, 40), seed, END_US, 3).runs()

    assert runs(5) == runs(5)
    assert runs(5) != runs(6)


def test_a_scaled_fleet_has_a_week_too() -> None:
    history = History(fleet(2, 15).scaled(5), 2, END_US, 1)
    assert history.runs() == replay(history, history.week.start_us).runs


@pytest.fixture(name="db")
def _db(tmp_path: Path) -> Database:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    return db


class At:
    """A clock that stands."""

    def now_us(self) -> int:
        return END_US

    def monotonic_s(self) -> float:
        return 0.0


def test_a_week_of_826_devices_is_entered_within_five_seconds_and_answers(db: Database) -> None:
    whole = fleet(1)
    began = time.process_time()
    with db.write() as connection:
        enter(connection, whole, 1, END_US)
    assert time.process_time() - began < 5
    answer = OnlineRate(db, At()).instant()
    assert (answer["running"], answer["total"], answer["percent"]) == (811, 826, "98.2")
    assert answer["determined"]
    with db.read() as connection:
        assert {d.id for d in registry.devices(connection)} == {d.id for d in whole.devices}
        assert sorted(registry.ledger_devices(connection)) == sorted(
            d._replace(commissioned_recorded=d.commissioned) for d in whole.ledger_devices()
        )
        assert coverage.start_us(connection) == END_US - 7 * DAY_US
        assert len(coverage.entries(connection)) == 2
        assert len(maintenance.entries(connection)) == 1
        series = published.series(connection, NAME, END_US - 7 * DAY_US, END_US)
        assert len(series) == 7 * 24 * 60
        assert read_proof(connection) == Proof(END_US, None)
        mark = coverage.watermark(connection)
        assert mark is not None
        assert (mark.through_us, mark.listening) == (END_US, True)
        stored = intervals.last_runs(connection, END_US, END_US)
        assert {
            device for device, run in stored.items() if run.evidence is Evidence.BEAT and run.end > END_US
        } == {d.id for d in whole.devices} - whole.down


def test_without_days_only_the_registry_is_entered(db: Database) -> None:
    with db.write() as connection:
        enter(connection, fleet(1, 20), 1, END_US, days=0)
    with db.read() as connection:
        assert len(registry.devices(connection)) == 20
        assert coverage.start_us(connection) is None
        assert coverage.watermark(connection) is None


def test_raw_beats_belong_to_the_week_that_was_entered() -> None:
    small = fleet(1, 20)
    history = History(small, 1, END_US)
    from_us = END_US - HOUR_US
    assert [m for b in raw_beats(small, 1, from_us, END_US) for m in b] == [
        m for b in history.raw_beats(from_us, END_US) for m in b
    ]


def test_fleets_of_any_size_have_a_week() -> None:
    for devices in (1, 2, 7, 50):
        small: Fleet = fleet(1, devices)
        history = History(small, 1, END_US)
        values = list(published_values(history.devices, history.runs(), history.week))
        assert (values[-1].numerator, values[-1].denominator) == (small.running, devices)
