"""Differences between what was said and what is known: the reasons add up, and each is what it says."""

from hypothesis import given
from hypothesis import strategies as st

from pulse.ledger.difference import Moments, Reason, Said, changes, now_known
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Evidence, Maintenance, Run, State, Terms
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, ExactMessages, Known, Query, answer
from pulse.ledger.runs import history_of
from tests.ledger.strategies import HORIZON, World, worlds

Runs = dict[str, list[Run]]


def runs_ever(world: World) -> Runs:
    return {d.id: history_of(d, world.evidence(d)).runs() for d in world.books.devices}


@st.composite
def said(draw: st.DrawFn) -> list[Said]:
    found = []
    for at in draw(st.lists(st.integers(0, HORIZON), min_size=1, max_size=12, unique=True)):
        known_at = draw(st.just(at) | st.integers(at, HORIZON + 20))
        found.append(Said(at, known_at, draw(st.integers(1, 9))))
    return found


def summed(world: World, moments: list[Said], device: Device, known_at: int | None) -> list[int]:
    """Every figure of one device over the moments, each as known then (None) or at `known_at`, by replay."""
    books = world.books._replace(devices=[device])
    heard = [(0, one) for place, one in world.heard() if world.books.devices[place].id == device.id]
    total = Figures()
    queries = [Query(one.at, None, one.known_at if known_at is None else known_at) for one in moments]
    for one, figures in zip(moments, answer(books, ExactMessages(books, heard), queries), strict=True):
        for _ in range(one.weight):
            total.add(figures)
    return vector(total)


def vector(figures: Figures) -> list[int]:
    return [*figures.amounts, figures.online_raw, figures.unknown_raw]


@given(worlds(), said(), st.integers(0, 40))
def test_the_reasons_add_up_to_the_difference_that_replay_gives(
    world: World, moments: list[Said], later: int
) -> None:
    known_at = max(one.known_at for one in moments) + later
    runs = runs_ever(world)
    found = {one.device.id: one.shares for one in changes(world.books, runs, Moments(moments), known_at)}
    for device in world.books.devices:
        then, now = (summed(world, moments, device, known) for known in (None, known_at))
        shares = [vector(share) for share in found.get(device.id, {}).values()]
        assert [sum(column) for column in zip([0] * 9, *shares, strict=True)] == [
            b - a for a, b in zip(then, now, strict=True)
        ]
        known = Known(world.books, known_at)
        assert vector(now_known(device, runs[device.id], known, Moments(moments))) == now


# Each reason alone, of one device with a timeout of 10 that was commissioned for ever.

CAMERA = Device("d0", "a", "camera", (Terms(EVER, 10),), EVER)
MOMENTS = [Said(at, at, 10) for at in range(0, 100, 10)]
BEATS = [Run(0, 50, Evidence.BEAT, 0, 0), Run(50, 100, Evidence.BEAT, 0, 0)]


def explained(books: Books, runs: list[Run], known_at: int = 200) -> dict[Reason, tuple[int, dict[str, int]]]:
    """Of each reason the change of the raw numerator, and of the states that changed."""
    found = list(changes(books, {"d0": runs}, Moments(MOMENTS), known_at))
    return {
        reason: (
            share.online_raw,
            {state.slug: share.of(state) for state in State if share.of(state)},
        )
        for one in found
        for reason, share in one.shares.items()
    }


def books(**members: object) -> Books:
    return Books([CAMERA], 0)._replace(**members)  # type: ignore[arg-type]


def test_nothing_known_later_is_no_difference() -> None:
    assert explained(books(), BEATS) == {}


def test_late_evidence_makes_silence_online() -> None:
    late = [Run(0, 30, Evidence.BEAT, 0, 0), Run(30, 60, Evidence.BEAT, 30, 80)]
    assert explained(books(), late) == {Reason.EVIDENCE: (30, {"online": 30, "offline": -30})}


def test_what_is_not_known_yet_explains_nothing() -> None:
    late = [Run(0, 30, Evidence.BEAT, 0, 0), Run(30, 60, Evidence.BEAT, 30, 80)]
    assert explained(books(), late, known_at=79) == {}


def test_a_blind_interval_that_is_revoked_makes_the_unknown_offline() -> None:
    """Heard until 20; the collector was deaf from 20 to 50, said so at once, and took it back at 90."""
    gap = Blind(20, 50, 20, 90, cause="test")
    heard = [Run(0, 20, Evidence.BEAT, 0, 0)]
    assert explained(books(blinds=[gap]), heard) == {Reason.COVERAGE: (0, {"offline": 40, "unknown": -40})}


def test_a_blind_interval_that_is_recorded_later_makes_a_goodbye_unknown_however_long_after() -> None:
    goodbye = [Run(0, FOREVER, Evidence.OFFLINE, 0, 0)]
    gap = Blind(20, 21, 85, cause="test")
    found = explained(books(blinds=[gap]), goodbye)
    assert found == {Reason.COVERAGE: (0, {"offline": -20, "unknown": 20})}


def test_maintenance_recorded_afterwards_changes_no_raw_rate() -> None:
    window = Maintenance(20, 40, 95)
    assert explained(books(maintenance=[window]), BEATS) == {
        Reason.MAINTENANCE: (0, {"online": -20, "excluded": 20})
    }


def test_a_commissioning_entered_afterwards_puts_the_device_into_service() -> None:
    entered = CAMERA._replace(commissioned=30, commissioned_recorded=60)
    assert explained(books(devices=[entered]), BEATS) == {
        Reason.REGISTRY: (30, {"online": 30, "not_commissioned": -30})
    }


def test_reasons_that_meet_share_the_difference() -> None:
    """Silence from 30 on; late evidence and then maintenance for the same time: each has its own part."""
    late = [Run(0, 30, Evidence.BEAT, 0, 0), Run(30, 60, Evidence.BEAT, 30, 80)]
    window = Maintenance(30, 60, 90)
    assert explained(books(maintenance=[window]), late) == {
        Reason.EVIDENCE: (30, {"online": 30, "offline": -30}),
        Reason.MAINTENANCE: (0, {"online": -30, "excluded": 30}),
    }
