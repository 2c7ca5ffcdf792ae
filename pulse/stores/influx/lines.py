"""Line protocol, written directly: the library's `Point` costs five times as much and alters some values.

Measurements: `heartbeat` holds every message; `late` tells where those lie that came out of order or more
than a minute after their own time (`spans`), so that reading by reception does not have to look everywhere;
`record` (`records`) holds the records of kinds of data; `transition` and `indicator` are for people.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b
from itertools import repeat
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import numpy as np
from numpy.typing import NDArray

from pulse.batches import Ints, MessageColumns, Metrics, Origin
from pulse.errors import StoreRejected
from pulse.ids import is_id
from pulse.ledger.model import State
from pulse.messages import Channel, Evidence
from pulse.stores.acceptable import INT64_MAX, INT64_MIN
from pulse.stores.base import IndicatorPoint, TransitionPoint
from pulse.stores.influx import receipts

HEARTBEAT, LATE, TRANSITION, INDICATOR = "heartbeat", "late", "transition", "indicator"

EVERYWHERE = "*"
"""The tag `community` of the whole installation's indicator values; no id can be that."""

NS_PER_US = 1000

STATUS = {
    (Channel.HEARTBEAT, Evidence.BEAT): "ok",
    (Channel.HEARTBEAT, Evidence.FAULT): "fault",
    (Channel.HEARTBEAT, Evidence.OFFLINE): "goodbye",
    (Channel.STATUS, Evidence.BEAT): "online",
    (Channel.STATUS, Evidence.FAULT): "faulty",
    (Channel.STATUS, Evidence.OFFLINE): "offline",
}
"""The field `status`: what a message says and on which channel, in one word."""

TAGS = ("community", "device", "kind")
OWN_FIELDS = ("status", "receipt", "seq", "fault", "measured_us", "retained")
"""`status` and `receipt` are always there, the others when they say something: `measured_us` when it is not
the timestamp."""

_encode = msgspec.json.Encoder().encode
_RESERVED = frozenset((*TAGS, *OWN_FIELDS, "time"))
_ESCAPED = "metric."
_PLAIN_METRIC = re.compile(r"[^\W_][^\\\x00-\x1f\x7f-\x9f]*")
_KEY_SPECIALS = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_STRING_SPECIALS = str.maketrans({'"': r"\"", "\\": r"\\"})


def metric_field(name: str) -> str:
    """The field that holds a metric: its own name, unless that is taken or cannot be written."""
    if name in _RESERVED or name.startswith(_ESCAPED) or not _PLAIN_METRIC.fullmatch(name):
        return _ESCAPED + quote(name, safe="")
    return name


def metric_name(field: str) -> str:
    """The metric that a field holds; the inverse of `metric_field`."""
    return unquote(field[len(_ESCAPED) :]) if field.startswith(_ESCAPED) else field


def tags(origin: Origin) -> str:
    """The tags with their leading comma; the ids have been checked, so nothing needs escaping."""
    return f",community={origin.community},device={origin.device},kind={origin.kind}"


class MessageLines:
    """Renders messages column by column; remembers what repeats: the heads of lines and the names of metrics.

    Not for several threads.
    """

    def __init__(self, remembered: int = 200_000) -> None:
        self._remembered = remembered
        self._heads: dict[Origin, tuple[str, ...]] = {}
        self._keys: dict[str, str] = {}

    def render(self, messages: MessageColumns, ns: Ints) -> list[str]:
        """The line of each message, at its nanoseconds."""
        heads = [head for origin in messages.origins for head in self._of(origin)]
        which = messages.origin.astype(np.int64) * len(Evidence) + messages.evidence
        columns: list[Iterable[str]] = [
            map(heads.__getitem__, which.tolist()),
            receipts.packed(messages),
            *self._numbers(messages),
            *(column for group in messages.metrics for column in self._metrics(group, len(messages))),
            *self._others(messages, ns),
            repeat(" "),
            _texts(ns),
        ]
        return list(map("".join, zip(*columns, strict=False)))

    def _of(self, origin: Origin) -> tuple[str, ...]:
        """The beginning of a line for each kind of evidence, up to the receipt."""
        found = self._heads.get(origin)
        if found is None:
            if len(self._heads) >= self._remembered:
                self._heads.clear()
            start = f"{HEARTBEAT}{tags(origin)}"
            found = self._heads[origin] = tuple(
                f'{start} status="{STATUS[origin.channel, evidence]}",receipt="' for evidence in Evidence
            )
        return found

    def _numbers(self, messages: MessageColumns) -> list[Iterable[str]]:
        """The end of the receipt, and the sequence numbers."""
        if messages.numbered.all():
            return [repeat('",seq='), _texts(messages.seq), repeat("i")]
        pairs = zip(messages.seq.tolist(), messages.numbered.tolist(), strict=True)
        return [[f'",seq={seq}i' if numbered else '"' for seq, numbered in pairs]]

    def _metrics(self, group: Metrics, count: int) -> list[Iterable[str]]:
        """The metrics of a group, empty for the messages of others."""
        pairs: list[Iterable[str]] = []
        for name, values in zip(group.names, group.values.T, strict=True):
            pairs += repeat(f",{self._key(name)}="), _texts(values)
        if len(group.rows) == count and bool((group.rows == np.arange(count)).all()):
            return pairs
        column = [""] * count
        for at, *texts in zip(group.rows.tolist(), *pairs, strict=False):
            column[at] = "".join(texts)
        return [column]

    def _others(self, messages: MessageColumns, ns: Ints) -> list[Iterable[str]]:
        """What few messages have: a measured time that is not their timestamp, a fault, the retain flag."""
        elsewhere = messages.dated() & (messages.measured != ns // NS_PER_US)
        if not (elsewhere.any() or messages.retained.any() or messages.faults):
            return []
        column = [""] * len(messages)
        for at in np.flatnonzero(elsewhere).tolist():
            column[at] = f",measured_us={messages.measured[at]}i"
        for at, fault in messages.faults.items():
            column[at] += f",fault={string(fault)}"
        for at in np.flatnonzero(messages.retained).tolist():
            column[at] += ",retained=t"
        return [column]

    def _key(self, name: str) -> str:
        """The field of a metric as it is written."""
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= self._remembered:
                self._keys.clear()
            found = self._keys[name] = metric_field(name).translate(_KEY_SPECIALS)
        return found


def _texts(numbers: NDArray[Any]) -> list[str]:
    """Numbers as text; all at once costs a quarter of one by one."""
    return _encode(numbers.tolist())[1:-1].decode().split(",")


def transition_line(point: TransitionPoint) -> str:
    """One line of `transition`. Raises `StoreRejected` for ids or times that cannot be written.

    Different transitions of a device at one instant differ in the nanoseconds.
    """
    said = f"{point.before}\0{point.after}\0{point.cause}".encode()
    ns = point.at_us * NS_PER_US + int.from_bytes(blake2b(said, digest_size=8).digest(), "big") % NS_PER_US
    return (
        f"{TRANSITION},community={_id(point.community)},device={_id(point.device)},kind={_id(point.kind)}"
        f" before={string(point.before)},after={string(point.after)},cause={string(point.cause)}"
        f",recorded_us={point.recorded_us}i {_time(ns)}"
    )


def indicator_line(point: IndicatorPoint) -> str:
    """One line of `indicator`. Raises `StoreRejected` for ids or times that cannot be written.

    Every state has a field, so that a value written again leaves none of the old one standing.
    """
    counts = dict.fromkeys((state.slug for state in State), 0) | dict(point.states)
    fields = [f"numerator={point.numerator}i", f"denominator={point.denominator}i"]
    fields.extend(
        f"{name}={float(value)!r}"
        for name, value in (("lower", point.lower), ("upper", point.upper))
        if value is not None
    )
    fields.extend(f"{_id(state)}={count}i" for state, count in counts.items())
    community = _id(point.community) if point.community else EVERYWHERE
    return (
        f"{INDICATOR},community={community},name={_id(point.name)}"
        f" {','.join(fields)} {_time(point.at_us * NS_PER_US)}"
    )


def _id(text: str) -> str:
    if not is_id(text):
        raise StoreRejected(f"{text[:80]!a} is not an id")
    return text


def string(text: str) -> str:
    """A string as the value of a field."""
    return f'"{text.translate(_STRING_SPECIALS)}"'


def _time(ns: int) -> int:
    if not INT64_MIN < ns < INT64_MAX:
        raise StoreRejected(f"{ns // NS_PER_US} is no time of this age")
    return ns
