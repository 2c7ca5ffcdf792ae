"""What a published data-sharing ratio was worked out from, as digests; pure.

docs/published.md gives the exact form. A value is tied to the chain of receipts by its end at that time, and
to what it hangs on by these digests.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pulse.indicators.sharing_books import Found, Looked
from pulse.sharing.catalogue import DataKind
from pulse.sharing.receipts import Acknowledged, Part

FORM = 1
"""The form that docs/published.md describes; a change of it gets another number."""

SECTIONS = ("catalogue", "registry", "receipts", "states")


def sections(found: Found) -> dict[str, str]:
    """The digest of every section."""
    parts = (one for _, own in sorted(found.acknowledged.items()) for one in own)
    return {
        "catalogue": catalogue(found.kinds),
        "registry": registry(found.counts),
        "receipts": receipts(parts),
        "states": states(found.looked),
    }


def catalogue(kinds: Mapping[str, DataKind]) -> str:
    """What of the kinds in force decides."""
    return _digest([k.id, list(k.sources), k.freshness_us, k.quiet] for _, k in sorted(kinds.items()))


def registry(counts: Mapping[tuple[str, str], int]) -> str:
    """How many devices of source kinds are in service, by community and kind."""
    return _digest([*place, amount] for place, amount in sorted(counts.items()))


def receipts(parts: Iterable[Acknowledged]) -> str:
    """What is acknowledged of each kind and decides."""
    return _digest(
        [
            one.part.data_kind,
            one.part.community,
            one.number,
            one.outlet,
            one.delivery,
            one.acknowledged_us,
            one.recorded_us,
            *(getattr(one.part, name) for name in Part.__struct_fields__[2:]),
        ]
        for one in parts
    )


def states(looked: Iterable[Looked]) -> str:
    """The states that statements were held against."""
    return _digest(
        [one.device, one.community, [[s.start, s.end, s.state.slug] for s in one.stretches]] for one in looked
    )


def _digest(lines: Iterable[list[Any]]) -> str:
    return hashlib.sha256(b"".join(msgspec.json.encode(line) + b"\n" for line in lines)).hexdigest()
