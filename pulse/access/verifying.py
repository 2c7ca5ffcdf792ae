"""Verifying the audit log, against its own end and against an end that somebody noted elsewhere."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from pulse.access.chain import Broken, Entry, Head, first_broken
from pulse.errors import BadInput
from pulse.stores.relational import audit

_HEAD = re.compile(r"(?P<number>[0-9]{1,18}):(?P<digest>[0-9a-f]{64})")


class Verified(NamedTuple):
    """`entries` were read; `head` is the log's end, to be noted elsewhere; `broken` the first bad link."""

    entries: int
    head: Head
    broken: Broken | None


def head_of(text: str, where: str = "--head") -> Head:
    """The head of `NUMBER:DIGEST`. Raises `BadInput` naming `where`."""
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise BadInput(
            "请用 pulse audit verify 印出的 编号:摘要 / "
            "use NUMBER:DIGEST (64 hexadecimal digits) as `pulse audit verify` printed it",
            where=where,
        )
    return Head(int(found["number"]), found["digest"])


def shown(head: Head) -> str:
    """`NUMBER:DIGEST`."""
    return f"{head.number}:{head.digest}"


def verify(connection: Connection, noted: Head | None = None) -> Verified:
    """Read the whole log; `noted` is an end that it once had, which it may have grown beyond since."""
    seen = _Seen(audit.walk(connection), noted)
    head = audit.head(connection)
    broken = first_broken(seen, head)
    if noted is not None and noted.number and (broken is None or noted.number < broken.number):
        if head.number < noted.number:
            broken = Broken(
                head.number + 1, f"missing: the log ends at {head.number}, it once had {noted.number} entries"
            )
        elif seen.digest != noted.digest:
            broken = Broken(
                noted.number,
                "is not the entry that was noted elsewhere: the log was written anew up to here or before",
            )
    return Verified(seen.count, head, broken)


class _Seen:
    """Passes entries on, counts them, and keeps the digest of the noted one."""

    def __init__(self, entries: Iterable[Entry], noted: Head | None) -> None:
        self._entries = entries
        self._noted = None if noted is None else noted.number
        self.count = 0
        self.digest: str | None = None

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.count += 1
            if entry.number == self._noted:
                self.digest = entry.digest
            yield entry
