"""The ledger at work: rows, states and transitions are those of the replay, whenever it looks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse.ledger.answer import Stretch
from pulse.ledger.model import EVER, Device, Evidence, Terms
from pulse.ledger.replay import Books
from pulse.messages import Channel, Message
from tests.ledger.live import Live, replayed_states, state_at, stored_states
from tests.ledger.strategies import HORIZON, World, worlds

END = HORIZON + 30


def agrees_with_replay(live: Live) -> None:
    world = live.world
    for device in world.books.devices:
        status = live.engine.status(device.id)
        assert status is not None
        assert status.state is state_at(world, device, live.now, live.now)
        stored = stored_states(world, live.kept, device, live.now)
        assert stored == replayed_states(world, device, live.now), (live.now, device)


@settings(max_examples=100)
@given(worlds(), st.data())
def test_stored_rows_say_at_every_moment_what_replay_says(world: World, data: st.DataObject) -> None:
    """Rows alone, without the engine's memory: at once, and of every earlier moment whenever asked."""
    live = Live(world)
    first_said: dict[tuple[str, int], list[Stretch]] = {}
    while live.now < END:
        live.step(live.now + data.draw(st.integers(1, 12)))
        agrees_with_replay(live)
        for device in world.books.devices:
            first_said[device.id, live.now] = stored_states(world, live.kept, device, live.now)
    for device in world.books.devices:
        for known_at in range(END):
            said = stored_states(world, live.kept, device, known_at)
            assert said == first_said.get((device.id, known_at), said)
            assert said == replayed_states(world, device, known_at), known_at


@settings(max_examples=100)
@given(worlds(), st.data())
def test_restarts_at_any_moment_change_nothing(world: World, data: st.DataObject) -> None:
    live = Live(world)
    while live.now < END:
        live.step(live.now + data.draw(st.integers(1, 12)))
        match data.draw(st.sampled_from(["", "", "save", "restart"])):
            case "save":
                live.save()
            case "restart":
                live.restart(store_is_behind=data.draw(st.booleans()), judge_late=data.draw(st.booleans()))
        agrees_with_replay(live)
    for device in world.books.devices:
        for known_at in range(END):
            said = stored_states(world, live.kept, device, known_at)
            assert said == replayed_states(world, device, known_at), known_at


@settings(max_examples=100)
@given(worlds())
def test_transitions_tell_the_states_of_the_replay(world: World) -> None:
    """Looked at in every instant, each transition is the state of its own time, as known when it is told.

    Maintenance that people enter afterwards makes no transition of the past.
    """
    live = Live(world)
    entered_afterwards = [w for w in world.books.maintenance if w.recorded > w.start]
    state = {device.id: live.state(device) for device in world.books.devices}
    while live.now < END:
        told = live.step(live.now + 1)
        for device in world.books.devices:
            own = [t for t in told if t.device == device.id]
            for transition in own:
                assert transition.before is state[device.id]
                assert transition.before is not transition.after
                assert transition.at <= live.now
                state[device.id] = transition.after
            if own and not any(w.start <= own[-1].at < w.end for w in entered_afterwards):
                assert state_at(world, device, own[-1].at, live.now) is own[-1].after, (live.now, own)
            assert state[device.id] is state_at(world, device, live.now, live.now)


def test_a_queued_beat_counts_once_it_is_noticed_that_its_clock_was_trusted_by_then() -> None:
    """Trusted from 7 on, measured at 8, received at 12, and the change noticed at 20 only."""
    terms = (Terms(EVER, 5, 0, True), Terms(7, 3))
    device = Device("d0", "a", "camera", terms, EVER)

    def beat(observed: int, measured: int | None, order: int) -> Message:
        queued = measured is not None
        return Message(
            "d0", "a", "camera", Evidence.BEAT, Channel.HEARTBEAT,
            observed, measured, False, queued, order, order=order,
        )  # fmt: skip

    live = Live(World(Books([device], 0, backlog_lateness=60), [beat(1, None, 0), beat(12, 8, 1)]))
    live.step(4)
    live.step(20)
    assert [run[:2] for run in live.kept.known("d0", 20)] == [(1, 6), (8, 11)]


def test_what_a_clock_proved_that_was_not_trusted_any_more_is_taken_back_once_that_is_noticed() -> None:
    """Trusted until 58, a queued fault measured at 59, and the change noticed with it."""
    terms = (Terms(EVER, 4), Terms(58, 2, 0, True))
    device = Device("d0", "a", "camera", terms, EVER)

    def heard(observed: int, evidence: Evidence, order: int) -> Message:
        return Message(
            "d0", "a", "camera", evidence, Channel.HEARTBEAT,
            observed, observed, False, True, order, order=order,
        )  # fmt: skip

    messages = [heard(50, Evidence.BEAT, 0), heard(59, Evidence.FAULT, 1)]
    for first in ([], messages[:1]):
        live = Live(World(Books([device], 0, backlog_lateness=60), [*first, messages[1]]))
        for now in (51, 59, 60, 70):
            live.step(now)
            agrees_with_replay(live)
        live.restart()
        agrees_with_replay(live)
