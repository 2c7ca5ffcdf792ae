"""InfluxDB's client library offers on demand what it offers otherwise."""

import json
import subprocess
import sys
from typing import Any

from pulse.stores.influx import library

OFFERED = """
import json, sys
from importlib import import_module
if sys.argv[1] == "on demand":
    import pulse.stores.influx.library
names, packages = json.loads(sys.argv[2]), sys.argv[3:]
found = {}
for package in packages:
    module = import_module(package)
    for name in names[package] if names else vars(module):
        if name == "__version__" or not name.startswith("__"):
            value = getattr(module, name)
            where = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
            found[f"{package}.{name}"] = where if any(where) else repr(value)
print(json.dumps(found))
"""


def offered(how: str, names: dict[str, list[str]] | None) -> dict[str, Any]:
    command = [sys.executable, "-c", OFFERED, how, json.dumps(names), *library._PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_packages_offer_on_demand_what_they_offer_otherwise() -> None:
    plain = offered("at once", None)
    names: dict[str, Any] = {package: [] for package in library._PACKAGES}
    for path in plain:
        package, _, name = path.rpartition(".")
        names[package].append(name)
    assert "influxdb_client.InfluxDBClient" in plain
    assert offered("on demand", names) == plain
