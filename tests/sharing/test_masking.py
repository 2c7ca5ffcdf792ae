"""No masked field's value leaves, in no format."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.messages import Record
from pulse.sharing import catalogue_file, deliveries, masking
from pulse.sharing.catalogue import DataKind, Masking
from pulse.sharing.outlets import Format, Outlet

KEY = b"k" * 32
SECRET = "Zq7ßX9秘Zq7"
"""A value that occurs nowhere else."""


def kind(masked: dict[str, Masking], schema: dict[str, Any] | None = None) -> DataKind:
    return DataKind(
        id="access_event",
        name_zh="门禁",
        name_en="Access",
        sources=("access_control",),
        schema=schema or {},
        personal=True,
        masked=masked,
    )


def test_a_digest_is_the_same_for_the_same_and_for_nothing_else() -> None:
    digest = masking.digest("card-1", "access_event", "card", KEY)
    assert len(digest) == 32
    assert digest == masking.digest("card-1", "access_event", "card", KEY)
    others = {
        masking.digest("card-2", "access_event", "card", KEY),
        masking.digest("card-1", "sorting_record", "card", KEY),
        masking.digest("card-1", "access_event", "holder", KEY),
        masking.digest("card-1", "access_event", "card", b"l" * 32),
        masking.digest("d1", "access_event", "car", KEY),
    }
    assert len({digest, *others}) == 6


def test_the_members_of_a_digest_do_not_run_into_each_other() -> None:
    assert masking.digest("c", "a", "b", KEY) != masking.digest("bc", "a", "", KEY)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("王小明", "王*明"), ("王五", "王*"), ("王", "*"), ("", "*"), ("abcdef", "a****f"), (12345, "1***5")],
)
def test_a_hidden_text_keeps_its_ends(value: Any, shown: str) -> None:
    assert masking.hidden(value) == shown


def test_only_what_the_schema_describes_leaves() -> None:
    described = kind({}, {"properties": {"event": {}}})
    assert masking.shared({"event": "x", "more": 1}, described, KEY) == {"event": "x"}


def test_only_the_chosen_fields_leave_and_those_masked() -> None:
    found = masking.shared(
        {"card": "1234", "who": {"name": "王小明", "age": 3}, "x": 1, "list": [{"a": 1, "b": 2}, 3]},
        kind({"card": "hash", "who.name": "mask"}),
        KEY,
        ["card", "who.name", "list.a"],
    )
    assert found == {
        "card": masking.digest("1234", "access_event", "card", KEY),
        "who": {"name": "王*明"},
        "list": [{"a": 1}],
    }


def test_a_masked_field_is_masked_in_lists_and_under_a_name_with_dots() -> None:
    found = masking.shared(
        {"people": [{"id": SECRET}, {"id": SECRET}], "a.b": SECRET, "ids": [SECRET, None]},
        kind({"people.id": "drop", "a.b": "hash", "ids": "hash"}),
        KEY,
    )
    assert SECRET not in json.dumps(found, ensure_ascii=False)
    assert found["people"] == [{}, {}]
    assert found["ids"][1] is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text("abc", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=5,
)
_HOLDERS = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["x", "y"]), inner, min_size=1, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.sampled_from(["card", "who.card", "a.b.card"]),
    st.sampled_from(["hash", "mask", "drop"]),
    _HOLDERS,
    st.dictionaries(st.text("abc", min_size=1), _JSON, max_size=4),
    st.none() | st.sampled_from([("card",), ("who",), ("who.card", "a"), ("a.b.card",)]),
    st.sampled_from(["json", "csv"]),
    st.booleans(),
)
def test_no_masked_value_leaves_in_any_format(
    path: str,
    how: Masking,
    value: Any,
    others: dict[str, Any],
    fields: tuple[str, ...] | None,
    form: Format,
    in_list: bool,
) -> None:
    *outer, last = path.split(".")
    body: Any = {last: value}
    for name in reversed(outer):
        body = {name: [body] if in_list else body}
    record = Record(
        "door-1",
        "xinjinglou",
        "access_control",
        "access_event",
        1,
        None,
        1,
        False,
        7,
        json.dumps({**others, **body}).encode(),
        1,
    )
    outlet = Outlet(id="police", mode="pull", format=form, fields={"access_event": fields} if fields else {})
    kinds = {"access_event": kind({path: how})}
    taken = deliveries.take([record], outlet, kinds, lambda _device, _at: True, KEY)
    content = deliveries.content_of(outlet, "police-1", taken.items, [], 1)
    assert len(taken.items) == 1
    assert SECRET not in content.decode()
    assert json.dumps(SECRET)[1:-1] not in content.decode()


@given(st.sampled_from([k for k in catalogue_file.default() if k.masked]), st.data())
def test_no_personal_field_of_the_default_catalogue_leaves(kind: DataKind, data: st.DataObject) -> None:
    values = {
        name: data.draw(st.text("0123456789京A", min_size=4, max_size=16), label=name) for name in kind.masked
    }
    found = masking.shared(values, kind, KEY)
    for name, value in values.items():
        assert found[name] != value
        assert len(value) <= 2 or value not in json.dumps(found[name], ensure_ascii=False)
