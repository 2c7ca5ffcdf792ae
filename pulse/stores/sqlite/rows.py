"""Messages as rows of the telemetry file, and back."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

from pulse.batches import MessageColumns
from pulse.messages import Channel, Evidence, Message

COLUMNS = (
    "d.name, o.community, o.kind, m.evidence, m.channel, m.observed_us, m.measured_us, m.retained, m.queued,"
    " m.identity, m.seq, m.fault, m.metrics, m.reception, m.id"
)
"""What `to_message` takes, from `message m`, its device `d` and its origin `o`."""

FROM = "message m CROSS JOIN device d ON d.id = m.device CROSS JOIN origin o ON o.id = m.origin"
"""In this order for SQLite, whose planner has no statistics here."""

VALUES = (
    "device, origin, evidence, channel, observed_us, measured_us, retained, queued, identity, seq, fault,"
    " metrics, reception"
)
"""What `to_row` gives."""

_EVIDENCE = {evidence.value: evidence for evidence in Evidence}
_CHANNEL = {channel.value: channel for channel in Channel}
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(dict[str, float]).decode


def to_row(message: Message, device: int, origin: int) -> tuple[Any, ...]:
    """The values of `VALUES`; metrics as JSON text, so that SQLite's own functions can read them."""
    return (
        device,
        origin,
        message.evidence.value,
        message.channel.value,
        message.observed_us,
        message.measured_us,
        message.retained,
        message.queued,
        message.identity,
        message.seq,
        message.fault,
        _encode(message.metrics).decode() if message.metrics else None,
        message.order,
    )


def to_rows(
    messages: MessageColumns, device: Sequence[int], origin: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """The same of many messages; `device` and `origin` are the numbers of each of their origins."""
    numbers = messages.origin.tolist()
    seq: list[int | None] = messages.seq.tolist()
    for at in np.flatnonzero(~messages.numbered).tolist():
        seq[at] = None
    metrics: list[str | None] = [None] * len(messages)
    for group in messages.metrics:
        # Each object in a line of its own; names may hold anything, but no line break unescaped.
        texts = _encode_lines([dict(zip(group.names, row, strict=True)) for row in group.values.tolist()])
        for at, text in zip(group.rows.tolist(), texts.decode().split("\n"), strict=False):
            metrics[at] = text
    channel = [one.channel.value for one in messages.origins]
    faults = messages.faults
    return zip(
        [device[number] for number in numbers],
        [origin[number] for number in numbers],
        messages.evidence.tolist(),
        [channel[number] for number in numbers],
        messages.observed.tolist(),
        messages.measured.tolist(),
        messages.retained.tolist(),
        messages.queued.tolist(),
        messages.identity.tolist(),
        seq,
        [faults.get(at) for at in range(len(numbers))] if faults else repeat(None, len(numbers)),
        metrics,
        messages.order.tolist(),
        strict=True,
    )


def to_message(row: Sequence[Any]) -> Message:
    """The message of a row of `COLUMNS`."""
    return Message(
        row[0],
        row[1],
        row[2],
        _EVIDENCE[row[3]],
        _CHANNEL[row[4]],
        row[5],
        row[6],
        bool(row[7]),
        bool(row[8]),
        row[9],
        row[10],
        row[11],
        None if row[12] is None else _decode(row[12]),
        row[13],
    )
