"""`pulse simulate-departments`: receivers of shared data, and how they are told to behave."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2 as httpx
import typer

from pulse import logs
from pulse.access.showing import printable
from pulse.commands.parts import stop_on_signals
from pulse.errors import BadInput, PulseError
from pulse.settings import load


class Given(NamedTuple):
    """The departments as they were given on the command line."""

    file: Path | None
    http: list[str]
    mqtt: list[str]
    pull: list[str]
    key: list[str]
    token: list[str]
    control_port: int | None


def run(
    given: Given, *, state: Path | None, once: bool, for_s: float | None, as_json: bool, quiet: bool
) -> None:
    """Run them until told to stop, and say what each received. Raises `BadInput` naming the option."""
    from simulators.departments import main

    def say(line: str) -> None:
        if not quiet:
            typer.echo(printable(line), err=True)

    logs.configure("WARNING")
    received = main.simulate(
        _description(given), stop=stop_on_signals(), folder=state, for_s=for_s, once=once, say=say
    )
    for one in received:
        typer.echo(json.dumps(one, ensure_ascii=False) if as_json else line_of(one))


def line_of(one: dict[str, Any]) -> str:
    """A department as a line for people."""
    records = ", ".join(f"{kind} {number}" for kind, number in one["records"].items()) or "—"
    refused = "; ".join(f"{why} ×{number}" for why, number in one["refused"].items())
    parts = (
        one["department"],
        one["address"],
        one["behaviour"],
        f"投递 deliveries {one['deliveries']}" + (f" (重复 again {one['again']})" if one["again"] else ""),
        f"记录 records {records}",
        f"未接收 not accepted: {refused}" if refused else "",
        "" if one["last"] is None else f"最近 last {one['last']}",
    )
    return printable("  ".join(filter(None, parts)))


def control(
    address: str | None,
    state: Path,
    department: str | None,
    do: str | None,
    *,
    status: int,
    delay_s: float,
    for_s: float | None,
) -> Iterator[str]:
    """Tell a department something, or list all; a line each. Raises `PulseError` with what was answered."""
    base = address or _noted(state)
    if department is None:
        yield from map(line_of, _asked("GET", f"{base}/control")["departments"])
        return
    if do is None:
        raise BadInput("须给出行为 / say what it is to do", where="BEHAVIOUR")
    order = {"do": do, "status": status, "delay_s": delay_s, "for_s": for_s}
    answer = _asked("POST", f"{base}/control/{quote(department, safe='')}", order)
    if "reports" in answer:
        yield from (json.dumps(one, ensure_ascii=False) for one in answer["reports"])
    else:
        yield line_of(answer)


def _description(given: Given) -> Any:
    from simulators.departments import description

    if given.file is not None:
        if given.http or given.mqtt or given.pull or given.key or given.token:
            raise BadInput("不能与其他描述并用 / cannot be given beside other departments", where="--file")
        found = description.load(given.file)
        return found if given.control_port is None else _with_port(found, given.control_port)
    departments: dict[str, dict[str, Any]] = {}
    for option, values, receives, member in (
        ("--http", given.http, "http", "port"),
        ("--mqtt", given.mqtt, "mqtt", "broker"),
        ("--pull", given.pull, "pull", "pulse"),
    ):
        for name, value in _pairs(option, values):
            if member == "port" and not value.isdigit():
                raise BadInput(f"{value!r} 不是端口 / is not a port", where=option)
            said = int(value) if member == "port" else value
            departments[name] = {"id": name, "receives": receives, member: said}
    for option, values, member in (("--key", given.key, "keys"), ("--token", given.token, "token")):
        for name, value in _pairs(option, values):
            if name not in departments:
                raise BadInput(f"没有部门 {name} / there is no department {name}", where=option)
            if member == "keys":
                departments[name].setdefault("keys", []).append(value)
            else:
                departments[name][member] = value
    if not departments:
        raise BadInput("须给出部门 / give a --file, or departments by --http, --mqtt, --pull", where="--file")
    members = {
        "departments": list(departments.values()),
        "timezone": load().timezone,
        "control_port": given.control_port or 0,
    }
    return description.described(members, Path(), "departments")


def _with_port(found: Any, port: int) -> Any:
    import msgspec

    return msgspec.structs.replace(found, control_port=port)


def _pairs(option: str, values: list[str]) -> Iterator[tuple[str, str]]:
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise BadInput(f"{text!r} 应为 编号=值 / has to be ID=VALUE", where=option)
        yield name, value


def _noted(state: Path) -> str:
    from simulators.departments.main import CONTROL_FILE

    path = state / CONTROL_FILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"{path} 读不了，模拟部门没有在运行 / cannot be read: no simulated departments run there; "
            "give their --state or --address",
            where="--state",
        ) from error


def _asked(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = httpx.request(method, url, json=body, timeout=15, trust_env=False)
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise PulseError(f"{url}: {error or type(error).__name__}") from error
    if not answer.is_success:
        raise PulseError(str(found.get("error", answer.text)))
    return found
