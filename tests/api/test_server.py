"""The server: a port that is taken, waiting until it answers, and PostgreSQL behind it."""

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from api.jobs.publish import publish
from api.server import listen, serve, wait_ready
from pulse.errors import Conflict
from tests import servers
from tests.api.serving import PATIENCE_S, LiveClient, Running, running
from tests.api.site import Site
from tests.api.test_jobs import GO_ON
from tests.api.test_live import happen, joined


def ask(server: Running, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())
    finally:
        connection.close()


def test_a_taken_port_is_named_with_a_way_out(site: Site) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"127.0.0.1:{port}.*PULSE_HTTP_PORT"):
            serve(site.context, "127.0.0.1", port, threading.Event(), pages=False)


def test_it_is_ready_once_it_answers(site: Site) -> None:
    with running(site.context) as server:
        assert wait_ready("127.0.0.1", server.port, threading.Event())
        assert ask(server, "/healthz")["status"] == "ok"


def test_waiting_ends_when_told_to_stop() -> None:
    with listen("127.0.0.1", 0) as silent:
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        begun_s = time.monotonic()
        assert not wait_ready("127.0.0.1", silent.getsockname()[1], stop)
        assert time.monotonic() - begun_s < 5


def test_everything_is_answered_from_postgresql_too(tmp_path: Path) -> None:
    with (
        servers.postgres(tmp_path) as database,
        Site(tmp_path, database_url=database.url) as site,
        running(site.context) as server,
    ):
        site.live()
        assert ask(server, "/api/v1/indicators/online-rate")["percent"] == "70.0"
        assert ask(server, "/api/v1/devices?state=offline")["total"] == 2
        assert ask(server, "/api/v1/devices/cam-5")["cause"] == "deadline_passed"
        assert publish(site.context, GO_ON) == 11
        steps = ask(server, "/api/v1/indicators/online-rate/history?step_s=300")["points"]
        assert [point["percent"] for point in steps] == ["100.0", "70.0", "70.0"]
        with LiveClient(server.port) as client:
            joined(client)
            written_s = time.monotonic()
            event_id = happen(site)
            (event,) = client.events(1)
            assert event.id == event_id
            assert event.received_s - written_s < 1.0
