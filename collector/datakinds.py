"""What the catalogue says of a record: whether its kind of data is known, who may send it, and its form."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pulse import logs
from pulse.errors import Refused
from pulse.ledger.model import FOREVER
from pulse.sharing.catalogue import Catalogue, DataKind

if TYPE_CHECKING:
    import jsonschema_rs

log = logs.get(__name__)

SHOWN = 300
"""Characters of what a schema says of a record."""


class _Known:
    """A kind of data in force, with what checks its records."""

    def __init__(self, says: DataKind) -> None:
        self.says = says

    @cached_property
    def validator(self) -> "jsonschema_rs.Draft202012Validator | None":
        """None where its schema cannot be used. Made for the first record: many a site has none."""
        import jsonschema_rs  # noqa: PLC0415 - 5 MB

        try:
            # A schema may refer to addresses: none is ever fetched.
            return jsonschema_rs.Draft202012Validator(self.says.schema, offline=True)
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            log.error("schema_unusable", data_kind=self.says.id, error=str(error)[:SHOWN])
            return None


class DataKinds:
    """A catalogue that judges records. Not for several threads, but may be made in another one."""

    def __init__(self, catalogue: Catalogue | None = None, now_us: int = 0) -> None:
        self._catalogue = catalogue or Catalogue(())
        self._edges = sorted(
            {version.since_us for name in self._catalogue.ids() for version in self._catalogue.history(name)}
        )
        self._known: dict[str, _Known] = {}
        self._from_us, self._until_us = 0, 0
        self._look_up(now_us)

    def check(self, data_kind: str, device_kind: str, members: dict[str, Any], observed_us: int) -> None:
        """Return if the record is as the catalogue of its reception wants it.

        Raises `Refused`: `unknown_data_kind`, `wrong_source`, `wrong_schema`, `unusable_schema`.
        """
        if not self._from_us <= observed_us < self._until_us:
            self._look_up(observed_us)
        known = self._known.get(data_kind)
        if known is None:
            kinds = ", ".join(self._known) or "none"
            raise Refused("unknown_data_kind", f"{data_kind} is not in the catalogue, which has {kinds}")
        if device_kind not in known.says.sources:
            sources = ", ".join(known.says.sources)
            raise Refused("wrong_source", f"{data_kind} comes from {sources}, not from {device_kind}")
        if known.validator is None:
            raise Refused("unusable_schema", f"the schema of {data_kind} in the catalogue cannot be used")
        error = next(known.validator.iter_errors(members), None)
        if error is not None:
            raise Refused("wrong_schema", _explained(error))

    def _look_up(self, at_us: int) -> None:
        """Make ready what holds at a time, and note until when it does."""
        self._from_us = max((edge for edge in self._edges if edge <= at_us), default=-FOREVER)
        self._until_us = min((edge for edge in self._edges if edge > at_us), default=FOREVER)
        earlier, self._known = self._known, {}
        for name, says in self._catalogue.in_force(at_us).items():
            same = earlier.get(name)
            # Its validator is of use only with the same schema.
            self._known[name] = same if same is not None and same.says == says else _Known(says)


def _explained(error: "jsonschema_rs.ValidationError") -> str:
    """Which member, and what is wrong with it."""
    path = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.instance_path)
    said = error.message if len(error.message) <= SHOWN else f"{error.message[: SHOWN - 1]}…"
    return f"{path.removeprefix('.')}: {said}" if path else said
