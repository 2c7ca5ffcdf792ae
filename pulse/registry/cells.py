"""Single cells of registry files: from text to value and back, exactly."""

import re
from datetime import datetime

from pulse.clock import SECOND_US, from_datetime, to_iso
from pulse.errors import BadInput
from pulse.ids import is_id
from pulse.registry.model import check_duration, check_text

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠]")
_ESCAPED = re.compile(r"'+[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_QUANTITY = re.compile(r"[0-9]{1,10}")
_FLAGS = {
    "": False,
    "false": False,
    "no": False,
    "0": False,
    "否": False,
    "true": True,
    "yes": True,
    "1": True,
    "是": True,
}


def escape(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula.

    Also before text that looks escaped already, so that `unescape` gives back exactly what was there.
    Source of the characters: https://owasp.org/www-community/attacks/CSV_Injection
    """
    return "'" + text if _FORMULA.match(text) else text


def unescape(text: str) -> str:
    """Undo `escape`; text that nobody escaped, formulas too, stays text."""
    return text[1:] if _ESCAPED.match(text) else text


def ident(cell: str) -> str:
    """An id, padding dropped. Raises `BadInput`, as every reader here."""
    if not cell.strip():
        raise BadInput("不能为空 / must not be empty")
    if not is_id(cell.strip()):
        raise BadInput(
            f"{_shown(cell)} 不是编号：1 至 64 个 A-Z a-z 0-9 . _ -，以字母或数字开头 / is not an id: "
            "1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit"
        )
    return cell.strip()


def text(cell: str) -> str:
    """Text as it is."""
    check_text(cell, "")
    return cell


def tags(cell: str) -> tuple[str, ...]:
    """Words separated by semicolons, padding and empty ones dropped."""
    check_text(cell, "")
    return tuple(word.strip() for word in cell.split(";") if word.strip())


def duration(cell: str) -> float | None:
    """Seconds, at most six decimals, more than 0; None for an empty cell."""
    return _seconds(cell, least_s=1 / SECOND_US)


def lateness(cell: str) -> float:
    """Seconds, at most six decimals; 0 for an empty cell."""
    return _seconds(cell, least_s=0) or 0.0


def flag(cell: str) -> bool:
    """`true` or `false` (`yes`, `no`, `1`, `0`, `是`, `否` too); false for an empty cell."""
    try:
        return _FLAGS[cell.strip().lower()]
    except KeyError:
        raise BadInput(f"{_shown(cell)} 不是 true 或 false / is neither true nor false") from None


def quantity(cell: str) -> int:
    """A whole number."""
    if not _QUANTITY.fullmatch(cell.strip()):
        raise BadInput(f"{_shown(cell)} 不是整数 / is not a whole number")
    return int(cell)


def moment(cell: str) -> int | None:
    """Microseconds of ISO 8601 with a zone; None for an empty cell.

    Plain digits are refused: 20261123 is a day to people and a second of 1970 to machines.
    """
    if not cell.strip():
        return None
    try:
        return from_datetime(datetime.fromisoformat(cell.strip()))
    except (ValueError, OverflowError, BadInput):
        raise BadInput(
            f"{_shown(cell)} 不是带时区的时间，如 2026-11-23T08:00:00+08:00 / is not a time with its zone, "
            "such as 2026-11-23T08:00:00+08:00"
        ) from None


def show_seconds(value: float | None) -> str:
    """The shortest decimal that reads back as the same microseconds; empty for None."""
    if value is None:
        return ""
    whole, micro = divmod(round(value * SECOND_US), SECOND_US)
    return f"{whole}.{micro:06d}".rstrip("0").rstrip(".")


def show_flag(value: bool) -> str:
    """`true` or `false`."""
    return "true" if value else "false"


def show_moment(value: int | None) -> str:
    """ISO 8601 in UTC; empty for None."""
    return "" if value is None else to_iso(value)


def _seconds(cell: str, *, least_s: float) -> float | None:
    if not cell.strip():
        return None
    if not _NUMBER.fullmatch(cell.strip()):
        raise BadInput(
            f"{_shown(cell)} 不是秒数（如 180 或 0.5）/ is not a number of seconds such as 180 or 0.5"
        )
    value = float(cell)
    check_duration(value, "", least_s=least_s)
    return value


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
