"""Laws of the answers: states add up, periods are made of instants, repetition and order are nothing."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pulse.ledger.evidence import Heard
from pulse.ledger.model import FOREVER, State
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, ColumnMessages, ExactMessages, Query, answer
from tests.ledger.live import state_at
from tests.ledger.strategies import HORIZON, World, worlds
from tests.ledger.test_twins import in_columns

Message = tuple[int, Heard]


def queries() -> list[Query]:
    asked = []
    for known_at in (5, 33, HORIZON, FOREVER - 1):
        last = min(known_at, HORIZON)
        asked += [Query(at, None, known_at) for at in range(0, last + 1, 4)]
        asked += [Query(start, end, known_at) for start, end in ((0, last), (3, 3), (last // 2, last))]
    return asked


def answered(books: Books, heard: Sequence[Message], *, exactly: bool = False) -> list[Figures]:
    source = ExactMessages(books, heard) if exactly else ColumnMessages(books, in_columns(heard))
    return answer(books, source, queries())


@given(worlds())
def test_states_always_add_up_to_devices_or_to_devices_times_the_period(world: World) -> None:
    count = len(world.books.devices)
    for query, figures in zip(queries(), answered(world.books, world.heard()), strict=True):
        length = 1 if query.end is None else query.end - query.start
        assert sum(figures.amounts) == count * length
        assert min(figures.amounts) >= 0
        assert 0 <= figures.online_raw <= figures.online_raw + figures.unknown_raw <= figures.in_service
        assert figures.online_raw >= figures.of(State.ONLINE)
        assert figures.unknown_raw >= figures.of(State.UNKNOWN)


@given(worlds(), st.sampled_from([7, 40, HORIZON]))
def test_a_period_is_the_sum_of_its_instants(world: World, known_at: int) -> None:
    source = ColumnMessages(world.books, in_columns(world.heard()))
    asked = [Query(at, None, known_at) for at in range(known_at)]
    summed = Figures()
    for figures in answer(world.books, source, asked):
        summed.add(figures)
    (period,) = answer(world.books, source, [Query(0, known_at, known_at)])
    assert period == summed


@given(worlds(), st.sampled_from([7, 40, HORIZON]))
def test_every_instant_counts_the_states_that_the_readable_rule_gives(world: World, known_at: int) -> None:
    source = ExactMessages(world.books, world.heard())
    for at in range(0, known_at + 1, 3):
        (figures,) = answer(world.books, source, [Query(at, None, known_at)])
        states = [state_at(world, device, at, known_at) for device in world.books.devices]
        assert figures.amounts == [states.count(state) for state in State]


@given(worlds(), st.data())
def test_duplicates_and_the_order_of_processing_do_not_matter(world: World, data: st.DataObject) -> None:
    heard = world.heard()
    expected = answered(world.books, heard)
    again = data.draw(st.permutations([m for m in heard for _ in range(data.draw(st.integers(1, 2)))]))
    assert answered(world.books, again) == expected
    assert answered(world.books, again, exactly=True) == expected
