"""Telegraf as people set it up for this: `mqtt_consumer`, QoS 1, persistent session, into `influxdb_v2`."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path

from tests import programs
from tests.bench import backlog
from tests.bench.backlog import Figure, cpu_s, peak_mb
from tests.servers import RunningBroker, RunningInflux

READ_S = 0.1
BUCKET = "telegraf"

CONFIGURATION = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
  quiet = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://{host}:{port}"]
  topics = ["{filter}"]
  qos = 1
  persistent_session = true
  client_id = "telegraf"
  max_undelivered_messages = 20000
  name_override = "heartbeat"
  data_format = "json"
  json_time_key = "ts"
  json_time_format = "unix"
  json_string_fields = ["status"]
  topic_tag = ""
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "+/+/+/+/+"
    tags = "_/community/kind/device/_"

[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
"""


def telegraf(folder: Path, broker: RunningBroker, influx: RunningInflux, count: int) -> Figure:
    """Let Telegraf drain its session until InfluxDB has all of it."""
    program = programs.require("telegraf")
    folder.mkdir()
    _make_bucket(influx)
    has = backlog.Counted(influx, BUCKET, "heartbeat", count)
    before = has()
    configuration = folder / "telegraf.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=broker.host,
            port=broker.port,
            filter=backlog.FILTER,
            url=influx.url,
            token=influx.token,
            org=influx.org,
            bucket=BUCKET,
        )
    )
    with (folder / "telegraf.log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(program), "--config", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while has() - before < count:
                assert process.poll() is None, (folder / "telegraf.log").read_text(errors="replace")
                assert time.monotonic() - began < backlog.PATIENCE_S, "patience is at its end"
                time.sleep(READ_S)
            took_s = time.monotonic() - began
            return Figure(count, took_s, cpu_s(process.pid), peak_mb(process.pid))
        finally:
            process.terminate()
            process.wait(30)


def _make_bucket(influx: RunningInflux) -> None:
    def asked(path: str, body: dict[str, object] | None = None) -> dict[str, list[dict[str, str]]]:
        request = urllib.request.Request(
            influx.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Token {influx.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, list[dict[str, str]]] = json.load(answer)
        return found

    if any(one["name"] == BUCKET for one in asked("/api/v2/buckets?limit=100")["buckets"]):
        return
    org = asked(f"/api/v2/orgs?org={influx.org}")["orgs"][0]["id"]
    asked("/api/v2/buckets", {"orgID": org, "name": BUCKET, "retentionRules": []})
