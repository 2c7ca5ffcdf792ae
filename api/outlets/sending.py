"""Sending what waits for one department, one delivery after the other, and keeping what came of it.

Whoever sends holds a claim on the outlet, taken by compare-and-set and ending by itself: two schedulers never
send the same delivery at the same time, and one that died holds nothing up for long (on this machine: not at
all). A claim that ran out while its holder still sent costs nothing but a repetition under the same id.
"""

import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from api.context import Context
from api.outlets.answers import Answer, failure, pause_s
from api.outlets.holder import is_gone
from api.outlets.http import Pusher
from api.outlets.mqtt import Bridge
from api.outlets.parcel import Parcel, said_of
from pulse import logs
from pulse.clock import SECOND_US, Clock
from pulse.errors import BadInput, Conflict
from pulse.sharing import deliveries as contents
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, address
from pulse.sharing.receipts import Receipt
from pulse.stores.relational import deliveries, outlets, receipts, repeats
from pulse.stores.relational.deliveries import DONE, FAILED, SEND, Attempt, Stored

ACTOR = "system:scheduler"
_MARGIN_S = 15.0
"""A claim lasts this much longer than the longest wait for an answer."""
_AMPLITUDE = 1 << 16

_log = logs.get(__name__)


class Sender(Protocol):
    """A connection to a department."""

    def send(self, parcel: Parcel) -> Answer:
        """Send one delivery and wait for its answer. Raises `BadInput` naming a key that cannot be used."""
        ...


Opener = Callable[[Outlet, Keys], AbstractContextManager[Sender]]


class Sent(NamedTuple):
    """How many deliveries were acknowledged and how many attempts failed."""

    received: int = 0
    failed: int = 0


def opened(outlet: Outlet, keys: Keys, clock: Clock) -> AbstractContextManager[Sender]:
    """A connection by the outlet's mode. Raises `BadInput` naming a file that cannot be used."""
    if outlet.mode == "mqtt":
        return Bridge(outlet, keys, clock)
    return Pusher(outlet, keys, clock)


class Post:
    """Sends deliveries of one installation. `holder` is this process's name among others."""

    def __init__(
        self,
        context: Context,
        holder: str,
        *,
        opener: Opener | None = None,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self._context = context
        self._holder = holder
        self._keys = Keys(context.settings.outlet_keys())
        self._opener = opener or (lambda outlet, keys: opened(outlet, keys, context.clock))
        self._jitter = jitter or (lambda: secrets.randbelow(_AMPLITUDE) / _AMPLITUDE)

    def drain(self, outlet: Outlet, stop: threading.Event) -> Sent:
        """Send what is due, until one fails, nothing is left, or `stop`. Raises `StoreUnavailable`."""
        first = self._next(outlet)
        if first is None or not self._claim(outlet):
            return Sent()
        received = 0
        try:
            try:
                connection = self._opener(outlet, self._keys)
            except BadInput as error:
                self._keep(outlet, first, failure(said_of(error)))
                return Sent(failed=1)
            with connection as sender:
                stored: Stored | None = first
                while stored is not None and not stop.is_set():
                    if not self._go_on(outlet, stored):
                        break
                    answer = self._try(sender, stored)
                    self._keep(outlet, stored, answer)
                    if not answer.received and not answer.too_large:
                        return Sent(received, 1)
                    received += answer.received
                    stored = self._next(outlet)
        finally:
            with self._context.db.write() as connection_:
                outlets.release(connection_, outlet.id, self._holder)
        return Sent(received)

    def _next(self, outlet: Outlet) -> Stored | None:
        """The first delivery that waits, if it may be sent now: those behind it wait for it."""
        with self._context.db.read() as connection:
            waiting = deliveries.waiting(connection, outlet.id, limit=1)
        now_us = self._context.clock.now_us()
        return waiting[0] if waiting and waiting[0].next_us <= now_us else None

    def _until_us(self, outlet: Outlet, now_us: int) -> int:
        # Connecting and answering may each take a timeout.
        return now_us + round((3 * outlet.timeout_s + _MARGIN_S) * SECOND_US)

    def _claim(self, outlet: Outlet) -> bool:
        now_us = self._context.clock.now_us()
        with self._context.db.write() as connection:
            before = outlets.held_by(connection, outlet.id)
            if before is not None and is_gone(before):
                # It was killed: what it began goes on now, not when its claim ends.
                outlets.release(connection, outlet.id, before)
            return outlets.claim(connection, outlet.id, self._holder, now_us, self._until_us(outlet, now_us))

    def _go_on(self, outlet: Outlet, stored: Stored) -> bool:
        """Prolong the claim and note that a delivery goes out; False where either is no longer ours to do."""
        now_us = self._context.clock.now_us()
        until_us = self._until_us(outlet, now_us)
        with self._context.db.write() as connection:
            present = outlets.of(connection, outlet.id)
            if present != outlet:
                # It was changed: what waits goes where it is to go now.
                return False
            if not outlets.claim(connection, outlet.id, self._holder, now_us, until_us):
                return False
            deliveries.sent(connection, outlet.id, stored.number, now_us)
        return True

    def _try(self, sender: Sender, stored: Stored) -> Answer:
        with self._context.db.read() as connection:
            content = deliveries.content(connection, stored.outlet, stored.number)
        if content is None:
            return failure("内容已不在库中 / its content is no longer there")
        try:
            return sender.send(Parcel(stored.id, content, stored.format))
        except BadInput as error:
            return failure(said_of(error))

    def _keep(self, outlet: Outlet, stored: Stored, answer: Answer) -> None:
        now_us = self._context.clock.now_us()
        target = address(outlet)
        attempt = Attempt(
            now_us,
            outlet.id,
            stored.id,
            SEND,
            ACTOR,
            f"{target.host}:{target.port}",
            DONE if answer.received else FAILED,
            answer.detail,
        )
        if answer.received:
            self._acknowledge(stored, answer, attempt)
            return
        _log.warning("delivery_failed", outlet=outlet.id, delivery=stored.id, error=answer.detail)
        if answer.too_large and self._split(outlet, stored, attempt):
            return
        wait_s = pause_s(stored.attempts + 1, answer.retry_after_s, self._jitter())
        with self._context.db.write() as connection:
            deliveries.note(connection, attempt)
            next_us = now_us + round(wait_s * SECOND_US)
            deliveries.failed(connection, outlet.id, stored.number, answer.detail, next_us)

    def _acknowledge(self, stored: Stored, answer: Answer, attempt: Attempt) -> None:
        with self._context.db.write() as connection:
            now_us = self._context.clock.now_us()
            deliveries.note(connection, attempt)
            present = deliveries.one(connection, stored.outlet, stored.number)
            if present is None or not deliveries.acknowledged(
                connection, stored.outlet, stored.number, now_us
            ):
                return
            receipt = receipt_of(present, answer, now_us)
            try:
                receipts.append(connection, receipt)
            except Conflict:
                # It came out of a backup that is older than the chain.
                _log.warning("receipt_there_already", delivery=stored.id)

    def _split(self, outlet: Outlet, stored: Stored, attempt: Attempt) -> bool:
        """Make two deliveries of one that was too large; False for a single record."""
        zone = ZoneInfo(self._context.settings.timezone)
        now_us = self._context.clock.now_us()
        with self._context.db.write() as connection:
            content = deliveries.content(connection, outlet.id, stored.number)
            position = outlets.position_of(connection, outlet.id)
            found = None if content is None else contents.halves(content, stored.format)
            if position is None or found is None:
                return False
            present = deliveries.one(connection, outlet.id, stored.number)
            if present is None or present.state != deliveries.WAITING:
                return True
            first, second, quiet = found
            # In the format in which it was made, whatever the outlet says now.
            said = msgspec.structs.replace(outlet, format=stored.format)
            halves = [
                contents.make(said, position.number + 1, first, (), now_us, zone),
                contents.make(said, position.number + 2, second, quiet, now_us, zone),
            ]
            if not deliveries.days_of(connection, outlet.id, stored.number):
                # Made again: its sums are kept under the first number of its records.
                halves = [half._replace(days=()) for half in halves]
                again_of = repeats.of(connection, outlet.id, [stored.number]).get(stored.number, ())
                for half in halves:
                    repeats.note(connection, outlet.id, half.number, again_of)
            names = " + ".join(contents.identifier(outlet.id, half.number) for half in halves)
            moved = position._replace(number=position.number + 2, most_records=max(len(first), len(second)))
            if not outlets.move(connection, position, moved):
                return False
            deliveries.split(connection, outlet.id, stored.number)
            for half in halves:
                deliveries.add(connection, outlet.id, stored.format, half, now_us)
            deliveries.note(connection, attempt._replace(detail=f"{attempt.detail} → {names}"))
        return True


def receipt_of(stored: Stored, answer: Answer, now_us: int) -> Receipt:
    """The receipt of a delivery that was acknowledged now."""
    return Receipt(
        stored.outlet,
        stored.id,
        stored.digest,
        stored.parts,
        msgspec.json.encode(dict(answer.members), order="deterministic").decode(),
        stored.sent_us or now_us,
        now_us,
        now_us,
    )
