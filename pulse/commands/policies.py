"""`pulse policy list|set|history`: what was agreed with devices, and by whom it is said."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pulse.access import policies as agreeing
from pulse.access.policies import as_members
from pulse.access.showing import printable
from pulse.clock import SystemClock, parse_time
from pulse.commands.operating import database, operator
from pulse.errors import BadInput
from pulse.settings import Settings
from pulse.stores.relational.policies import COMMUNITY, DEFAULT, DEVICE, EVERYTHING, KIND, SCOPES

INHERIT = "inherit"
_CLOCKS = {"trusted": False, "untrusted": True, INHERIT: None}


class Whose(NamedTuple):
    """Whom a command is about: one of these, the default if none is given."""

    device: str | None = None
    community: str | None = None
    kind: str | None = None

    def key(self) -> tuple[str, str]:
        """The scope and its subject. Raises `BadInput` for more than one."""
        given = [
            (scope, value)
            for scope, value in ((DEVICE, self.device), (COMMUNITY, self.community), (KIND, self.kind))
            if value is not None
        ]
        if len(given) > 1:
            raise BadInput(
                "只能给出 --device、--community、--kind 之一 / give one of --device, --community, --kind"
            )
        return given[0] if given else (DEFAULT, EVERYTHING)


class Said(NamedTuple):
    """The options of `pulse policy set`, as given; None is not given, `inherit` takes the word back."""

    interval: str | None = None
    timeout: str | None = None
    max_lateness: str | None = None
    clock: str | None = None

    def members(self) -> dict[str, float | bool | None]:
        """The members that are to be set. Raises `BadInput`."""
        found: dict[str, float | bool | None] = {}
        for option, text in (
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("max-lateness", self.max_lateness),
        ):
            if text is not None:
                found[option.replace("-", "_") + "_s"] = _seconds(text, f"--{option}")
        if self.clock is not None:
            if self.clock not in _CLOCKS:
                raise BadInput(f"{self.clock!r} 不是 / is none of {', '.join(_CLOCKS)}", where="--clock")
            found["clock_untrusted"] = _CLOCKS[self.clock]
        return found


def listed(settings: Settings, scope: str | None, *, as_json: bool) -> Iterator[str]:
    """A line for each policy in force. Raises `BadInput`."""
    if scope is not None and scope not in SCOPES:
        raise BadInput(f"{scope!r} 不是 / is none of {', '.join(SCOPES)}", where="--scope")
    with database(settings) as db, db.read() as connection:
        found = agreeing.listing(connection, operator(), SystemClock().now_us(), scope)
    for version in found:
        one = as_members(version)
        yield json.dumps(one, ensure_ascii=False) if as_json else _line(one)
    if not any(version.scope == DEFAULT for version in found) and scope in (None, DEFAULT) and not as_json:
        yield f"default  all  超时/timeout {settings.default_timeout_s:g}s（PULSE_DEFAULT_TIMEOUT_S）"


def history(settings: Settings, whose: Whose, *, as_json: bool) -> Iterator[str]:
    """A line for each version ever declared, then what holds now. Raises `BadInput` and `NotFound`."""
    scope, subject = whose.key()
    with database(settings) as db, db.read() as connection:
        found = agreeing.history(connection, operator(), scope, subject)
        holds = agreeing.holding(
            connection, operator(), scope, subject, SystemClock().now_us(), settings.default_timeout_s
        )
    for version in found:
        one = as_members(version)
        yield json.dumps(one, ensure_ascii=False) if as_json else _line(one)
    if not as_json:
        words = (f"{_NAMES[name]} {_value(name, w.value)} ({w.said_by or '-'})" for name, w in holds.items())
        yield printable("现在/now  " + "  ".join(words))


def put(settings: Settings, whose: Whose, said: Said, from_: str | None, reason: str) -> str:
    """Declare a policy and say what holds from when on. Raises `BadInput` and `NotFound`."""
    scope, subject = whose.key()
    since_us = None if from_ is None else parse_time(from_, "--from")
    with database(settings) as db, db.write() as connection:
        made = agreeing.declare(
            connection,
            operator(),
            scope,
            subject,
            said.members(),
            SystemClock().now_us(),
            since_us=since_us,
            reason=reason,
        )
    if made is None:
        return "已是如此，未更改 / holds already, nothing was changed"
    return _line(as_members(made))


_NAMES = {
    "interval_s": "间隔/interval",
    "timeout_s": "超时/timeout",
    "max_lateness_s": "迟到/lateness",
    "clock_untrusted": "时钟/clock",
}


def _value(name: str, value: float | bool | None) -> str:
    if value is None:
        return "-"
    if name == "clock_untrusted":
        return "不可信/untrusted" if value else "可信/trusted"
    return f"{value:g}s"


def _line(one: dict[str, Any]) -> str:
    said = [f"{word} {_value(name, one[name])}" for name, word in _NAMES.items() if one[name] is not None]
    since = "自始/from ever" if one["from"] is None else f"自/from {one['from']}"
    parts = [one["scope"], one["subject"], *(said or ["未言明/says nothing"]), since]
    if one["recorded_at"] != one["from"]:
        parts.append(f"记录/recorded {one['recorded_at']}")
    return printable("  ".join(parts))


def _seconds(text: str, where: str) -> float | None:
    if text == INHERIT:
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(
            f"{text!r} 不是秒数，也不是 {INHERIT} / is neither seconds nor {INHERIT}", where=where
        ) from None
