"""Chance without a generator's state: every draw is a function of a key and an index.

So the beat number 40,000 of a device is known without the 39,999 before it, which lets the live
simulation and the seven days of history agree, and a seed gives the same fleet on every machine.
"""

import hashlib
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_UNIT = 2.0**-53
_ONE = np.uint64(1)
_NORMAL = NormalDist()

T = TypeVar("T")


def key(*parts: str | int) -> int:
    """64 bits that depend on every part, in order."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def bits(of: int, index: int = 0) -> int:
    """64 mixed bits of a key at an index (the finaliser of splitmix64, Steele, Lea and Flood 2014)."""
    z = (of + (index + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return z ^ (z >> 31)


def uniform(of: int, index: int = 0) -> float:
    """A number in [0, 1)."""
    return (bits(of, index) >> 11) * _UNIT


def normal(of: int, index: int = 0) -> float:
    """A number of the standard normal distribution."""
    return _NORMAL.inv_cdf(uniform(of, index) + _UNIT / 2)


def pick(of: int, choices: Sequence[T], index: int = 0) -> T:
    """One of the choices."""
    return choices[int(uniform(of, index) * len(choices))]


def bits_array(of: int, indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """`bits(of, i)` for every index of an array, the same values."""
    z = (indexes.astype(np.uint64) + _ONE) * np.uint64(_GOLDEN) + np.uint64(of)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def uniform_array(of: int, indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """`uniform(of, i)` for every index of an array, the same values."""
    shifted: npt.NDArray[Any] = bits_array(of, indexes) >> np.uint64(11)
    return shifted.astype(np.float64) * _UNIT
