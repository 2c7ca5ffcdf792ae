"""A backlog of heartbeats in a Mosquitto session, and the programs that drain it, timed from outside."""

import contextlib
import json
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests import programs
from tests.faults.house import Process
from tests.servers import RunningBroker, RunningInflux

DEVICES = 826
MESSAGES = 200_000
INTERVAL_S = 30.0
KIND, COMMUNITY = "camera", "xinjinglou"
NAMES = [f"dev-{number:03}" for number in range(DEVICES)]
FILTER = "community/+/+/+/heartbeat"
PACKETS_AT_ONCE = 500
PATIENCE_S = 300.0
TICK_S = 0.1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
QUEUE_CONF = "max_queued_messages 3000000\n"

CONFIRMED = b"\x20"


class Figure(NamedTuple):
    """What one program took for one backlog: seconds, CPU-seconds of the process, its peak memory."""

    messages: int
    seconds: float
    cpu_s: float | None
    peak_mb: float | None

    @property
    def per_s(self) -> float:
        """Heartbeats a second."""
        return self.messages / self.seconds

    @property
    def per_cpu_s(self) -> float:
        """Heartbeats a CPU-second of the process."""
        return self.messages / self.cpu_s if self.cpu_s else float("nan")


def median(figures: Sequence[Figure]) -> Figure:
    """The figure with the median rate."""
    ordered = sorted(figures, key=lambda one: one.per_s)
    return ordered[len(ordered) // 2]


def spread(figures: Sequence[Figure]) -> str:
    """Lowest to highest rate, in thousands a second."""
    rates = [one.per_s for one in figures]
    return f"{min(rates) / 1000:.0f}-{max(rates) / 1000:.0f}"


def share(ours: Sequence[Figure], theirs: Sequence[Figure]) -> float:
    """The median of the ratios of neighbouring rounds: the machine's moods touch both alike."""
    return statistics.median(a.per_s / b.per_s for a, b in zip(ours, theirs, strict=False))


def heartbeats(count: int, number: int, of: int) -> Iterator[tuple[str, bytes]]:
    """Topics and payloads of `count` heartbeats of all devices: backlog `number` of so many.

    Each was measured after the one before it, the last one until just now; none of them says again what one
    before it said.
    """
    dice = random.Random(number)
    rounds = -(-count // DEVICES)
    began = time.time() - (of - number) * rounds * INTERVAL_S
    for place in range(count):
        turn, device = divmod(place, DEVICES)
        ts = round(began + turn * INTERVAL_S + device * INTERVAL_S / DEVICES, 3)
        payload = {
            "ts": ts,
            "seq": number * rounds + turn,
            "status": "ok",
            "temperature": round(dice.uniform(15, 45), 1),
        }
        yield f"community/{COMMUNITY}/{KIND}/{NAMES[device]}/heartbeat", json.dumps(payload).encode()


def make_session(broker: RunningBroker, client_id: str, *filters: str) -> None:
    """A session that the broker keeps for a client that is away."""
    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    confirmed = threading.Event()
    client.on_subscribe = lambda *_: confirmed.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.subscribe([(one, 1) for one in filters])
    assert confirmed.wait(10)
    client.disconnect()
    client.loop_stop()


def fill(broker: RunningBroker, count: int, number: int = 0, of: int = 1) -> None:
    """Publish backlog `number` of so many with QoS 1, and wait until the broker has acknowledged it."""
    with socket.create_connection((broker.host, broker.port), timeout=60) as sock:
        sock.sendall(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06filler")
        assert sock.recv(4)[:1] == CONFIRMED
        done = threading.Event()

        def count_answers() -> None:
            left = 4 * count
            while left > 0:
                data = sock.recv(1 << 20)
                if not data:
                    return
                left -= len(data)
            done.set()

        threading.Thread(target=count_answers, daemon=True).start()
        packets: list[bytes] = []
        for place, (topic, payload) in enumerate(heartbeats(count, number, of)):
            name = topic.encode()
            body = len(name).to_bytes(2, "big") + name + (place % 65_535 + 1).to_bytes(2, "big") + payload
            packets.append(b"\x32" + _length(len(body)) + body)
            if len(packets) == PACKETS_AT_ONCE:
                sock.sendall(b"".join(packets))
                packets.clear()
        sock.sendall(b"".join(packets))
        assert done.wait(PATIENCE_S), "the broker did not take the backlog"
        sock.sendall(b"\xe0\x00")


def _length(size: int) -> bytes:
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])


def cpu_s(pid: int) -> float:
    """CPU-seconds of a process so far, proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_mb(pid: int) -> float:
    """Most memory that a process ever held, megabytes (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmHWM")


def until(condition: Callable[[], bool], pid: int | None = None) -> None:
    """Poll until `condition()`, or fail when the process has gone or patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "patience is at its end"
        assert pid is None or Path(f"/proc/{pid}").exists(), "the process has gone"
        time.sleep(TICK_S)


class Spooled(NamedTuple):
    """What the spool's file has: messages, the reception of the first and the commit of the last."""

    messages: int
    first_us: int
    last_us: int


def spooled(folder: Path, after_us: int) -> Spooled:
    """The batches written since `after_us`, of a collector that has ended: its file is open to it alone."""
    with contextlib.closing(sqlite3.connect(folder / "spool.db")) as connection:
        row = connection.execute(
            "SELECT sum(count), min(oldest_us), max(written_us) FROM batch WHERE written_us >= ?",
            (after_us,),
        ).fetchone()
    return Spooled(*row)


def stored(folder: Path) -> int:
    """The number of the last message that the embedded store has."""
    path = folder / "telemetry.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        number: int = connection.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0]
    return number


@contextmanager
def collector(process: Process) -> Iterator[tuple[Process, float]]:
    """A running `pulse collector` and the CPU-seconds that it had used when it went to its broker."""
    try:
        while "collecting" not in process.said():
            assert process.process.poll() is None, process.said()
            time.sleep(0.005)
        yield process, cpu_s(process.process.pid)
    finally:
        if process.process.poll() is None:
            process.end()


def counted_in(influx: RunningInflux, bucket: str, measurement: str) -> int:
    """The points of a measurement, asked by InfluxQL, which pushes the counting down."""
    query = f'SELECT count("seq") FROM "{measurement}"'
    request = urllib.request.Request(
        f"{influx.url}/query?db={bucket}&q={urllib.request.quote(query)}",  # type: ignore[attr-defined]
        headers={"Authorization": f"Token {influx.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        series = json.load(answer)["results"][0].get("series")
    return int(series[0]["values"][0][1]) if series else 0


class Counted:
    """How many points of a measurement there are, asked often while `count` more are on their way.

    Counting takes InfluxDB the longer the more it has, on the cores that are being measured: until it says
    that it has written as many, nothing is counted.
    """

    def __init__(self, influx: RunningInflux, bucket: str, measurement: str, count: int) -> None:
        self._ask = partial(counted_in, influx, bucket, measurement)
        self._influx, self._count = influx, count
        self._before, self._written = self._ask(), self._points()

    def __call__(self) -> int:
        return self._before if self._points() - self._written < self._count else self._ask()

    def _points(self) -> int:
        """The points that InfluxDB has written since it was started, of every measurement."""
        with urllib.request.urlopen(f"{self._influx.url}/metrics", timeout=60) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("storage_writer_ok_points_sum"):
                    return int(float(line.split()[-1]))
        raise AssertionError("InfluxDB does not say how many points it wrote")


def mosquitto_sub(broker: RunningBroker, count: int) -> Figure:
    """`mosquitto_sub` drains its own session of that id, for nothing."""
    program = programs.require("mosquitto_sub")
    began = time.monotonic()
    done = subprocess.run(
        [
            str(program),
            *("-h", broker.host, "-p", str(broker.port), "-i", "reference", "-c", "-q", "1"),
            *("-t", FILTER, "-C", str(count)),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0
    return Figure(count, time.monotonic() - began, None, None)
