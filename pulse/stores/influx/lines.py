"""Line protocol, written directly: the library's `Point` costs five times as much and alters some values.

Measurements: `heartbeat` holds every message; `late` holds copies of those that came out of order or more
than a minute after their own time, at the time of their reception, so that reading by reception does not
have to look everywhere; `transition` and `indicator` are for people.
"""

import re
from hashlib import blake2b
from urllib.parse import quote, unquote

from pulse.errors import StoreRejected
from pulse.ids import is_id
from pulse.ledger.model import State
from pulse.messages import Channel, Evidence, Message
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
OWN_FIELDS = (
    "status",
    "observed_us",
    "measured_us",
    "identity",
    "order",
    "seq",
    "fault",
    "retained",
    "queued",
)
"""Of these `status`, `observed_us` and `identity` are always there, the others when they say something."""

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


class MessageLines:
    """Renders messages; remembers what repeats: tags and the names of metrics. Not for several threads."""

    def __init__(self, remembered: int = 200_000) -> None:
        self._remembered = remembered
        self._tags: dict[tuple[str, str, str], str] = {}
        self._keys: dict[str, str] = {}

    def tags(self, message: Message) -> str:
        """The tags with their leading comma; the ids have been checked, so nothing needs escaping."""
        origin = (message.community, message.device, message.kind)
        found = self._tags.get(origin)
        if found is None:
            if len(self._tags) >= self._remembered:
                self._tags.clear()
            found = self._tags[origin] = f",community={origin[0]},device={origin[1]},kind={origin[2]}"
        return found

    def fields(self, message: Message) -> str:
        """The fields, the same for `heartbeat` and `late`."""
        parts = [
            f'status="{STATUS[message.channel, message.evidence]}"'
            f",observed_us={message.observed_us}i,identity={message.identity}i"
        ]
        if message.measured_us is not None:
            parts.append(f"measured_us={message.measured_us}i")
        if message.order:
            parts.append(f"order={message.order}i")
        if message.seq is not None:
            parts.append(f"seq={message.seq}i")
        if message.fault is not None:
            parts.append(f'fault="{message.fault.translate(_STRING_SPECIALS)}"')
        if message.retained:
            parts.append("retained=t")
        if message.queued:
            parts.append("queued=t")
        if message.metrics:
            parts.extend(f"{self._key(name)}={float(value)!r}" for name, value in message.metrics.items())
        return ",".join(parts)

    def _key(self, name: str) -> str:
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= self._remembered:
                self._keys.clear()
            found = self._keys[name] = metric_field(name).translate(_KEY_SPECIALS)
        return found

    def render(self, message: Message, ns: int, late_ns: int | None) -> bytes:
        """The line of a message at `ns`, preceded by its copy in `late` if it gets one."""
        tags, fields = self.tags(message), self.fields(message)
        line = f"{HEARTBEAT}{tags} {fields} {ns}"
        if late_ns is not None:
            line = f"{LATE}{tags} {fields} {late_ns}\n{line}"
        return line.encode()


def transition_line(point: TransitionPoint) -> bytes:
    """One line of `transition`. Raises `StoreRejected` for ids or times that cannot be written.

    Different transitions of a device at one instant differ in the nanoseconds.
    """
    said = f"{point.before}\0{point.after}\0{point.cause}".encode()
    ns = point.at_us * NS_PER_US + int.from_bytes(blake2b(said, digest_size=8).digest(), "big") % NS_PER_US
    return (
        f"{TRANSITION},community={_id(point.community)},device={_id(point.device)},kind={_id(point.kind)}"
        f" before={_text(point.before)},after={_text(point.after)},cause={_text(point.cause)}"
        f",recorded_us={point.recorded_us}i {_time(ns)}"
    ).encode()


def indicator_line(point: IndicatorPoint) -> bytes:
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
    ).encode()


def _id(text: str) -> str:
    if not is_id(text):
        raise StoreRejected(f"{text[:80]!a} is not an id")
    return text


def _text(text: str) -> str:
    return f'"{text.translate(_STRING_SPECIALS)}"'


def _time(ns: int) -> int:
    if not INT64_MIN < ns < INT64_MAX:
        raise StoreRejected(f"{ns // NS_PER_US} is no time of this age")
    return ns
