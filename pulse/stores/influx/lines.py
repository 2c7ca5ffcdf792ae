"""Line protocol, written directly: the library's `Point` costs five times as much and alters some values.

Measurements: `heartbeat` holds every message; `late` tells where those lie that came out of order or more
than a minute after their own time (`spans`), so that reading by reception does not have to look everywhere;
`record` (`records`) holds the records of kinds of data; `transition` and `indicator` are for people.
"""

import re
from hashlib import blake2b
from urllib.parse import quote, unquote

from pulse.errors import StoreRejected
from pulse.ids import is_id
from pulse.ledger.model import State
from pulse.messages import Channel, Evidence
from pulse.stores.acceptable import INT64_MAX, INT64_MIN
from pulse.stores.base import IndicatorPoint, TransitionPoint

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


def metric_key(name: str) -> bytes:
    """The field of a metric as it is written."""
    return metric_field(name).translate(_KEY_SPECIALS).encode()


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
