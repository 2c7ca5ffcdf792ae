"""The ledger's snapshot on disk: one file beside the spool, replaced as a whole or not at all.

It is not a row of the spool: at a million devices it has ninety megabytes, which would be written twice there
(log and database) while whoever has a batch to commit waits.
"""

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pulse.errors import StoreUnavailable

FORMAT = 2
_MAGIC = b"pulse snapshot"
_HEAD = struct.Struct("<16sQQqq")
_CHECKSUM = struct.Struct("<I")


class Snapshot(NamedTuple):
    """A ledger snapshot that covers every batch up to and with `seq`."""

    seq: int
    at_us: int
    body: memoryview


class Unusable(Exception):
    """The file is damaged, or was made for another spool or by another version."""


def write(path: Path, spool: int, seq: int, at_us: int, pieces: Iterable[memoryview | bytes]) -> int:
    """Keep a snapshot instead of the one before, durable when this returns; gives its size in bytes.

    `spool` is the number of the spool whose batches it covers up to `seq`. Raises `StoreUnavailable` when
    the disk refuses; then the one before is still there.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb", buffering=0) as file:
            head = _HEAD.pack(_MAGIC, FORMAT, spool, seq, at_us)
            checksum, size = _written(file.fileno(), [head, *pieces])
            _written(file.fileno(), [_CHECKSUM.pack(checksum)])
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise StoreUnavailable(f"the snapshot {path} cannot be written: {error.strerror}") from error
    return size


def covered(path: Path, spool: int) -> int:
    """Up to which batch of a spool there is a snapshot, by its head alone; 0 without one."""
    try:
        with path.open("rb") as file:
            return _seq_and_time(file.read(_HEAD.size), spool)[0]
    except (FileNotFoundError, Unusable):
        return 0
    except OSError as error:
        raise StoreUnavailable(f"the snapshot {path} cannot be read: {error.strerror}") from error


def read(path: Path, spool: int) -> Snapshot | None:
    """The snapshot of a spool, None when there is none. Its body is read as it is used.

    Raises `Unusable` if its bytes are not what was written, `StoreUnavailable` when the disk refuses.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < _HEAD.size + _CHECKSUM.size:
                raise Unusable("too short")
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"the snapshot {path} cannot be read: {error.strerror}") from error
    seq, at_us = _seq_and_time(bytes(whole[: _HEAD.size]), spool)
    end = len(whole) - _CHECKSUM.size
    if zlib.crc32(whole[:end]) != _CHECKSUM.unpack(whole[end:])[0]:
        raise Unusable("its checksum is wrong")
    return Snapshot(seq, at_us, whole[_HEAD.size : end])


def _written(file: int, pieces: Iterable[memoryview | bytes]) -> tuple[int, int]:
    """Write pieces; their checksum and size."""
    checksum = size = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(file, rest) :]
    return checksum, size


def _seq_and_time(head: bytes, spool: int) -> tuple[int, int]:
    if len(head) < _HEAD.size:
        raise Unusable("too short")
    magic, version, owner, seq, at_us = _HEAD.unpack(head)
    if magic.rstrip(b"\0") != _MAGIC or version != FORMAT:
        raise Unusable("none of this version's")
    if owner != spool:
        raise Unusable("of another spool")
    return seq, at_us
