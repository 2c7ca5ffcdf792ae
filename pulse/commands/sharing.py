"""`pulse sharing …`: receipts, the funnel, verifying the chain."""

import json
from collections.abc import Iterator
from typing import Any

from pulse.access import outlets as agreeing
from pulse.access.receipts import verify
from pulse.access.showing import printable
from pulse.chain import head_of
from pulse.chain import shown as shown_head
from pulse.clock import DAY_US, SystemClock, parse_time, to_iso
from pulse.commands.operating import database, operator
from pulse.commands.parts import opened
from pulse.errors import BadInput
from pulse.settings import Settings
from pulse.sharing.receipts import Receipt, as_members
from pulse.stores.relational import outlets, receipts

COMMAND = "pulse sharing verify-chain"


def receipts_of(settings: Settings, outlet: str | None, limit: int, *, as_json: bool) -> Iterator[str]:
    """A line a receipt, the newest first. Raises `NotFound`."""
    with database(settings) as db, db.read() as connection:
        if outlet is not None:
            agreeing.of(connection, operator(), outlet)
        found = receipts.listing(connection, outlet=outlet, limit=limit)
    for receipt in found:
        yield json.dumps(as_members(receipt), ensure_ascii=False) if as_json else printable(_line(receipt))


def funnel(settings: Settings, from_: str | None, to: str | None, *, as_json: bool) -> Iterator[str]:
    """A line an outlet and kind. Raises `BadInput` naming the option."""
    from api.outlets import overview
    from api.outlets.overview import Period

    now_us = SystemClock().now_us()
    to_us = now_us if to is None else parse_time(to, "--to")
    from_us = to_us - DAY_US if from_ is None else parse_time(from_, "--from")
    if from_us >= to_us:
        raise BadInput("起始须早于结束 / has to be before --to", where="--from")
    with opened(settings) as parts:
        with parts.db.read() as connection:
            chosen = outlets.current(connection)
        rows = overview.funnel_of(
            settings, parts.db, parts.store, now_us, Period(from_us, to_us), None, chosen
        )
    for row in rows:
        if as_json:
            yield json.dumps(overview.members(row), ensure_ascii=False)
            continue
        steps = " → ".join(
            str(step.records) for step in (row.collected, row.outbox, row.sent, row.acknowledged)
        )
        why = "" if row.stuck is None else f"  {row.stuck.zh} / {row.stuck.en}"
        yield printable(f"{row.outlet or '-'}  {row.data_kind}  {steps}{why}")


def verified(settings: Settings, head: str | None, *, as_json: bool) -> tuple[bool, list[str]]:
    """Whether every receipt holds, and what to print. Raises `BadInput` for a head that is none."""
    noted = None if head is None else head_of(head, COMMAND)
    with database(settings) as db, db.read() as connection:
        found = verify(connection, noted)
    broken = found.broken
    if as_json:
        told: dict[str, Any] = {
            "holds": broken is None,
            "receipts": found.links,
            "head": shown_head(found.head),
            "broken_at": None if broken is None else broken.number,
            "reason": None if broken is None else broken.reason,
            "reason_zh": None if broken is None else broken.reason_zh,
        }
        return broken is None, [json.dumps(told, ensure_ascii=False, indent=2)]
    if broken is not None:
        return False, [
            f"pulse: 回执的链在第 {broken.number} 条断开：{broken.reason_zh} / the chain of receipts is "
            f"broken at {broken.number}: {broken.reason}"
        ]
    return True, [f"{found.links} 张回执成链完好 / {found.links} receipts hold", shown_head(found.head)]


def _line(receipt: Receipt) -> str:
    counts = ", ".join(
        f"{part.data_kind} {part.count}" + (" + 无事 quiet" if part.quiet_until_us is not None else "")
        for part in receipt.parts
    )
    return f"{receipt.number}  {to_iso(receipt.acknowledged_us)}  {receipt.delivery}  {counts or '-'}"
