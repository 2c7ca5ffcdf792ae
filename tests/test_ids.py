"""One alphabet of ids, in which nothing can be injected anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.errors import BadInput
from pulse.ids import check_id, is_id


@pytest.mark.parametrize("text", ["a", "0", "camera-001", "A.b_c-9", "x" * 64])
def test_accepts(text: str) -> None:
    assert is_id(text)
    assert check_id(text, "device") == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-a",
            ".a",
            "_a",
            "x" * 65,
            "a b",
            "a/b",
            "a+",
            "#",
            "$SYS",
            "a\n",
            "a\0",
            "门禁",
            "a,b=c",
            'a"',
        ),
        *("a'; DROP TABLE devices", "a`", "a\\", "é", "a\u200b", "=cmd()"),
    ],
)
def test_refuses(text: str) -> None:
    assert not is_id(text)
    with pytest.raises(BadInput) as raised:
        check_id(text, "device")
    assert raised.value.where == "device"
    assert "use 1 to 64" in str(raised.value)


def test_a_long_refused_text_is_shown_short() -> None:
    with pytest.raises(BadInput) as raised:
        check_id("x" * 5000, "device")
    assert len(str(raised.value)) < 250


@given(st.text(max_size=70))
def test_an_id_means_the_same_to_every_interpreter_of_text(text: str) -> None:
    if is_id(text):
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set(" ,=\\\"'`/+#$\n\r\t;(){}[]<>&|*?~!@%^:")
