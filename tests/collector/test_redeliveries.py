"""What is recognised as received before, and what only looks like it."""

import pytest

from collector.redeliveries import Redeliveries
from pulse.clock import DAY_US
from pulse.messages import Message
from tests.collector.builders import NOON_US, SECOND_US, beat


def received_at(
    seconds: float, *, seq: int | None = 1, measured_us: int | None = NOON_US, **flags: bool
) -> Message:
    return beat(
        observed_us=NOON_US + round(seconds * SECOND_US),
        identity=7,
        seq=seq,
        measured_us=measured_us,
        queued=flags.get("queued", False),
        retained=flags.get("retained", False),
    )


def test_the_same_time_and_sequence_are_one_message_whenever_they_come() -> None:
    redeliveries = Redeliveries()
    first = received_at(0)
    assert redeliveries.admit(first) is first
    assert redeliveries.admit(received_at(1)) is None
    assert redeliveries.admit(received_at(86_400)) is None


def test_a_clock_that_stands_still_does_not_hide_its_device() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.admit(received_at(0, seq=None))
    assert redeliveries.admit(received_at(1, seq=None)) is None
    later = redeliveries.admit(received_at(30, seq=None))
    last = redeliveries.admit(received_at(60, seq=None))
    assert first is not None
    assert later is not None
    assert last is not None
    assert len({first.identity, later.identity, last.identity}) == 3


@pytest.mark.parametrize("how", ["queued", "redelivered"])
def test_what_the_broker_kept_is_a_redelivery_even_without_a_sequence(how: str) -> None:
    redeliveries = Redeliveries()
    redeliveries.admit(received_at(0, seq=None))
    again = received_at(600, seq=None, queued=how == "queued")
    assert redeliveries.admit(again, redelivered=how == "redelivered") is None


def test_a_sequence_that_begins_anew_is_no_redelivery() -> None:
    redeliveries = Redeliveries()
    redeliveries.admit(received_at(0, measured_us=None))
    assert redeliveries.admit(received_at(30, measured_us=None)) is None
    assert redeliveries.admit(received_at(3600, measured_us=None)) is not None
    assert redeliveries.admit(received_at(7200, measured_us=None, queued=True)) is None
    week = 8 * DAY_US / SECOND_US
    assert redeliveries.admit(received_at(week, measured_us=None, queued=True)) is not None


def test_with_neither_time_nor_sequence_nothing_is_recognised() -> None:
    redeliveries = Redeliveries()
    for second in range(3):
        assert redeliveries.admit(received_at(second, seq=None, measured_us=None), redelivered=True)


def test_a_retained_copy_is_dropped_after_a_live_one_and_never_hides_one() -> None:
    redeliveries = Redeliveries()
    assert redeliveries.admit(received_at(0, retained=True)) is not None
    assert redeliveries.admit(received_at(1)) is not None
    assert redeliveries.admit(received_at(2, retained=True)) is None


def test_what_was_not_kept_is_forgotten() -> None:
    redeliveries = Redeliveries()
    first = received_at(0)
    redeliveries.admit(first)
    redeliveries.forget([first.identity])
    assert redeliveries.admit(received_at(1)) is not None


def test_only_the_last_are_remembered() -> None:
    redeliveries = Redeliveries(remembered=2)
    messages = [beat(identity=n, seq=n, measured_us=NOON_US) for n in range(5)]
    for message in messages:
        redeliveries.admit(message)
    assert redeliveries.admit(messages[0]) is not None
    assert redeliveries.admit(messages[4]) is None
