"""What becomes of a record's fields before it leaves: personal ones masked, all but the necessary left out.

A digest is HMAC-SHA-256 with the installation's own key: the same card gives the same digest, so that a
department can tell two people apart, and nobody without the key can try out all card numbers. Kind and field
go into it: the same card in two kinds of data gives two digests that cannot be matched.

Whoever replaces the key (`masking.key`) breaks that link for good: from then on the same card has another
digest, and a department sees a new person. That is the way to forget; it is done by removing the file, of
which nothing else depends, and never by itself.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pulse.sharing.catalogue import DataKind, Masking

DIGEST_DIGITS = 32
_DOMAIN = b"pulse masking 1"


def shared(
    data: Mapping[str, Any], kind: DataKind, key: bytes, fields: Sequence[str] | None = None
) -> dict[str, Any]:
    """What leaves of a record's object: only `fields` (None: what the schema describes), masked."""
    found: dict[str, Any] = dict(data)
    for path, how in kind.masked.items():
        found = _at(found, path, kind.id, path, how, key)
    if fields is not None:
        return _chosen(found, fields)
    described = kind.schema.get("properties")
    # A schema that describes no fields leaves it to the masks alone.
    return found if not isinstance(described, dict) else {k: v for k, v in found.items() if k in described}


def digest(value: Any, data_kind: str, field: str, key: bytes) -> str:
    """A field's value as 32 hexadecimal digits that only this installation can work out."""
    said = value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()
    text = said.encode("utf-8", "surrogatepass")
    members = (_DOMAIN, data_kind.encode(), field.encode(), text)
    # Each with its length before it: no two lists of members give the same bytes.
    over = b"".join(len(member).to_bytes(8, "big") + member for member in members)
    return hmac.digest(key, over, "sha256").hex()[:DIGEST_DIGITS]


def hidden(value: Any) -> str:
    """First and last character with the others as `*`; of one or two characters the last is hidden too."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= 2:
        return text[:1] + "*" if len(text) == 2 else "*"
    return f"{text[0]}{'*' * (len(text) - 2)}{text[-1]}"


def _at(
    members: dict[str, Any], path: str, data_kind: str, field: str, how: Masking, key: bytes
) -> dict[str, Any]:
    """The same members with the field at a dotted path masked, in every element of a list on the way."""
    made: dict[str, Any] = {}
    for name, value in members.items():
        if name == path:
            if how != "drop":
                made[name] = _masked(value, data_kind, field, how, key)
        elif path.startswith(f"{name}."):
            made[name] = _inside(value, path.removeprefix(f"{name}."), data_kind, field, how, key)
        else:
            made[name] = value
    return made


def _inside(value: Any, path: str, data_kind: str, field: str, how: Masking, key: bytes) -> Any:
    if isinstance(value, dict):
        return _at(value, path, data_kind, field, how, key)
    if isinstance(value, list):
        return [_inside(one, path, data_kind, field, how, key) for one in value]
    return value


def _masked(value: Any, data_kind: str, field: str, how: Masking, key: bytes) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_masked(one, data_kind, field, how, key) for one in value]
    if how == "hash":
        return digest(value, data_kind, field, key)
    return hidden(value) if not isinstance(value, dict) else "*"


def _chosen(members: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Only the members at these dotted paths."""
    made: dict[str, Any] = {}
    for name, value in members.items():
        if name in paths:
            made[name] = value
            continue
        deeper = [path.removeprefix(f"{name}.") for path in paths if path.startswith(f"{name}.")]
        if not deeper:
            continue
        if isinstance(value, dict):
            made[name] = _chosen(value, deeper)
        elif isinstance(value, list):
            made[name] = [_chosen(one, deeper) for one in value if isinstance(one, dict)]
    return made
