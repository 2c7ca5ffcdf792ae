"""Verifying receipts: their chain, and whether what is kept beside it says the same."""

import hashlib
from collections.abc import Callable, Iterator

from sqlalchemy import Connection

from pulse import chain
from pulse.chain import Head, Link, Verified, Wrong
from pulse.sharing.deliveries import numbered
from pulse.sharing.receipts import Receipt, links, parts_text
from pulse.stores.relational import deliveries, receipts
from pulse.stores.relational.receipts import Split

_PARTS = Wrong(
    "its parts by kind and community, which the ratio is worked out from, say otherwise",
    "按种类与小区的分项（共享比例由此计算）与其不符",
)
_CONTENT = Wrong(
    "the content that is kept of its delivery is not what was acknowledged",
    "所保留的交付内容不是当时确认的内容",
)


def verify(
    connection: Connection, noted: Head | None = None, passed: Callable[[int], None] | None = None
) -> Verified:
    """Read all receipts, with their parts and the contents that are kept still.

    `noted` is an end that the chain once had; `passed` is told each number.
    """
    return chain.verify(_links(connection, passed), receipts.head(connection), noted)


def _links(connection: Connection, passed: Callable[[int], None] | None) -> Iterator[Link]:
    contents = deliveries.kept(connection)
    beside = receipts.walk_parts(connection)
    split = next(beside, None)
    for receipt in receipts.walk(connection):
        if passed is not None:
            passed(receipt.number)
        while split is not None and split.receipt < receipt.number:
            split = next(beside, None)
        own = split if split is not None and split.receipt == receipt.number else None
        (link,) = links([receipt])
        if link.wrong is None:
            link = link._replace(wrong=_wrong(connection, receipt, own, contents))
        yield link


def _wrong(
    connection: Connection, receipt: Receipt, split: Split | None, contents: set[tuple[str, int]]
) -> Wrong | None:
    if receipt.parts:
        told = (receipt.outlet, receipt.acknowledged_us, receipt.recorded_us)
        if split is None or split[1:4] != told or parts_text(split.parts) != parts_text(receipt.parts):
            return _PARTS
    elif split is not None:
        return _PARTS
    number = numbered(receipt.outlet, receipt.delivery)
    if number is not None and (receipt.outlet, number) in contents:
        content = deliveries.content(connection, receipt.outlet, number) or b""
        if hashlib.sha256(content).hexdigest() != receipt.digest:
            return _CONTENT
    return None
