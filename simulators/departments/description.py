"""Which departments there are: a YAML file, or what was given on the command line. docs/departments.md."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import Meta

from pulse.errors import BadInput
from pulse.ids import ID_PATTERN, check_id
from pulse.settings import Broker
from pulse.sharing.keyfiles import ed25519_key, hmac_key
from pulse.sharing.signing import Key
from simulators.departments.temper import Receives, Step

_Id = Annotated[str, Meta(pattern=f"^{ID_PATTERN}$")]
_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Every = Annotated[float, Meta(ge=0.05, le=86_400)]
TOPIC = "pulse/sharing/{outlet}"
MOST_BYTES = 16_777_216


class Department(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One department; `docs/departments.md` describes every member.

    `outlet` is what the product calls its way to it (the department's own id by default). Files are looked
    for beside the description.
    """

    id: _Id
    receives: Receives
    outlet: str = ""
    host: str = "127.0.0.1"
    port: _Port = 0
    tls_cert: str | None = None
    tls_key: str | None = None
    max_bytes: Annotated[int, Meta(ge=1)] = MOST_BYTES
    broker: str = ""
    topic: str = ""
    broker_ca: str | None = None
    pulse: str = ""
    token: str | None = None
    every_s: _Every = 5.0
    report_every_s: _Every | None = None
    keys: tuple[str, ...] = ()
    behaviour: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """Its outlet's id."""
        return self.outlet or self.id

    @property
    def subscription(self) -> str:
        """The topic that an MQTT subscriber listens to."""
        return self.topic or TOPIC.format(outlet=self.name)

    def read_token(self) -> str | None:
        """The API token of its file, None if none is given. Raises `BadInput` naming the file."""
        return None if self.token is None else _read(Path(self.token)).decode("utf-8", "replace").strip()

    def read_keys(self) -> tuple[Key, ...]:
        """The keys to verify with. Raises `BadInput` naming the file."""
        return tuple(_key(self.name, Path(path)) for path in self.keys)


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All departments; `timezone` is the zone of their days, which has to be the product's."""

    departments: Annotated[tuple[Department, ...], Meta(min_length=1, max_length=100)]
    timezone: str = "Asia/Shanghai"
    control_port: _Port = 0

    def zone(self) -> ZoneInfo:
        """The zone. Raises `BadInput` for a name that no zone has."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise BadInput(f"{self.timezone!r} is no zone of the tz database", where="timezone") from None


def load(path: Path) -> Description:
    """The departments of a YAML file. Raises `BadInput` naming the file and the member."""
    try:
        found = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise BadInput(getattr(error, "problem", None) or "is not YAML", where=place) from None
    return described(found, path.parent, str(path))


def described(members: Any, folder: Path, where: str) -> Description:
    """The departments that members describe, checked; files are beneath `folder`. Raises `BadInput`."""
    try:
        description = msgspec.convert(members, Description)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$.")
        raise BadInput(said, where=f"{where}: {place.rstrip('`')}" if place else where) from None
    departments = tuple(_placed(one, folder) for one in description.departments)
    check(departments, where)
    description.zone()
    return msgspec.structs.replace(description, departments=departments)


def check(departments: Iterable[Department], where: str) -> None:
    """Raise `BadInput` for departments that cannot be as described."""
    seen = set[str]()
    for one in departments:
        at = f"{where}: {one.id}"
        check_id(one.id, at)
        check_id(one.name, f"{at}.outlet")
        if one.id in seen:
            raise BadInput("出现两次 / is there twice", where=at)
        seen.add(one.id)
        if one.receives == "mqtt":
            if not one.broker:
                raise BadInput("须给出 broker / needs a broker", where=at)
            Broker(one.broker)
        if (one.receives == "pull" or one.report_every_s is not None) and not one.pulse:
            raise BadInput("须给出 pulse 地址 / needs the address of pulse", where=at)
        if (one.tls_cert is None) != (one.tls_key is None):
            raise BadInput("tls_cert 与 tls_key 须同时给出 / needs both or neither", where=f"{at}.tls_cert")
        for position, step in enumerate(one.behaviour):
            step.temper().checked(one.receives, f"{at}.behaviour[{position}]")


def _placed(one: Department, folder: Path) -> Department:
    found = {
        name: None if (value := getattr(one, name)) is None else str(folder / value)
        for name in ("tls_cert", "tls_key", "broker_ca", "token")
    }
    return msgspec.structs.replace(one, keys=tuple(str(folder / key) for key in one.keys), **found)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error


def _key(outlet: str, path: Path) -> Key:
    data = _read(path)
    return (ed25519_key if b"-----BEGIN" in data else hmac_key)(outlet, data, str(path))
