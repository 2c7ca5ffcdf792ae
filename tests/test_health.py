"""The health checks of containers say what the processes themselves left behind."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pulse import health
from pulse.clock import SECOND_US, SystemClock
from pulse.settings import load
from pulse.stores.relational import coverage, jobs
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    opened = Database(load().relational_url())
    opened.open()
    yield opened
    opened.close()


def _collector_wrote(db: Database, ago_s: int, *, listening: bool = True) -> None:
    at_us = SystemClock().now_us() - ago_s * SECOND_US
    with db.write() as connection:
        coverage.set_watermark(connection, Watermark(at_us, listening, at_us, "session"))


def test_a_collector_is_healthy_while_it_writes(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["collector"]) == 1
    assert "no collector has written" in capsys.readouterr().err
    _collector_wrote(db, ago_s=1)
    assert health.main(["collector"]) == 0
    _collector_wrote(db, ago_s=40)
    assert health.main(["collector"]) == 1
    assert "last watermark 40 s ago" in capsys.readouterr().err


def test_a_collector_that_hears_nothing_and_says_so_is_healthy(db: Database) -> None:
    _collector_wrote(db, ago_s=1, listening=False)
    assert health.main(["collector"]) == 0


def test_a_scheduler_is_healthy_while_jobs_begin(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["scheduler"]) == 1
    now_us = SystemClock().now_us()
    with db.write() as connection:
        jobs.started(connection, "publish", now_us, now_us - 200 * SECOND_US)
    assert health.main(["scheduler"]) == 1
    assert "publish, began 200 s ago" in capsys.readouterr().err
    with db.write() as connection:
        jobs.started(connection, "publish", now_us, now_us)
    assert health.main(["scheduler"]) == 0


@pytest.mark.parametrize("process", ["collector", "scheduler"])
def test_no_database_is_unhealthy_in_one_line(
    process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path / "none"))
    assert health.main([process]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "none").exists()


def test_an_api_is_healthy_while_it_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setenv("PULSE_HTTP_PORT", str(server.server_port))
        monkeypatch.setenv("PULSE_HTTP_HOST", "0.0.0.0")  # noqa: S104 - what a container is told
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert health.main(["api"]) == 0
        server.shutdown()
    assert health.main(["api"]) == 1
    assert "/healthz" in capsys.readouterr().err
