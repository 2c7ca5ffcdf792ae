"""Server-sent events: one task reads the table of events and hands them to every connected client.

A client that does not keep up is dropped, never waited for: it comes back with its Last-Event-ID and
reads what it missed from the table.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, NamedTuple, TypeVar

import anyio.to_thread
import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.reach import told
from pulse import logs
from pulse.clock import to_iso
from pulse.errors import PulseError
from pulse.indicators.within import Within
from pulse.stores.relational import events
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import Event

POLL_S = 0.2
KEEPALIVE_S = 15.0
RETRY_MS = 2000
QUEUE_EVENTS = 1000
PAGE = 500
MOST_REPLAYED = 10_000
"""A client that missed more than this is told to load anew."""
RECOGNISED_EVERY_S = 10.0
"""How often a stream asks whether its reader still may see what it sends."""
_FAREWELL_S = 1.0

_T = TypeVar("_T")
_log = logs.get(__name__)


class Client:
    """One connected client, who sees the communities `within`; changes of flapping devices if `damped`.

    `joined` is the id up to which it reads the table itself.
    """

    def __init__(
        self, joined: int, topics: Collection[str], within: Within = None, *, damped: bool = True
    ) -> None:
        self.joined = joined
        self.damped = damped
        self.topics = topics
        self.within = within
        self.offered = joined
        self.queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_EVENTS)
        self.ended = asyncio.Event()

    def offer(self, batch: list[Event]) -> bool:
        """Queue what it is told of the events; False when it is too slow to take them."""
        for event in batch:
            own = self.told(event)
            if own is not None:
                try:
                    self.queue.put_nowait(own)
                except asyncio.QueueFull:
                    return False
        self.offered = batch[-1].id
        return True

    def told(self, event: Event) -> Event | None:
        """What it gets of an event: nothing of topics that it did not ask for, or communities not its own."""
        if event.topic not in self.topics or (not self.damped and event.body.get("damped")):
            return None
        return told(event, self.within)


class Ids(NamedTuple):
    """The smallest and the greatest id that the table holds."""

    first: int
    last: int


class Since(NamedTuple):
    """The last event that a client knows of: None for a new client; `malformed` if its id is no number."""

    last_id: int | None
    malformed: bool = False


class Hub:
    """Reads new events every 200 ms while anyone is connected. To be used from one event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._clients: set[Client] = set()
        self._position = 0
        self._joining = asyncio.Lock()
        self._anyone = asyncio.Event()
        self._closed = asyncio.Event()
        self.dropped = 0

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    @property
    def closed(self) -> bool:
        """Whether the server is going down."""
        return self._closed.is_set()

    def close(self) -> None:
        """End every stream, and every one that would begin later. Call it in the event loop."""
        self._closed.set()
        for client in self._clients:
            client.ended.set()
        self._anyone.set()

    async def run(self) -> None:
        """Hand out events until `close`. An unreachable database is tried again and again."""
        failing = False
        while not self.closed:
            await self._anyone.wait()
            try:
                await self._hand_out()
                failing = False
            except PulseError as error:
                if not failing:
                    _log.warning("live_events_unreadable", error=str(error))
                failing = True
            try:
                await asyncio.wait_for(self._closed.wait(), POLL_S)
            except TimeoutError:
                continue

    async def join(self, topics: Collection[str], within: Within, *, damped: bool = True) -> Client:
        """A new client that is offered what comes from here on, as far as it is told of it."""
        async with self._joining:
            if not self._clients:
                # Nobody listened, so nobody moved the position on.
                self._position = (await self.ids()).last
            client = Client(self._position, topics, within, damped=damped)
            self._clients.add(client)
            if self.closed:
                client.ended.set()
            self._anyone.set()
            return client

    def leave(self, client: Client) -> None:
        """The client is gone."""
        self._clients.discard(client)
        if not self._clients and not self.closed:
            self._anyone.clear()

    async def ids(self) -> Ids:
        """The ids that the table holds now."""

        def read() -> Ids:
            with self._db.read() as connection:
                return Ids(events.first_id(connection), events.last_id(connection))

        return await _in_thread(read)

    async def page(self, after: int) -> list[Event]:
        """The next events of the table after an id, in order."""

        def read() -> list[Event]:
            with self._db.read() as connection:
                return events.after(connection, after, PAGE)

        return await _in_thread(read)

    async def _hand_out(self) -> None:
        batch = await self.page(self._position)
        while batch:
            self._position = batch[-1].id
            for client in [c for c in self._clients if not c.offer(batch)]:
                self.dropped += 1
                _log.info("slow_live_client_dropped", queued=client.queue.qsize())
                client.ended.set()
                self._clients.discard(client)
            batch = await self.page(self._position) if len(batch) == PAGE else []


async def _in_thread(read: Callable[[], _T]) -> _T:
    return await anyio.to_thread.run_sync(read)


async def stream(hub: Hub, client: Client, since: "Since", ids: Ids) -> AsyncIterator[bytes]:
    """What one client is sent: where it is, what it missed, then what happens.

    When what it missed is no longer there (or its id is not of this installation), it is sent a `reset`
    instead: it has to load anew what it shows.
    """
    last_id = since.last_id
    if since.malformed or (last_id is not None and not _resumable(last_id, ids)):
        yield block(event="reset", data={"reason": "missed_events"}, event_id=client.joined)
    elif last_id is None:
        # An id without data: a client that loses its connection before the first event misses none.
        yield block(event_id=client.joined, retry=True)
    else:
        yield block(event_id=last_id, retry=True)
        async for missed in _missed(hub, last_id, client.joined):
            # A page of them in one piece: ten thousand sends would take a second of everybody's time.
            told_of = [own for event in missed if (own := client.told(event)) is not None]
            if told_of:
                yield b"".join(shown(own) for own in told_of)
    while not client.ended.is_set():
        try:
            event = await asyncio.wait_for(client.queue.get(), KEEPALIVE_S)
        except TimeoutError:
            yield block(comment="keepalive", event_id=client.offered)
        else:
            yield shown(event)


def _resumable(last_id: int, ids: Ids) -> bool:
    """Whether every event after `last_id` is still there, and not too many of them."""
    return ids.first - 1 <= last_id <= ids.last and ids.last - last_id <= MOST_REPLAYED


async def _missed(hub: Hub, after: int, until: int) -> AsyncIterator[list[Event]]:
    """The events of `(after, until]`, a page at a time."""
    while after < until and (batch := await hub.page(after)):
        yield [event for event in batch if event.id <= until]
        after = batch[-1].id


def shown(event: Event) -> bytes:
    """An event as it is sent; `at` and `recorded_at` are ISO 8601."""
    times = {"at": to_iso(event.at_us), "recorded_at": to_iso(event.recorded_us)}
    return block(event=event.topic, data={**event.body, **times}, event_id=event.id)


def block(
    *,
    event: str | None = None,
    data: dict[str, Any] | None = None,
    event_id: int | None = None,
    comment: str | None = None,
    retry: bool = False,
) -> bytes:
    """One block of https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    lines = []
    if comment is not None:
        lines.append(f": {comment}")
    if retry:
        lines.append(f"retry: {RETRY_MS}")
    if event is not None:
        lines.append(f"event: {event}")
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if data is not None:
        lines.append(f"data: {msgspec.json.encode(data).decode()}")
    return ("\n".join(lines) + "\n\n").encode()


class LiveResponse(Response):
    """Sends a client's stream until the client leaves, is dropped, may no longer see what is sent, or the
    server goes down.

    `is_known` tells whether the reader is still who came; it is asked in a thread, and None needs no asking.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        topics: Collection[str],
        since: Since,
        within: Within = None,
        is_known: Callable[[], bool] | None = None,
        *,
        damped: bool = True,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._topics = topics
        self._since = since
        self._within = within
        self._is_known = is_known
        self._damped = damped
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = await self._hub.join(self._topics, self._within, damped=self._damped)
        try:
            # What fails before the first byte is answered with a problem.
            ids = await self._hub.ids()
            tasks = {
                asyncio.create_task(self._send(client, ids, send)),
                asyncio.create_task(_until_disconnected(receive)),
                asyncio.create_task(client.ended.wait()),
            }
            if self._is_known is not None:
                tasks.add(asyncio.create_task(_until_unknown(self._is_known)))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._hub.leave(client)
        for task in done:
            task.result()
        try:
            # A frozen client does not even take the end: then the server cuts the connection.
            await asyncio.wait_for(self._end(send), _FAREWELL_S)
        except (TimeoutError, OSError):
            return

    async def _send(self, client: Client, ids: Ids, send: Send) -> None:
        await self._start(send)
        try:
            async for chunk in stream(self._hub, client, self._since, ids):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except PulseError as error:
            # The client comes back by itself with its last id.
            _log.warning("live_stream_broken", error=str(error))

    async def _start(self, send: Send) -> None:
        self._started = True
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _end(self, send: Send) -> None:
        if not self._started:
            await self._start(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_unknown(is_known: Callable[[], bool]) -> None:
    """Wait until the reader's session or token has ended, or may see something else than before."""
    while True:
        await asyncio.sleep(RECOGNISED_EVERY_S)
        try:
            if not await _in_thread(is_known):
                return
        except PulseError as error:
            # Without the database there is nothing to send either.
            _log.warning("live_reader_unchecked", error=str(error))
