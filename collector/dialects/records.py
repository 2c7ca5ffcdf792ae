"""Records of kinds of data: `community/{community}/{kind}/{device}/data/{data_kind}`, in our own dialect.

A record is one JSON object, UTF-8, with the limits of a heartbeat. `ts` is as in a heartbeat; what else it
holds, nested or not, is said by the JSON Schema of its kind of data in the catalogue. No member may be given
twice, at whatever depth: two readers would not read the same.

A record without `ts` cannot be told from its own redelivery: each counts as a new one.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from collector.dialects import native
from collector.dialects.identity import UNKEYED, Identifier
from pulse.errors import Refused
from pulse.ids import is_id

_object = msgspec.json.Decoder(dict[str, Any])


class RecordPlace(NamedTuple):
    """What the topic of a record says."""

    community: str
    kind: str
    device: str
    data_kind: str


class Draft(NamedTuple):
    """A record as its device sent it, before catalogue and registry are asked."""

    place: RecordPlace
    members: dict[str, Any]
    measured_us: int | None
    identity: int


def is_record_topic(topic: bytes) -> bool:
    """Whether a topic has the form of a record's, whatever its ids."""
    levels = topic.split(b"/")
    return len(levels) == 6 and levels[0] == b"community" and levels[4] == b"data"


@lru_cache(maxsize=1 << 14)
def place(topic: str) -> RecordPlace:
    """Read a topic of that form; raises `Refused` (`bad_id`)."""
    _, community, kind, device, _, data_kind = topic.split("/")
    found = RecordPlace(community, kind, device, data_kind)
    for name, level in zip(("community", "kind", "device", "kind of data"), found, strict=True):
        if not is_id(level):
            raise Refused("bad_id", f"the {name} is not an id: 1 to 64 of A-Z a-z 0-9 . _ -")
    return found


def decode(
    topic: str,
    payload: bytes,
    *,
    observed_us: int,
    max_bytes: int = native.MAX_PAYLOAD_BYTES,
    identifier: Identifier = UNKEYED,
) -> Draft:
    """The record in `payload`, received at `observed_us`. Raises `Refused` with a stable slug."""
    at = place(topic)
    if len(payload) > max_bytes:
        raise Refused("oversized", f"{len(payload)} bytes, at most {max_bytes}")
    members = native.members_of(payload, _object)
    measured_us = native.time_us(members.get("ts"))
    identity = identifier.of(topic.encode(), payload, None if measured_us is not None else observed_us)
    return Draft(at, members, measured_us, identity)
