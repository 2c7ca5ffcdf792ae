"""What became of sending a delivery, and when to try again; pure."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

FIRST_S = 1.0
LONGEST_S = 300.0
MOST_WAIT_S = 86_400.0
"""Longer than this nobody is waited for, whatever they ask."""


class Answer(NamedTuple):
    """The far side's answer, or why there is none.

    `received` means a receipt. `members` is what the receipt keeps of it. `too_large`: it will never take as
    much at once. `retry_after_s` is the wait that it asked for.
    """

    received: bool
    detail: str
    members: Mapping[str, Any] = {}
    too_large: bool = False
    retry_after_s: float | None = None


def failure(detail: str) -> Answer:
    """It did not arrive, and why."""
    return Answer(False, detail)


def pause_s(attempts: int, asked_s: float | None, jitter: float) -> float:
    """How long to wait after so many failed attempts: doubling, spread by `jitter` from [0, 1), without end.

    Departments that come back are so not met by everybody at once. `asked_s` (Retry-After) is kept to.
    """
    full_s = min(FIRST_S * 2.0 ** min(max(attempts - 1, 0), 20), LONGEST_S)
    own_s = full_s * (0.5 + 0.5 * jitter)
    return own_s if asked_s is None else min(max(own_s, asked_s), MOST_WAIT_S)


def retry_after_s(field: str | None, now_s: float) -> float | None:
    """The wait that a Retry-After field asks for: seconds or a date; None for none that can be read."""
    text = (field or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), MOST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        return None
    return min(max(moment.timestamp() - now_s, 0.0), MOST_WAIT_S)
