"""The demo's data sharing: five simulated departments, outlets to them with keys, accounts with tokens."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml
from sqlalchemy import Connection

from pulse import logs
from pulse.access import keys as tokens
from pulse.access import outlets as outlet_cases
from pulse.access import people
from pulse.access.roles import Role, system
from pulse.clock import DAY_US
from pulse.commands import beside
from pulse.commands.parts import Parts
from pulse.errors import BadInput
from pulse.ports import free_port
from pulse.sharing.catalogue import Version
from pulse.sharing.keyfiles import SUFFIX, Keys
from pulse.sharing.outlets import Outlet
from pulse.sharing.signing import Algorithm
from pulse.stores.relational import catalogue, users
from pulse.stores.relational import tokens as token_table

log = logs.get(__name__)

FOLDER = "departments"
FRESHNESS_S = 300.0
"""In the demo only: people want to see a kind fall out, and come back, while they watch."""
LEAST_FRESHNESS_S = 30.0
"""However much the demo's time is scaled: deliveries are seconds apart."""
REPORT_S = 60.0
DEFAULT_STATE = "demo-data/departments"
"""Where `pulse simulate-departments control` looks for running departments."""
_TOKEN_DAYS = 400
_RENEW_DAYS = 30
_STOPS_WITHIN_S = 3.0
_HOST = "127.0.0.1"


class Party(NamedTuple):
    """A department of the demo: what it gets, and by which way."""

    id: str
    name_zh: str
    name_en: str
    mode: str
    data_kinds: tuple[str, ...]
    algorithm: Algorithm = "hmac-sha256"
    format: str = "json"


PARTIES = (
    Party("fire", "消防救援大队", "Fire brigade", "http", ("gas_reading",)),
    Party(
        "police",
        "公安分局",
        "Police",
        "http",
        ("access_event", "perimeter_event", "vehicle_pass", "video_status"),
        "ed25519",
    ),
    Party("water", "供水公司", "Water company", "mqtt", ("flow_reading",)),
    Party("sanitation", "环卫中心", "Sanitation", "pull", ("sorting_record",)),
    Party("street", "街道办事处", "Street office", "http", ("lock_status",), format="csv"),
)
"""Of each kind of data exactly one is in charge: when it stops, that kind falls out, and no other."""


def freshness_s(time_scale: float) -> float:
    """How long a receipt counts in the demo."""
    return max(LEAST_FRESHNESS_S, FRESHNESS_S / time_scale)


def prepare(parts: Parts, time_scale: float) -> None:
    """Make what a new folder lacks: the demo's catalogue, keys, accounts and tokens."""
    actor, now_us = system("demo", socket.gethostname()), parts.clock.now_us()
    with parts.db.write() as connection:
        _shorten(connection, now_us, time_scale)
    keys = Keys(parts.settings.outlet_keys())
    for party in PARTIES:
        if not keys.path(party.id, SUFFIX[party.algorithm]).exists():
            keys.make(party.id, party.algorithm)
    folder = _folder(parts)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with parts.db.write() as connection:
        for party in PARTIES:
            _provide_token(connection, actor, party, folder, now_us)


@contextlib.contextmanager
def running(parts: Parts, time_scale: float, *, mqtt: bool) -> Iterator[Path]:
    """The departments as a process of their own, which ends with us; gives the folder of what they keep.

    Without `mqtt` (no broker here speaks MQTT 5) the water company gets its data over HTTP too.
    """
    with contextlib.ExitStack() as open_now:
        broker = open_now.enter_context(_water_broker(parts)) if mqtt else None
        ways = {
            party.id: "http" if party.mode == "mqtt" and broker is None else party.mode for party in PARTIES
        }
        ports = {party.id: _port(parts, party) for party in PARTIES if ways[party.id] == "http"}
        _write(parts, ways, ports, broker, time_scale)
        with parts.db.write() as connection:
            actor, now_us = system("demo", socket.gethostname()), parts.clock.now_us()
            for party in PARTIES:
                said = _outlet(party, ways[party.id], ports.get(party.id), broker)
                outlet_cases.put(connection, actor, said, now_us)
        folder = _folder(parts)
        (folder / "control.json").unlink(missing_ok=True)
        told = ("--file", str(folder / "departments.yaml"), "--state", str(folder))
        # What they received is told at the end to those who started them by hand; here nobody asked.
        with beside.running(
            "simulate-departments", "--quiet", *told, stops_within_s=_STOPS_WITHIN_S, silent=True
        ):
            yield folder


def _folder(parts: Parts) -> Path:
    return parts.settings.data_dir / FOLDER


def _shorten(connection: Connection, now_us: int, time_scale: float) -> None:
    """Let receipts count for minutes, as long as nobody has said anything else of the catalogue."""
    fresh_s = freshness_s(time_scale)
    kinds = catalogue.load(connection)
    said = [
        Version(name, now_us, now_us, msgspec.structs.replace(kind, freshness_s=fresh_s), "system:demo")
        for name, kind in kinds.in_force(now_us).items()
        if [version.said_by for version in kinds.history(name)] == ["system:default"]
    ]
    catalogue.append(connection, said)


def _provide_token(connection: Connection, actor: Any, party: Party, folder: Path, now_us: int) -> None:
    """A token of the department's account in a file of its own, made anew before it expires."""
    path = folder / f"{party.id}.token"
    owner = users.named(connection, party.id)
    if owner is None:
        owner = people.create(
            connection, actor, party.id, Role.DEPARTMENT, now_us, display=party.name_zh, outlets=[party.id]
        )
    label = "simulated department"
    valid = [
        token
        for token in token_table.listing(connection, owner.id)
        if token.revoked_us is None and token.expires_us > now_us + _RENEW_DAYS * DAY_US
    ]
    if valid and path.exists():
        return
    made = tokens.create(connection, actor, owner, label, ["sharing:pull"], None, _TOKEN_DAYS, now_us)
    _store(path, made.secret)


def _store(path: Path, secret: str) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    new.replace(path)


def _port(parts: Parts, party: Party) -> int:
    """The port of the last start if it is free, else any."""
    with parts.db.read() as connection:
        known = {outlet.id: outlet for outlet in _known(connection)}
    last = known.get(party.id)
    wanted = int(last.url.rpartition(":")[2].strip("/")) if last is not None and last.mode == "http" else 0
    return free_port(_HOST, wanted)


def _known(connection: Connection) -> list[Outlet]:
    from pulse.stores.relational import outlets

    return outlets.current(connection)


@contextlib.contextmanager
def _water_broker(parts: Parts) -> Iterator[str | None]:
    """The water company's own broker; None where only one starts that does not speak MQTT 5."""
    from collector import broker

    local = broker.start(_folder(parts) / "water", 0)
    try:
        yield None if local.kind is broker.Kind.EMBEDDED else local.url
    finally:
        local.stop()


def _outlet(party: Party, way: str, port: int | None, broker: str | None) -> dict[str, Any]:
    """An outlet as `pulse outlet` would be told of it."""
    url = {"http": f"http://{_HOST}:{port}/", "mqtt": broker or "", "pull": ""}[way]
    return {
        "id": party.id,
        "name_zh": party.name_zh,
        "name_en": party.name_en,
        "department": party.name_zh,
        "mode": way,
        "url": url,
        "format": party.format,
        "signature": party.algorithm,
        "data_kinds": list(party.data_kinds),
    }


def _write(
    parts: Parts, ways: dict[str, str], ports: dict[str, int], broker: str | None, time_scale: float
) -> None:
    """The description that the departments are started with; `docs/departments.md` tells its form."""
    keys = Keys(parts.settings.outlet_keys())
    address = f"http://{_HOST}:{parts.settings.http_port}"
    departments = []
    for party in PARTIES:
        told: dict[str, Any] = {
            "id": party.id,
            "receives": ways[party.id],
            "pulse": address,
            "token": f"{party.id}.token",
            "report_every_s": max(5.0, REPORT_S / time_scale),
        }
        if ways[party.id] == "http":
            told["port"] = ports[party.id]
        elif ways[party.id] == "mqtt":
            told["broker"] = broker
        what = "ed25519.pub" if party.algorithm == "ed25519" else SUFFIX[party.algorithm]
        told["keys"] = [str(keys.path(party.id, what).resolve())]
        departments.append(told)
    members = {"timezone": parts.settings.timezone, "departments": departments}
    path = _folder(parts) / "departments.yaml"
    try:
        path.write_text(yaml.safe_dump(members, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=str(path)) from error
