"""Up to which record the telemetry store has them all; the collector says so."""

import msgspec
from sqlalchemy import Connection

from pulse.stores.relational import meta

_KEY = "records_stored"


class RecordMark(msgspec.Struct, frozen=True):
    """Every record up to `order` is in the telemetry store, and every one received before `observed_us`."""

    order: int
    observed_us: int


def read(connection: Connection) -> RecordMark | None:
    """The mark, None before the first."""
    text = meta.get(connection, _KEY)
    return None if text is None else msgspec.json.decode(text, type=RecordMark)


def write(connection: Connection, mark: RecordMark) -> None:
    """Set the mark."""
    meta.put(connection, _KEY, msgspec.json.encode(mark).decode())
