"""What is read out of many texts at once is what a JSON parser reads in each; what is not certain is left."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dialects import alike
from collector.dialects.alike import FEWEST, MOST_FORMS

decode = msgspec.json.Decoder(dict[str, Any]).decode


def read(texts: list[bytes]) -> tuple[dict[int, dict[str, Any]], set[int]]:
    """The members of each text that was read, by position, and the positions of the others."""
    # What surrounds them looks like what they are made of.
    data, begins = b'{"a":1}9' * 2, []
    for text in texts:
        data += b"2"
        begins.append(len(data))
        data += text
    start = np.array(begins, dtype=np.int64)
    end = start + np.array([len(text) for text in texts], dtype=np.int64)
    groups, left = alike.read(data + b"7}", start, end)
    found: dict[int, dict[str, Any]] = {}
    for group in groups:
        assert (np.diff(group.rows) > 0).all()
        columns = [c.tolist() if isinstance(c, np.ndarray) else c for c in group.columns]
        for at, *values in zip(group.rows.tolist(), *columns, strict=True):
            assert at not in found
            found[at] = dict(zip(group.names, values, strict=True))
    return found, set(left.tolist())


def check(texts: list[bytes]) -> dict[int, dict[str, Any]]:
    """Hold what was read against the parser; gives it."""
    found, left = read(texts)
    assert left == set(range(len(texts))) - set(found)
    for at, members in found.items():
        expected = decode(texts[at])
        assert list(members) == list(expected)
        for name, value in expected.items():
            assert type(members[name]) is type(value)
            assert members[name] == value
    return found


def beats(count: int, form: str = '{"ts": %d.%03d, "seq": %d, "status": "ok", "t": -%d.%d}') -> list[bytes]:
    return [(form % (1_763_899_200 + at, at % 1000, at, at % 40, at % 10)).encode() for at in range(count)]


def test_ordinary_beats_are_read_whatever_their_digits() -> None:
    assert set(check(beats(FEWEST * 4))) == set(range(FEWEST * 4))


def test_several_forms_are_read_each_with_its_own() -> None:
    forms = [
        '{"a":%d}',
        '{"b":%d}',
        '{"a":%d.5}',
        '{"a":-%d}',
        '{"a":%d,"pm25":7,"s":"v1.2","x":null,"y":true}',
    ]
    texts = [(forms[at % len(forms)] % at).encode() for at in range(FEWEST * len(forms))]
    assert set(check(texts)) == set(range(len(texts)))


def test_fewer_than_are_worth_it_are_left() -> None:
    assert check(beats(FEWEST - 1)) == {}
    texts = beats(FEWEST * 2) + [b'{"rare":%d}' % at for at in range(FEWEST - 1)]
    assert set(check(texts)) == set(range(FEWEST * 2))


def test_of_endless_forms_so_many_are_looked_for() -> None:
    texts = [b'{"%s":%d}' % (b"x" * (at % (MOST_FORMS * 3) + 1), at) for at in range(FEWEST * MOST_FORMS * 3)]
    found = {len(next(iter(members))) for members in check(texts).values()}
    assert len(found) == MOST_FORMS


LEFT = [
    b'{"a":01}',
    b'{"a":-01.5}',
    b'{"a":1e5}',
    b'{"a":1E+05}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":+1}',
    b'{"a":1 2}',
    b'{"a":1,}',
    b'{"a":1}}',
    b'{"a":1}{"b":2}',
    b'{"a":1,"a":2}',
    b'{"a":[1]}',
    b'{"a":{"b":1}}',
    b'{"a\\n":1}',
    b'{"a":"\\u0031"}',
    b'{"a":"\xff1"}',
    b'{"a\x00":1}',
    b'{"a":1\x00}',
    b"{1:2}",
    b"{'a':1}",
    b"{}",
    b"[1]",
    b"1",
    b"{",
    b"}",
    b"",
    b' {"a":1}',
    b'{"a":1} ',
    b'{"a":12345678901234567}',
    b'{"a":1234567.123456789}',
    b'{"a":NaN1}',
]


@pytest.mark.parametrize("text", LEFT)
def test_what_is_odd_is_left_alone_or_among_others(text: bytes) -> None:
    assert check([text] * FEWEST * 2) == {}
    texts = [*beats(FEWEST), text, *beats(FEWEST)]
    assert set(check(texts)) == set(range(len(texts))) - {FEWEST}


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a":07,"v1":2,"s":"x3"}',
        b'{"a":12345678901234567,"v1":2,"s":"x3"}',
        b'{"a":7,"v2":2,"s":"x3"}',
        b'{"a":7,"v12":2,"s":"x3"}',
        b'{"a":7,"v1":2,"s":"x4"}',
        b'{"a":7,"v1":2,"s":"x33"}',
        b'{"a":7,"v1":2,"s":"y3"}',
        b'{"a":7,"v1":2,"s":"x3\x00}',
    ],
)
def test_one_that_differs_in_more_than_its_numbers_is_not_taken_for_one_of_them(odd: bytes) -> None:
    texts = [b'{"a":%d,"v1":%d,"s":"x3"}' % (at, at * 7) for at in range(FEWEST * 2)]
    texts[FEWEST] = odd
    assert FEWEST not in check(texts)
    assert len(check(texts)) == len(texts) - 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**17),
            st.decimals(-(10**9), 10**9, places=3),
            st.integers(-(10**9), 10**9),
            st.sampled_from(["ok", "fault", "x1"]),
        ),
        min_size=FEWEST,
        max_size=FEWEST * 3,
    )
)
def test_any_numbers_are_what_the_parser_reads(rows: list[tuple[int, Any, int, str]]) -> None:
    check([f'{{"a":{a},"b" : {b},"c":{c},"电压":"{d}"}}'.encode() for a, b, c, d in rows])


VALUES = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 100).map(lambda number: round(number, 2)),
    st.booleans(),
    st.none(),
    st.text(max_size=4),
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), min_size=1, max_size=3),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_any_objects_are_what_the_parser_reads(
    objects: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    check([json.dumps(o, indent=indent, ensure_ascii=ascii_only).encode() for o in objects * FEWEST])


@given(st.lists(st.text('{}":,.0123456789-eEa \\\x00', max_size=20), min_size=1, max_size=4))
def test_any_bytes_are_left_or_what_the_parser_reads(pieces: list[str]) -> None:
    check([("{" + piece + "}").encode() for piece in pieces] * FEWEST)
