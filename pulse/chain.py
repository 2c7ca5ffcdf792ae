"""Chains by hash: the digest of each link covers what it says and the digest before it; pure.

Changing, removing, inserting or moving a link breaks the chain at the first one touched. What the chain
alone cannot show is one cut off at its end, or rewritten whole: for that the last digest is kept a second
time beside it, and whoever notes it elsewhere can compare. The audit log is such a chain, and so are the
published values.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pulse.errors import BadInput

FIRST = "0" * 64
"""The digest before the first link."""

_HEAD = re.compile(r"(?P<number>[0-9]{1,18}):(?P<digest>[0-9a-f]{64})")


class Wrong(NamedTuple):
    """What is wrong, in English and in Chinese."""

    en: str
    zh: str


class Link(NamedTuple):
    """A link as it is stored; `wrong` is what does not hold of it taken alone, None if nothing."""

    number: int
    previous: str
    digest: str
    wrong: Wrong | None = None


class Head(NamedTuple):
    """The last link's number and digest."""

    number: int = 0
    digest: str = FIRST


class Broken(NamedTuple):
    """The first link that does not hold: at which number, and what is wrong."""

    number: int
    reason: str
    reason_zh: str


class Verified(NamedTuple):
    """`links` were read; `head` is the chain's end, to be noted elsewhere; `broken` the first bad link."""

    links: int
    head: Head
    broken: Broken | None


def sealed(members: Iterable[object]) -> str:
    """SHA-256, hexadecimal, over members in their order, each with its length before it.

    A member is `-` for None, else `+` and its text (of a number the decimal digits) in UTF-8; its length in
    bytes is eight bytes, big-endian. So no two lists of members give the same bytes.
    """
    made = hashlib.sha256()
    for value in members:
        data = b"-" if value is None else b"+" + str(value).encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def first_broken(links: Iterable[Link], head: Head | None = None) -> Broken | None:
    """The first broken link of a whole chain in order of number, None if every one holds.

    `head` is what is known of its end; None when nothing is.
    """
    last = Head()
    for link in links:
        number = link.number
        if number != last.number + 1:
            return Broken(
                last.number + 1,
                f"missing: {last.number} is followed by {number}",
                f"缺失：{last.number} 之后是 {number}",
            )
        if link.previous != last.digest:
            return Broken(number, "does not continue the one before it", "与前一条不相接")
        if link.wrong is not None:
            return Broken(number, *link.wrong)
        if head is not None and number == head.number and link.digest != head.digest:
            return Broken(number, "is not the one that was noted as the last", "不是记为末端的那一条")
        last = Head(number, link.digest)
    if head is not None and last.number < head.number:
        return Broken(
            last.number + 1,
            f"missing: the chain ends at {last.number}, it had {head.number} links",
            f"缺失：链止于 {last.number}，原有 {head.number} 条",
        )
    if head is not None and last.number > head.number:
        return Broken(
            head.number + 1,
            f"was added behind the end that was noted at {head.number}",
            f"加在记下的末端 {head.number} 之后",
        )
    return None


def verify(links: Iterable[Link], head: Head, noted: Head | None = None) -> Verified:
    """Read a whole chain; `noted` is an end that it once had, which it may have grown beyond since."""
    seen = _Seen(links, noted)
    broken = first_broken(seen, head)
    if noted is not None and noted.number and (broken is None or noted.number < broken.number):
        if head.number < noted.number:
            broken = Broken(
                head.number + 1,
                f"missing: the chain ends at {head.number}, it once had {noted.number} links",
                f"缺失：链止于 {head.number}，曾有 {noted.number} 条",
            )
        elif seen.digest != noted.digest:
            broken = Broken(
                noted.number,
                "is not the one that was noted elsewhere: the chain was written anew up to here or before",
                "不是另处记下的那一条：链到此处或更早处已被重写",
            )
    return Verified(seen.count, head, broken)


def head_of(text: str, command: str, where: str = "--head") -> Head:
    """The head of `NUMBER:DIGEST` as `command` printed it. Raises `BadInput` naming `where`."""
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise BadInput(
            f"请用 {command} 印出的 编号:摘要 / "
            f"use NUMBER:DIGEST (64 hexadecimal digits) as `{command}` printed it",
            where=where,
        )
    return Head(int(found["number"]), found["digest"])


def shown(head: Head) -> str:
    """`NUMBER:DIGEST`."""
    return f"{head.number}:{head.digest}"


class _Seen:
    """Passes links on, counts them, and keeps the digest of the noted one."""

    def __init__(self, links: Iterable[Link], noted: Head | None) -> None:
        self._links = links
        self._noted = None if noted is None else noted.number
        self.count = 0
        self.digest: str | None = None

    def __iter__(self) -> Iterator[Link]:
        for link in self._links:
            self.count += 1
            if link.number == self._noted:
                self.digest = link.digest
            yield link
