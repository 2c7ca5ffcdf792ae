"""A delivery made ready to be sent: its content with the fields that say what it is and who signed it."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from pulse.clock import SECOND_US
from pulse.errors import BadInput
from pulse.sharing import signing
from pulse.sharing.deliveries import CONTENT_TYPES
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Format, Outlet
from pulse.sharing.signing import Request


class Parcel(NamedTuple):
    """What is sent of a delivery."""

    id: str
    content: bytes
    format: Format

    @property
    def content_type(self) -> str:
        """Its media type."""
        return CONTENT_TYPES[self.format]

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def fields(
    parcel: Parcel,
    outlet: Outlet,
    keys: Keys,
    now_us: int,
    *,
    id_field: str,
    covered: Collection[str],
    method: str = "",
    target: str = "",
) -> dict[str, str]:
    """The fields of a parcel by their names in lower case, signed as the outlet says.

    `id_field` names the one with the delivery's id. Raises `BadInput` naming a key file that cannot be used.
    """
    said = {
        "content-type": parcel.content_type,
        "content-digest": signing.content_digest(parcel.content),
        id_field: parcel.id,
    }
    if outlet.algorithm is None:
        return said
    key = keys.signing(outlet.id, outlet.algorithm)
    request = Request(said, method, target)
    return said | signing.sign(request, key, now_us // SECOND_US, covered=covered).as_fields()


def said_of(error: BadInput) -> str:
    """What is wrong with a file of the keys' folder, without telling where that folder lies."""
    return f"{Path(error.where).name}: {error.reason}" if error.where else error.reason
