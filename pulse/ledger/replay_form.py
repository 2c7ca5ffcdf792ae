"""The form of a replay file, checked member by member: every error names its place.

Times stay exact here (int or Decimal); `replay_file` brings them to one integer scale.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from pulse.errors import BadInput
from pulse.ledger.model import State

Seconds = int | Decimal

_EXPONENT_LIMIT = 400
"""Decimal exponents beyond a double's are refused: such a number is not a time, only a way to fill memory."""

_DIGITS_LIMIT = 308
"""Digits before the point, less one, of a number that a double and the sums of it hold."""

_FRACTION_LIMIT = 1000
"""Digits behind the point: every time of a file is brought to as many as the finest of them has."""

_NAME_SHOWN = 60
"""Characters of a member's name that an error repeats."""


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


class _Twice(_Constant):
    """In the place of a member that an object gives more than once, kept likewise."""

    __slots__ = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        times = Counter(name for name, _ in pairs)
        value.update((name, _Twice(f"given {n} times")) for name, n in times.items() if n > 1)
    return value


def _whole(text: str) -> int | _Constant:
    return int(text) if len(text) <= _EXPONENT_LIMIT else _Constant(f"a number of {len(text)} digits")


def _fraction(text: str) -> Decimal | _Constant:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _Constant(text if len(text) <= _NAME_SHOWN else f"a number of {len(text)} digits")


def fineness(number: Decimal) -> int:
    """How many digits it has behind the point; none if it is 0, however it is written."""
    exponent = number.as_tuple().exponent
    return max(-exponent, 0) if number and isinstance(exponent, int) else 0


def is_in_range(number: Decimal) -> bool:
    """Whether a double can hold about this much."""
    if not number:
        return True
    return -_EXPONENT_LIMIT < number.adjusted() < _DIGITS_LIMIT and fineness(number) <= _FRACTION_LIMIT


def parse(raw: bytes) -> Any:
    """The JSON value of `raw`, numbers exact. Raises `BadInput` for what is not JSON."""
    try:
        return json.loads(
            raw,
            parse_float=_fraction,
            parse_int=_whole,
            parse_constant=_Constant,
            object_pairs_hook=_object,
        )
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
    """An object with none but the allowed members, each given once."""
    if not isinstance(value, dict):
        raise BadInput(f"must be an object, not {shown(value)}", where=place or "the file")
    for name, content in value.items():
        if name in allowed and not isinstance(content, _Twice):
            continue
        shown_name = json.dumps(name, ensure_ascii=not name.isprintable())[1:-1][:_NAME_SHOWN]
        here = f"{place}.{shown_name}" if place else shown_name
        if isinstance(content, _Twice):
            raise BadInput(f"is {content}: which one counts cannot be told; leave one", where=here)
        raise BadInput(f"is not a known member; known here: {', '.join(sorted(allowed))}", where=here)
    return value


def a_list(value: Any, place: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise BadInput(f"must be an array, not {shown(value)}", where=place)
    return value


def a_text(value: Any, place: str) -> str:
    """A string; not a number that JSON could not hold."""
    if not isinstance(value, str) or isinstance(value, _Constant):
        raise BadInput(f"must be a string, not {shown(value)}", where=place)
    return value


def a_flag(value: Any, place: str) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        raise BadInput(f"must be true or false, not {shown(value)}", where=place)
    return value


def a_time(value: Any, place: str) -> Seconds:
    """A finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadInput(f"must be a finite number of seconds, not {shown(value)}", where=place)
    if not is_in_range(Decimal(value)):
        raise BadInput(
            "must be a finite number of seconds; this one is beyond a double's range or too fine", where=place
        )
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
        raise BadInput(f"must be beat, fault or offline, not {shown(value)}", where=place)
    return str(value)


_STATES = {state.slug for state in State}


def an_answer(value: Any, place: str) -> None:
    """One expected answer: looked at for its form only."""
    given = an_object(value, place, {"states", "raw", "adjusted"})
    states = member(given, place, "states", lambda v, p: an_object(v, p, _STATES), {})
    for name in states:
        member(states, f"{place}.states", name, a_length)
    for name in ("raw", "adjusted"):
        pair = member(given, place, name, lambda v, p: [0, 0] if v is None else a_list(v, p), [0, 0])
        if len(pair) != 2:
            raise BadInput("must be null or a numerator and a denominator", where=f"{place}.{name}")
        for position, number in enumerate(pair):
            a_length(number, f"{place}.{name}[{position}]")


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


def shown(value: Any) -> str:
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
    text = json.dumps(value, ensure_ascii=not value.isprintable()) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


Check = Callable[[Any, str], Any]
