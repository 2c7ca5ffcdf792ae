"""The file of `pulse replay`: read exactly and answered in the form of its own `expected`.

Times are decimal seconds of any size and fineness. They become integers by one scale for the whole file,
so that every sum is exact; an answer is printed as the nearest double.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, localcontext
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from pulse.errors import BadInput
from pulse.ledger import replay_form as form
from pulse.ledger.columns import ABSENT, HeardColumns, Ints
from pulse.ledger.evidence import Heard
from pulse.ledger.model import FOREVER, Blind, Device, Evidence, Maintenance, Scope, State, Terms
from pulse.ledger.rates import Figures
from pulse.ledger.replay import Books, ColumnMessages, ExactMessages, Query, RunSource, answer
from pulse.ledger.replay_form import Line, Seconds, member

DEFAULT_BACKLOG_LATENESS_S = 604_800

_COLUMN_LIMIT = FOREVER >> 4
"""Scaled times below this fit the columns, sums and differences of them included."""

_WORDS = {"beat": Evidence.BEAT, "fault": Evidence.FAULT, "offline": Evidence.OFFLINE}


class _WholeLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One message of a file whose times are whole: the fast way through a large file."""

    device: str
    kind: str
    observed_at: int
    measured_at: int | None = None
    retained: bool = False
    queued: bool = False


class _ExactLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One message of a file whose times have fractions."""

    device: str
    kind: str
    observed_at: Decimal
    measured_at: Decimal | None = None
    retained: bool = False
    queued: bool = False


class _MicroLine(_WholeLine, forbid_unknown_fields=True, gc=False):
    """One message with times in whole microseconds."""


_AnyLine = Line | _WholeLine | _ExactLine

_MICROS = 10**6

_QUOTED_TIME = re.compile(rb'_at"\s*:\s*"')
"""A decimal in quotes is a string, which the decoder of decimals would take for a number."""


class _Parts(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The members of a file, unread."""

    devices: msgspec.Raw
    coverage: msgspec.Raw
    queries: msgspec.Raw
    why: msgspec.Raw = msgspec.Raw(b'""')
    policy: msgspec.Raw = msgspec.Raw(b"{}")
    maintenance: msgspec.Raw = msgspec.Raw(b"[]")
    messages: msgspec.Raw = msgspec.Raw(b"[]")
    expected: msgspec.Raw = msgspec.Raw(b"[]")


_EMPTY = b"[]"


def replay(raw: bytes) -> list[dict[str, Any]]:
    """Answer the queries of a replay file. Raises `BadInput` naming the place of what is wrong."""
    lines: Sequence[_AnyLine]
    try:
        parts = msgspec.json.decode(raw, type=_Parts)
        lines = _lines(bytes(parts.messages))
        # All but the messages is small enough to be read the careful way at once.
        rest = raw.replace(bytes(parts.messages), _EMPTY, 1)
        document = form.an_object(form.parse(rest), "", _Parts.__struct_fields__)
    except (BadInput, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # Something is wrong, and the careful way names it.
        document = form.an_object(form.parse(raw), "", _Parts.__struct_fields__)
        given = member(document, "", "messages", form.a_list, [])
        lines = [form.a_line(line, f"messages[{i}]") for i, line in enumerate(given)]
    return _Replay(document, lines).answers()


def _lines(raw: bytes) -> Sequence[_AnyLine]:
    """The messages, the fast way. Raises `msgspec.ValidationError` if there is anything odd about them."""
    lines: Sequence[_AnyLine]
    try:
        lines = msgspec.json.decode(raw, type=list[_WholeLine])
    except msgspec.ValidationError:
        if _QUOTED_TIME.search(raw):
            raise
        exact = msgspec.json.decode(raw, type=list[_ExactLine])
        lines = _in_microseconds(exact) or exact
        if lines is exact and not all(
            form.is_in_range(t) for m in exact for t in (m.observed_at, m.measured_at) if t
        ):
            raise
    if any(line.kind not in _WORDS for line in lines) or not _are_told_once(raw, len(lines)):
        raise msgspec.ValidationError
    return lines


def _are_told_once(raw: bytes, count: int) -> bool:
    """Whether it is certain that none of the `count` messages gives a member twice, as the decoder lets."""
    pieces = raw.split(b"}")
    if b"\\" in raw or len(pieces) != count + 1:
        # Names may be spelt by escapes, and braces stand in strings.
        return False
    return all(
        raw.count(name) == sum(name in piece for piece in pieces)
        for name in (b'"%s"' % field.encode() for field in _WholeLine.__struct_fields__)
    )


def _in_microseconds(lines: Sequence[_ExactLine]) -> list[_MicroLine] | None:
    """The lines with times as integers, if none is finer than a microsecond or too large for a column."""

    def whole(time: Decimal) -> int:
        micro = time * _MICROS
        if not -_COLUMN_LIMIT < micro < _COLUMN_LIMIT or (number := int(micro)) != micro:
            raise ArithmeticError
        return number

    try:
        with localcontext(Context(prec=60, traps=[Inexact])):
            return [
                _MicroLine(
                    m.device,
                    m.kind,
                    whole(m.observed_at),
                    None if m.measured_at is None else whole(m.measured_at),
                    m.retained,
                    m.queued,
                )
                for m in lines
            ]
    except ArithmeticError:
        return None


class _Replay:
    """One file on its way: checked, scaled, recomputed."""

    def __init__(self, document: dict[str, Any], lines: Sequence[_AnyLine]) -> None:
        self._lines = lines
        self._are_micro = bool(lines) and isinstance(lines[0], _MicroLine)
        self._are_whole = bool(lines) and isinstance(lines[0], _WholeLine)
        member(document, "", "why", form.a_text, "")
        for i, expected in enumerate(member(document, "", "expected", form.a_list, [])):
            form.an_answer(expected, f"expected[{i}]")
        self._devices = [
            self._read_device(d, f"devices[{i}]")
            for i, d in enumerate(member(document, "", "devices", form.a_list))
        ]
        coverage = member(document, "", "coverage", lambda v, p: form.an_object(v, p, {"start", "blind"}))
        self._start = member(coverage, "coverage", "start", form.a_time)
        self._blinds = [
            self._read_blind(b, f"coverage.blind[{i}]")
            for i, b in enumerate(member(coverage, "coverage", "blind", form.a_list, []))
        ]
        self._maintenance = [
            self._read_maintenance(m, f"maintenance[{i}]")
            for i, m in enumerate(member(document, "", "maintenance", form.a_list, []))
        ]
        policy = member(document, "", "policy", lambda v, p: form.an_object(v, p, {"backlog_lateness_s"}), {})
        self._lateness = member(
            policy, "policy", "backlog_lateness_s", form.a_length, DEFAULT_BACKLOG_LATENESS_S
        )
        self._queries = [
            self._read_query(q, f"queries[{i}]")
            for i, q in enumerate(member(document, "", "queries", form.a_list))
        ]
        self._position = self._positions()
        self._scale, self._exact = self._find_scale()

    # What each part of the file holds.

    def _read_device(self, value: Any, place: str) -> dict[str, Any]:
        allowed = {
            "id", "community", "kind", "timeout_s", "commissioned_at", "retired_at", "max_lateness_s",
            "clock_untrusted", "commissioned_recorded_at", "retired_recorded_at",
        }  # fmt: skip
        given = form.an_object(value, place, allowed)
        return {
            "id": member(given, place, "id", form.a_text),
            "community": member(given, place, "community", form.a_text),
            "kind": member(given, place, "kind", form.a_text),
            "timeout_s": member(given, place, "timeout_s", form.a_timeout),
            "commissioned_at": member(given, place, "commissioned_at", form.a_time),
            "retired_at": member(given, place, "retired_at", form.a_time_or_null),
            "max_lateness_s": member(given, place, "max_lateness_s", form.a_length, 0),
            "clock_untrusted": member(given, place, "clock_untrusted", form.a_flag, False),
            "commissioned_recorded_at": member(
                given, place, "commissioned_recorded_at", form.a_time_or_null, None
            ),
            "retired_recorded_at": member(given, place, "retired_recorded_at", form.a_time_or_null, None),
        }

    def _read_window(
        self, given: dict[str, Any], place: str, *, ended: str, open_ended: bool
    ) -> dict[str, Any]:
        end_check = form.a_time_or_null if open_ended else form.a_time
        window = {
            "from": member(given, place, "from", form.a_time),
            "to": member(given, place, "to", end_check),
            "recorded_at": member(given, place, "recorded_at", form.a_time),
            "ended_at": member(given, place, ended, form.a_time_or_null, None),
            "scope": member(given, place, "scope", _a_scope, Scope()),
        }
        if window["to"] is not None and window["to"] < window["from"]:
            raise BadInput(f"lies before {place}.from", where=f"{place}.to")
        return window

    def _read_blind(self, value: Any, place: str) -> dict[str, Any]:
        given = form.an_object(value, place, {"from", "to", "scope", "recorded_at", "revoked_at"})
        return self._read_window(given, place, ended="revoked_at", open_ended=True)

    def _read_maintenance(self, value: Any, place: str) -> dict[str, Any]:
        given = form.an_object(value, place, {"from", "to", "scope", "recorded_at", "cancelled_at"})
        return self._read_window(given, place, ended="cancelled_at", open_ended=False)

    def _read_query(self, value: Any, place: str) -> dict[str, Any]:
        given = form.an_object(value, place, {"at", "from", "to", "known_at"})
        known_at = member(given, place, "known_at", form.a_time_or_null, None)
        if "at" in given:
            if "from" in given or "to" in given:
                raise BadInput("has both at and from/to; give one of them", where=place)
            start, end, last = member(given, place, "at", form.a_time), None, "at"
        else:
            start, end = member(given, place, "from", form.a_time), member(given, place, "to", form.a_time)
            last = "to"
            if end < start:
                raise BadInput(f"lies before {place}.from", where=f"{place}.to")
        if known_at is not None and (start if end is None else end) > known_at:
            raise BadInput(f"lies past {place}.known_at", where=f"{place}.{last}")
        return {"start": start, "end": end, "known_at": known_at}

    # From exact seconds to integers on one scale.

    def _positions(self) -> dict[str, int]:
        position: dict[str, int] = {}
        for i, device in enumerate(self._devices):
            if device["id"] in position:
                raise BadInput(f"{form.shown(device['id'])} is there twice", where=f"devices[{i}].id")
            position[device["id"]] = i
        for i, line in enumerate(self._lines):
            if line.device not in position:
                raise BadInput(
                    f"{form.shown(line.device)} is not among the devices", where=f"messages[{i}].device"
                )
        return position

    def _all_times(self) -> Iterator[Seconds]:
        for part in (self._devices, self._blinds, self._maintenance, self._queries):
            for entry in part:
                for value in entry.values():
                    if isinstance(value, int | Decimal) and not isinstance(value, bool):
                        yield value
        yield self._start
        yield self._lateness
        if not self._are_whole:
            yield from self._line_times()

    def _line_times(self) -> Iterator[Seconds]:
        for line in self._lines:
            yield line.observed_at
            if line.measured_at is not None:
                yield line.measured_at

    def _find_scale(self) -> tuple[int, Context]:
        """The least power of ten that makes every time whole, and a context that rounds none of them."""
        least = 6 if self._are_micro else 0
        digits = max((form.fineness(t) for t in self._all_times() if isinstance(t, Decimal)), default=least)
        digits = max(digits, least)
        return 10**digits, Context(prec=digits + 1000, Emax=MAX_EMAX, Emin=MIN_EMIN)

    def _scaled(self, time: Seconds) -> int:
        if isinstance(time, int):
            return time * self._scale
        return int(self._exact.multiply(time, self._scale)) if time else 0

    def _line_scaled(self, time: Seconds) -> int:
        if self._are_micro:
            return int(time) * (self._scale // _MICROS)
        return self._scaled(time)

    def _or(self, time: Seconds | None, otherwise: int) -> int:
        return otherwise if time is None else self._scaled(time)

    # Recomputing.

    def answers(self) -> list[dict[str, Any]]:
        extent = max(abs(self._scaled(time)) for time in self._all_times())
        if self._are_whole:
            furthest = max(abs(self._line_scaled(time)) for time in self._line_times())
            extent = max(extent, furthest)
        fits = extent < _COLUMN_LIMIT
        forever = FOREVER if fits else (extent + 1) << 4
        books = self._books(forever)
        source: RunSource = (
            ColumnMessages(books, self._columns()) if fits else ExactMessages(books, self._heard())
        )
        queries = [
            Query(
                self._scaled(q["start"]),
                None if q["end"] is None else self._scaled(q["end"]),
                self._or(q["known_at"], forever - 1),
            )
            for q in self._queries
        ]
        figures = answer(books, source, queries)
        return [
            self._answer(f, 1 if q.end is None else self._scale)
            for f, q in zip(figures, queries, strict=True)
        ]

    def _books(self, forever: int) -> Books:
        ever = -forever

        def window(entry: dict[str, Any]) -> tuple[int, int, int, int, Scope]:
            return (
                self._scaled(entry["from"]),
                self._or(entry["to"], forever),
                self._scaled(entry["recorded_at"]),
                self._or(entry["ended_at"], forever),
                entry["scope"],
            )

        devices = [
            Device(
                d["id"],
                d["community"],
                d["kind"],
                (
                    Terms(
                        ever,
                        self._scaled(d["timeout_s"]),
                        self._scaled(d["max_lateness_s"]),
                        d["clock_untrusted"],
                    ),
                ),
                self._scaled(d["commissioned_at"]),
                None if d["retired_at"] is None else self._scaled(d["retired_at"]),
                self._or(d["commissioned_recorded_at"], ever),
                self._or(d["retired_recorded_at"], ever),
            )
            for d in self._devices
        ]
        return Books(
            devices,
            self._scaled(self._start),
            [Blind(*window(b)) for b in self._blinds],
            [Maintenance(*window(m)) for m in self._maintenance],
            self._scaled(self._lateness),
            ever,
            forever,
        )

    def _heard(self) -> Iterator[tuple[int, Heard]]:
        for order, line in enumerate(self._lines):
            measured = None if line.measured_at is None else self._line_scaled(line.measured_at)
            observed = self._line_scaled(line.observed_at)
            yield (
                self._position[line.device],
                Heard(_WORDS[line.kind], observed, measured, line.retained, line.queued, order),
            )

    def _columns(self) -> HeardColumns:
        def column(of: Callable[[_AnyLine], int]) -> Ints:
            return np.fromiter(map(of, self._lines), dtype=np.int64, count=len(self._lines))

        position, scaled = self._position, self._line_scaled
        return HeardColumns(
            device=column(lambda m: position[m.device]),
            evidence=column(lambda m: _WORDS[m.kind]),
            observed=column(lambda m: scaled(m.observed_at)),
            measured=column(lambda m: ABSENT if m.measured_at is None else scaled(m.measured_at)),
            retained=column(lambda m: m.retained).astype(bool),
            queued=column(lambda m: m.queued).astype(bool),
            order=np.arange(len(self._lines), dtype=np.int64),
        )

    def _answer(self, figures: Figures, unit: int) -> dict[str, Any]:
        def number(amount: int) -> int | float:
            return amount // unit if amount % unit == 0 else float(Fraction(amount, unit))

        def pair(numerator: int, denominator: int) -> list[int | float] | None:
            return [number(numerator), number(denominator)] if denominator else None

        return {
            "states": {state.slug: number(figures.of(state)) for state in State},
            "raw": pair(figures.online_raw, figures.in_service),
            "adjusted": pair(figures.of(State.ONLINE), figures.judged),
        }


def _a_scope(value: Any, place: str) -> Scope:
    given = form.an_object(value, place, {"device", "kind", "community"})
    texts = {name: form.a_text(text, f"{place}.{name}") for name, text in given.items() if text is not None}
    return Scope(**texts)
