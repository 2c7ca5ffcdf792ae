"""InfluxDB's client library, each class of which is loaded when it is first asked for.

Importing any part of it runs its packages' own files, which import each of its 390 modules for the names
that they offer: 14 MB, of which writing and querying need half. Here these packages look a name up where
their file would have imported it from, as PEP 562 lets modules do; asked for anything else, they run that
file. Nothing else in the program imports the library.
"""

import ast
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

_PACKAGES = (
    "influxdb_client",
    "influxdb_client.client",
    "influxdb_client.client.write",
    "influxdb_client.domain",
    "influxdb_client.service",
)


def _on_demand(package: str) -> None:
    """Make a package that is not loaded yet one that loads what it offers when it is asked for it."""
    if package in sys.modules:
        return
    spec = find_spec(package)
    loader = spec.loader if spec is not None else None
    source = getattr(loader, "get_source", lambda _package: None)(package)
    if spec is None or loader is None or source is None:
        return
    origins = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }
    module = module_from_spec(spec)

    def member(name: str) -> Any:
        if name in origins:
            origin, its_name = origins[name]
            return vars(module).setdefault(name, getattr(import_module(origin), its_name))
        if find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        if vars(module).pop("__getattr__", None) is not None:
            loader.exec_module(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = member
    sys.modules[package] = module
    parent, _, last = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)


for _package in _PACKAGES:
    _on_demand(_package)

import influxdb_client  # noqa: E402
from influxdb_client.client.exceptions import InfluxDBError  # noqa: E402
from influxdb_client.rest import ApiException  # noqa: E402

library: Any = influxdb_client
"""It calls itself typed, and is not."""

__all__ = ["ApiException", "InfluxDBError", "library"]
