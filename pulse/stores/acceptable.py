"""What every telemetry store takes: one check in front of all back ends, so that none is laxer."""

import string
from collections.abc import Collection, Mapping
from math import isfinite

import numpy as np

from pulse.batches import MessageColumns
from pulse.ids import is_id
from pulse.messages import Message, Record

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

TIME_MIN_US, TIME_MAX_US = INT64_MIN // 1000 + 1_000_000, INT64_MAX // 1000 - 1_000_000
"""Reception times that still fit 64 bits in nanoseconds, which InfluxDB counts in (years 1677 to 2262)."""

WORTH_A_TABLE = 20
"""Ids; fewer are looked at one by one."""

_LONGEST = 64
_FIRST, _FURTHER = np.zeros((2, 256), dtype=bool)
_FIRST[list(f"{string.ascii_letters}{string.digits}".encode())] = True
_FURTHER[list(f"{string.ascii_letters}{string.digits}._-".encode())] = True


class Checker:
    """Says why a message cannot be stored. Remembers origins that passed, since ids repeat all day."""

    def __init__(self, remembered: int = 200_000) -> None:
        self._good: set[tuple[str, str, str]] = set()
        self._remembered = remembered

    def why_not(self, message: Message) -> str | None:
        """None if every store takes the message, else the reason for people."""
        numbers = {"measured_us": message.measured_us, "seq": message.seq}
        reason = self._why_not(message, numbers)
        if reason is not None:
            return reason
        if message.fault is not None and not _encodable(message.fault):
            return "fault is not valid Unicode"
        for metric, value in (message.metrics or {}).items():
            if not _encodable(metric):
                return "the name of a metric is not valid Unicode"
            if not isfinite(value):
                return f"metric {metric[:80]!r} is not a finite number"
        return None

    def why_no_record(self, record: Record) -> str | None:
        """The same of a record."""
        if not is_id(record.data_kind):
            return f"data_kind {record.data_kind[:80]!a} is not an id"
        numbers = {"measured_us": record.measured_us, "at_us": record.at_us}
        reason = self._why_not(record, numbers)
        if reason is not None:
            return reason
        try:
            record.body.decode()
        except UnicodeDecodeError:
            return "body is not UTF-8"
        return None

    def _why_not(self, one: Message | Record, numbers: Mapping[str, int | None]) -> str | None:
        """What is wrong with the members that messages and records share, and with further numbers."""
        origin = (one.device, one.community, one.kind)
        if origin not in self._good:
            for name, text in zip(("device", "community", "kind"), origin, strict=True):
                if not is_id(text):
                    return f"{name} {text[:80]!a} is not an id"
            if len(self._good) >= self._remembered:
                self._good.clear()
            self._good.add(origin)
        if not TIME_MIN_US <= one.observed_us <= TIME_MAX_US:
            return f"observed_us {one.observed_us} is no time of this age"
        for name, number in {**numbers, "identity": one.identity, "order": one.order}.items():
            if number is not None and not INT64_MIN <= number <= INT64_MAX:
                return f"{name} does not fit 64 bits"
        return None


def are_acceptable(messages: MessageColumns) -> bool:
    """Whether all of a batch pass; if not, `Checker` says which do not and why."""
    return bool(
        ((messages.observed >= TIME_MIN_US) & (messages.observed <= TIME_MAX_US)).all()
        and all(np.isfinite(group.values).all() for group in messages.metrics)
        and all(_encodable(name) for group in messages.metrics for name in group.names)
        and all(map(_encodable, messages.faults.values()))
        and _are_ids({o.community for o in messages.origins} | {o.kind for o in messages.origins})
        and _are_ids([o.device for o in messages.origins])
    )


def _are_ids(texts: Collection[str]) -> bool:
    """Whether `is_id` says so of all; of many at once it is a fifth of the work."""
    if len(texts) < WORTH_A_TABLE:
        return all(map(is_id, texts))
    joined = "\n".join((*texts, ""))
    if not joined.isascii():
        return False
    characters = np.frombuffer(joined.encode(), dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    begins = np.append(0, ends[:-1] + 1)
    return bool(
        len(ends) == len(texts)
        and (ends - begins <= _LONGEST).all()
        and _FIRST[characters[begins]].all()
        and np.count_nonzero(_FURTHER[characters]) == len(characters) - len(ends)
    )


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
