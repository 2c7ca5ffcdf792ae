"""From records to what is delivered: contents in JSON or CSV, what they say, sums by day; pure.

A content is fixed when it is made and sent byte for byte until it is acknowledged.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from pulse.clock import parse_time, to_iso
from pulse.messages import Record
from pulse.sharing import reconciling
from pulse.sharing.catalogue import DataKind
from pulse.sharing.masking import shared
from pulse.sharing.outlets import Format, Outlet
from pulse.sharing.receipts import Part

FORM = 1
MOST_BYTES = 1_000_000
"""Size at which no further record is put into a delivery; one record is always."""
CONTENT_TYPES: dict[Format, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
COLUMNS = ("id", "data_kind", "community", "device", "kind", "at", "received", "data")
QUIET = "quiet"

NOT_IN_SERVICE = "not_in_service"
NOT_IN_CATALOGUE = "not_in_catalogue"
UNREADABLE = "unreadable"


class Item(NamedTuple):
    """A record as it leaves; `at_us` None where nobody knows when it was measured."""

    id: str
    data_kind: str
    community: str
    device: str
    kind: str
    at_us: int | None
    received_us: int
    data: Mapping[str, Any]


class Quiet(NamedTuple):
    """Nothing else of this kind was received in `[from, to)`."""

    data_kind: str
    community: str
    from_us: int
    to_us: int


class Day(NamedTuple):
    """Records of one kind and local day: how many, and the sum of their digests modulo 2^256 as 64 digits."""

    data_kind: str
    day: str
    records: int
    digest: str


class Delivery(NamedTuple):
    """A delivery as it will be sent."""

    number: int
    content: bytes
    parts: tuple[Part, ...]
    days: tuple[Day, ...]
    records: int

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class Taken(NamedTuple):
    """What of some records is to leave, in their order. `withheld` counts those that do not, by data kind and
    reason; `order` and `received_us` are the last record's that was looked at (None for none).
    """

    items: tuple[Item, ...]
    withheld: Mapping[tuple[str, str], int]
    order: int | None
    received_us: int | None
    whole: bool
    """Whether all of them were looked at: not, where the delivery is full before."""


def identifier(outlet: str, number: int) -> str:
    """The id of a delivery."""
    return f"{outlet}-{number}"


def numbered(outlet: str, text: str) -> int | None:
    """The number of a delivery's id, None for what is none of this outlet's."""
    digits = text.removeprefix(f"{outlet}-") if text.startswith(f"{outlet}-") else ""
    usable = digits.isascii() and digits.isdigit() and not digits.startswith("0") and len(digits) <= 18
    return int(digits) if usable else None


def take(
    records: Iterable[Record],
    outlet: Outlet,
    kinds: Mapping[str, DataKind],
    in_service: Callable[[str, int], bool],
    key: bytes,
    most_bytes: int = MOST_BYTES,
) -> Taken:
    """Choose and mask records. `in_service` tells of a device and a time whether it counted then."""
    items: list[Item] = []
    withheld: Counter[tuple[str, str]] = Counter()
    size, order, received_us = 0, None, None
    for record in records:
        if items and size >= most_bytes:
            return Taken(tuple(items), withheld, order, received_us, False)
        order, received_us = record.order, record.observed_us
        if not outlet.takes(record.data_kind, record.community):
            continue
        found = _item(record, outlet, kinds, in_service, key)
        if isinstance(found, str):
            withheld[record.data_kind, found] += 1
            continue
        items.append(found)
        size += len(record.body) + 200
    return Taken(tuple(items), withheld, order, received_us, True)


def quiet_kinds(outlet: Outlet, kinds: Mapping[str, DataKind]) -> list[DataKind]:
    """The kinds of an outlet of which "nothing happened" is told too."""
    return [
        kind
        for kind in kinds.values()
        if kind.quiet and (outlet.data_kinds is None or kind.id in outlet.data_kinds)
    ]


def statements(
    outlet: Outlet,
    kinds: Mapping[str, DataKind],
    sources: Mapping[str, Collection[str]],
    from_us: int,
    to_us: int,
) -> tuple[Quiet, ...]:
    """A statement for every quiet kind and community with a source of it: `sources` has, by community, the
    kinds of device in service there. None for an empty time.
    """
    if from_us >= to_us:
        return ()
    return tuple(
        Quiet(kind.id, community, from_us, to_us)
        for kind in quiet_kinds(outlet, kinds)
        for community, devices in sorted(sources.items())
        if outlet.takes(kind.id, community) and set(kind.sources) & set(devices)
    )


def make(
    outlet: Outlet,
    number: int,
    items: Sequence[Item],
    quiet: Sequence[Quiet],
    created_us: int,
    zone: ZoneInfo,
) -> Delivery:
    """A delivery with these records and statements."""
    delivery = identifier(outlet.id, number)
    content = content_of(outlet, delivery, items, quiet, created_us)
    return Delivery(number, content, parts_of(items, quiet), days_of(items, zone), len(items))


def content_of(
    outlet: Outlet, delivery: str, items: Sequence[Item], quiet: Sequence[Quiet], created_us: int
) -> bytes:
    """The bytes of a delivery in the outlet's format."""
    if outlet.format == "csv":
        return _csv(items, quiet)
    body = {
        "form": FORM,
        "delivery": delivery,
        "outlet": outlet.id,
        "created": to_iso(created_us),
        "records": [_members(item) for item in items],
        "quiet": [
            {
                "data_kind": q.data_kind,
                "community": q.community,
                "from": to_iso(q.from_us),
                "to": to_iso(q.to_us),
            }
            for q in quiet
        ],
    }
    return _json(body).encode()


def parse(content: bytes, form: Format) -> tuple[tuple[Item, ...], tuple[Quiet, ...]]:
    """What a content says: the inverse of `content_of`."""
    if form == "json":
        body = json.loads(content)
        items = [_read(record, record["data"]) for record in body["records"]]
        quiet = [
            Quiet(q["data_kind"], q["community"], parse_time(q["from"], "from"), parse_time(q["to"], "to"))
            for q in body["quiet"]
        ]
        return tuple(items), tuple(quiet)
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    items = [_read(row, json.loads(row["data"])) for row in rows if row["id"] != QUIET]
    quiet = [
        Quiet(
            row["data_kind"],
            row["community"],
            parse_time(row["received"], "received"),
            parse_time(row["at"], "at"),
        )
        for row in rows
        if row["id"] == QUIET
    ]
    return tuple(items), tuple(quiet)


def parts_of(items: Iterable[Item], quiet: Iterable[Quiet]) -> tuple[Part, ...]:
    """What a delivery says, by kind and community."""
    counts: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], list[int]] = {}
    for item in items:
        group = (item.data_kind, item.community)
        counts[group] += 1
        if item.at_us is not None:
            times.setdefault(group, []).append(item.at_us)
    told = {(q.data_kind, q.community): q for q in quiet}
    parts = []
    for group in sorted({*counts, *told}):
        known, statement = times.get(group), told.get(group)
        parts.append(
            Part(
                data_kind=group[0],
                community=group[1],
                count=counts[group],
                first_us=min(known) if known else None,
                last_us=max(known) if known else None,
                quiet_from_us=statement.from_us if statement else None,
                quiet_until_us=statement.to_us if statement else None,
            )
        )
    return tuple(parts)


def days_of(items: Iterable[Item], zone: ZoneInfo) -> tuple[Day, ...]:
    """Sums by kind and local day of measurement (of reception where that is not known)."""
    ids: dict[tuple[str, str], list[str]] = {}
    for item in items:
        day = reconciling.day_of(item.at_us, item.received_us, zone)
        ids.setdefault((item.data_kind, day), []).append(item.id)
    return tuple(Day(kind, day, *reconciling.of_ids(found)) for (kind, day), found in sorted(ids.items()))


def halves(
    content: bytes, form: Format
) -> tuple[tuple[Item, ...], tuple[Item, ...], tuple[Quiet, ...]] | None:
    """The records of a delivery that was too large, halved, and its statements; None for a single record."""
    items, quiet = parse(content, form)
    if len(items) < 2:
        return None
    middle = len(items) // 2
    return items[:middle], items[middle:], quiet


def _item(
    record: Record,
    outlet: Outlet,
    kinds: Mapping[str, DataKind],
    in_service: Callable[[str, int], bool],
    key: bytes,
) -> Item | str:
    """The record as it leaves, or why it does not."""
    kind = kinds.get(record.data_kind)
    if kind is None:
        return NOT_IN_CATALOGUE
    at_us = record.observed_us if record.at_us is None else record.at_us
    if not in_service(record.device, at_us):
        return NOT_IN_SERVICE
    try:
        data = msgspec.json.decode(record.body, type=dict[str, Any])
        leaving = shared(data, kind, key, outlet.fields.get(kind.id))
        # What cannot be written would hold up everything behind it.
        _json(leaving)
    except (msgspec.DecodeError, ValueError):
        return UNREADABLE
    return Item(
        reconciling.record_id(record.identity),
        record.data_kind,
        record.community,
        record.device,
        record.kind,
        record.at_us,
        record.observed_us,
        leaving,
    )


def _members(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "data_kind": item.data_kind,
        "community": item.community,
        "device": item.device,
        "kind": item.kind,
        "at": None if item.at_us is None else to_iso(item.at_us),
        "received": to_iso(item.received_us),
        "data": item.data,
    }


def _read(members: Mapping[str, Any], data: Mapping[str, Any]) -> Item:
    return Item(
        members["id"],
        members["data_kind"],
        members["community"],
        members["device"],
        members["kind"],
        parse_time(members["at"], "at") if members["at"] else None,
        parse_time(members["received"], "received"),
        data,
    )


def _csv(items: Iterable[Item], quiet: Iterable[Quiet]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for item in items:
        members = _members(item)
        writer.writerow([*(members[name] or "" for name in COLUMNS[:-1]), _json(item.data)])
    for q in quiet:
        writer.writerow([QUIET, q.data_kind, q.community, "", "", to_iso(q.to_us), to_iso(q.from_us), ""])
    return text.getvalue().encode()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
