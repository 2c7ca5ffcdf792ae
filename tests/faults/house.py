"""The real `pulse collector` as a process, to be stopped, killed and frozen; a TCP proxy."""

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pulse.ledger.model import FOREVER
from pulse.messages import Message, Record
from tests.collector.station import Station
from tests.servers import HOST

ROOT = Path(__file__).resolve().parents[2]
PULSE = [sys.executable, "-m", "pulse"]
SECOND_US = 1_000_000


class Process:
    """One `pulse` command with the settings of a station."""

    def __init__(self, station: Station, *words: str, open_files: int | None = None, **settings: str) -> None:
        folder = station.settings.data_dir
        self.log = folder / f"{words[0]}-{time.monotonic_ns()}.log"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PULSE_DATA_DIR": str(folder),
            "PULSE_DATABASE_URL": station.settings.relational_url(),
            "PULSE_MQTT_URL": station.url,
            "PULSE_CANARY_INTERVAL_S": "0.5",
            **settings,
        }

        def limit() -> None:
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PULSE, *words],
                env=self.environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=limit,  # noqa: PLW1509 - nothing but the limit
            )

    def said(self) -> str:
        """All that it wrote."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it without a chance to save anything."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(15)

    def pause(self) -> None:
        """Freeze it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def collecting(station: Station, *, open_files: int | None = None, **settings: str) -> Iterator[Process]:
    """A `pulse collector`, gone when the block ends."""
    running = Process(station, "collector", open_files=open_files, **settings)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.resume()
            running.kill()


def look(station: Station, **settings: str) -> dict[str, Any]:
    """What `pulse spool --json` says."""
    done = subprocess.run(
        [*PULSE, "spool", "--json"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PULSE_DATA_DIR": str(station.settings.data_dir),
            "PULSE_DATABASE_URL": station.settings.relational_url(),
            **settings,
        },
        cwd=station.settings.data_dir,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def stored(station: Station, device: str | None = None) -> list[Message]:
    """What the embedded telemetry store has."""
    return list(station.store.read_messages(0, FOREVER // 4, device=device))


def records(station: Station) -> list[Record]:
    """Its records of kinds of data."""
    return station.store.read_records(0, FOREVER, since_us=0, limit=FOREVER)


def seqs(station: Station, device: str) -> list[int]:
    """The sequence numbers that the store has of a device, each as often as it is there."""
    return sorted(message.seq or 0 for message in stored(station, device))


def timed(station: Station, seq: int, ago_s: float = 0.0, **metrics: object) -> bytes:
    """A heartbeat with its time."""
    ts = (station.clock.now_us() - round(ago_s * SECOND_US)) / SECOND_US
    return json.dumps({"ts": ts, "seq": seq, **metrics}).encode()


def states_said(station: Station, device: str) -> list[str]:
    """The states that were told of a device from when it was first online."""
    said = [after for _, after, _ in station.transitions(device)]
    return said[said.index("online") :] if "online" in said else []


class Proxy:
    """Between a client and a server: passes bytes on, late, or cut in halves, or breaks off."""

    def __init__(self, port: int) -> None:
        self._server = (HOST, port)
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay_s = 0.0
        self.halving = False
        self.refusing = False
        self.passed = 0
        self._over = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((client, server))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError, ValueError):
            for sock in other:
                selector.register(sock, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        raise OSError
                    self._over.wait(self.delay_s)
                    self.passed += len(data)
                    pieces: Sequence[bytes] = [data]
                    if self.halving:
                        half = max(1, len(data) // 2)
                        pieces = [data[:half], data[half:]]
                    for piece in pieces:
                        other[key.fileobj].sendall(piece)  # type: ignore[index]
                        self._over.wait(0.001 if self.halving else 0)
        for sock in other:
            sock.close()

    def cut(self) -> None:
        """Break every connection in the middle of whatever it is saying."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self._over.set()
        self.cut()
        self._listener.close()


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A proxy before a port of this machine."""
    running = Proxy(port)
    try:
        yield running
    finally:
        running.close()
