"""The catalogue as a YAML file: `kinds`, a list of what `pulse.sharing.catalogue.DataKind` describes."""

from collections.abc import Iterable

import yaml

from pulse.errors import BadInput
from pulse.sharing.catalogue import DataKind, checked, default_file, members


def parse(text: str, where: str) -> list[DataKind]:
    """The kinds that a file describes, in its order. Raises `BadInput` naming place and member."""
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise BadInput(error.problem or "is not YAML", where=place) from None
    except yaml.YAMLError as error:
        raise BadInput(str(error), where=where) from None
    if not isinstance(found, dict) or set(found) != {"kinds"} or not isinstance(found["kinds"], list):
        raise BadInput("has to be a mapping with one member, kinds, a list", where=where)
    kinds: list[DataKind] = []
    for position, one in enumerate(found["kinds"]):
        place = f"{where}: kinds[{position}]"
        if not isinstance(one, dict):
            raise BadInput("is not a mapping", where=place)
        kind = checked(one, place)
        if any(kind.id == other.id for other in kinds):
            raise BadInput(f"{kind.id} is described twice", where=f"{place}.id")
        kinds.append(kind)
    return kinds


def written(kinds: Iterable[DataKind]) -> str:
    """A file that `parse` reads."""
    body = {"kinds": [members(kind) for kind in kinds]}
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=110)


def default() -> list[DataKind]:
    """The eight kinds that a new installation begins with (an assumption: the report names none)."""
    return parse(default_file(), "catalogue.yaml")
