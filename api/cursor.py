"""Cursors of keyset pages: where the next page begins, and of which question."""

import base64
import binascii
import hashlib
from typing import NamedTuple

import msgspec

from pulse.indicators.within import Within


class Cursor(NamedTuple):
    """The last id given, the instant and knowledge of the first page, and a digest of its filters."""

    last: str
    at_us: int
    known_us: int
    filters: str


def digest(filters: object, within: Within) -> str:
    """Something that differs for different filters, and for readers who see other communities."""
    asked = msgspec.json.encode([filters, None if within is None else sorted(within)])
    return hashlib.sha256(asked).hexdigest()[:12]


def encode(cursor: Cursor) -> str:
    """The cursor as text for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode(text: str) -> Cursor | None:
    """The cursor of a text, None when it is none of ours."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=Cursor)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return None
