"""The catalogue as a YAML file: `kinds`, a list of what `pulse.sharing.catalogue.DataKind` describes."""

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from pulse.errors import BadInput
from pulse.sharing.catalogue import DataKind, checked, default_file, members

MOST_BYTES = 1_000_000


def parse(text: str, where: str) -> list[DataKind]:
    """The kinds that a file describes, in its order. Raises `BadInput` naming place and member."""
    return [kind for _, kind in placed(text, where)]


def placed(text: str, where: str) -> list[tuple[str, DataKind]]:
    """The same, each with its place in the file."""
    found = _read(text, where)
    if not isinstance(found, dict) or set(found) != {"kinds"} or not isinstance(found["kinds"], list):
        raise BadInput(
            "须为只含 kinds（列表）的映射 / has to be a mapping with one member, kinds, a list", where=where
        )
    kinds: list[tuple[str, DataKind]] = []
    for position, one in enumerate(found["kinds"]):
        place = f"{where}: kinds[{position}]"
        if not isinstance(one, dict):
            raise BadInput("不是映射 / is not a mapping", where=place)
        kind = checked(one, place)
        if any(kind.id == other.id for _, other in kinds):
            raise BadInput(f"重复描述 {kind.id} / {kind.id} is described twice", where=f"{place}.id")
        kinds.append((place, kind))
    return kinds


def _read(text: str, where: str) -> Any:
    """What the file says, as JSON could say it."""
    if len(text.encode()) > MOST_BYTES:
        raise BadInput(f"至多 {MOST_BYTES} 字节 / at most {MOST_BYTES} bytes", where=where)
    try:
        # An alias lets a short file say something endless, and a key given twice says two things.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise BadInput("不接受别名 / aliases are not accepted", where=_at(where, event.start_mark))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_keys(node, where)
        return msgspec.json.decode(msgspec.json.encode(yaml.safe_load(text)))
    except yaml.MarkedYAMLError as error:
        raise BadInput(
            f"不是 YAML / is not YAML: {error.problem}", where=_at(where, error.problem_mark)
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"不是 YAML / is not YAML: {type(error).__name__}", where=where) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"含有 JSON 没有的内容 / holds what JSON has not: {error}", where=where) from None


def _check_keys(node: yaml.Node | None, where: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    said = f"{key.value} 给了两次 / is given twice"
                    raise BadInput(said, where=_at(where, key.start_mark))
                seen.add(key.value)
            _check_keys(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_keys(value, where)


def _at(where: str, mark: Any) -> str:
    return f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where


def written(kinds: Iterable[DataKind]) -> str:
    """A file that `parse` reads."""
    body = {"kinds": [members(kind) for kind in kinds]}
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=110)


def default() -> list[DataKind]:
    """The eight kinds that a new installation begins with (an assumption: the report names none)."""
    return parse(default_file(), "catalogue.yaml")
