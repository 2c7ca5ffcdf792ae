"""Live events: quick, resumable, never held up by a client that does not read."""

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from api import live
from pulse.clock import SECOND_US
from pulse.stores.relational import events
from pulse.stores.relational.events import NewEvent
from tests.api.serving import PATIENCE_S, LiveClient, Running, running
from tests.api.site import END, Site


def happen(site: Site, count: int = 1, topic: str = "transition", padding: str = "") -> int:
    """Append events and give the last id."""
    items = [
        NewEvent(END, END + 100_000, topic, {"device": f"cam-{n}", "after": "offline", "padding": padding})
        for n in range(count)
    ]
    with site.db.write() as connection:
        return events.append(connection, items)


def joined(client: LiveClient) -> int:
    """Wait until the server tells where the client stands, and give that id."""
    block = client.block()
    assert block is not None
    assert block.id is not None
    return block.id


@pytest.fixture
def server(site: Site) -> Iterator[Running]:
    with running(site.context) as found:
        yield found


def test_a_transition_reaches_a_client_within_one_second(site: Site, server: Running) -> None:
    with LiveClient(server.port) as client:
        assert client.status == 200
        assert client.headers["content-type"].startswith("text/event-stream")
        joined(client)
        for _ in range(5):
            written_s = time.monotonic()
            event_id = happen(site)
            (event,) = client.events(1)
            assert event.received_s - written_s < 1.0
            assert (event.event, event.id) == ("transition", event_id)
            assert event.data is not None
            assert event.data["device"] == "cam-0"
            assert event.data["at"] == "2026-11-23T00:10:00Z"
            assert event.data["recorded_at"] == "2026-11-23T00:10:00.100Z"


def test_every_client_gets_its_topics_in_order(site: Site, server: Running) -> None:
    with LiveClient(server.port, "?topics=indicator") as one, LiveClient(server.port) as all_:
        joined(one)
        joined(all_)
        happen(site, 3)
        happen(site, 2, "indicator")
        assert [e.event for e in all_.events(5)] == ["transition"] * 3 + ["indicator"] * 2
        assert [e.event for e in one.events(2)] == ["indicator"] * 2


@pytest.mark.parametrize("by_header", [True, False])
def test_a_client_that_comes_back_gets_what_it_missed_once(
    site: Site, server: Running, by_header: bool
) -> None:
    with LiveClient(server.port) as client:
        joined(client)
        first = happen(site)
        (seen,) = client.events(1)
        assert seen.id == first
    happen(site, 1200)
    again = (
        LiveClient(server.port, "?last_event_id=0", last_event_id=str(first))
        if by_header
        else LiveClient(server.port, f"?last_event_id={first}")
    )
    with again as client:
        assert joined(client) == first
        last = happen(site)
        ids = [event.id for event in client.events(1201)]
        assert ids == list(range(first + 1, last + 1))


def test_the_changes_of_flapping_devices_can_be_left_out(site: Site, server: Running) -> None:
    with LiveClient(server.port) as every, LiveClient(server.port, "?damped=false") as calm:
        joined(every)
        joined(calm)
        body: dict[str, Any] = {"device": "cam-1", "community": "a", "after": "offline"}
        told = [
            ("flapping", {**body, "flapping": True}),
            ("transition", {**body, "damped": True}),
            ("transition", body),
        ]
        with site.db.write() as connection:
            events.append(connection, [NewEvent(END, END, topic, said) for topic, said in told])
        assert [e.event for e in every.events(3)] == ["flapping", "transition", "transition"]
        assert [(e.event, "damped" in (e.data or {})) for e in calm.events(2)] == [
            ("flapping", False),
            ("transition", False),
        ]


def test_a_client_that_never_got_an_event_misses_none(site: Site, server: Running) -> None:
    happen(site)
    with LiveClient(server.port) as client:
        known = joined(client)
    missed = happen(site)
    with LiveClient(server.port, last_event_id=str(known)) as client:
        joined(client)
        assert [event.id for event in client.events(1)] == [missed]


@pytest.mark.parametrize("told", ["trimmed", "of another installation", "no number"])
def test_a_client_whose_events_are_gone_is_told_to_load_anew(site: Site, server: Running, told: str) -> None:
    first = happen(site, 3) - 2
    with site.db.write() as connection:
        events.trim(connection, END + SECOND_US)
    last_id = {"trimmed": str(first), "of another installation": "99999", "no number": "abc"}[told]
    with LiveClient(server.port, last_event_id=last_id) as client:
        (reset,) = client.events(1)
        assert reset.event == "reset"
        assert reset.id == first + 2
        event_id = happen(site)
        assert [event.id for event in client.events(1)] == [event_id]


def test_fault_27_a_client_that_does_not_read_is_dropped(site: Site, server: Running) -> None:
    with LiveClient(server.port) as frozen, LiveClient(server.port) as reader:
        joined(frozen)
        joined(reader)
        deadline = time.monotonic() + PATIENCE_S
        while metric(server, "pulse_live_dropped_total") < 1:
            assert time.monotonic() < deadline, "the frozen client was not dropped"
            happen(site, 400, padding="x" * 4000)
            reader.events(400)
        assert metric(server, "pulse_live_clients") == 1
        written_s = time.monotonic()
        happen(site)
        (event,) = reader.events(1)
        assert event.received_s - written_s < 1.0


def test_a_client_that_leaves_is_forgotten(site: Site, server: Running) -> None:
    with LiveClient(server.port) as client:
        joined(client)
        assert metric(server, "pulse_live_clients") == 1
    deadline = time.monotonic() + PATIENCE_S
    while metric(server, "pulse_live_clients") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_silence_is_filled_with_comments_that_carry_the_position(
    site: Site, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEPALIVE_S", 0.5)
    with LiveClient(server.port, "?topics=coverage") as client:
        joined(client)
        passed_over = happen(site)
        deadline = time.monotonic() + PATIENCE_S
        while (block := client.block()) is not None and block.id != passed_over:
            assert block.comment == "keepalive"
            assert time.monotonic() < deadline
        assert block is not None


def test_stopping_ends_open_streams_at_once(site: Site) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(site.context))
        clients = [stack.enter_context(LiveClient(server.port)) for _ in range(3)]
        for client in clients:
            joined(client)
        asked_s = time.monotonic()
        server.stop.set()
        server.thread.join(PATIENCE_S)
        assert not server.thread.is_alive()
        assert time.monotonic() - asked_s < 3.0
        assert [client.block() for client in clients] == [None] * 3


@pytest.mark.parametrize(
    "query", ["?topics=weather", "?last_event_id=-1", "?last_event_id=x", "?topic=coverage"]
)
def test_bad_questions_are_refused(server: Running, query: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        fetch(f"{server.address}/api/v1/events{query}")
    assert raised.value.code == 422
    assert raised.value.headers["content-type"] == "application/problem+json"


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.read()


def metric(server: Running, name: str) -> float:
    lines = fetch(f"{server.address}/metrics").decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))
