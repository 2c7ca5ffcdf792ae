"""The field `receipt`: by what a message is recognised and put in order of reception, in one string.

As one field it costs InfluxDB a fifth of five, and it is there as a whole or not at all, while the fields of
a point that is just being written appear one by one.
"""

import struct
from binascii import Error, a2b_base64, b2a_base64
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.batches import ABSENT, MessageColumns

_FORM = struct.Struct("<qqqqB")
_COLUMNS = np.dtype(
    [("observed", "<i8"), ("measured", "<i8"), ("identity", "<i8"), ("order", "<i8"), ("flags", "u1")]
)
CHARACTERS = _FORM.size // 3 * 4
_RETAINED, _QUEUED = 1, 2


class Receipt(NamedTuple):
    """Times in microseconds; `order` is the order of reception."""

    observed_us: int
    measured_us: int | None
    identity: int
    order: int
    retained: bool
    queued: bool


def packed(messages: MessageColumns) -> NDArray[np.void]:
    """The receipt of each message: base64 of its numbers, which needs no escaping anywhere."""
    rows = np.empty(len(messages), dtype=_COLUMNS)
    rows["observed"], rows["measured"] = messages.observed, messages.measured
    rows["identity"], rows["order"] = messages.identity, messages.order
    rows["flags"] = messages.retained * _RETAINED + messages.queued * _QUEUED
    return np.frombuffer(b2a_base64(rows.data, newline=False), dtype=f"V{CHARACTERS}")


def unpacked(text: object) -> Receipt | None:
    """What `packed` wrote; None for anything else, which is no point of ours."""
    if not isinstance(text, str) or len(text) != CHARACTERS:
        return None
    try:
        observed, measured, identity, order, flags = _FORM.unpack(a2b_base64(text))
    except (Error, ValueError, struct.error):
        return None
    dated = None if measured == ABSENT else measured
    return Receipt(observed, dated, identity, order, bool(flags & _RETAINED), bool(flags & _QUEUED))
