"""Outside programs that some tests need: where they are, and how to get the one that is missing."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

HOW_TO_GET = {
    "mosquitto": "apt-get install mosquitto",
    "mosquitto_passwd": "apt-get install mosquitto",
    "mosquitto_pub": "apt-get install mosquitto-clients",
    "mosquitto_sub": "apt-get install mosquitto-clients",
    "chromium": "apt-get install chromium fonts-noto-cjk",
    "initdb": "apt-get install postgresql",
    "postgres": "apt-get install postgresql",
    "influxd": "put InfluxDB 2's influxd on PATH, or set PULSE_TEST_INFLUXDB_URL, _TOKEN and _ORG",
    "prometheus": "apt-get install prometheus",
    "telegraf": "put InfluxData's telegraf on PATH",
    "node": "apt-get install nodejs",
    "curl": "apt-get install curl",
}

_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/bin", "/usr/bin")


def find(name: str) -> Path | None:
    """The program `name` on PATH, in the system's folders or among PostgreSQL's (newest first), else None."""
    postgres = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0,
        reverse=True,
    )
    folders = [os.environ.get("PATH", ""), *_FOLDERS, *map(str, postgres)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def require(name: str) -> Path:
    """The program `name`; skips the calling test, saying how to get it, when it is not there."""
    found = find(name)
    if found is None:
        skip(name)
    return found


def skip(name: str) -> NoReturn:
    """Skip the calling test for want of `name`; the summary at the end of the run collects these."""
    pytest.skip(f"needs {name}: {HOW_TO_GET.get(name, 'install it and put it on PATH')}")
