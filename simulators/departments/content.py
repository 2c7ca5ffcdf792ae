"""What a department reads out of a delivery's content: ids, kinds and times of its records; pure."""

import csv
import io
from typing import NamedTuple

import msgspec

from pulse.clock import parse_time
from pulse.errors import BadInput

JSON = "application/json"
CSV = "text/csv"
_QUIET = "quiet"


class Record(NamedTuple):
    """One record as far as a department counts it; `at_us` None where its time is not known."""

    id: str
    data_kind: str
    at_us: int | None
    received_us: int


class Quiet(NamedTuple):
    """Nothing happened of this kind in this community in `[from_us, to_us)`."""

    data_kind: str
    community: str
    from_us: int
    to_us: int


class Content(NamedTuple):
    """A delivery's content; `delivery` is the id that it says itself, "" where it says none."""

    delivery: str
    records: tuple[Record, ...]
    quiet: tuple[Quiet, ...]


class _JsonRecord(msgspec.Struct):
    id: str
    data_kind: str
    received: str
    at: str | None = None


class _JsonQuiet(msgspec.Struct, rename={"from_": "from"}):
    data_kind: str
    community: str
    from_: str
    to: str


class _JsonBody(msgspec.Struct):
    form: int
    delivery: str
    records: list[_JsonRecord]
    quiet: list[_JsonQuiet] = []


def read(content: bytes, content_type: str) -> Content:
    """What a content says. Raises `BadInput` for one that is not of the form it says it is."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return _read_json(content)
    if kind == CSV:
        return _read_csv(content)
    raise BadInput(f"content of type {content_type[:80]!r} is not read here", where="Content-Type")


def _read_json(content: bytes) -> Content:
    try:
        body = msgspec.json.decode(content, type=_JsonBody)
    except msgspec.MsgspecError as error:
        raise BadInput(str(error), where="content") from None
    return Content(
        body.delivery,
        tuple(
            Record(one.id, one.data_kind, _time(one.at), parse_time(one.received, "received"))
            for one in body.records
        ),
        tuple(
            Quiet(
                one.data_kind,
                one.community,
                parse_time(one.from_, "quiet.from"),
                parse_time(one.to, "quiet.to"),
            )
            for one in body.quiet
        ),
    )


def _read_csv(content: bytes) -> Content:
    records, quiet = [], []
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        for row in rows:
            received_us = parse_time(row["received"], "received")
            if row["id"] == _QUIET:
                to_us = parse_time(row["at"], "at")
                quiet.append(Quiet(row["data_kind"], row["community"], received_us, to_us))
            else:
                records.append(Record(row["id"], row["data_kind"], _time(row["at"]), received_us))
    except (UnicodeDecodeError, csv.Error, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"is no CSV with the agreed columns: {error}", where="content") from None
    return Content("", tuple(records), tuple(quiet))


def _time(text: str | None) -> int | None:
    return parse_time(text, "at") if text else None
