"""How the feeder waits for a telemetry store that does not answer."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from collector.feeder import LONGEST_ASKED_S, LONGEST_WAIT_S, Feeder
from collector.spool import STORED, Spool
from pulse.errors import StoreUnavailable
from tests.collector.builders import SteppedClock, beat


class CountedStop(threading.Event):
    """Waits for nothing, notes how long it should have, and is set after so many."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        if len(self.waited) == self._waits:
            self.set()
        return self.is_set()


class AbsentStore:
    def __init__(self, retry_after_s: float | None) -> None:
        self.asked = 0
        self._retry_after_s = retry_after_s

    def open(self) -> None:
        return

    def write_messages(self, _messages: object) -> None:
        self.asked += 1
        raise StoreUnavailable("overloaded", retry_after_s=self._retry_after_s)


class AnyLease:
    def check(self) -> None:
        return


@pytest.mark.parametrize(
    ("asked_s", "expected"),
    [
        (None, [0.25, 0.5, 1, 2, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S]),
        (3.0, [3, 3, 3, 3, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S]),
        (3600.0, [LONGEST_ASKED_S] * 8),
    ],
)
def test_a_store_is_asked_again_and_again_and_not_before_it_wants_to_be(
    tmp_path: Path, asked_s: float | None, expected: list[float]
) -> None:
    clock = SteppedClock()
    spool = Spool(tmp_path / "spool.db", clock)
    spool.append([beat()])
    store, stop = AbsentStore(asked_s), CountedStop(8)
    Feeder(spool, cast(Any, store), cast(Any, None), clock, cast(Any, AnyLease())).run(stop)
    assert stop.waited == expected
    assert store.asked == 8
    assert spool.mark(STORED) == 0
    assert spool.depth().messages == 1
    spool.close()
