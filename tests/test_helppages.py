"""Help pages in two languages lose no letter, however wide the terminal is."""

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer.main
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from pulse import helppages
from pulse.cli import app

MIXED = "看一条记录会怎样改变指标，不保存 / Tell what an entry would change; nothing is saved."


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Text, "rstrip_end", Text.rstrip_end)
    monkeypatch.setattr(Text, "wrap", Text.wrap)
    helppages.keep_letters()


def groups(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from groups(below, (*path, name))


def wrapped(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    return [line.plain for line in Text(MIXED).wrap(console, width, overflow="ellipsis")]


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("width", range(40, 100))
def test_a_wrapped_line_keeps_its_letters(width: int) -> None:
    assert " ".join(" ".join(wrapped(width)).split()) == MIXED


def test_the_library_itself_still_loses_them() -> None:
    """When it does not any more, this module can go."""
    alone = (
        "import io; from rich.console import Console; from rich.text import Text\n"
        f"for width in range(40, 100): print(*Text({MIXED!r}).wrap(Console(width=width, file=io.StringIO()),"
        " width, overflow='ellipsis'))"
    )
    told = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", alone], capture_output=True, text=True, check=True
    )
    assert "…" in told.stdout


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("columns", [80, 120])
def test_no_help_is_cut_short(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERMINAL_WIDTH", str(columns))
    seen = 0
    for words in groups(typer.main.get_command(app)):
        told = CliRunner().invoke(app, [*words, "--help"])
        assert told.exit_code == 0
        assert "…" not in told.output.replace("[…]", ""), f"pulse {' '.join(words)}: {told.output}"
        seen += 1
    assert seen > 40
