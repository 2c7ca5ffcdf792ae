"""Receipts: what a department acknowledged of a delivery, append-only and chained by hash; pure."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec

from pulse.chain import Link, Wrong, sealed

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says of one kind of data in one community.

    Of its `count` records those whose time is known were measured from `first_us` to `last_us`, both
    included (None if there are none such). `quiet_from_us`, `quiet_until_us`: it states that nothing else
    happened in `[from, until)`; None if it states nothing. Microseconds since 1970 UTC.
    """

    data_kind: str
    community: str
    count: _Count
    first_us: int | None = None
    last_us: int | None = None
    quiet_from_us: int | None = None
    quiet_until_us: int | None = None


class Receipt(NamedTuple):
    """The acknowledgement of the delivery `delivery` by the far side of `outlet`.

    `digest` is the SHA-256, hexadecimal, of the content as it was sent; `answer` what the far side said
    (JSON object text). It is known here from `recorded_us` on. `number`, `previous` and `link` are the
    chain's, given when it is appended.
    """

    outlet: str
    delivery: str
    digest: str
    parts: tuple[Part, ...]
    answer: str
    sent_us: int
    acknowledged_us: int
    recorded_us: int
    number: int = 0
    previous: str = ""
    link: str = ""


class Acknowledged(NamedTuple):
    """A part of a receipt, with when it was acknowledged and since when that is known."""

    number: int
    outlet: str
    acknowledged_us: int
    recorded_us: int
    part: Part
    delivery: str = ""


def parts_text(parts: Iterable[Part]) -> str:
    """Parts as they are kept and sealed: a JSON list, ordered by kind and community."""
    ordered = sorted(parts, key=lambda part: (part.data_kind, part.community))
    return msgspec.json.encode(ordered, order="deterministic").decode()


def parts_of(text: str) -> tuple[Part, ...]:
    """The inverse of `parts_text`."""
    return msgspec.json.decode(text, type=tuple[Part, ...])


def seal(receipt: Receipt) -> str:
    """The link of a receipt: over everything that it says and the link before it."""
    return sealed(
        (
            receipt.number,
            receipt.outlet,
            receipt.delivery,
            receipt.digest,
            parts_text(receipt.parts),
            receipt.answer,
            receipt.sent_us,
            receipt.acknowledged_us,
            receipt.recorded_us,
            receipt.previous,
        )
    )


def links(receipts: Iterable[Receipt]) -> Iterator[Link]:
    """Receipts as links of their chain (`pulse.chain`)."""
    for receipt in receipts:
        wrong: Wrong | None = None
        if seal(receipt) != receipt.link:
            wrong = Wrong("was changed: its link does not fit what it says", "已被更改：链接值与内容不符")
        yield Link(receipt.number, receipt.previous, receipt.link, wrong)


def as_members(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON members; times in microseconds."""
    found = receipt._asdict()
    found["parts"] = [msgspec.to_builtins(part) for part in receipt.parts]
    found["answer"] = msgspec.json.decode(receipt.answer)
    return found
