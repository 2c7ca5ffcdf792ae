"""The one place that reads clocks. Inside, time is UTC in integer microseconds since 1970 (`_us`)."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pulse.errors import BadInput

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_SECONDS = re.compile(r"[+-]?[0-9]*\.?[0-9]+|[+-]?[0-9]+\.")
# A '+' in a URL arrives as a space: a second space, or one behind a T, stood before the zone.
_LOST_PLUS = re.compile(r"(?<=[0-9])([T ][0-9]{2}[0-9:.,]*) ([0-9]{2}(?::?[0-9]{2})?)$")


class Clock(Protocol):
    """What tells the time; tests pass their own."""

    def now_us(self) -> int:
        """Wall time, microseconds since 1970 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on an axis that never jumps, for timers."""
        ...


class SystemClock:
    """The machine's clocks, with wall time that follows the monotonic clock between small corrections.

    A step of the host's clock (NTP, a person) must not age every device at once, so `now_us` is the
    monotonic clock plus an offset; the offset is moved to the wall clock only by `resync`, which the
    owner calls when it has seen the step and recorded it.
    """

    def __init__(self) -> None:
        self._offset_us = 0
        self.resync()

    def now_us(self) -> int:
        return self._offset_us + time.monotonic_ns() // 1000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def drift_us(self) -> int:
        """How far the wall clock has moved away from this clock, in microseconds."""
        return time.time_ns() // 1000 - self.now_us()

    def resync(self) -> None:
        """Follow the wall clock from here on."""
        self._offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000


def to_iso(us: int) -> str:
    """ISO 8601 in UTC with `Z`; the fraction only as long as it has to be (none, 3 or 6 digits)."""
    moment = _EPOCH + timedelta(microseconds=us)
    if us % SECOND_US == 0:
        spec = "seconds"
    elif us % 1000 == 0:
        spec = "milliseconds"
    else:
        spec = "microseconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


def from_datetime(moment: datetime) -> int:
    """Microseconds of an aware datetime; a naive one is refused, since nobody knows its zone."""
    if moment.tzinfo is None:
        raise BadInput("the time has no zone; end it with Z or an offset such as +08:00")
    return (moment - _EPOCH) // _MICROSECOND


def parse_time(text: str, where: str) -> int:
    """Microseconds of `text`: ISO 8601 with a zone, or epoch seconds. Raises `BadInput` naming `where`."""
    text = text.strip()
    try:
        if _EPOCH_SECONDS.fullmatch(text):
            whole, _, fraction = text.lstrip("+-").partition(".")
            us = int(whole or "0") * SECOND_US + int((fraction + "000000")[:6])
            us = -us if text.startswith("-") else us
        else:
            us = from_datetime(datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text)))
        to_iso(us)
        return us
    except BadInput as error:
        raise BadInput(error.reason, where=where) from None
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text[:40]!r} is not a time; use ISO 8601 with a zone (2026-11-23T08:00:00Z) or epoch seconds",
            where=where,
        ) from None
