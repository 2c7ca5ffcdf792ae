"""Prometheus and Grafana of docker-compose.yml: what they ask for is there, nothing promised is left out."""

import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests import programs
from tests.collector.scraping import scraped
from tests.collector.station import Station, field, topic
from tests.collector.test_mqtt import eventually
from tests.faults.house import PULSE, Process, collecting, timed
from tests.servers import HOST, Server, free_port, mosquitto

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SCRAPING: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0][
    "rules"
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/community-pulse.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

PROMISED = (
    *("pulse_online_rate_percent", "pulse_messages_received_total", "pulse_messages_stored_total"),
    *("pulse_messages_quarantined_total", "pulse_messages_duplicate_total", "pulse_messages_late_total"),
    *(
        "pulse_spool_messages",
        "pulse_spool_bytes",
        "pulse_spool_oldest_seconds",
        "pulse_batch_messages_bucket",
    ),
    *("pulse_commit_seconds_bucket", "pulse_detection_lag_seconds_bucket", "pulse_broker_reconnects_total"),
    "pulse_blind_seconds_total",
)
FUNCTIONS = {"rate", "increase", "sum", "by", "histogram_quantile"}
LABELS = {"le", "state", "status", "reason"}


def expressions() -> list[str]:
    shown = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return [expr.replace("$__rate_interval", "1m") for expr in shown] + [rule["expr"] for rule in RULES]


def names(expr: str) -> set[str]:
    """The series that an expression asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b\d+(\.\d+)?\b", "", expr)
    words = set(re.findall(r"[A-Za-z_:][\w:]*", bare)) - FUNCTIONS - LABELS
    assert all(word == "up" or word.startswith(("pulse_", "process_")) for word in words), expr
    return words


class Running(NamedTuple):
    """A collector and an API, and what was scraped of both."""

    collector_port: int
    api_port: int
    token: str
    collector: dict[str, float]
    api: dict[str, float]


def pulse(station: Station, *words: str, given: str = "") -> str:
    """What a command prints."""
    done = subprocess.run(
        [*PULSE, *words, "--data-dir", str(station.settings.data_dir)],
        input=given,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=station.settings.data_dir,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("monitoring")
    with mosquitto(folder / "mosquitto") as broker:
        station = Station(folder / "data", broker.url)
        station.register("cam-1")
        pulse(
            station,
            "user",
            "create",
            "watcher",
            "--role",
            "viewer",
            "--all-communities",
            "--password-stdin",
            given="a long pass phrase of 30\n",
        )
        words = ("token", "create", "watcher", "--label", "prometheus", "--scope", "metrics:read")
        token = pulse(station, *words).strip()
        ports = free_port(), free_port()
        urls = [f"http://{HOST}:{port}/metrics" for port in ports]
        with (
            collecting(station, PULSE_METRICS_PORT=str(ports[0])),
            field(broker.url) as devices,
        ):
            api = Process(station, "api", PULSE_HTTP_PORT=str(ports[1]))
            try:
                eventually(station.listening, "listening", 30)
                devices.beat("cam-1", timed(station, 1))
                devices.beat("cam-1", b"{")
                devices.say(topic("cam-1", "data/video_status"), b"{")
                eventually(lambda: station.has_taken("cam-1", 1), "the beat", 20)
                eventually(lambda: station.quarantined() == {"not_json": 2}, "what is no JSON", 20)
                # The first scrape counts the requests before it.
                eventually(lambda: "pulse_online_rate_percent" in scraped(urls[1], token), "a rate", 30)
                collected, asked = scraped(urls[0]), scraped(urls[1], token)
                yield Running(*ports, token, collected, asked)
            finally:
                api.kill()


def bare(found: dict[str, float]) -> set[str]:
    return {series.partition("{")[0] for series in found}


def test_every_series_that_is_asked_for_is_on_a_real_scrape(running: Running) -> None:
    there = bare(running.collector) | bare(running.api) | {"up"}
    missing = {name for expr in expressions() for name in names(expr)} - there
    assert not missing


def test_each_process_tells_its_own_and_only_its_own(running: Running) -> None:
    both = {name for name in bare(running.collector) & bare(running.api) if name.startswith("pulse_")}
    assert not both
    assert running.collector["pulse_messages_received_total"] == 2
    assert running.api["pulse_online_rate_total"] == 1


def test_one_process_of_all_parts_tells_everything_at_the_api(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "mosquitto") as broker:
        station = Station(tmp_path / "data", broker.url)
        port = free_port()
        serving = Process(station, "serve", PULSE_HTTP_PORT=str(port), PULSE_PUBLIC_VIEW="true")
        try:
            url = f"http://{HOST}:{port}/metrics"
            eventually(lambda: scraped(url).get("pulse_listening") == 1, "listening", 30)
            told = bare(scraped(url))
            asked = {name for expr in expressions() for name in names(expr)} - {"up"}
            # Nothing was in quarantine yet, and there is no device whose rate could be told.
            later = {
                "pulse_messages_quarantined_total",
                "pulse_records_quarantined_total",
                "pulse_devices",
            }
            assert {
                name for name in asked - told - later if not name.startswith("pulse_online_rate")
            } == set()
            assert serving.end() == 0
        finally:
            if serving.process.poll() is None:
                serving.kill()


def test_the_dashboard_shows_everything_that_is_promised() -> None:
    shown = {name for panel in PANELS for target in panel["targets"] for name in names(target["expr"])}
    assert set(PROMISED) <= shown


def test_the_dashboard_is_whole() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 10
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        for title in [panel["title"], *([panel["description"]] if "description" in panel else [])]:
            assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", title), title
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_what_is_provisioned_is_where_the_compose_file_mounts_it() -> None:
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/pulse.yml").read_text())[
        "providers"
    ]
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/community-pulse.json"
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    port = SERVICES["prometheus"]["ports"][0].rpartition(":")[2]
    assert source["url"] == f"http://prometheus:{port}"


def test_prometheus_asks_where_the_services_answer() -> None:
    jobs = {job["job_name"]: job for job in SCRAPING["scrape_configs"]}
    targets = {name: [t for c in job["static_configs"] for t in c["targets"]] for name, job in jobs.items()}
    collector = SERVICES["collector"]["environment"]
    assert collector["PULSE_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - compared
    assert "ports" not in SERVICES["collector"]
    assert targets == {
        "api": [f"api:{SERVICES['api']['ports'][0].rpartition(':')[2]}"],
        "collector": [f"collector:{collector['PULSE_METRICS_PORT']}"],
    }
    assert jobs["api"]["authorization"]["credentials_file"] == "/tmp/token"  # noqa: S108 - the container's
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
    assert SCRAPING["rule_files"] == [f"{mounted['./deploy/prometheus']}/alerts.yml"]


@pytest.mark.parametrize("tls", [False, True])
def test_the_start_script_hands_over_the_token_and_the_scheme(tmp_path: Path, tls: bool) -> None:
    fake = tmp_path / "prometheus"
    fake.write_text('#!/bin/sh\necho "$@" "${METRICS_TOKEN-gone}"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / "prometheus/start.sh"), "--flag"],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "METRICS_TOKEN": "s3",
            "PROMETHEUS_FOLDER": str(tmp_path),
            "HTTP_TLS_CERT_FILE": "/some/server.pem" if tls else "",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == f"--config.file={tmp_path}/prometheus.yml --flag gone\n"
    token = tmp_path / "token"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("s3", 0o600)
    started = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert [job.get("scheme") for job in started["scrape_configs"]] == ["https" if tls else "http", None]
    assert started["rule_files"] == SCRAPING["rule_files"]


def test_every_alert_is_told_in_both_languages_and_documented() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 5
    for document in ("monitoring.md", "monitoring.zh-CN.md"):
        listed = re.findall(r"^\| `(Pulse\w+)` \|", (ROOT / "docs" / document).read_text(), re.MULTILINE)
        assert listed == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
            assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", text), text


@pytest.mark.parametrize("document", ["monitoring.md", "monitoring.zh-CN.md"])
def test_everything_that_the_collector_tells_is_documented(running: Running, document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    documented = set(re.findall(r"`(pulse_[a-z_]+)(?:\{\w+\})?`", text))
    told = {
        re.sub(r"_(bucket|sum|count|created)$", "", name)
        for name in bare(running.collector)
        if name.startswith("pulse_")
    }
    # A counter's time of creation has its name without `_total`.
    told = {name for name in told if f"{name}_total" not in told}
    assert told == documented


@pytest.mark.slow
def test_a_real_prometheus_works_out_every_expression(running: Running, tmp_path: Path) -> None:
    program = programs.require("prometheus")
    port = free_port()
    (tmp_path / "token").write_text(running.token)
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    for ours, theirs in (
        ("api:8000", f"{HOST}:{running.api_port}"),
        ("collector:9464", f"{HOST}:{running.collector_port}"),
        ("/tmp/token", str(tmp_path / "token")),  # noqa: S108 - the container's
        ("interval: 15s", "interval: 1s"),
        ("/etc/prometheus/alerts.yml", str(DEPLOY / "prometheus/alerts.yml")),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    (tmp_path / "prometheus.yml").write_text(text)

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    server = Server(
        [
            str(program),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={HOST}:{port}",
        ],
        port,
        tmp_path / "prometheus.log",
        ready=ready,
    )
    try:

        def value(expr: str) -> list[Any]:
            found: list[Any] = ask("/api/v1/query?" + urllib.parse.urlencode({"query": expr}))["result"]
            return found

        eventually(lambda: len(value("up == 1")) == 2, "two targets that answer", 30)
        eventually(lambda: value("rate(pulse_messages_received_total[1m])"), "two scrapes", 30)
        for panel in PANELS:
            for target in panel["targets"]:
                expr = target["expr"].replace("$__rate_interval", "1m")
                # A series that only a scrape begins has a rate from the third scrape on.
                eventually(partial(value, expr), expr, 30)
        for rule in RULES:
            value(rule["expr"])
        eventually(lambda: all(r["health"] == "ok" for r in _rules(ask("/api/v1/rules"))), "the rules", 30)
        assert {rule["name"] for rule in _rules(ask("/api/v1/rules"))} == {rule["alert"] for rule in RULES}
    finally:
        server.stop()


def _rules(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in found["groups"] for rule in group["rules"]]
