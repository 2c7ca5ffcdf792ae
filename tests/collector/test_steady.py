"""The collector's time never goes back."""

from collector.steady import SteadyClock
from tests.collector.builders import NOON_US, SECOND_US, SteppedClock


class HostClock(SteppedClock):
    """A clock that stands still, and a host whose clock is somewhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.host_us = NOON_US

    def drift_us(self) -> int:
        return self.host_us - self.us

    def resync(self) -> None:
        self.us = self.host_us


def test_a_step_forward_is_followed_and_told() -> None:
    host = HostClock()
    steady = SteadyClock(host)
    assert steady.follow() is None
    host.host_us += SECOND_US
    assert steady.follow() is None
    host.host_us += 3600 * SECOND_US
    assert steady.drift_us() == 3601 * SECOND_US
    assert steady.follow() == (NOON_US, NOON_US + 3601 * SECOND_US)
    assert steady.now_us() == NOON_US + 3601 * SECOND_US


def test_a_step_back_is_waited_out() -> None:
    host = HostClock()
    steady = SteadyClock(host)
    host.host_us -= 3600 * SECOND_US
    assert steady.follow() is None
    assert steady.now_us() == NOON_US
    assert steady.drift_us() == -3600 * SECOND_US


def test_time_that_was_written_already_is_not_lived_again() -> None:
    host = HostClock()
    steady = SteadyClock(host)
    assert steady.not_before(NOON_US - 1) == 0
    assert steady.not_before(NOON_US + 600 * SECOND_US) == 600 * SECOND_US
    assert steady.now_us() == NOON_US + 600 * SECOND_US
    host.host_us += 500 * SECOND_US
    assert steady.follow() is None
    host.host_us += 200 * SECOND_US
    assert steady.follow() == (NOON_US + 600 * SECOND_US, NOON_US + 700 * SECOND_US)


def test_a_clock_without_a_host_never_steps() -> None:
    plain = SteppedClock()
    steady = SteadyClock(plain)
    assert steady.follow() is None
    assert steady.drift_us() == 0
    assert steady.monotonic_s() == plain.monotonic_s()
