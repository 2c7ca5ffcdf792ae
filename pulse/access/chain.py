"""The audit log's chain: each entry's digest covers the entry and the digest before it; pure.

Changing, removing, inserting or moving an entry breaks the chain at the first one touched. What the chain
alone cannot show is a log cut off at its end, or rewritten whole: for that the last digest is kept a second
time beside the log, and whoever notes it elsewhere (`pulse audit verify --head`) can compare.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

FIRST = "0" * 64
"""The digest before the first entry."""


class Entry(NamedTuple):
    """What somebody did. `before` and `after` are canonical JSON; `digest` is hexadecimal SHA-256."""

    number: int
    at_us: int
    actor: str
    origin: str
    action: str
    outcome: str
    subject: str
    community: str | None
    before: str | None
    after: str | None
    previous: str
    digest: str


class Head(NamedTuple):
    """The last entry's number and digest."""

    number: int = 0
    digest: str = FIRST


class Broken(NamedTuple):
    """The first link that does not hold: at which number, and what is wrong."""

    number: int
    reason: str


def digest(entry: Entry) -> str:
    """SHA-256 over the members of an entry but its digest, each with its length before it."""
    made = hashlib.sha256()
    for value in entry[:-1]:
        data = b"-" if value is None else b"+" + str(value).encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def linked(head: Head, **members: Any) -> Entry:
    """The entry that follows `head`."""
    entry = Entry(number=head.number + 1, previous=head.digest, digest="", **members)
    return entry._replace(digest=digest(entry))


def first_broken(entries: Iterable[Entry], head: Head | None = None) -> Broken | None:
    """The first broken link of a whole log in order of number, None if every one holds.

    `head` is what is known of its end; None when nothing is.
    """
    last = Head()
    for entry in entries:
        if entry.number != last.number + 1:
            return Broken(last.number + 1, f"missing: {last.number} is followed by {entry.number}")
        if entry.previous != last.digest:
            return Broken(entry.number, "does not continue the entry before it")
        if digest(entry) != entry.digest:
            return Broken(entry.number, "was changed: its digest does not fit what it says")
        if head is not None and entry.number == head.number and entry.digest != head.digest:
            return Broken(entry.number, "is not the entry that was noted as the last one")
        last = Head(entry.number, entry.digest)
    if head is not None and last.number < head.number:
        return Broken(
            last.number + 1, f"missing: the log ends at {last.number}, it had {head.number} entries"
        )
    if head is not None and last.number > head.number:
        return Broken(head.number + 1, f"was added behind the end that was noted at {head.number}")
    return None
