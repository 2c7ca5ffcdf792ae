"""The laws of the ledger over many and longer histories; a slow suite."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger import test_answers, test_engine, test_live, test_twins
from tests.ledger.strategies import World, worlds


def inner(test: Any) -> Callable[..., None]:
    """The body of a Hypothesis test."""
    return test.hypothesis.inner_test  # type: ignore[no-any-return]


OF_WORLDS = [
    test_live.test_transitions_tell_the_states_of_the_replay,
    test_twins.test_runs_from_columns_are_the_readable_ones_at_every_knowledge_time,
    test_twins.test_presence_of_batches_of_runs_and_of_evidence_agree_at_every_instant,
    test_answers.test_states_always_add_up_to_devices_or_to_devices_times_the_period,
]
OF_WORLDS_AND_CHANCE = [
    test_engine.test_engine_equals_replay_for_every_known_at_in_any_order_of_processing,
    test_engine.test_live_states_are_those_of_the_readable_rule,
    test_live.test_stored_rows_say_at_every_moment_what_replay_says,
    test_live.test_restarts_at_any_moment_change_nothing,
    test_answers.test_duplicates_and_the_order_of_processing_do_not_matter,
]

at_length = settings(max_examples=2000, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.parametrize("law", OF_WORLDS, ids=lambda law: law.__name__)
@at_length
@given(world=worlds(size=30))
def test_law_holds_in_many_worlds(law: Any, world: World) -> None:
    inner(law)(world)


@pytest.mark.slow
@pytest.mark.parametrize("law", OF_WORLDS_AND_CHANCE, ids=lambda law: law.__name__)
@at_length
@given(world=worlds(size=30), data=st.data())
def test_law_holds_in_many_worlds_however_they_are_looked_at(
    law: Any, world: World, data: st.DataObject
) -> None:
    inner(law)(world, data)
