"""Deliveries that a department fetches: pages of them, and the cursor that it commits.

A cursor is the id of the last delivery that somebody has. Committing it is the receipt of every delivery up
to it, so only what was handed out can be committed. Everything that is handed out, committed or refused is
written down as an access.
"""

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from api.context import Context
from api.outlets import parcel as parcels
from api.outlets.answers import Answer
from api.outlets.parcel import Parcel, said_of
from api.outlets.sending import receipt_of
from pulse.access.roles import Actor
from pulse.errors import BadInput, Conflict, NotFound
from pulse.sharing import signing
from pulse.sharing.deliveries import numbered
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.stores.relational import deliveries, outlets, receipts
from pulse.stores.relational.deliveries import (
    ACKNOWLEDGED,
    COMMIT,
    DONE,
    PULL,
    REFUSED,
    SPLIT,
    Attempt,
    Stored,
)

MOST_ON_A_PAGE = 100
MOST_PAGE_BYTES = 4_000_000
_BAD_CURSOR = "不是本出口给出的游标 / is no cursor that this outlet gave"


class Refusal(BadInput):
    """A pull or commit that is refused; it is written down after the transaction that found out."""


class Committed(NamedTuple):
    """What a commit did: up to which delivery everything is acknowledged, and how many receipts it made."""

    cursor: str | None
    receipts: int


class Pickup:
    """Where departments fetch what waits for them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = Keys(context.settings.outlet_keys())

    def page(self, actor: Actor, outlet: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """The deliveries behind a cursor (None: behind what is committed), as JSON members.

        Raises `NotFound` for what is no outlet to pull from, `BadInput` naming `cursor`, `Conflict` where
        nothing can be handed out.
        """
        now_us = self._context.clock.now_us()
        try:
            with self._context.db.read() as connection:
                said = self._pulled(connection, outlet)
                after = self._after(connection, outlet, cursor)
                found = self._whole(connection, outlet, after, limit)
                last = found[-1][0] if found else None
                more = bool(deliveries.following(connection, outlet, last.number, 1)) if last else False
            shown = [self._shown(said, stored, content, now_us) for stored, content in found]
        except (BadInput, Conflict, NotFound) as error:
            self.refused(actor, outlet, PULL, error)
            raise
        if found:
            # Most who look find nothing new, and hold up no writer. Written before anything leaves.
            with self._context.db.write() as connection:
                for stored, _ in found:
                    if stored.state == deliveries.WAITING:
                        deliveries.sent(connection, outlet, stored.number, now_us)
                    self._note(connection, actor, outlet, stored.id, PULL, DONE, f"{stored.records} records")
        return {"deliveries": shown, "cursor": last.id if last else cursor, "more": more}

    def commit(self, actor: Actor, outlet: str, cursor: str) -> Committed:
        """Acknowledge every delivery up to a cursor; again does no harm. Raises as `page` does."""
        try:
            with self._context.db.write() as connection:
                self._pulled(connection, outlet)
                number = self._number(connection, outlet, cursor)
                waiting = deliveries.waiting(connection, outlet, until=number, limit=MOST_ON_A_PAGE * 100)
                for stored in waiting:
                    if stored.sent_us is None:
                        raise Refusal(
                            f"{stored.id} 尚未被取走 / {stored.id} was not fetched yet", where="cursor"
                        )
                now_us = self._context.clock.now_us()
                for stored in waiting:
                    deliveries.acknowledged(connection, outlet, stored.number, now_us)
                    answer = Answer(True, "", {"cursor": cursor, "actor": actor.name})
                    receipts.append(connection, receipt_of(stored, answer, now_us))
                    self._note(connection, actor, outlet, stored.id, COMMIT, DONE, cursor)
        except (BadInput, Conflict, NotFound) as error:
            self.refused(actor, outlet, COMMIT, error)
            raise
        return Committed(cursor, len(waiting))

    def refused(self, actor: Actor, outlet: str, action: str, error: Exception) -> None:
        """Write down that somebody came in vain."""
        with self._context.db.write() as connection:
            self._note(connection, actor, outlet[:64], None, action, REFUSED, str(error))

    def _pulled(self, connection: Connection, outlet: str) -> Outlet:
        found = outlets.of(connection, outlet)
        if found is None or found.mode != "pull":
            raise NotFound(f"没有可拉取的出口 {outlet} / there is no outlet {outlet} to pull from")
        if found.disabled:
            raise Conflict(f"出口 {outlet} 已停用 / the outlet {outlet} is disabled")
        return found

    def _after(self, connection: Connection, outlet: str, cursor: str | None) -> int:
        if cursor is not None:
            return self._number(connection, outlet, cursor)
        waiting = deliveries.waiting(connection, outlet, limit=1)
        position = outlets.position_of(connection, outlet)
        return waiting[0].number - 1 if waiting else 0 if position is None else position.number

    def _number(self, connection: Connection, outlet: str, cursor: str) -> int:
        number = numbered(outlet, cursor)
        if number is None:
            raise Refusal(_BAD_CURSOR, where="cursor")
        position = outlets.position_of(connection, outlet)
        if position is None or number > position.number:
            last = "-" if position is None or not position.number else f"{outlet}-{position.number}"
            raise Refusal(
                f"游标来自将来：最后一份交付是 {last} / is from the future: the last delivery is {last}",
                where="cursor",
            )
        return number

    def _whole(
        self, connection: Connection, outlet: str, after: int, limit: int
    ) -> list[tuple[Stored, bytes]]:
        found: list[tuple[Stored, bytes]] = []
        size = 0
        for stored in deliveries.following(connection, outlet, after, limit):
            if found and size + stored.size > MOST_PAGE_BYTES:
                break
            content = deliveries.content(connection, outlet, stored.number)
            if content is None:
                if stored.state in {ACKNOWLEDGED, SPLIT} and not found:
                    raise Refusal(
                        f"{stored.id} 的内容已不保留；请不带游标拉取 / the content of {stored.id} is kept no "
                        "longer; pull without a cursor",
                        where="cursor",
                    )
                break
            size += stored.size
            found.append((stored, content))
        return found

    def _shown(self, outlet: Outlet, stored: Stored, content: bytes, now_us: int) -> dict[str, Any]:
        parcel = Parcel(stored.id, content, stored.format)
        try:
            fields = parcels.fields(
                parcel, outlet, self._keys, now_us, id_field="delivery", covered=signing.MESSAGE
            )
        except BadInput as error:
            raise Conflict(f"无法签名 / cannot be signed: {said_of(error)}") from error
        return {
            "delivery": stored.id,
            "cursor": stored.id,
            "content_type": fields["content-type"],
            "content_digest": fields["content-digest"],
            "signature_input": fields.get("signature-input"),
            "signature": fields.get("signature"),
            # Byte for byte: whoever cuts it out can verify the digest.
            "body": msgspec.Raw(content) if stored.format == "json" else content.decode(),
        }

    def _note(
        self,
        connection: Connection,
        actor: Actor,
        outlet: str,
        delivery: str | None,
        action: str,
        outcome: str,
        detail: str,
    ) -> None:
        now_us = self._context.clock.now_us()
        attempt = Attempt(now_us, outlet, delivery, action, actor.name, actor.origin, outcome, detail)
        deliveries.note(connection, attempt)
