"""Commands that are loaded when the command line names them, or asks for the page that lists them.

A collector runs for months, and the options of a hundred other commands would stay in its memory.
"""

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup


def on_demand(places: Mapping[str, str]) -> type[TyperGroup]:
    """The class of a group of these commands: where each stands, `module:member`, by its name and in order.

    There stands the function of a command or the `Typer` of a group.
    """

    class Group(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = _Commands(places)

        def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
            return list(places)

    return Group


class _Commands(UserDict[str, Any]):
    """Made of each place when it is first asked for what typer makes of what stands there."""

    def __getitem__(self, name: str) -> Any:
        place = self.data[name]
        if isinstance(place, str):
            self.data[name] = _made(name, place)
        return self.data[name]


def _made(name: str, place: str) -> Any:
    module, _, member = place.partition(":")
    found = getattr(import_module(module), member)
    alone = typer.Typer(pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]
