"""Whether a JSON Schema may stand in the catalogue: a valid one, that stands alone, and that costs little."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from pulse.errors import BadInput
from pulse.sharing.catalogue import DataKind

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_DEEP = 32
MOST_MEMBERS = 5_000
_REFERENCES = ("$ref", "$dynamicRef")
_NAMING = ("$id", "$anchor", "$dynamicAnchor")
"""They would let a schema be another one than it seems: nothing here needs a name."""


def check(kind: DataKind, where: str = "") -> None:
    """Check the schema of a kind, and that it has the masked fields. Raises `BadInput` naming the place.

    It has to be valid by draft 2020-12, to refer to nothing outside itself, to describe an object, and to be
    small; its patterns have to be such that matching takes linear time.
    """
    at = f"{where}.schema" if where else "schema"
    schema = kind.schema
    for number, (path, name, value) in enumerate(_walk(schema, at, 0), 1):
        if number > MOST_MEMBERS:
            raise BadInput(f"至多 {MOST_MEMBERS} 个成员 / at most {MOST_MEMBERS} members", where=at)
        if name in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
            raise BadInput(
                "只能引用自身（#…）/ refers to something outside: begin with #",
                where=f"{path}.{name}",
            )
        if name in _NAMING and isinstance(value, str):
            raise BadInput(f"不接受 {name} / {name} is not accepted", where=f"{path}.{name}")
        if name == "$schema" and value != DRAFT:
            raise BadInput(f"须为 / has to be {DRAFT}", where=f"{path}.{name}")
    if schema.get("type") != "object":
        raise BadInput("须描述对象：type 为 object / a record is an object: set type to object", where=at)
    try:
        jsonschema_rs.Draft202012Validator(
            schema, offline=True, pattern_options=jsonschema_rs.RegexOptions()
        ).is_valid({})
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        said = f"不是有效的 JSON Schema / is no JSON Schema: {_told(error)}"
        raise BadInput(said, where=_place(at, error)) from None
    properties = schema.get("properties", {})
    for field in kind.masked:
        if field not in properties:
            place = f"{where}.masked.{field}" if where else f"masked.{field}"
            raise BadInput("schema 的 properties 没有它 / the schema has no such property", where=place)


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Every member of every object, with the path of the object."""
    if depth > MOST_DEEP:
        raise BadInput(f"嵌套超过 {MOST_DEEP} 层 / nests deeper than {MOST_DEEP}", where=path[:200])
    if isinstance(value, dict):
        for name, member in value.items():
            yield path, name, member
            yield from _walk(member, f"{path}.{name}", depth + 1)
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from _walk(member, f"{path}[{position}]", depth + 1)


def _place(at: str, error: Exception) -> str:
    """Where in the schema an error is."""
    path = error.instance_path if isinstance(error, jsonschema_rs.ValidationError) else []
    return at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[:200]


def _told(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return first[0][:300] if first else type(error).__name__
