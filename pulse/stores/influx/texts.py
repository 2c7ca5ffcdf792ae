"""Many lines of text put together column by column, without an object for any of them.

A line is made of pieces. All lines' pieces of one kind are written into the buffer at once, the last kind
first, each up to where the piece behind it begins. A number ends there too, but its column is as wide as the
longest of them: what stands before a shorter one is overwritten by the pieces before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pulse.batches import Ints, by_number

_encode_into = msgspec.json.Encoder().encode_into
_NEWLINE = ord("\n")
_LONGEST = 24
"""Characters of a number: -2.2250738585072014e-308."""
_EXACT = 1e15
"""No two decimal numbers of at most 15 digits are the same float, so that the shortest text is just these."""
_MOST_PLACES = 3


class Lines:
    """Lines in one buffer, each with its newline; `ends` are the places behind those."""

    def __init__(self, buffer: NDArray[np.uint8], ends: Ints) -> None:
        self.buffer = buffer
        self.ends = ends

    @classmethod
    def of(cls, lines: Sequence[str]) -> "Lines":
        """Lines that are there as strings."""
        buffer = np.frombuffer("\n".join((*lines, "")).encode(), dtype=np.uint8)
        ends = np.flatnonzero(buffer == _NEWLINE) + 1
        if len(ends) != len(lines):
            # Some have newlines inside.
            ends = np.cumsum([len(line.encode()) + 1 for line in lines])
        return cls(buffer, ends)

    def __len__(self) -> int:
        return len(self.ends)

    def begin(self, position: int) -> int:
        """Where a line begins."""
        return int(self.ends[position - 1]) if position else 0

    def text(self, start: int, end: int) -> bytes:
        """The lines from `start` up to `end`, at least one, without the last one's newline."""
        return self.buffer[self.begin(start) : self.begin(end) - 1].tobytes()


class Piece(NamedTuple):
    """A piece of every line, or of those at the positions `rows`.

    `texts` are one for all, or one a line, or of some `Lines` those that `which` says. In an array each ends
    where its element ends, and the bytes before its `lengths` are anything; none may be wider than what
    stands before it in the line.
    """

    texts: bytes | Sequence[bytes] | NDArray[np.void] | Lines
    lengths: Ints | int
    rows: Ints | None = None
    which: Ints | None = None


def constant(text: bytes, rows: Ints | None = None) -> Piece:
    """The same piece of each line."""
    return Piece(text, len(text), rows)


def strings(texts: Sequence[bytes], rows: Ints) -> Piece:
    """Pieces of any length; they cost more than others."""
    return Piece(texts, np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), rows)


def choice(texts: Lines, which: Ints) -> Piece:
    """Of some texts, the one of each line, without its newline."""
    first = int(which[0])
    if (which == first).all():
        return constant(texts.text(first, first + 1))
    sizes = np.diff(texts.ends, prepend=0) - 1
    lengths = int(sizes[0]) if (sizes == sizes[0]).all() else sizes[which]
    return Piece(texts, lengths, which=which)


def whole(numbers: Ints, rows: Ints | None = None) -> Piece:
    """Whole numbers, at least one, in decimal."""
    if numbers.min() < 0:
        return _encoded(numbers, rows)
    lengths = _lengths(numbers)
    return Piece(_digits(numbers, int(np.max(lengths)), 10_000, _FOUR_DIGITS), lengths, rows)


def decimal(values: NDArray[np.float64], rows: Ints | None = None) -> Iterator[Piece]:
    """Numbers as the JSON encoder writes them: the shortest text that is read as the same float."""
    for places in range(1, _MOST_PLACES + 1):
        if not len(values):
            return
        size = np.abs(values)
        with np.errstate(over="ignore", invalid="ignore"):
            shifted = np.rint(size * 10.0**places)
        exact = (shifted < _EXACT) & (shifted / 10.0**places == size)
        if exact.all():
            yield _pointed(shifted.astype(np.int64), np.signbit(values), places, rows)
            return
        if exact.any():
            chosen, others = np.flatnonzero(exact), np.flatnonzero(~exact)
            own = chosen if rows is None else rows[chosen]
            yield _pointed(shifted[chosen].astype(np.int64), np.signbit(values[chosen]), places, own)
            values, rows = values[others], others if rows is None else rows[others]
    yield _encoded(values, rows)


def put_together(pieces: Sequence[Piece], count: int, into: NDArray[np.uint8] | None = None) -> Lines:
    """So many lines of these pieces, in this order; they are put `into` a buffer if they fit."""
    lengths = np.zeros(count, dtype=np.int64)
    for piece in pieces:
        if piece.rows is None:
            lengths += piece.lengths
        else:
            lengths[piece.rows] += piece.lengths
    ends = np.cumsum(lengths)
    size = int(ends[-1]) if count else 0
    buffer = np.empty(size, dtype=np.uint8) if into is None or len(into) < size else into[:size]
    at = ends.copy()
    for piece in reversed(pieces):
        if piece.rows is None:
            _put(buffer, piece, at)
            at -= piece.lengths
        else:
            _put(buffer, piece, at[piece.rows])
            at[piece.rows] -= piece.lengths
    return Lines(buffer, ends)


def _put(buffer: NDArray[np.uint8], piece: Piece, ends: Ints) -> None:
    """Write a piece of some lines, up to where it ends in each."""
    texts = piece.texts
    if isinstance(texts, bytes):
        _at(buffer, len(texts))[ends - len(texts)] = np.void(texts)
    elif isinstance(texts, np.ndarray):
        _at(buffer, texts.itemsize)[ends - texts.itemsize] = texts
    elif isinstance(texts, Lines):
        _copy(texts, piece, buffer, ends)
    else:
        to = buffer.data
        for text, end in zip(texts, ends.tolist(), strict=True):
            to[end - len(text) : end] = text


def _copy(texts: Lines, piece: Piece, buffer: NDArray[np.uint8], to: Ints) -> None:
    """Copy the chosen texts to where they end, those of one length at a time."""
    ends, lengths = texts.ends[piece.which] - 1, piece.lengths
    if isinstance(lengths, int):
        _at(buffer, lengths)[to - lengths] = _at(texts.buffer, lengths)[ends - lengths]
        return
    counts = np.bincount(lengths)
    occurring = np.flatnonzero(counts)
    same = np.split(by_number(lengths), np.cumsum(counts[occurring])[:-1])
    for length, rows in zip(occurring.tolist(), same, strict=True):
        _at(buffer, length)[to[rows] - length] = _at(texts.buffer, length)[ends[rows] - length]


def _at(buffer: NDArray[np.uint8], width: int) -> NDArray[np.void]:
    """The buffer as elements of so many bytes, one from each byte on."""
    return np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))


def _encoded(numbers: NDArray[Any], rows: Ints | None) -> Piece:
    """Any numbers, by the JSON encoder: all at once costs a quarter of one by one."""
    text = bytearray(_LONGEST)
    _encode_into(numbers.tolist(), text, _LONGEST)
    buffer = np.frombuffer(text, dtype=np.uint8)
    ends = np.append(np.flatnonzero(buffer == ord(",")), len(buffer) - 1)
    lengths = np.diff(ends, prepend=_LONGEST) - 1
    width = int(lengths.max())
    return Piece(_at(buffer, width)[ends - width], lengths, rows)


def _pointed(shifted: Ints, negative: NDArray[np.bool_], places: int, rows: Ints | None) -> Piece:
    """Whole numbers with a sign and a point before their last digits, of which there are `places`."""
    lengths = _lengths(shifted, places + 1) + 1
    if not negative.any():
        return Piece(_digits(shifted, int(np.max(lengths)), 1000, _POINTED[places]), lengths, rows)
    lengths = lengths + negative
    texts = _digits(shifted, int(np.max(lengths)), 1000, _POINTED[places])
    signs = (np.arange(1, len(texts) + 1) * texts.itemsize - lengths)[negative]
    texts.view(np.uint8)[signs] = ord("-")
    return Piece(texts, lengths, rows)


def _lengths(numbers: Ints, least: int = 1) -> Ints | int:
    """How many digits numbers have, none below 0; the same for all as one number."""
    low, high = (max(len(str(number)), least) for number in (numbers.min(), numbers.max()))
    if low == high:
        return low
    lengths = np.full(len(numbers), low, dtype=np.int64)
    for digits in range(low, high):
        lengths += numbers >= 10**digits
    return lengths


def _digits(numbers: Ints, width: int, last: int, table: NDArray[np.uint32]) -> NDArray[np.void]:
    """Numbers at least so wide, with zeros before them; the rest of dividing by `last` as the table says."""
    groups = -(-width // 4)
    texts = np.empty((len(numbers), groups), dtype=np.uint32)
    rest, of = numbers, last
    for group in range(groups - 1, -1, -1):
        higher = rest // of
        texts[:, group] = table[rest - higher * of]
        rest, of, table = higher, 10_000, _FOUR_DIGITS
    return texts.view(f"V{groups * 4}").ravel()


def _table(texts: Iterable[str]) -> NDArray[np.uint32]:
    return np.array([text.encode() for text in texts], dtype="S4").view(np.uint32)


_FOUR_DIGITS = _table(f"{number:04}" for number in range(10_000))
_POINTED = {
    places: _table(f"{digits[:-places]}.{digits[-places:]}" for digits in map("{:03}".format, range(1000)))
    for places in range(1, _MOST_PLACES + 1)
}
