"""What is acknowledged, when, and in which connection; the broker is played by the test."""

from pathlib import Path
from typing import Any, cast

import pytest

from collector.datakinds import DataKinds
from collector.intake import Intake
from collector.received import Gathering
from collector.spool import Spool
from pulse.batches import Ints
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import Device, Terms
from pulse.settings import Settings
from pulse.sharing import catalogue_file
from pulse.sharing.catalogue import Catalogue, DataKind, Version
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

    def acknowledge(self, epoch: int, mids: Ints) -> None:
        self.acknowledged.append((epoch, mids.tolist(), self._spool.depth().messages))

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
        gathering = Gathering()
        for mid in mids:
            self._told += 1
            gathering.add(BEAT, b'{"seq": %d}' % self._told, QOS_1, mid)
        self.intake.received(gathering.taken(self.clock.now_us() + self._told))

    def know_gas(self) -> None:
        """Register a gas alarm, and have a catalogue."""
        gas = Device("gas-1", "xinjinglou", "gas_alarm", (Terms(0, 90_000_000),), 0, None, 0, 0)
        self.intake.registry = Fleet([gas])
        kinds = [Version(kind.id, 0, 0, kind) for kind in catalogue_file.default()]
        self.intake.records.kinds = DataKinds(Catalogue(kinds))

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


RECORD = b"community/xinjinglou/gas_alarm/gas-1/data/gas_reading"


def records_said(heard: Heard, *payloads: bytes) -> None:
    gathering = Gathering()
    for mid, payload in enumerate(payloads, 1):
        gathering.add(RECORD, payload, QOS_1, mid)
    heard.intake.received(gathering.taken(heard.clock.now_us()))


def test_records_are_acknowledged_when_they_are_committed_and_in_one_batch_with_messages(
    heard: Heard,
) -> None:
    heard.know_gas()
    records_said(heard, b'{"lel_pct":1,"alarm":"none"}', b"{")
    heard.hear(3)
    assert heard.link.acknowledged == []
    heard.turn()
    assert heard.link.acknowledged == [(1, [1, 2, 3], 3)]
    (batch,) = heard.spool.read_after(0)
    (record,) = batch.records
    assert (record.device, record.data_kind) == ("gas-1", "gas_reading")
    # The canary has not come back: it may have waited in the broker.
    assert (record.queued, record.at_us) == (True, None)
    assert [message.device for message in batch.messages] == ["cam-1"]
    assert [item.reason for _, item in batch.quarantined] == ["not_json"]


def test_records_that_the_spool_did_not_take_are_no_duplicates_when_they_come_again(heard: Heard) -> None:
    heard.know_gas()
    timed = b'{"ts":%d,"lel_pct":1,"alarm":"none"}' % (heard.clock.now_us() // 1000)
    heard.spool.max_bytes = 0
    records_said(heard, timed)
    heard.turn()
    assert heard.link.acknowledged == []
    heard.spool.max_bytes = 1_000_000
    heard.turn()
    heard.link.epoch = 2
    records_said(heard, timed)
    heard.turn()
    assert heard.link.acknowledged == [(2, [1], 1)]


def test_what_an_earlier_process_took_is_a_duplicate(heard: Heard, tmp_path: Path) -> None:
    heard.know_gas()
    timed = b'{"ts":%d,"lel_pct":1,"alarm":"none"}' % (heard.clock.now_us() // 1000)
    records_said(heard, timed)
    heard.turn()
    (batch,) = heard.spool.read_after(0)
    later = Heard(tmp_path / "later")
    later.know_gas()
    later.intake.remember(batch.messages, None, batch.records)
    later.clock.pass_s(100)
    records_said(later, timed)
    later.turn()
    assert later.link.acknowledged == [(1, [1], 0)]


def test_large_records_fill_a_batch_by_their_size(heard: Heard) -> None:
    heard.know_gas()
    kind = DataKind(id="gas_reading", name_zh="", name_en="", sources=("gas_alarm",), schema={})
    heard.intake.records.kinds = DataKinds(Catalogue([Version("gas_reading", 0, 0, kind)]))
    for _ in range(3):
        records_said(heard, *[b'{"text":"' + b"x" * 60_000 + b'"}'] * 30)
    assert [(epoch, len(mids)) for epoch, mids, _ in heard.link.acknowledged] == [(1, 90)]
    (batch,) = heard.spool.read_after(0)
    assert batch.stored == 90
    assert batch.weight > 90 * 60_000 // 130
