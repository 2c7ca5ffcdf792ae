"""JSON objects that differ in the digits of their numbers alone, read together without an object for any.

What stands between the digits is the same bytes in all messages that one program writes with the same
members: it is compared with the first one's, and the numbers are worked out a column at a time. Whatever is
not certain to mean what a JSON parser would read in it is left over for one; a test holds the two together.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.received import pieces
from pulse.batches import Flags, Ints

Bytes = NDArray[np.uint8]
Column = Ints | NDArray[np.float64] | list[str | bool | None]
"""A member of each object."""

WORD = 8
"""Bytes of the words in which digits are read."""

FEWEST = 32
"""Fewer objects of one form are not worth columns."""

MOST_FORMS = 16
"""Looked for among objects with the same number of numbers."""

LONGEST_WHOLE, LONGEST_DECIMAL = 16, 15
"""Digits: every such number is exact, a fraction by one division of two exact ones."""

_PAIRING = (
    (10 << 8 | 1, 8, 0x00FF00FF00FF00FF),
    (100 << 16 | 1, 16, 0x0000FFFF0000FFFF),
    (10_000 << 32 | 1, 32, 0x00000000FFFFFFFF),
)
"""How neighbouring digits, pairs and fours of a word become one number: factor, shift, mask."""

_POWERS = 10.0 ** np.arange(LONGEST_DECIMAL + 1)
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_MEMBER = re.compile(
    rb'[ \t\r\n]*"[^"\\\x00-\x1f]*"[ \t\r\n]*:[ \t\r\n]*'
    rb'(?:"[^"\\\x00-\x1f]*"|-?([0-9]+)(?:\.([0-9]+))?|true|false|null)[ \t\r\n]*([,}])'
)


class Group(NamedTuple):
    """Objects with the same members: the positions of their texts, ascending, and a column a member."""

    rows: Ints
    names: tuple[str, ...]
    columns: list[Column]


class _Number(NamedTuple):
    """Which runs of digits are a number: its whole part and perhaps its fraction."""

    negative: bool
    whole: int
    fraction: int | None


class _Form(NamedTuple):
    """What objects of one form say; `constant` are the runs of digits inside names and strings."""

    members: dict[str, _Number | str | bool | None]
    constant: list[int]


class _Texts(NamedTuple):
    """Texts with the same number of runs of digits, one a column; what lies between the runs begins and
    stops where the rows say.
    """

    number: Ints
    begin: Ints
    stop: Ints

    def take(self, chosen: Flags) -> "_Texts":
        if chosen.all():
            return self
        return _Texts(self.number[chosen], self.begin[:, chosen], self.stop[:, chosen])


def read(data: bytes, start: Ints, end: Ints) -> tuple[list[Group], Ints]:
    """The texts `data[start:end]` that are flat objects of a form that many have, in groups, and the
    positions of the others. The texts are in ascending order, and 8 bytes at least lie before the first.
    """
    groups: list[Group] = []
    left = np.ones(len(start), dtype=bool)
    if len(start) >= FEWEST:
        first = int(start[0]) - WORD
        buffer = np.frombuffer(data, dtype=np.uint8, count=int(end[-1]) - first, offset=first)
        for texts in _by_runs(buffer, start - first, end - first):
            for group in _groups(buffer, texts):
                groups.append(group)
                left[group.rows] = False
    return groups, np.flatnonzero(left)


def _by_runs(buffer: Bytes, start: Ints, end: Ints) -> Iterator[_Texts]:
    """The texts in braces, by the number of runs of digits in them."""
    digit = (buffer - np.uint8(ord("0"))) < 10
    edges = np.flatnonzero(digit[1:] != digit[:-1]) + 1
    # The last text may be empty, and nothing be where it starts.
    braced = (buffer[np.minimum(start, len(buffer) - 1)] == ord("{")) & (buffer[end - 1] == ord("}"))
    braced &= end - start >= 2
    first = np.searchsorted(edges, start, side="right")
    count = np.where(braced, np.searchsorted(edges, end) - first, 0)
    for edges_each in np.flatnonzero(np.bincount(count) >= FEWEST).tolist():
        if edges_each:
            number = np.flatnonzero(count == edges_each)
            places = edges[first[number] + np.arange(edges_each)[:, None]]
            begin, stop = np.empty((2, edges_each // 2 + 1, len(number)), dtype=np.int64)
            begin[0], begin[1:], stop[:-1], stop[-1] = start[number], places[1::2], places[::2], end[number]
            yield _Texts(number, begin, stop)


def _groups(buffer: Bytes, texts: _Texts) -> Iterator[Group]:
    """The groups among texts, each found by its first one's form."""
    for _ in range(MOST_FORMS):
        if len(texts.number) < FEWEST:
            return
        same = _like_the_first(buffer, texts)
        alike, texts = texts.take(same), texts.take(~same)
        if len(alike.number) >= FEWEST:
            text = buffer[alike.begin[0, 0] : alike.stop[-1, 0]].tobytes()
            form = _form(text, (alike.stop[:-1, 0] - alike.begin[0, 0]).tolist())
            if form is not None:
                group = _read(buffer, alike, form)
                if len(group.rows):
                    yield group


def _like_the_first(buffer: Bytes, texts: _Texts) -> Flags:
    """Which texts have the same bytes as the first one but for their digits."""
    length = texts.stop - texts.begin
    same: Flags = (length == length[:, :1]).all(axis=0)
    for begin, size in zip(texts.begin, length[:, 0].tolist(), strict=True):
        same &= _equal(buffer, begin, size, same)
    return same


def _equal(buffer: Bytes, begin: Ints, size: int, asked: Flags) -> Flags:
    """Of the `asked`, where the same `size` bytes begin as at the first place."""
    if not asked.all():
        # Where nobody asked the bytes may not be there.
        begin = np.where(asked, begin, begin[0])
    found = pieces(buffer, begin, size)
    equal: Flags = found == found[0]
    return equal


def _form(text: bytes, runs: list[int]) -> _Form | None:
    """How objects like this one are read, whose runs of digits begin at `runs`; None if that is not plain."""
    try:
        said = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found: list[_Number | None] = []
    at, closed = 1, False
    while not closed:
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        whole, fraction = member.start(1), member.start(2)
        number = None
        if whole >= 0:
            number = _Number(
                text[whole - 1] == ord("-"),
                runs.index(whole),
                runs.index(fraction) if fraction >= 0 else None,
            )
        found.append(number)
        at, closed = member.end(), member[3] == b"}"
    if at != len(text) or len(found) != len(said):
        # Something follows, or a member is given twice.
        return None
    members = {
        name: value if number is None else number
        for (name, value), number in zip(said.items(), found, strict=True)
    }
    numeric = {run for number in found if number for run in (number.whole, number.fraction)}
    return _Form(members, [run for run in range(len(runs)) if run not in numeric])


def _read(buffer: Bytes, texts: _Texts, form: _Form) -> Group:
    """The columns of texts of one form."""
    run, after = texts.stop[:-1], texts.begin[1:]
    length = after - run
    good = np.ones(len(texts.number), dtype=bool)
    for at in form.constant:
        good &= length[at] == length[at, 0]
        good &= _equal(buffer, run[at], int(length[at, 0]), good)
    columns: list[Column] = []
    for member in form.members.values():
        if not isinstance(member, _Number):
            columns.append([member] * len(good))
            continue
        whole = member.whole
        # No number but 0 begins with a 0.
        good &= (length[whole] == 1) | (buffer[run[whole]] != ord("0"))
        value = _value(buffer, after[whole], length[whole])
        if member.fraction is None:
            good &= length[whole] <= LONGEST_WHOLE
            columns.append(-value if member.negative else value)
            continue
        digits = length[member.fraction]
        good &= length[whole] + digits <= LONGEST_DECIMAL
        power = _POWERS[np.minimum(digits, LONGEST_DECIMAL)]
        number = (value * power + _value(buffer, after[member.fraction], digits)) / power
        columns.append(-number if member.negative else number)
    if good.all():
        return Group(texts.number, tuple(form.members), columns)
    kept = int(good.sum())
    columns = [column[good] if isinstance(column, np.ndarray) else column[:kept] for column in columns]
    return Group(texts.number[good], tuple(form.members), columns)


def _value(buffer: Bytes, end: Ints, length: Ints) -> Ints:
    """The numbers whose digits end at `end`, of at most 16 digits; of longer ones the last 16."""
    longest = int(length.max())
    if longest <= WORD:
        return _eight(buffer, end, length)
    value = _eight(buffer, end, np.minimum(length, WORD))
    longer = length > WORD
    value[longer] += _eight(buffer, end[longer] - WORD, np.minimum(length[longer] - WORD, WORD)) * 100_000_000
    return value


def _eight(buffer: Bytes, end: Ints, length: Ints) -> Ints:
    """The numbers whose digits end at `end`, of 1 to 8 digits: all of them at once in a 64-bit word."""
    word = pieces(buffer, end - WORD, WORD).view("<u8")
    # What precedes the digits lies in the low bytes, and leaves by the low end.
    shift = (8 * (WORD - length)).astype(np.uint64)
    word >>= shift
    word <<= shift
    word &= 0x0F0F0F0F0F0F0F0F
    for factor, size, mask in _PAIRING:
        word *= factor
        word >>= size
        word &= mask
    return word.astype(np.int64)
