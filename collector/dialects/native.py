"""Our own dialect: `community/{community}/{kind}/{device}/heartbeat` and `…/status`.

A heartbeat is empty, or one flat JSON object. Its members:

- `ts`: epoch seconds, epoch milliseconds (told apart by magnitude: 1e11 and more are milliseconds, since
  seconds would be past the year 5138) or ISO 8601 with a zone. Between 1900 and 2200; a clock that is wrong
  within those years harms nothing (rule 2 of the ledger), so a clock that fell back to 1970 is accepted;
- `seq`: an integer of 64 bits;
- `status`: `ok` or `fault`; `fault`: a code of 1 to 64 printable characters, or an integer. A code without
  a `status` means a fault, one beside `"status":"ok"` is kept and changes nothing;
- any further member is a metric: numbers become floats, booleans 1.0 and 0.0. Text and null are no
  measurements: they are accepted and not stored. Arrays and objects are refused.

A status is the word `online` or `offline`.

A message with neither `ts` nor `seq` cannot be told from its own redelivery: each counts as a new one.
"""

import math
import re
from datetime import datetime
from functools import lru_cache
from json import loads
from typing import Any, NamedTuple, TypeVar

import msgspec

from collector.dialects.identity import UNKEYED, Identifier
from pulse.clock import SECOND_US, from_datetime
from pulse.errors import BadInput, Refused
from pulse.ids import is_id
from pulse.messages import Channel, Evidence, Message

MAX_PAYLOAD_BYTES = 65_536
MAX_MEMBERS = 64
MILLISECONDS_FROM = 1e11
EARLIEST_US = -2_208_988_800 * SECOND_US  # 1900-01-01
LATEST_US = 7_258_118_400 * SECOND_US  # 2200-01-01
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

RESERVED_METRICS = frozenset(
    {"community", "kind", "device", "identity", "order", "observed_us", "measured_us", "time"}
)
"""Names that stores use for their own columns, fields and tags."""

Member = float | int | bool | str | None
M = TypeVar("M")

_object = msgspec.json.Decoder(dict[str, Member])
_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_OWN_MEMBERS = ("ts", "seq", "status", "fault")
_CHANNELS = {"heartbeat": Channel.HEARTBEAT, "status": Channel.STATUS}


class Place(NamedTuple):
    """What a topic says."""

    community: str
    kind: str
    device: str
    channel: Channel


@lru_cache(maxsize=1 << 14)
def place(topic: str) -> Place:
    """Read a topic; raises `Refused` (`unknown_topic`, `bad_id`)."""
    levels = topic.split("/")
    if len(levels) != 5 or levels[0] != "community" or levels[4] not in _CHANNELS:
        raise Refused(
            "unknown_topic",
            "expected community/{community}/{kind}/{device}/heartbeat, …/status or …/data/{kind of data}",
        )
    for name, level in zip(("community", "kind", "device"), levels[1:4], strict=True):
        if not is_id(level):
            raise Refused("bad_id", f"the {name} is not an id: 1 to 64 of A-Z a-z 0-9 . _ -")
    return Place(levels[1], levels[2], levels[3], _CHANNELS[levels[4]])


def decode(
    topic: str,
    payload: bytes,
    *,
    observed_us: int,
    retained: bool,
    queued: bool,
    max_bytes: int = MAX_PAYLOAD_BYTES,
    identifier: Identifier = UNKEYED,
) -> Message:
    """The message in `payload`, received at `observed_us`. Raises `Refused` with a stable slug.

    `retained` and `queued` are what the connection knows of its delivery (rules 1 and 3 of the ledger).
    """
    at = place(topic)
    if len(payload) > max_bytes:
        raise Refused("oversized", f"{len(payload)} bytes, at most {max_bytes}")
    evidence = Evidence.BEAT
    measured_us: int | None = None
    seq: int | None = None
    fault: str | None = None
    metrics: dict[str, float] | None = None
    if at.channel is Channel.STATUS:
        evidence = _status_word(payload)
    elif payload:
        members = members_of(payload, _object)
        measured_us = time_us(members.get("ts"))
        seq = _sequence(members.get("seq"))
        evidence, fault = _health(members)
        metrics = _metrics(members)
    recognisable = measured_us is not None or seq is not None
    return Message(
        at.device,
        at.community,
        at.kind,
        evidence,
        at.channel,
        observed_us,
        measured_us,
        retained,
        queued,
        identifier.of(topic.encode(), payload, None if recognisable else observed_us),
        seq,
        fault,
        metrics,
    )


def is_metric_name(name: str) -> bool:
    """Whether a metric may have this name."""
    return _METRIC.fullmatch(name) is not None and name not in RESERVED_METRICS


def _status_word(payload: bytes) -> Evidence:
    if payload == b"online":
        return Evidence.BEAT
    if payload == b"offline":
        return Evidence.OFFLINE
    raise Refused("bad_status", "expected the word online or offline")


def members_of(payload: bytes, decoder: "msgspec.json.Decoder[dict[str, M]]") -> dict[str, M]:
    """The members of a JSON object that `decoder` takes. Raises `Refused`.

    The decoder would silently let the last of two members of one name win: none may be given twice, at
    whatever depth, since two readers would not read the same.
    """
    try:
        members = decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise Refused(_shape(str(error)), str(error)) from None
    except UnicodeDecodeError as error:
        raise Refused("not_utf8", str(error)) from None
    except RecursionError:
        raise Refused("nested", "nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Refused("not_json", str(error)) from None
    if len(members) > MAX_MEMBERS:
        raise Refused("too_many_members", f"{len(members)} members, at most {MAX_MEMBERS}")
    # A flat object has one colon a member; more are within text, in objects within, or of a name given twice.
    if payload.count(b":") != len(members):
        try:
            loads(payload, object_pairs_hook=_refuse_duplicates)
        except RecursionError:
            raise Refused("nested", "nested too deeply") from None
    return members


def _shape(error: str) -> str:
    if "out of range" in error:
        return "number_out_of_range"
    return "nested" if error.startswith("Expected `bool") else "not_an_object"


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Refused("duplicate_member", f"{name[:64]!r} is given twice")
        seen.add(name)


def time_us(value: Any) -> int | None:
    """The time that a member says, None for null. Raises `Refused` (`bad_time`)."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise Refused("bad_time", "ts is true or false")
    if isinstance(value, str):
        us = _iso(value)
    elif not isinstance(value, int | float):
        raise Refused("bad_time", "ts is neither a number nor text")
    else:
        # Beyond this the product may be infinite.
        if abs(value) >= 1e300:
            raise Refused("bad_time", "ts is not between the years 1900 and 2200")
        scale = 1000 if abs(value) >= MILLISECONDS_FROM else SECOND_US
        us = round(value * scale)
    if not EARLIEST_US <= us < LATEST_US:
        raise Refused("bad_time", "ts is not between the years 1900 and 2200")
    return us


def _iso(text: str) -> int:
    try:
        return from_datetime(datetime.fromisoformat(text))
    except BadInput as error:
        raise Refused("bad_time", error.reason) from None
    except (ValueError, OverflowError):
        raise Refused("bad_time", f"{text[:40]!r} is not ISO 8601") from None


def _sequence(value: Member) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("bad_seq", "seq is not an integer")
    if not INT64_MIN <= value <= INT64_MAX:
        raise Refused("number_out_of_range", "seq does not fit 64 bits")
    return value


def _health(members: dict[str, Member]) -> tuple[Evidence, str | None]:
    status, code = members.get("status"), members.get("fault")
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    if code is not None and not (isinstance(code, str) and len(code) <= 64 and code.isprintable()):
        raise Refused("bad_fault_code", "fault is not a code of at most 64 printable characters")
    code = code or None
    if status == "fault" or (status is None and code is not None):
        return Evidence.FAULT, code
    if status is None or status == "ok":
        return Evidence.BEAT, code
    raise Refused("bad_status", "status is neither ok nor fault")


def _metrics(members: dict[str, Member]) -> dict[str, float] | None:
    metrics: dict[str, float] = {}
    for name, value in members.items():
        if name in _OWN_MEMBERS:
            continue
        if not is_metric_name(name):
            raise Refused("bad_metric_name", f"{name[:64]!r}: use A-Z a-z 0-9 . _ - and no reserved name")
        if value is None or isinstance(value, str):
            continue
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            raise Refused("number_out_of_range", f"{name} does not fit 64 bits")
        number = float(value)
        if not math.isfinite(number):
            raise Refused("number_out_of_range", f"{name} is not finite")
        metrics[name] = number
    return metrics or None
