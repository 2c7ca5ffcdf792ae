"""A demo in a process of its own, started and ended like a user's."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

READY_WITHIN_S = 60.0


class RunningDemo:
    """A demo that has printed its banner."""

    def __init__(self, process: "subprocess.Popen[str]", address: str, mqtt: str, printed: Path) -> None:
        self.process = process
        self.address = address
        self.mqtt = mqtt
        self._printed = printed

    def output(self) -> str:
        """Everything printed so far."""
        return self._printed.read_text(encoding="utf-8")

    def get(self, path: str) -> Any:
        """The JSON at a path of the API."""
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def wait_for(self, path: str, right: Callable[[Any], bool], within_s: float) -> Any:
        """The JSON at a path once it is right; fails with the last one after `within_s` seconds."""
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(urllib.error.URLError, TimeoutError):
                found = self.get(path)
                if right(found):
                    return found
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, (found, self.output())
            time.sleep(0.25)

    def interrupt(self) -> float:
        """Ctrl-C; gives the seconds that the end took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        return time.monotonic() - began


@contextlib.contextmanager
def demo(folder: Path, *options: str, ports: tuple[int, int] = (0, 0)) -> Iterator[RunningDemo]:
    """`pulse demo` on a folder; ends it at the end if the test did not."""
    folder.mkdir(parents=True, exist_ok=True)
    printed = folder / "printed.txt"
    command = [
        *(sys.executable, "-m", "pulse", "demo", "--data-dir", str(folder / "data")),
        *("--port", str(ports[0]), "--mqtt-port", str(ports[1]), *options),
    ]
    with printed.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while "Ctrl-C" not in (text := printed.read_text(encoding="utf-8")):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        address = re.search(r"Page\s+(http://\S+?)/?\s", text)
        mqtt = re.search(r"MQTT\s+(mqtt://\S+)", text)
        assert address is not None, text
        assert mqtt is not None, text
        yield RunningDemo(process, address[1], mqtt[1], printed)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
