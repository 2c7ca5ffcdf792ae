"""The catalogue of kinds of data: what each is, of what it consists, and how fresh it has to be.

Its versions are only ever added (`pulse.versions`), as with policies.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from pulse.clock import DAY_US, SECOND_US
from pulse.errors import BadInput
from pulse.ids import ID_PATTERN, check_id
from pulse.ledger.model import FOREVER
from pulse.versions import in_force, timeline

Masking = Literal["hash", "mask", "drop"]
"""What becomes of a personal field before it is shared: a keyed digest of it, its first and last characters
with the others hidden, or nothing."""

MAX_FRESHNESS_S = 366 * 86_400.0
MAX_SCHEMA_BYTES = 65_536

_Id = Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")]
_Text = Annotated[str, msgspec.Meta(max_length=500)]


class DataKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of data (数据种类).

    `sources` are the kinds of device that can give it. `schema` is the JSON Schema (draft 2020-12) of a
    record's object. A receipt counts for `freshness_s` seconds. A `quiet` kind may have nothing to tell: that
    is shared too. Of a `personal` kind the fields in `masked` never leave as they are.
    """

    id: _Id
    name_zh: _Text
    name_en: _Text
    sources: Annotated[tuple[_Id, ...], msgspec.Meta(min_length=1, max_length=100)]
    schema: dict[str, Any]
    freshness_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_FRESHNESS_S)] = DAY_US / SECOND_US
    quiet: bool = False
    personal: bool = False
    masked: dict[str, Masking] = {}

    @property
    def freshness_us(self) -> int:
        """How long a receipt counts, microseconds."""
        return round(self.freshness_s * SECOND_US)


class Version(NamedTuple):
    """What was said of a kind from a time on; `says` is None where it left the catalogue."""

    id: str
    since_us: int
    recorded_us: int
    says: DataKind | None
    said_by: str = ""


class Catalogue:
    """All versions of all kinds."""

    def __init__(self, versions: Iterable[Version]) -> None:
        self._histories: dict[str, list[Version]] = {}
        for version in sorted(versions, key=lambda v: v.recorded_us):
            self._histories.setdefault(version.id, []).append(version)

    def in_force(self, at_us: int, known_us: int = FOREVER) -> dict[str, DataKind]:
        """The kinds in the catalogue at a time, as known at `known_us`, by id."""
        found = {}
        for name, history in sorted(self._histories.items()):
            version = in_force(timeline(history, known_us), at_us)
            if version is not None and version.says is not None:
                found[name] = version.says
        return found

    def history(self, name: str) -> list[Version]:
        """Everything that was said of a kind, in that order; empty for one that never was."""
        return list(self._histories.get(name, ()))

    @property
    def since_us(self) -> int | None:
        """From when on anything was ever said to be in it, None if nothing was."""
        return min((v.since_us for own in self._histories.values() for v in own), default=None)

    def ids(self) -> list[str]:
        """Every kind that was ever in it."""
        return sorted(self._histories)


def checked(members: Mapping[str, Any], where: str = "") -> DataKind:
    """The kind that members (of JSON or YAML) describe. Raises `BadInput` naming the member."""
    at = f"{where}." if where else ""
    try:
        kind = msgspec.convert(dict(members), DataKind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `")
        raise BadInput(said, where=f"{at}{path.rstrip('`').removeprefix('$.')}" if path else where) from None
    for position, source in enumerate(kind.sources):
        check_id(source, f"{at}sources[{position}]")
    if kind.masked and not kind.personal:
        raise BadInput("masked fields belong to personal data: set personal to true", where=f"{at}masked")
    if len(msgspec.json.encode(kind.schema)) > MAX_SCHEMA_BYTES:
        raise BadInput(f"at most {MAX_SCHEMA_BYTES} bytes", where=f"{at}schema")
    return kind


def members(kind: DataKind) -> dict[str, Any]:
    """A kind as JSON members; the inverse of `checked`."""
    found: dict[str, Any] = msgspec.to_builtins(kind)
    return {**found, "sources": list(kind.sources)}


def default_file() -> str:
    """The text of the catalogue that comes with the product (YAML): an assumption, the report names none."""
    return files("pulse.sharing").joinpath("catalogue.yaml").read_text(encoding="utf-8")
