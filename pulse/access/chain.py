"""The audit log as a chain (`pulse.chain`): its entries, and how each is sealed; pure."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pulse.chain import Head, Link, Wrong, sealed

_CHANGED = Wrong("was changed: its digest does not fit what it says", "已被更改：摘要与内容不符")


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


def digest(entry: Entry) -> str:
    """The seal over the members of an entry but its digest."""
    return sealed(entry[:-1])


def linked(head: Head, **members: Any) -> Entry:
    """The entry that follows `head`."""
    entry = Entry(number=head.number + 1, previous=head.digest, digest="", **members)
    return entry._replace(digest=digest(entry))


def links(entries: Iterable[Entry]) -> Iterator[Link]:
    """The entries as links of their chain."""
    for entry in entries:
        holds = digest(entry) == entry.digest
        yield Link(entry.number, entry.previous, entry.digest, None if holds else _CHANGED)
