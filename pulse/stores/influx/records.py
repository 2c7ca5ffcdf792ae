"""Writing records of kinds of data: points of the measurement `record`, each at its reception.

No device receives twice at one time, records are read in the order of reception, and a device's clock cannot
move them (docs/decisions/0018). Tags are community, device, kind and data_kind; the fields say everything
else, and the numbers of the body stand beside it as `value.{name}`, for charts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pulse.messages import Record
from pulse.stores.influx.client import Client, Parameter
from pulse.stores.influx.lines import NS_PER_US, string
from pulse.stores.influx.texts import Lines
from pulse.stores.influx.windows import clamped
from pulse.stores.influx.writing import write_lines
from pulse.stores.sameness import BACKLOG_US

RECORD = "record"
VALUES = 64
"""Numbers of a body that get a field."""
NAMED = 50
"""Series asked for in one query."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_object = msgspec.json.Decoder(dict[str, Any])


class _Stream(NamedTuple):
    """Whose records may be the same."""

    device: str
    data_kind: str


class _Mark(NamedTuple):
    """The greatest of everything of a stream that was sent, whether or not an answer came back."""

    measured_us: int
    order: int

    def may_have_come(self, record: Record) -> bool:
        """Whether the same record may be stored."""
        if record.measured_us is None:
            return record.order <= self.order
        return record.measured_us <= self.measured_us

    def after(self, record: Record) -> "_Mark":
        """The mark once the record was sent too."""
        measured_us = self.measured_us if record.measured_us is None else record.measured_us
        return _Mark(max(self.measured_us, measured_us), max(self.order, record.order))


_NOTHING = _Mark(-(1 << 64), -(1 << 64))

_Sameness = tuple[str, str, int, int | None]


class RecordWriter:
    """Writes records and recognises redeliveries. For one thread at a time, and one object a bucket."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._marks: dict[_Stream, _Mark] | None = None

    def forget(self) -> None:
        """Begin anew: somebody removed what was written."""
        self._marks = None

    def write(self, records: Sequence[Record]) -> tuple[dict[int, str], int]:
        """Store acceptable records: reasons of what is refused, by position, and how many were known."""
        if self._marks is None:
            self._marks = self._load(min(record.observed_us for record in records))
        known = self._known(records, self._marks)
        fresh = [position for position, is_known in enumerate(known) if not is_known]
        # Noted before they are sent: without an answer, each may be there.
        for position in fresh:
            own = _stream(records[position])
            self._marks[own] = self._marks.get(own, _NOTHING).after(records[position])
        lines = Lines.of([line(records[position]) for position in fresh])
        refused = write_lines(self._client, lines)
        return {fresh[position]: reason for position, reason in refused}, sum(known)

    def _load(self, now_us: int) -> dict[_Stream, _Mark]:
        query = (
            f'SELECT max("measured_us"), max("order") FROM "{RECORD}" WHERE time >= $from'
            ' GROUP BY "device", "data_kind"'
        )
        found = {}
        for series in self._client.query(query, {"from": clamped(now_us - BACKLOG_US) * NS_PER_US}):
            for _, measured_us, order in series.values:
                own = _Stream(series.tags["device"], series.tags["data_kind"])
                found[own] = _Mark(_NOTHING.measured_us if measured_us is None else measured_us, order)
        return found

    def _known(self, records: Sequence[Record], marks: Mapping[_Stream, _Mark]) -> list[bool]:
        """Which records are stored already, or came earlier in this very batch."""
        doubtful = [r for r in records if marks.get(_stream(r), _NOTHING).may_have_come(r)]
        dated = [r for r in doubtful if r.measured_us is not None]
        undated = [r for r in doubtful if r.measured_us is None]
        stored: dict[_Sameness, list[int]] = {}
        if dated:
            self._look_up(dated, min(r.observed_us for r in dated) - BACKLOG_US, stored)
        if undated:
            # Their identity covers the reception.
            self._look_up(undated, min(r.observed_us for r in undated), stored)
        known: list[bool] = []
        within: set[_Sameness] = set()
        for record in records:
            own = _sameness(record)
            known.append(
                own in within
                or any(at_us >= record.observed_us - BACKLOG_US for at_us in stored.get(own, ()))
            )
            within.add(own)
        return known

    def _look_up(self, records: Sequence[Record], from_us: int, found: dict[_Sameness, list[int]]) -> None:
        """Note the receptions of what is stored and may be the same as one of the records."""
        dated = records[0].measured_us is not None
        bounds: dict[str, Parameter] = {
            "from": clamped(from_us) * NS_PER_US,
            "to": clamped(max(r.observed_us for r in records) + 1) * NS_PER_US,
        }
        condition = ""
        if dated:
            measured = [r.measured_us for r in records if r.measured_us is not None]
            bounds |= {"first": min(measured), "last": max(measured)}
            condition = ' AND "measured_us" >= $first AND "measured_us" <= $last'
        streams = sorted(set(map(_stream, records)))
        for start in range(0, len(streams), NAMED):
            some = streams[start : start + NAMED]
            named = " OR ".join(f'("device" = $d{i} AND "data_kind" = $k{i})' for i in range(len(some)))
            names: dict[str, Parameter] = {}
            for i, one in enumerate(some):
                names |= {f"d{i}": one.device, f"k{i}": one.data_kind}
            query = (
                f'SELECT "identity", "measured_us", "device", "data_kind" FROM "{RECORD}"'
                f" WHERE time >= $from AND time < $to{condition} AND ({named})"
            )
            for series in self._client.query(query, {**bounds, **names}):
                for ns, identity, measured_us, device, data_kind in series.values:
                    own = (device, data_kind, identity, measured_us)
                    found.setdefault(own, []).append(ns // NS_PER_US)


def line(record: Record) -> str:
    """One line of `record`; its ids have been checked. Records of one microsecond differ by their orders."""
    fields = [f"body={string(record.body.decode())}"]
    for name, number in (("measured_us", record.measured_us), ("at_us", record.at_us)):
        if number is not None:
            fields.append(f"{name}={number}i")
    fields.append(f"order={record.order}i,identity={record.identity}i,queued={'ft'[record.queued]}")
    fields += (f"value.{name}={number!r}" for name, number in numbers_of(record.body))
    ns = record.observed_us * NS_PER_US + record.order % NS_PER_US
    return (
        f"{RECORD},community={record.community},data_kind={record.data_kind},device={record.device}"
        f",kind={record.kind} {','.join(fields)} {ns}"
    )


def numbers_of(body: bytes) -> list[tuple[str, float]]:
    """The numbers of an object by name, truth as 1 and 0; without its time, and without odd names."""
    try:
        members = _object.decode(body)
    except msgspec.DecodeError:
        return []
    found = []
    for name, value in members.items():
        if isinstance(value, int | float) and name != "ts" and _PLAIN_NAME.fullmatch(name):
            try:
                found.append((name, float(value)))
            except OverflowError:
                continue
    return found[:VALUES]


def _stream(record: Record) -> _Stream:
    return _Stream(record.device, record.data_kind)


def _sameness(record: Record) -> _Sameness:
    return (record.device, record.data_kind, record.identity, record.measured_us)
