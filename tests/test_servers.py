"""The real servers that other tests stand on do start, answer, stop and come back."""

import urllib.request
from pathlib import Path

import psycopg
import pytest

from tests import programs, servers


def test_mosquitto_accepts_and_comes_back_on_the_same_port(tmp_path: Path) -> None:
    with servers.mosquitto(tmp_path) as broker:
        port, first = broker.port, broker.process.pid
        assert servers.accepts(port)
        broker.kill()
        assert not servers.accepts(port)
        broker.start()
        assert broker.port == port
        assert broker.process.pid != first
        broker.restart()
        assert servers.accepts(port)
    assert not broker.running()
    assert (tmp_path / "mosquitto.db").exists()


def test_influxd_takes_the_token_that_it_was_set_up_with(tmp_path: Path) -> None:
    with servers.influxd(tmp_path) as influx:
        request = urllib.request.Request(
            f"{influx.url}/api/v2/buckets", headers={"Authorization": f"Token {influx.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert b"buckets" in answer.read()


def test_postgres_gives_empty_databases(tmp_path: Path) -> None:
    with servers.postgres(tmp_path) as server, psycopg.connect(server.fresh_database()) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert row == (0,)


def test_a_missing_program_skips_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(pytest.skip.Exception, match="needs mosquitto: apt-get install mosquitto"):
        programs.require("mosquitto")
