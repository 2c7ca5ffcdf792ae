"""Outlets (出口): where shared data goes, what of it, how and when; checked when made.

Keys and passwords are no part of an outlet: they are files (`keyfiles`).
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pulse.errors import BadInput
from pulse.ids import ID_PATTERN, check_id
from pulse.sharing.signing import Algorithm

Mode = Literal["http", "mqtt", "pull"]
Format = Literal["json", "csv"]
Signature = Literal["hmac-sha256", "ed25519", "none"]

MAX_OUTLET_ID = 40
"""Shorter than other ids: the number of a delivery is put behind it."""
MOST_RECORDS = 10_000
LEAST_EVERY_S = 1.0
MOST_EVERY_S = 31 * 86_400.0

_SCHEMES = {"http": ("http", "https"), "mqtt": ("mqtt", "mqtts")}
_PLAIN = ("http", "mqtt")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_FIELD = re.compile(r"[^\x00-\x1f\x7f]{1,200}")

_Id = Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")]
_Text = Annotated[str, msgspec.Meta(max_length=500)]
_Ids = Annotated[tuple[_Id, ...], msgspec.Meta(min_length=1, max_length=1000)]
_Fields = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=200)]


class Outlet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to one department (部门).

    `mode`: we push (`http`), we publish to its broker (`mqtt`), or it fetches (`pull`). Of `data_kinds` and
    `communities` None stands for all, those to come too. `fields` names, by data kind, the only fields that
    leave (minimum necessary); of a kind that is not in it all that its schema describes leave, masked where
    the catalogue says so. Delivered at once, every `every_s` seconds, or daily `at` HH:MM. `insecure` allows
    http:// and mqtt:// beyond the loopback address.
    """

    id: _Id
    name_zh: _Text = ""
    name_en: _Text = ""
    department: _Text = ""
    mode: Mode
    url: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    topic: Annotated[str, msgspec.Meta(max_length=200)] = ""
    format: Format = "json"
    signature: Signature = "hmac-sha256"
    data_kinds: _Ids | None = None
    communities: _Ids | None = None
    fields: dict[_Id, _Fields] = {}
    every_s: Annotated[float, msgspec.Meta(ge=LEAST_EVERY_S, le=MOST_EVERY_S)] | None = None
    at: str | None = None
    most_records: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECORDS)] = 1000
    timeout_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 30.0
    insecure: bool = False
    disabled: bool = False

    @property
    def algorithm(self) -> Algorithm | None:
        """How deliveries are signed, None if not."""
        return None if self.signature == "none" else self.signature

    @property
    def immediate(self) -> bool:
        """Whether records are delivered as they come."""
        return self.every_s is None and self.at is None

    @property
    def at_minutes(self) -> int | None:
        """The minute of the day of `at`."""
        found = _TIME_OF_DAY.fullmatch(self.at or "")
        return int(found[1]) * 60 + int(found[2]) if found else None

    @property
    def published_to(self) -> str:
        """The topic at the department's broker."""
        return self.topic or f"pulse/sharing/{self.id}"

    def takes(self, data_kind: str, community: str) -> bool:
        """Whether records of this kind and community are for it."""
        return (self.data_kinds is None or data_kind in self.data_kinds) and (
            self.communities is None or community in self.communities
        )


class Version(NamedTuple):
    """What was said of an outlet from `recorded_us` on; None: it was removed."""

    id: str
    recorded_us: int
    says: Outlet | None
    said_by: str = ""


class Address(NamedTuple):
    """The parts of an outlet's `url` that a connection needs."""

    tls: bool
    host: str
    port: int


def checked(members: Mapping[str, Any], where: str = "") -> Outlet:
    """The outlet that members (of JSON or YAML) describe. Raises `BadInput` naming the member."""
    before = f"{where}." if where else ""
    try:
        outlet = msgspec.convert(dict(members), Outlet)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `")
        place = path.rstrip("`").removeprefix("$.").removeprefix("$") if path else ""
        raise BadInput(said, where=f"{before}{place}" if place else where or None) from None
    check_id(outlet.id, f"{before}id")
    if len(outlet.id) > MAX_OUTLET_ID:
        raise BadInput(
            f"最多 {MAX_OUTLET_ID} 个字符 / at most {MAX_OUTLET_ID} characters", where=f"{before}id"
        )
    for member in ("data_kinds", "communities"):
        for position, name in enumerate(getattr(outlet, member) or ()):
            check_id(name, f"{before}{member}[{position}]")
    _check_address(outlet, before)
    _check_topic(outlet, before)
    if outlet.every_s is not None and outlet.at is not None:
        raise BadInput("every_s 与 at 只能给一个 / give every_s or at, not both", where=f"{before}at")
    if outlet.at is not None and outlet.at_minutes is None:
        raise BadInput("请用 HH:MM，如 08:30 / use HH:MM such as 08:30", where=f"{before}at")
    for kind, names in outlet.fields.items():
        check_id(kind, f"{before}fields")
        if outlet.data_kinds is not None and kind not in outlet.data_kinds:
            raise BadInput("不在 data_kinds 之中 / is not among data_kinds", where=f"{before}fields.{kind}")
        for position, name in enumerate(names):
            if not _FIELD.fullmatch(name):
                raise BadInput(
                    "不是字段名 / is no name of a field", where=f"{before}fields.{kind}[{position}]"
                )
    return outlet


def members(outlet: Outlet) -> dict[str, Any]:
    """An outlet as JSON members; the inverse of `checked`."""
    found: dict[str, Any] = msgspec.to_builtins(outlet)
    for name in ("data_kinds", "communities"):
        found[name] = None if found[name] is None else list(found[name])
    return {**found, "fields": {kind: list(names) for kind, names in outlet.fields.items()}}


def address(outlet: Outlet) -> Address:
    """Where to connect to; of an outlet that has a `url`."""
    parts = urlsplit(outlet.url)
    tls = parts.scheme in {"https", "mqtts"}
    usual = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}[parts.scheme]
    return Address(tls, parts.hostname or "", parts.port or usual)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine, beyond doubt."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(outlet: Outlet, before: str) -> None:
    where = f"{before}url"
    if outlet.mode == "pull":
        if outlet.url:
            raise BadInput("拉取的出口没有地址 / an outlet that is pulled from has none", where=where)
        return
    schemes = _SCHEMES[outlet.mode]
    example = f"{schemes[1]}://…"
    try:
        parts = urlsplit(outlet.url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput(f"不是地址，请用 {example} / is no address; use {example}", where=where) from None
    if parts.scheme not in schemes or not host or port == 0:
        raise BadInput(f"不是地址，请用 {example} / is no address; use {example}", where=where)
    if parts.username or parts.password:
        raise BadInput(
            f"口令不写在地址里，放入文件 {outlet.id}.password / no password in the address: it belongs into "
            f"the file {outlet.id}.password",
            where=where,
        )
    if parts.fragment or (outlet.mode == "mqtt" and (parts.path.strip("/") or parts.query)):
        raise BadInput("地址后有多余内容 / there is something behind the address", where=where)
    if not outlet.url.isascii() or not outlet.url.isprintable() or " " in outlet.url:
        raise BadInput("含有不可用的字符 / has characters that an address cannot have", where=where)
    if parts.scheme in _PLAIN and not outlet.insecure and not is_loopback(host):
        raise BadInput(
            f"明文只可用于本机；请用 {schemes[1]}://，或明确给出 insecure: true / plain text is for this "
            f"machine only; use {schemes[1]}://, or say insecure: true",
            where=where,
        )


def _check_topic(outlet: Outlet, before: str) -> None:
    where = f"{before}topic"
    if not outlet.topic:
        return
    if outlet.mode != "mqtt":
        raise BadInput("只有 mqtt 出口有主题 / only an outlet of mode mqtt has one", where=where)
    bad = set("+#") & set(outlet.topic)
    if bad or not outlet.topic.isprintable() or outlet.topic.startswith(("$", "/")):
        raise BadInput(
            "主题不能含 + # 或不可见字符，也不能以 $ 或 / 开头 / a topic has no + or # and no invisible "
            "characters, and begins with neither $ nor /",
            where=where,
        )
