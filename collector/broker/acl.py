"""Mosquitto's access files: who may write and read which topics.

`topic [read|write|readwrite|deny] FILTER` is about the `user NAME` above it, or about anonymous clients
before the first; `pattern …` is about everyone, with `%u` for the user's name and `%c` for the client id.
A denial wins over every permission; what no line allows is refused.
"""

from enum import Flag
from pathlib import Path
from typing import NamedTuple

from pulse.errors import BadInput


class Access(Flag):
    """What a client wants to do with a topic."""

    READ = 1
    WRITE = 2
    BOTH = 3


_WORDS = {"read": Access.READ, "write": Access.WRITE, "readwrite": Access.BOTH}


class Rule(NamedTuple):
    """One line. `access` is None for `deny`; `user` is None for anonymous clients, ignored in a pattern."""

    access: Access | None
    levels: tuple[str, ...]
    user: str | None
    pattern: bool


class Acl:
    """The rules of one file."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules

    def allows(self, user: str | None, client_id: str, topic: str, access: Access) -> bool:
        """Whether this client may do this with this topic (a topic's name, no filter)."""
        levels = topic.split("/")
        allowed = False
        for rule in self._rules:
            if not (rule.pattern or rule.user == user):
                continue
            if not _match(rule, levels, user, client_id):
                continue
            if rule.access is None:
                return False
            allowed = allowed or access in rule.access
        return allowed


def _match(rule: Rule, levels: list[str], user: str | None, client_id: str) -> bool:
    if levels[0].startswith("$") and rule.levels[0] in {"+", "#"}:
        return False
    for position, wanted in enumerate(rule.levels):
        if wanted == "#":
            return True
        if position >= len(levels):
            return False
        if wanted == "+":
            continue
        expected: str | None = wanted
        if rule.pattern and "%" in wanted:
            expected = _filled(wanted, user, client_id)
        if expected != levels[position]:
            return False
    return len(levels) == len(rule.levels)


def _filled(wanted: str, user: str | None, client_id: str) -> str | None:
    """`wanted` with the names put in, or None where there is no name or the name could widen the rule."""
    for mark, name in (("%u", user), ("%c", client_id)):
        if mark in wanted:
            if not name or any(character in name for character in "+#/"):
                return None
            wanted = wanted.replace(mark, name)
    return wanted


def parse(text: str, where: str) -> Acl:
    """The rules of an access file. Raises `BadInput` naming `where` and the line."""
    rules = []
    user: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if not word or word.startswith("#"):
            continue
        place = f"{where}, line {number}"
        if word == "user" and rest:
            user = rest
        elif word in {"topic", "pattern"} and rest:
            rules.append(_rule(word, rest, user, place))
        else:
            raise BadInput(
                "use `user NAME`, `topic [read|write|readwrite|deny] …` or `pattern …`", where=place
            )
    return Acl(rules)


def _rule(word: str, rest: str, user: str | None, place: str) -> Rule:
    access: Access | None = Access.BOTH
    first, _, topic = rest.partition(" ")
    if topic.strip() and (first in _WORDS or first == "deny"):
        access = _WORDS.get(first)
        rest = topic.strip()
    levels = tuple(rest.split("/"))
    if any(
        ("#" in level and (level != "#" or index != len(levels) - 1)) for index, level in enumerate(levels)
    ):
        raise BadInput("# stands alone at the end of a filter", where=place)
    if any("+" in level and level != "+" for level in levels):
        raise BadInput("+ stands alone between slashes", where=place)
    return Rule(access, levels, user, word == "pattern")


def read(path: Path) -> Acl:
    """The rules of the file at `path`. Raises `BadInput`."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the access file: {error}", where=str(path)) from error
