"""Reconciliation: what both sides hold of a kind of data and a day, as a count and a digest; pure.

The digest of records is the sum of the SHA-256 of their ids modulo 2^256: the order in which records came
does not matter, and digests add up, so that both sides keep theirs as they go. Two sets of records with the
same count and digest are the same for all that chance can do. It proves nothing against a department that
wants to deceive: sums can be met on purpose, receipts are what is proved.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pulse.errors import BadInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MODULUS = 1 << 256
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Holding(NamedTuple):
    """Some records: how many, and the digest of their ids (64 hexadecimal digits)."""

    records: int
    digest: str


NOTHING = Holding(0, "0" * 64)


class Verdict(StrEnum):
    """What comparing says of one kind and day."""

    SAME = "same"
    MISSING_HERE = "missing_here"
    """The department holds records, we delivered none."""
    MISSING_THERE = "missing_there"
    """We have the receipts of records, the department holds none."""
    DIFFERS = "differs"


class Difference(NamedTuple):
    """Both sides of one kind of data and day."""

    data_kind: str
    day: str
    ours: Holding
    theirs: Holding
    verdict: Verdict


def record_id(identity: int) -> str:
    """A record's id as departments see it: its identity as 16 hexadecimal digits."""
    return f"{identity:016x}"


def of_ids(ids: Iterable[str]) -> Holding:
    """The holding of records with these ids, each of which is there once."""
    count = total = 0
    for one in ids:
        count += 1
        total += int.from_bytes(hashlib.sha256(one.encode("ascii")).digest())
    return Holding(count, f"{total % _MODULUS:064x}")


def add(*holdings: Holding) -> Holding:
    """The holding of all records together, where none is in two of them."""
    total = sum(int(holding.digest, 16) for holding in holdings)
    return Holding(sum(holding.records for holding in holdings), f"{total % _MODULUS:064x}")


def day_of(at_us: int | None, received_us: int, zone: ZoneInfo) -> str:
    """The local day (`2026-11-23`) of a record: of its time, else of its reception."""
    moment = _EPOCH + timedelta(microseconds=received_us if at_us is None else at_us)
    return moment.astimezone(zone).date().isoformat()


def checked_day(text: str, where: str = "day") -> str:
    """The day that `text` names. Raises `BadInput` naming `where`."""
    try:
        if _DAY.fullmatch(text):
            datetime.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise BadInput(f"{text[:40]!r} 不是日期 / is not a day; use one such as 2026-11-23", where=where)


def checked(records: int, digest: str, where: str = "digest") -> Holding:
    """A holding that somebody else states. Raises `BadInput` naming `where`."""
    if not _DIGEST.fullmatch(digest):
        raise BadInput("须为 64 位小写十六进制 / has to be 64 lower-case hexadecimal digits", where=where)
    if records < 0 or (records == 0) != (digest == NOTHING.digest):
        raise BadInput(
            "没有记录时须全为 0 / no records have a digest of zeros, and only they have", where=where
        )
    return Holding(records, digest)


def verdict(ours: Holding, theirs: Holding) -> Verdict:
    """What two holdings of one kind and day say of each other."""
    if ours == theirs:
        return Verdict.SAME
    if theirs.records == 0:
        return Verdict.MISSING_THERE
    if ours.records == 0:
        return Verdict.MISSING_HERE
    return Verdict.DIFFERS


def compare(
    ours: Mapping[tuple[str, str], Holding], theirs: Mapping[tuple[str, str], Holding]
) -> list[Difference]:
    """Both sides of every (data kind, day) that either holds, by day and kind."""
    found = []
    for key in sorted(ours.keys() | theirs.keys(), key=lambda key: (key[1], key[0])):
        here, there = ours.get(key, NOTHING), theirs.get(key, NOTHING)
        if here.records or there.records:
            found.append(Difference(key[0], key[1], here, there, verdict(here, there)))
    return found
