"""What is acknowledged, when, and in which connection; the broker is played by the test."""

from pathlib import Path
from typing import Any, cast

import pytest

from collector.intake import Intake
from collector.received import Publishes
from collector.spool import Spool
from pulse.settings import Settings
from tests.collector.builders import SteppedClock

BEAT = b"community/xinjinglou/camera/cam-1/heartbeat"
QOS_1 = 0x32


class RecordingLink:
    """Keeps what is acknowledged, and how many items the spool had committed by then."""

    def __init__(self, spool: Spool) -> None:
        self.epoch = 1
        self.canary_topic = "pulse/canary/test"
        self.joined = False
        self.holds: list[bool] = []
        self.acknowledged: list[tuple[int, list[int], int]] = []
        self._spool = spool

    def acknowledge(self, epoch: int, mids: list[int]) -> None:
        self.acknowledged.append((epoch, mids, self._spool.depth().messages))

    def hold(self, held: bool) -> None:
        self.holds.append(held)


class Heard:
    """An intake with its spool and link."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock()
        self.spool = Spool(folder / "spool.db", self.clock)
        self.link = RecordingLink(self.spool)
        self.intake = Intake(Settings(_env_file=None), self.spool, self.clock)  # type: ignore[call-arg]
        self.intake.link = cast(Any, self.link)
        self._told = 0

    def hear(self, *mids: int) -> None:
        publishes = Publishes()
        for mid in mids:
            self._told += 1
            publishes.add(BEAT, b'{"seq": %d}' % self._told, QOS_1, mid)
        publishes.observed_us = self.clock.now_us() + self._told
        self.intake.received(publishes)

    def turn(self) -> None:
        self.clock.pass_s(1)
        self.intake.turn(True)


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path)


def test_messages_are_acknowledged_together_and_only_when_they_are_committed(heard: Heard) -> None:
    heard.hear(1, 2)
    heard.hear(3)
    assert heard.link.acknowledged == []
    heard.turn()
    assert heard.link.acknowledged == [(1, [1, 2, 3], 3)]


def test_what_an_earlier_connection_delivered_is_never_acknowledged_in_the_next(heard: Heard) -> None:
    heard.hear(7)
    heard.link.epoch = 2
    heard.hear(7, 8)
    heard.turn()
    assert heard.link.acknowledged == [(1, [7], 1), (2, [7, 8], 3)]


def test_a_batch_that_fills_up_in_the_middle_keeps_its_connection(heard: Heard) -> None:
    heard.hear(*range(1, 5_003))
    heard.turn()
    assert [(epoch, len(mids), kept) for epoch, mids, kept in heard.link.acknowledged] == [
        (1, 5_000, 5_000),
        (1, 2, 5_002),
    ]


def test_what_the_spool_does_not_take_is_not_acknowledged(heard: Heard) -> None:
    heard.spool.max_bytes = 0
    heard.hear(1)
    heard.turn()
    assert heard.link.acknowledged == []
    assert heard.link.holds == [True]
    assert heard.intake.stalled is not None
    heard.spool.max_bytes = 1_000_000
    heard.turn()
    assert heard.link.holds == [True, False]
    heard.link.epoch = 2
    heard.hear(5)
    heard.turn()
    assert heard.link.acknowledged == [(2, [5], 1)]
