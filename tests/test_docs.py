"""What people can use is documented, in both languages, and what is documented exists."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer.main

from api.app import create_app
from api.context import Context
from pulse.cli import app
from pulse.clock import SystemClock
from pulse.indicators.online_rate import OnlineRate
from pulse.settings import PREFIX, Settings, load
from pulse.stores.opening import open_store
from pulse.stores.relational.database import Database

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
UNSET = {"settings.md": "unset", "settings.zh-CN.md": "未设"}
LANGUAGES = list(UNSET)

_ROW = re.compile(
    r"^\| `(?P<variable>[A-Z0-9_]+)` \| (?P<default>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE
)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")


def _rows(document: str) -> dict[str, tuple[str, str]]:
    text = (DOCS / document).read_text(encoding="utf-8")
    return {m["variable"]: (m["default"].strip(), m["meaning"].strip()) for m in _ROW.finditer(text)}


def _written(default: Any, unset: str) -> str:
    if default is None:
        return unset
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


@pytest.mark.parametrize("document", LANGUAGES)
def test_every_setting_is_documented_with_its_default(document: str) -> None:
    expected = {
        f"{PREFIX}{name.upper()}": _written(field.default, UNSET[document])
        for name, field in Settings.model_fields.items()
    }
    assert {variable: default for variable, (default, _) in _rows(document).items()} == expected


def test_both_languages_list_the_settings_in_the_same_order() -> None:
    first, second = (list(_rows(document)) for document in LANGUAGES)
    assert first == second


@pytest.mark.parametrize("document", ["cli.md", "cli.zh-CN.md"])
def test_every_command_and_option_is_documented(document: str) -> None:
    text = (DOCS / document).read_text(encoding="utf-8")
    missing = [name for name in _names(typer.main.get_command(app), "pulse") if name not in text]
    assert not missing, f"docs/{document} does not mention {missing}"


def _names(command: Any, path: str) -> list[str]:
    """`pulse demo`, and `--port` of each command, as a reader would look for them."""
    found = [path]
    found += [
        option
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in {"--help", "--install-completion", "--show-completion"}
    ]
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            found += _names(child, f"{path} {name}")
    return found


def test_every_endpoint_is_documented(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    db, clock = Database(settings.relational_url()), SystemClock()
    db.open()
    with closing(db), closing(open_store(settings)) as store:
        context = Context(settings, db, store, clock, OnlineRate(db, clock))
        paths = create_app(context, pages=False).openapi()["paths"]
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    missing = [path for path in paths if path not in text]
    assert not missing, f"docs/api.md does not mention {missing}"


def _documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("document", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = [
        target
        for target in _LINK.findall(text)
        if "://" not in target
        and not target.startswith("mailto:")
        and not (document.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize(
    "document",
    [path for path in _documents() if not path.name.endswith(".zh-CN.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_make_command_that_is_mentioned_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    mentioned = set(re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8")))
    assert mentioned <= targets


THREATS = ["threat-model.md", "threat-model.zh-CN.md"]


def _shown_by(document: str) -> dict[str, list[str]]:
    """The tests that each point of the two standards names, by the line's beginning."""
    text = (DOCS / document).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:\d+\.)+\d+(?: [a-d]\))?)(.*)$", text, re.MULTILINE)
    return {point: re.findall(r"`(tests/[\w./:-]+)`", rest) for point, rest in rows}


@pytest.mark.parametrize("document", THREATS)
def test_the_threat_model_names_tests_and_code_that_exist(document: str) -> None:
    named = re.findall(r"`((?:tests|pulse)/[\w./:-]+)`", (DOCS / document).read_text(encoding="utf-8"))
    assert len(named) > 40
    missing = []
    for path, _, name in (one.partition("::") for one in named):
        file = ROOT / path
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not text or (name and not re.search(rf"^(?:def|class) {name}\b", text, re.MULTILINE)):
            missing.append(f"{path}::{name}")
    assert not missing, f"docs/{document} names {missing}"


WITH_A_REASON = {"7.1.4.8", "7.1.4.10", "6.3.3", "16.4.3"}
"""Points of the standards that a program cannot show: the site's part, or not met and said so."""


@pytest.mark.parametrize("document", THREATS)
def test_every_point_of_a_standard_names_its_test_or_says_why_there_is_none(document: str) -> None:
    shown = _shown_by(document)
    assert {point for point, tests in shown.items() if not tests} == WITH_A_REASON
    assert shown == _shown_by(THREATS[0])


def test_the_threat_model_says_the_same_in_both_languages() -> None:
    points = [
        re.findall(
            r"^\| (?:\*\*)?((?:\d+\.)+\d+)", (DOCS / document).read_text(encoding="utf-8"), re.MULTILINE
        )
        for document in ("threat-model.md", "threat-model.zh-CN.md")
    ]
    assert points[0] == points[1]
    assert len(points[0]) > 30
