"""The direction of imports that docs/architecture.md draws holds in the code."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("collector", "api", "simulators")
PACKAGES = ("pulse", *ROOMS)

# `pulse` is what a distributed worker or a script may load: no broker client, no web server.
NOT_IN_PULSE = {"paho", "amqtt", "fastapi", "starlette", "uvicorn", "jinja2", "apscheduler"}
WIRING = (
    "pulse.cli",
    "pulse.cli_access",
    "pulse.cli_answers",
    "pulse.cli_catalogue",
    "pulse.cli_certificates",
    "pulse.cli_coverage",
    "pulse.cli_credentials",
    "pulse.cli_departments",
    "pulse.cli_indicators",
    "pulse.cli_lives",
    "pulse.cli_maintenance",
    "pulse.cli_ondemand",
    "pulse.cli_policies",
    "pulse.cli_registry",
    "pulse.cli_running",
    "pulse.cli_sharing",
    "pulse.commands",
)

IN_LEDGER = ("pulse.ledger", "pulse.batches", "pulse.messages", "pulse.errors", "numpy", "msgspec")
NOT_IN_LEDGER = {
    "time",
    "datetime",
    "socket",
    "os",
    "pathlib",
    "threading",
    "asyncio",
    "subprocess",
    "random",
}

# Libraries whose interface includes another one's.
PART_OF_ANOTHER = {
    "starlette": "fastapi",
    "anyio": "fastapi",
    "pydantic": "pydantic-settings",
    "urllib3": "influxdb-client",
    "rich": "typer",
}

WALL_CLOCK = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


class Import(NamedTuple):
    """`target` (dotted) imported by `module`, `lazy` if inside a function."""

    module: str
    target: str
    lazy: bool
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}{' (lazily)' if self.lazy else ''}"


class Module(NamedTuple):
    """One source file, parsed."""

    name: str
    tree: ast.Module
    is_package: bool


@cache
def _modules() -> tuple[Module, ...]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "node_modules" in parts:
                continue
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            found.append(Module(name, ast.parse(path.read_text(encoding="utf-8"), str(path)), is_package))
    return tuple(found)


def _walk(node: ast.AST, *, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, inside
        yield from _walk(child, lazy=inside)


def _imports(module: Module) -> Iterator[Import]:
    for node, lazy in _walk(module.tree, lazy=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module.name, alias.name, lazy, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.name.split(".")
                parent = parent[: len(parent) - node.level + module.is_package]
                base = ".".join([*parent, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(module.name, f"{base}.{alias.name}", lazy, node.lineno)


@cache
def _all_imports() -> tuple[Import, ...]:
    return tuple(found for module in _modules() for found in _imports(module))


def _beneath(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _list(broken: list[Import]) -> str:
    return "\n".join(map(str, broken))


def test_the_walk_sees_modules_of_every_room() -> None:
    rooms = {module.name.split(".")[0] for module in _modules()}
    assert rooms == set(PACKAGES)
    assert any(found.target == "pulse.errors.BadInput" for found in _all_imports())


def test_pulse_imports_no_room_but_lazily_where_it_wires_the_commands() -> None:
    broken = [
        found
        for found in _all_imports()
        if _beneath(found.module, "pulse")
        and _beneath(found.target, *ROOMS)
        and not (found.lazy and _beneath(found.module, *WIRING))
    ]
    assert not broken, _list(broken)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_do_not_import_each_other(room: str) -> None:
    others = [other for other in ROOMS if other != room]
    broken = [f for f in _all_imports() if _beneath(f.module, room) and _beneath(f.target, *others)]
    assert not broken, _list(broken)


def test_nothing_but_the_entry_point_imports_the_commands() -> None:
    broken = [
        f
        for f in _all_imports()
        if _beneath(f.target, *WIRING) and not _beneath(f.module, *WIRING, "pulse.__main__")
    ]
    assert not broken, _list(broken)


def test_no_package_imports_the_tests() -> None:
    broken = [f for f in _all_imports() if _beneath(f.target, "tests")]
    assert not broken, _list(broken)


def test_pulse_knows_no_broker_client_and_no_web_server() -> None:
    broken = [
        found
        for found in _all_imports()
        if _beneath(found.module, "pulse")
        and found.target.split(".")[0] in NOT_IN_PULSE
        and not (found.lazy and _beneath(found.module, *WIRING))
    ]
    assert not broken, _list(broken)


def test_the_ledger_is_pure() -> None:
    broken = []
    for found in _all_imports():
        if not _beneath(found.module, "pulse.ledger"):
            continue
        top = found.target.split(".")[0]
        if top in sys.stdlib_module_names:
            if top in NOT_IN_LEDGER:
                broken.append(found)
        elif not _beneath(found.target, *IN_LEDGER):
            broken.append(found)
    assert not broken, _list(broken)


def test_the_collector_knows_no_storage_engine() -> None:
    engines = (
        "influxdb_client",
        "sqlalchemy",
        "sqlite3",
        "psycopg",
        "pulse.stores.influx",
        "pulse.stores.sqlite",
    )
    broken = [
        found
        for found in _all_imports()
        if _beneath(found.module, "collector")
        and _beneath(found.target, *engines)
        # The spool is a file of the collector's own; a connection is what every repository takes.
        and not (found.module.startswith("collector.spool") and found.target.startswith("sqlite3"))
        and found.target != "sqlalchemy.Connection"
    ]
    assert not broken, _list(broken)


def test_wall_time_is_read_in_one_place() -> None:
    broken = []
    for module in _modules():
        if module.name == "pulse.clock":
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute):
                called = ".".join(ast.unparse(node).split(".")[-2:])
                if called in WALL_CLOCK:
                    broken.append(f"{module.name}:{node.lineno} reads {called}; take a pulse.clock.Clock")
    broken += [
        str(f)
        for f in _all_imports()
        if f.target in {"time.time", "time.time_ns"} and f.module != "pulse.clock"
    ]
    assert not broken, "\n".join(broken)


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {_distribution(requirement) for requirement in project["dependencies"]}
    providers = packages_distributions()
    broken = []
    for found in _all_imports():
        top = found.target.split(".")[0]
        if top in sys.stdlib_module_names or top in PACKAGES or top in PART_OF_ANOTHER:
            continue
        if not declared & {_distribution(name) for name in providers.get(top, [])}:
            broken.append(found)
    assert not broken, _list(broken)


def _distribution(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_every_package_says_what_lives_there() -> None:
    silent = [m.name for m in _modules() if m.is_package and not ast.get_docstring(m.tree)]
    assert not silent
