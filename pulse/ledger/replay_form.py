"""The form of a replay file, checked member by member: every error names its place.

Times stay exact here (int or Decimal); `replay_file` brings them to one integer scale.
"""

import json
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, NamedTuple

from pulse.errors import BadInput

Seconds = int | Decimal

_EXPONENT_LIMIT = 400
"""Decimal exponents beyond a double's are refused: such a number is not a time, only a way to fill memory."""


_DIGITS_LIMIT = 308
"""Digits before the point, less one, of a number that a double and the sums of it hold."""


class Line(NamedTuple):
    """One message as the file gives it."""

    device: str
    kind: str
    observed_at: Seconds
    measured_at: Seconds | None
    retained: bool
    queued: bool


class _Constant(str):
    """`NaN`, `Infinity` or `-Infinity`, kept until the checker can say where it stands."""

    __slots__ = ()


def _whole(text: str) -> int | _Constant:
    return int(text) if len(text) <= _EXPONENT_LIMIT else _Constant(f"a number of {len(text)} digits")


def is_in_range(number: Decimal) -> bool:
    """Whether a double can hold about this much."""
    return not number or -_EXPONENT_LIMIT < number.adjusted() < _DIGITS_LIMIT


def parse(raw: bytes) -> Any:
    """The JSON value of `raw`, numbers exact. Raises `BadInput` for what is not JSON."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_int=_whole, parse_constant=_Constant)
    except RecursionError:
        raise BadInput("is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except ValueError as error:
        raise BadInput(f"is not JSON: {error}") from None


def member(parent: dict[str, Any], place: str, name: str, check: "Check", default: Any = ...) -> Any:
    """A checked member; `default` if it is absent, an error if there is no default."""
    here = f"{place}.{name}" if place else name
    if name not in parent:
        if default is ...:
            raise BadInput("is missing", where=here)
        return default
    return check(parent[name], here)


def an_object(value: Any, place: str, allowed: Collection[str]) -> dict[str, Any]:
    """An object with none but the allowed members."""
    if not isinstance(value, dict):
        raise BadInput(f"must be an object, not {_shown(value)}", where=place or "the file")
    for name in value:
        if name not in allowed:
            here = f"{place}.{name}" if place else str(name)
            raise BadInput(f"is not a known member; known here: {', '.join(sorted(allowed))}", where=here)
    return value


def a_list(value: Any, place: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise BadInput(f"must be an array, not {_shown(value)}", where=place)
    return value


def a_text(value: Any, place: str) -> str:
    """A string; not a number that JSON could not hold."""
    if not isinstance(value, str) or isinstance(value, _Constant):
        raise BadInput(f"must be a string, not {_shown(value)}", where=place)
    return value


def a_flag(value: Any, place: str) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        raise BadInput(f"must be true or false, not {_shown(value)}", where=place)
    return value


def a_time(value: Any, place: str) -> Seconds:
    """A finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadInput(f"must be a finite number of seconds, not {_shown(value)}", where=place)
    if not is_in_range(Decimal(value)):
        raise BadInput("must be a finite number of seconds; this one is beyond a double's range", where=place)
    return value


def a_time_or_null(value: Any, place: str) -> Seconds | None:
    """A finite number of seconds, or null."""
    return None if value is None else a_time(value, place)


def a_length(value: Any, place: str) -> Seconds:
    """A length of time: a time that is not negative."""
    length = a_time(value, place)
    if length < 0:
        raise BadInput("must not be negative", where=place)
    return length


def a_timeout(value: Any, place: str) -> Seconds:
    """A length of time above 0."""
    timeout = a_time(value, place)
    if timeout <= 0:
        raise BadInput("must be more than 0", where=place)
    return timeout


def a_kind(value: Any, place: str) -> str:
    """What a message says."""
    if value not in ("beat", "fault", "offline"):
        raise BadInput(f"must be beat, fault or offline, not {_shown(value)}", where=place)
    return str(value)


_LINE = {"device", "kind", "observed_at", "measured_at", "retained", "queued"}


def a_line(value: Any, place: str) -> Line:
    """One message."""
    line = an_object(value, place, _LINE)
    return Line(
        member(line, place, "device", a_text),
        member(line, place, "kind", a_kind),
        member(line, place, "observed_at", a_time),
        member(line, place, "measured_at", a_time_or_null, None),
        member(line, place, "retained", a_flag, False),
        member(line, place, "queued", a_flag, False),
    )


def _shown(value: Any) -> str:
    if isinstance(value, _Constant):
        return str(value)
    names: dict[type, Callable[[], str]] = {
        dict: lambda: "an object",
        list: lambda: "an array",
        type(None): lambda: "null",
        bool: lambda: str(value).lower(),
    }
    if type(value) in names:
        return names[type(value)]()
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


Check = Callable[[Any, str], Any]
