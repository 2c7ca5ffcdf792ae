"""Ids of communities, kinds and devices: one alphabet, so that no id can inject anything anywhere."""

import re

from pulse.errors import BadInput

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether `text` is an acceptable id (1 to 64 of `A-Za-z0-9._-`, beginning with a letter or digit)."""
    return _ID.fullmatch(text) is not None


def check_id(text: str, where: str) -> str:
    """Give `text` back if it is an id, else raise `BadInput` naming `where`."""
    if not is_id(text):
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise BadInput(
            f"{shown!r} is not an id; use 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit",
            where=where,
        )
    return text
