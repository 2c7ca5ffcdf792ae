"""What may stand in the catalogue: JSON Schemas that are valid, stand alone and cost little; its files."""

from typing import Any

import pytest

from pulse.errors import BadInput
from pulse.sharing import catalogue_file, schemas
from pulse.sharing.catalogue import DataKind, checked, members


def kind(schema: dict[str, Any], **more: Any) -> DataKind:
    return DataKind(id="k", name_zh="", name_en="", sources=("camera",), schema=schema, **more)


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        made = {"type": "object", "properties": {"a": made}}
    return made


def test_the_kinds_that_come_with_the_product_are_acceptable() -> None:
    for one in catalogue_file.default():
        schemas.check(one)


def test_a_schema_may_refer_to_itself() -> None:
    schemas.check(
        kind({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}})
    )


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({}, "schema"),
        ({"type": "array"}, "schema"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "schema.properties.a.type"),
        ({"type": "object", "required": "a"}, "schema.required"),
        (
            {"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}},
            "schema.properties.a.$ref",
        ),
        ({"type": "object", "$dynamicRef": "other.json#a"}, "schema.$dynamicRef"),
        ({"type": "object", "$ref": "#/$defs/none"}, "schema"),
        ({"type": "object", "allOf": [{"$id": "https://example.org/a"}]}, "schema.allOf[0].$id"),
        ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "schema.properties.a.pattern"),
        ({"type": "object", "properties": {"a": {"pattern": r"(a+)\1"}}}, "schema.properties.a.pattern"),
        (nested(40), "schema" + ".properties.a" * 11),
        ({"type": "object", "enum": [{"a": 1}] * 6000}, "schema"),
    ],
)
def test_what_cannot_be_is_named_by_its_place(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInput) as refused:
        schemas.check(kind(schema))
    assert refused.value.where is not None
    assert refused.value.where.startswith(place)
    assert refused.value.where == place or len(place) > 140


def test_masked_fields_are_properties_of_the_record() -> None:
    schema = {"type": "object", "properties": {"card": {"type": "string"}}}
    schemas.check(kind(schema, personal=True, masked={"card": "hash"}))
    with pytest.raises(BadInput, match=r"masked\.name"):
        schemas.check(kind(schema, personal=True, masked={"name": "drop"}))


# Files.

_ONE = """kinds:
  - id: gate_event
    name_zh: 闸机
    name_en: Gate events
    sources: [gate]
    schema: {type: object}
"""


def test_what_is_written_is_read_again() -> None:
    kinds = catalogue_file.default()
    assert catalogue_file.parse(catalogue_file.written(kinds), "f") == kinds
    assert checked(members(kinds[0])) == kinds[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kinds: [", "f:1:9"),
        ("- a", "f: .*kinds"),
        ("kinds: {}", "f: .*kinds"),
        ("kinds: [1]", r"f: kinds\[0\]"),
        (_ONE + "  - id: gate_event\n    name_zh: a\n    name_en: b\n    sources: [gate]\n", "schema"),
        (_ONE.replace("sources: [gate]", "sources: [ga/te]"), r"f: kinds\[0\].sources\[0\]"),
        (_ONE.replace("sources: [gate]", "sources: []"), r"f: kinds\[0\].sources"),
        (_ONE + "    freshness_s: 0\n", r"f: kinds\[0\].freshness_s"),
        (_ONE + "    surprise: 1\n", r"f: kinds\[0\]: .*surprise"),
        (_ONE + "    name_zh: 又\n", "f:7:5: .*name_zh"),
        (_ONE + "    masked: {card: hash}\n", r"f: kinds\[0\].masked"),
        (_ONE + _ONE.split("\n", 1)[1], r"f: kinds\[1\].id"),
        ("kinds: &a [*a]", "f:1:12"),
        ("a: " + "[" * 5000, "f"),
        ("kinds: []\n#" + "x" * 1_000_000, "1000000"),
    ],
)
def test_a_bad_file_is_named_by_place(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        catalogue_file.placed(text, "f")
