"""The engine is the replay, message by message: rule 12 as properties."""

import itertools
import struct
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.errors import BadInput
from pulse.ledger.engine import Engine
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Run, Scope, State, Terms
from pulse.ledger.presence import presence_at
from pulse.ledger.rates import Figures, instant_figures
from pulse.ledger.replay import Books
from pulse.ledger.runs import known_runs
from pulse.ledger.tail import Tail
from pulse.messages import Channel, Message
from tests.ledger.live import Kept, engine_of, replayed_states, saved, state_at, states_of
from tests.ledger.strategies import HORIZON, World, worlds


def feed(engine: Engine, kept: Kept, batch: Sequence[Message], now: int) -> None:
    kept.keep(engine.apply(batch, now))
    kept.log.extend(batch)


def kept_runs(engine: Engine, kept: Kept, device: Device, known_at: int) -> list[Run]:
    """The stored rows, the open one with the end that the engine knows."""
    status = engine.status(device.id)
    assert status is not None
    rows = []
    for row in kept.rows.get(device.id, {}).values():
        open_row = (
            row.end == FOREVER
            and row.superseded == FOREVER
            and row.evidence is not Evidence.OFFLINE
            and status.tail is not None
        )
        if open_row:
            assert status.tail is not None
            assert status.tail.run[:1] + status.tail.run[2:] == row[:1] + row[2:]
            rows.append(status.tail.run)
        else:
            rows.append(row)
    return known_runs(rows, known_at)


def same_answers(world: World, engine: Engine, kept: Kept, until: int) -> None:
    for device in world.books.devices:
        for known_at in range(until + 1):
            stored = kept_runs(engine, kept, device, known_at)
            for earlier, later in itertools.pairwise(stored):
                assert earlier.end <= later.start or later.start > known_at
            replayed = replayed_states(world, device, known_at)
            assert states_of(world, device, stored, known_at) == replayed, known_at


@settings(max_examples=150, deadline=None)
@given(worlds(), st.data())
def test_engine_equals_replay_for_every_known_at_in_any_order_of_processing(
    world: World, data: st.DataObject
) -> None:
    kept = Kept()
    engine = engine_of(world, kept)
    shuffled = data.draw(st.permutations(world.messages)) if data.draw(st.booleans()) else world.messages
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        batch, shuffled = list(shuffled[:size]), shuffled[size:]
        feed(engine, kept, batch, max(m.observed_us for m in batch))
    same_answers(world, engine, kept, HORIZON)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.data())
def test_live_states_are_those_of_the_readable_rule(world: World, data: st.DataObject) -> None:
    """Messages in order of observation, sweeps in between: at every sweep each device has its state."""
    kept = Kept()
    messages = sorted(world.messages, key=lambda m: (m.observed_us, m.order))
    engine = engine_of(world._replace(messages=messages), kept)
    position = 0
    for now in range(0, HORIZON + 30, data.draw(st.integers(1, 9))):
        batch = []
        while position < len(messages) and messages[position].observed_us <= now:
            batch.append(messages[position])
            position += 1
        kept.keep(engine.set_coverage(world.books.start, world.books.blinds, now))
        feed(engine, kept, batch, now)
        kept.keep(engine.sweep(now))
        for device in world.books.devices:
            status = engine.status(device.id)
            assert status is not None
            assert status.state is state_at(world, device, now, now), (now, device)
        assert engine.counts() == counted(world, now)
    same_answers(world._replace(messages=messages), engine, kept, HORIZON)


def counted(world: World, now: int) -> dict[tuple[str, str], Figures]:
    """The figures of a moment by the readable rule."""
    found: dict[tuple[str, str], Figures] = {}
    for device in world.books.devices:
        entries = [b for b in world.books.coverage_known(now) if b.scope.covers(device)]
        evidence = [piece for piece in world.evidence(device) if piece.observed <= now]
        presence = presence_at(device, evidence, entries, now)
        own = instant_figures(presence, state_at(world, device, now, now))
        found.setdefault((device.community, device.kind), Figures()).add(own)
    return found


# Examples.

BEAT, FAULT, OFFLINE = Evidence.BEAT, Evidence.FAULT, Evidence.OFFLINE


def a_device(device: str = "d0", *, timeout: int = 90, commissioned: int = EVER) -> Device:
    return Device(device, "a", "camera", (Terms(EVER, timeout),), commissioned)


def a_message(observed: int, order: int = 0, *, device: str = "d0", evidence: Evidence = BEAT) -> Message:
    return Message(
        device, "a", "camera", evidence, Channel.HEARTBEAT, observed, None, False, False, order, order=order
    )


def an_engine(
    *devices: Device,
    kept: Kept,
    blinds: Sequence[Blind] = (),
    maintenance: Sequence[Maintenance] = (),
    now: int = 0,
) -> Engine:
    world = World(Books(devices or (a_device(),), 0, blinds, maintenance, 1000), [])
    return engine_of(world, kept, now)


def test_an_offline_is_told_as_of_its_deadline_however_late_it_is_noticed() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    outcome = engine.sweep(5000)
    assert outcome.runs == [("d0", Run(100, 190, BEAT, 100, 100))]
    told = [(t.at, t.before, t.after, t.cause) for t in outcome.transitions]
    assert told == [(190, State.ONLINE, State.OFFLINE, "deadline_passed")]
    assert engine.sweep(6000) == ([], [], [])


def test_silence_that_was_told_before_a_buffered_beat_came_stays_told() -> None:
    """Nobody swept between the deadline at 190 and the reception at 200; as known then it was offline."""
    kept = Kept()
    engine = an_engine(a_device()._replace(terms=(Terms(EVER, 90, max_lateness=300),)), kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    feed(engine, kept, [msgspec.structs.replace(a_message(200), measured_us=150)], 200)
    assert [(r.start, r.end) for r in kept.known("d0", 199)] == [(100, 190)]
    assert [(r.start, r.end) for r in kept.known("d0", 200)] == [(100, 190), (190, FOREVER)]


def test_blindness_that_becomes_known_late_is_told_as_of_the_deadline_it_covers() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    outcome = engine.set_coverage(0, [Blind(150, FOREVER, 200)], 200)
    assert outcome.runs == [("d0", Run(100, 190, BEAT, 100, 100))]
    assert [(t.at, t.after) for t in outcome.transitions] == [(190, State.UNKNOWN)]


def test_a_changed_registry_lets_time_pass_first() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    outcome = engine.set_registry(Fleet([a_device(timeout=30)]), [], 200)
    assert outcome.runs == [("d0", Run(100, 190, BEAT, 100, 100))]
    assert [(t.at, t.after) for t in outcome.transitions] == [(190, State.OFFLINE)]


def test_buffered_evidence_from_before_commissioning_tells_no_state_of_that_time() -> None:
    kept = Kept()
    device = a_device(commissioned=200)._replace(terms=(Terms(EVER, 90, max_lateness=300),))
    engine = an_engine(device, kept=kept)
    kept.keep(engine.sweep(210))
    feed(engine, kept, [msgspec.structs.replace(a_message(210), measured_us=150)], 210)
    told = [(t.at, t.before, t.after) for t in kept.transitions]
    assert told == [(200, State.NOT_COMMISSIONED, State.OFFLINE), (200, State.OFFLINE, State.ONLINE)]


def test_backlog_of_before_a_gap_does_not_move_the_offline_proved_after_it() -> None:
    """Deaf until 300, so offline is proved at 390; at that very time a beat of 100 comes out of the queue."""
    kept = Kept()
    engine = an_engine(kept=kept, blinds=[Blind(50, 300, 300)], now=300)
    backlog = msgspec.structs.replace(a_message(390), measured_us=100, queued=True)
    feed(engine, kept, [backlog], 390)
    assert [(t.at, t.after) for t in kept.transitions] == [(390, State.OFFLINE)]
    assert [(r.start, r.end) for r in kept.known("d0", 390)] == [(100, 190)]


def test_each_way_of_going_silent_has_its_cause() -> None:
    kept = Kept()
    fleet = [a_device(name) for name in ("never", "late", "goodbye", "broken")]
    engine = an_engine(*fleet, kept=kept)
    kept.keep(engine.sweep(90))
    batch = [
        a_message(100, 1, device="late"),
        a_message(100, 2, device="goodbye"),
        a_message(101, 3, device="goodbye", evidence=OFFLINE),
        a_message(102, 4, device="broken", evidence=FAULT),
    ]
    feed(engine, kept, batch, 103)
    kept.keep(engine.sweep(190))
    last = {t.device: (t.after, t.at, t.cause) for t in kept.transitions}
    assert last == {
        "never": (State.OFFLINE, 90, "never_heard"),
        "late": (State.OFFLINE, 190, "deadline_passed"),
        "goodbye": (State.OFFLINE, 101, "explicit_offline"),
        "broken": (State.FAULT, 102, "fault_reported"),
    }


def test_flips_within_one_batch_are_all_told() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    kept.keep(engine.sweep(90))
    batch = [
        a_message(100, 1),
        a_message(101, 2, evidence=OFFLINE),
        a_message(102, 3),
        a_message(103, 4, evidence=FAULT),
    ]
    feed(engine, kept, batch, 103)
    told = [(t.at, t.after) for t in kept.transitions]
    assert told[1:] == [(100, State.ONLINE), (101, State.OFFLINE), (102, State.ONLINE), (103, State.FAULT)]


def test_messages_of_devices_that_are_not_registered_are_passed_over() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    assert engine.apply([a_message(10, device="stranger")], 10) == ([], [], [])
    assert engine.status("stranger") is None


def test_a_changed_registry_keeps_the_state_of_devices_that_stay() -> None:
    kept = Kept()
    engine = an_engine(a_device("stays"), a_device("leaves"), kept=kept)
    feed(engine, kept, [a_message(100, 1, device="stays"), a_message(100, 2, device="leaves")], 100)
    kept.keep(engine.set_registry(Fleet([a_device("new"), a_device("stays")]), [], 110))
    assert engine.status("leaves") is None
    states = {name: status.state for name in ("new", "stays") if (status := engine.status(name))}
    assert states == {"new": State.OFFLINE, "stays": State.ONLINE}
    whole = engine.counts()["a", "camera"]
    assert (whole.online_raw, whole.in_service) == (1, 2)
    kept.keep(engine.sweep(190))
    assert kept.rows["stays"] == {(100, 100, 100): Run(100, 190, BEAT, 100, 100)}


def test_two_blind_intervals_of_one_extent_and_different_scopes_are_both_heard_of() -> None:
    """A gap of the whole installation and, recorded with it, the same gap kept for one device (rule 3)."""
    kept = Kept()
    both = [Blind(50, 90, 95), Blind(50, 90, 95, scope=Scope(device="d0"))]
    engine = an_engine(a_device("d0"), a_device("d1"), kept=kept)
    kept.keep(engine.set_coverage(0, both, 100))
    assert [engine.status(d).state for d in ("d0", "d1")] == [State.UNKNOWN] * 2  # type: ignore[union-attr]
    kept.keep(engine.set_coverage(0, [both[0]._replace(revoked=120), both[1]], 120))
    assert [engine.status(d).state for d in ("d0", "d1")] == [State.UNKNOWN, State.OFFLINE]  # type: ignore[union-attr]


def test_a_device_long_silent_stays_unknown_over_a_restart_in_a_blind_interval() -> None:
    kept = Kept()
    blind = Blind(300, FOREVER, 310)
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    kept.keep(engine.sweep(300))
    kept.keep(engine.set_coverage(0, [blind], 310))
    snapshot = saved(engine)
    told = len(kept.transitions)
    again = an_engine(kept=kept, blinds=[blind], now=310)
    again.restore(snapshot, 310)
    kept.keep(again.sweep(1000))
    status = again.status("d0")
    assert status is not None
    assert status.state is State.UNKNOWN
    assert kept.transitions[told:] == []


def test_what_became_known_after_the_snapshot_counts_from_its_own_time_on() -> None:
    """The database has a gap that was recorded after the snapshot, and its revocation; nobody tells again."""
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    kept.keep(engine.sweep(150))
    snapshot, gap = saved(engine), Blind(160, FOREVER, 170, revoked=400)
    again = an_engine(kept=kept, blinds=[gap], now=150)
    again.restore(snapshot, 150)
    told = len(kept.transitions)
    kept.keep(again.sweep(500))
    assert [(t.at, t.after) for t in kept.transitions[told:]] == [(190, State.UNKNOWN), (400, State.OFFLINE)]


def test_a_deadline_that_passes_between_two_processes_ends_its_stored_run() -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    snapshot = saved(engine)
    again = an_engine(kept=kept, now=100)
    again.restore(snapshot, 100)
    kept.keep(again.sweep(1000))
    assert kept.rows["d0"] == {(100, 100, 100): Run(100, 190, BEAT, 100, 100)}
    assert [(t.at, t.after) for t in kept.transitions][-1] == (190, State.OFFLINE)


def test_an_adopted_run_whose_deadline_has_passed_is_ended_where_it_is_stored() -> None:
    kept = Kept()
    engine = an_engine(kept=kept, now=500)
    engine.adopt("d0", Tail(Run(100, 190, BEAT, 100, 100), 100, 100, 7), 500)
    kept.keep(engine.set_registry(Fleet([a_device(), a_device("d1")]), [], 500))
    kept.keep(engine.sweep(501))
    assert kept.rows["d0"] == {(100, 100, 100): Run(100, 190, BEAT, 100, 100)}
    feed(engine, kept, [a_message(600, 8)], 600)
    assert [row.start for row in kept.known("d0", 600)] == [100, 600]


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"nothing of ours",
        b"nothing of ours, however long it may be at the end of the day",
        struct.pack("<16sQQQ", b"pulse ledger", 2, 0, 1),
        struct.pack("<16sQQQ", b"pulse ledger", 4, 0, 1),
        struct.pack("<16sQQQ", b"pulse ledger", 3, 1, 1),
        struct.pack("<16sQQQ", b"pulse ledger", 3, 0, 0),
        struct.pack("<16sQQQ", b"pulse ledger", 3, 1 << 62, 1 << 62),
    ],
)
def test_a_snapshot_that_is_none_of_ours_is_refused_and_changes_nothing(snapshot: bytes) -> None:
    kept = Kept()
    engine = an_engine(kept=kept)
    feed(engine, kept, [a_message(100)], 100)
    before = saved(engine)
    with pytest.raises(BadInput):
        engine.restore(memoryview(snapshot), 100)
    assert saved(engine) == before


def test_a_snapshot_cut_short_is_refused() -> None:
    engine = an_engine(kept=Kept())
    whole = saved(engine)
    for length in range(len(whole)):
        with pytest.raises(BadInput):
            engine.restore(whole[:length], 100)


def test_an_adopted_run_whose_row_has_an_end_is_handed_out_again_when_it_goes_on() -> None:
    device = Device("d0", "a", "camera", (Terms(EVER, 90),), EVER)
    engine = Engine(
        Fleet([device]), Kept(), start=0, blinds=(), maintenance=(), backlog_lateness=0, now=150, slot_width=4
    )
    run = Run(100, 190, Evidence.BEAT, 100, 100)
    engine.adopt("d0", Tail(run, 100, 100, 7), 150, is_open=False)
    beat = Message("d0", "a", "camera", Evidence.BEAT, Channel.HEARTBEAT, 160, None, False, False, 8, order=8)
    assert engine.apply([beat], 160).runs == [("d0", run._replace(end=FOREVER))]
    assert engine.sweep(250).runs == [("d0", run._replace(end=250))]
