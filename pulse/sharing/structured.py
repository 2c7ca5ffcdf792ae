"""Structured fields (RFC 9651) as signatures need them: dictionaries of bytes, and of lists of texts; pure.

Stricter than the RFC where a signature has no use for more.
"""

import base64
import binascii
import re
from typing import NamedTuple

from pulse.errors import PulseError

_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=")
_NAME = re.compile(r'"((?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\["\\])*)"')
_PARAMETER = re.compile(r" *;\s*([a-z*][a-z0-9_.*-]*)=")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_END = re.compile(r"\s*(,|$)\s*")
_FIELD = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


class Malformed(PulseError):
    """Text that is no such field; the words say which and why."""


class Member(NamedTuple):
    """An inner list of components with its parameters, texts or whole numbers."""

    covered: tuple[str, ...]
    parameters: dict[str, str | int]


def serialized(member: Member) -> str:
    """The list with its parameters as text. Raises `Malformed`."""
    names = " ".join(_string(name) for name in member.covered)
    said = "".join(
        f";{name}={value if isinstance(value, int) else _string(value)}"
        for name, value in member.parameters.items()
    )
    return f"({names}){said}"


def _string(text: str) -> str:
    if any(not " " <= char <= "~" for char in text):
        raise Malformed("a text is not printable ASCII")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def dictionary(field: str, where: str) -> dict[str, str]:
    """The members of a structured field (RFC 9651) by name, each as its text: inner list or bytes.

    Raises `Malformed` naming `where`.
    """
    members: dict[str, str] = {}
    position = 0
    while position < len(field):
        begin = _MEMBER.match(field, position)
        if begin is None:
            raise Malformed(f"{where} is no dictionary of RFC 9651")
        end = _skip(field, begin.end(), where)
        members[begin[1]] = field[begin.end() : end]
        separator = _END.match(field, end)
        if separator is None or (separator[1] == "," and separator.end() == len(field)):
            raise Malformed(f"{where} is no dictionary of RFC 9651")
        position = separator.end()
    return members


def _skip(field: str, position: int, where: str) -> int:
    """Where the value that begins at `position` ends: the next comma that is in no string."""
    while position < len(field) and field[position] != ",":
        if field[position] == '"':
            text = _NAME.match(field, position)
            if text is None:
                raise Malformed(f"{where} has a string that does not end")
            position = text.end()
        else:
            position += 1
    return position


def octets(text: str, where: str) -> bytes:
    """The bytes of a byte sequence. Raises `Malformed` naming `where`."""
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise Malformed(f"{where} is no byte sequence of RFC 9651")
    try:
        return base64.b64decode(found[1], validate=True)
    except binascii.Error:
        raise Malformed(f"{where} is not base64") from None


def inner_list(text: str) -> Member:
    """The inner list of a text. Raises `Malformed`."""
    wrong = Malformed("Signature-Input is no list of components with parameters")
    text = text.strip()
    if not text.startswith("("):
        raise wrong
    covered, position = [], 1
    while True:
        while text[position : position + 1] == " ":
            position += 1
        if text[position : position + 1] == ")":
            position += 1
            break
        name = _NAME.match(text, position)
        if name is None or text[name.end() : name.end() + 1] not in {" ", ")"}:
            raise wrong
        if not _FIELD.fullmatch(name[1].removeprefix("@")):
            raise wrong
        covered.append(name[1])
        position = name.end()
    parameters: dict[str, str | int] = {}
    while position < len(text):
        begin = _PARAMETER.match(text, position)
        if begin is None:
            raise wrong
        position = begin.end()
        if string := _NAME.match(text, position):
            parameters[begin[1]] = string[1].replace('\\"', '"').replace("\\\\", "\\")
            position = string.end()
        elif integer := _INTEGER.match(text, position):
            parameters[begin[1]] = int(integer[0])
            position = integer.end()
        else:
            raise wrong
    return Member(tuple(covered), parameters)
