"""By what messages are told apart and recognised when they come again: 63 bits for each.

For each 32 bits, the sum of the message's words, each times 64 secret bits of its own, modulo 2^64, of which
the upper half is kept: strongly universal (Lemire & Kaser, "Strongly universal string hashing is fast",
2014). Two messages have the same identity with a probability of 2^-63, whoever chose them, as long as he has
seen neither the secret nor identities made with it: no device can make a message that hides another's.
Thousands of messages are a product of two matrices, a tenth of what a digest of each would cost.
"""

import hashlib
from operator import mul
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.received import pieces
from pulse.batches import Ints

Sums = NDArray[np.uint64]
"""Two sums of each, a row each."""

SECRET_BYTES = 32
LONGEST = 256
"""Bytes of what goes in as it is, of topic and of payload; of what is longer, a digest does."""

_WORD = 4
_WORDS = LONGEST // _WORD
_ALL = (1 << 64) - 1
_DIGEST = 1 << 31
"""Added to the length of what a digest stands for: nothing that goes in as it is can be as long."""


class Part(NamedTuple):
    """The share of a topic, or of a payload, in the two sums."""

    first: int
    second: int


class _Keys(NamedTuple):
    """The secret numbers of the words of a topic, or a payload, and of its length; for each of two sums."""

    words: tuple[list[int], list[int]]
    length: tuple[int, int]
    table: Sums

    def part(self, text: bytes, secret: bytes) -> Part:
        """The share of a text."""
        length = len(text)
        if length > LONGEST:
            text = hashlib.blake2b(text, key=secret, digest_size=32).digest()
            length |= _DIGEST
        words = np.frombuffer(text + bytes(-len(text) % _WORD), dtype="<u4").tolist()
        return Part(
            *(
                (sum(map(mul, words, keys)) + length * key) & _ALL
                for keys, key in zip(self.words, self.length, strict=True)
            )
        )


class Identifier:
    """Identities by a secret of the installation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.blake2b(secret, digest_size=SECRET_BYTES).digest()
        stream = hashlib.shake_256(self._secret).digest(8 * (4 * (_WORDS + 1) + 6))
        numbers = np.frombuffer(stream, dtype="<u8")
        self._own: list[int] = numbers[:2].tolist()
        self._time: list[int] = numbers[2:6].tolist()
        self._topic, self._payload = (
            _Keys(
                (own[0, :-1].tolist(), own[1, :-1].tolist()),
                (int(own[0, -1]), int(own[1, -1])),
                np.ascontiguousarray(own[:, :-1].T),
            )
            for own in numbers[6:].reshape(2, 2, _WORDS + 1)
        )
        # Bytes of the last word that are none of the text's are as good as zeros.
        of_length = np.arange(LONGEST + 1)[:, None] * 8 - np.arange(0, LONGEST, _WORD) * 8
        self._masks = ((np.uint64(1) << of_length.clip(0, 32).astype(np.uint64)) - 1).astype(np.uint32)

    def topic(self, topic: bytes) -> Part:
        """The share of a topic."""
        return self._topic.part(topic, self._secret)

    def of(self, topic: bytes, payload: bytes, observed_us: int | None = None) -> int:
        """The identity of one message; `observed_us` joins in where nothing else tells messages apart."""
        named, said = self.topic(topic), self._payload.part(payload, self._secret)
        sums = [own + name + say for own, name, say in zip(self._own, named, said, strict=True)]
        if observed_us is not None:
            low, high = observed_us & 0xFFFFFFFF, observed_us >> 32 & 0xFFFFFFFF
            sums[0] += self._time[0] * low + self._time[1] * high
            sums[1] += self._time[2] * low + self._time[3] * high
        first, second = ((one & _ALL) >> 32 for one in sums)
        return (first << 32 | second) >> 1

    def of_all(self, data: bytes, begin: Ints, end: Ints, topics: Sums) -> Ints:
        """The identities of messages with payloads `data[begin:end]` and the shares of their topics."""
        sums = topics + np.array(self._own, dtype=np.uint64)[:, None]
        length = end - begin
        short = length <= LONGEST
        if short.all():
            sums += self._shares(data, begin, length)
        else:
            sums[:, short] += self._shares(data, begin[short], length[short])
            for at in np.flatnonzero(~short).tolist():
                share = self._payload.part(data[begin[at] : end[at]], self._secret)
                sums[:, at] += np.array(share, dtype=np.uint64)
        first, second = sums >> 32
        identity: Ints = ((first << 32 | second) >> 1).astype(np.int64)
        return identity

    def _shares(self, data: bytes, begin: Ints, length: Ints) -> Sums:
        """The shares of payloads that go in as they are."""
        # In whole words; beyond the end of all data nothing can be read, so that much lies behind.
        words = max(1, -(-int(length.max(initial=0)) // _WORD))
        said = pieces(data, begin, words * _WORD).view("<u4").reshape(len(begin), words)
        told = said & self._masks[length, :words]
        shares = told.astype(np.uint64) @ self._payload.table[:words]
        return shares.T + np.array(self._payload.length, dtype=np.uint64)[:, None] * length.astype(np.uint64)


UNKEYED = Identifier(b"")
"""For those who keep nothing: its secret is none."""
