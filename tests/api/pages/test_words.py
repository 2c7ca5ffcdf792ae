"""Both languages are whole, and times and spans read as people write them."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from api.pages import words as module
from api.pages.labels import ACTIONS
from api.pages.words import Times, chosen, words
from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time

PAGES = Path(module.__file__).parent
_PLACE = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
_LONE_PERCENT = re.compile(r"(?<!%)%(?![%(])")


def _used() -> set[str | tuple[str, ...]]:
    """Every text of the templates and the code that is meant to be translated."""
    found = extract_from_dir(
        PAGES,
        [("**.py", "python"), ("templates/**.html", "jinja2")],
        {"templates/**.html": {"extensions": "jinja2.ext.i18n"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2)},
    )
    return {tuple(text) if isinstance(text, list | tuple) else text for _, _, text, _, _ in found}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_catalogue_holds_exactly_the_texts_in_use(language: str) -> None:
    with (PAGES / "locales" / language / "LC_MESSAGES" / "pages.po").open("rb") as file:
        catalogue = {message.id for message in read_po(file, locale=language) if message.id}
    assert catalogue == _used()


def test_every_text_is_in_chinese_with_the_same_places_to_fill() -> None:
    with (PAGES / "locales/zh/LC_MESSAGES/pages.po").open("rb") as file:
        for message in read_po(file, locale="zh"):
            if not message.id:
                continue
            (source, *_), (text, *_) = (
                value if isinstance(value, tuple) else (value,) for value in (message.id, message.string)
            )
            assert text, source
            assert not _LONE_PERCENT.search(str(text).replace("%%", "")), source
            assert sorted(_PLACE.findall(str(text))) == sorted(_PLACE.findall(str(source))), source


def test_the_language_asked_for_wins_over_the_one_remembered_and_chinese_over_none() -> None:
    assert chosen("en", "zh") == "en"
    assert chosen(None, "en") == "en"
    assert chosen("fr", None) == "zh"
    assert chosen() == "zh"


@pytest.mark.parametrize(
    ("duration_us", "zh", "en"),
    [
        (-5, "0 秒", "0 s"),
        (59 * SECOND_US, "59 秒", "59 s"),
        (60 * SECOND_US, "1 分钟", "1 min"),
        (119 * SECOND_US, "1 分钟", "1 min"),
        (HOUR_US + 35 * MINUTE_US, "1 小时 35 分钟", "1 h 35 min"),
        (DAY_US + 59 * MINUTE_US, "1 天", "1 d"),
        (30 * DAY_US + 2 * HOUR_US, "30 天 2 小时", "30 d 2 h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(duration_us: int, zh: str, en: str) -> None:
    assert words("zh").span(duration_us) == zh
    assert words("en").span(duration_us) == en


def test_a_count_takes_its_form() -> None:
    assert words("en").ngettext("device", "devices", 1) == "device"
    assert words("en").ngettext("device", "devices", 2) == "devices"
    assert words("zh").ngettext("device", "devices", 2) == "台设备"


def test_a_name_falls_back_to_the_other_language_and_then_to_the_id() -> None:
    assert words("zh").name("门禁", "Door", "door-1") == "门禁"
    assert words("en").name("门禁", "", "door-1") == "门禁"
    assert words("en").name("", "", "door-1") == "door-1"


def test_a_time_is_as_long_as_it_has_to_be() -> None:
    times = Times("Asia/Shanghai")
    now = parse_time("2026-11-23T09:05:22Z", "now")
    assert times.full(now) == "2026-11-23 17:05:22"
    assert times.short(parse_time("2026-11-22T16:00:00Z", "t"), now) == "00:00:00"
    assert times.short(parse_time("2026-11-22T15:59:59Z", "t"), now) == "11-22 23:59"
    assert times.short(parse_time("2025-12-31T00:00:00Z", "t"), now) == "2025-12-31 08:00"
    assert times.about(now, now) == "17:05"
    assert times.about(parse_time("2026-11-22T15:59:59Z", "t"), now) == "11-22 23:59"
    assert times.offset(now) == "UTC+8"
    assert Times("Asia/Kolkata").offset(now) == "UTC+5:30"
    assert Times("America/St_Johns").offset(now) == "UTC-3:30"


def test_whatever_is_done_has_words_of_its_own_in_the_audit_log() -> None:
    root = Path(__file__).resolve().parents[3]
    written, calls = set(), 0
    for path in (
        file for room in ("api", "collector", "pulse", "simulators") for file in root.glob(f"{room}/**/*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.append":
                calls += 1
                if isinstance(node.args[2], ast.Constant):
                    written.add(node.args[2].value)
    assert calls > 15
    # Made up of a part that is written down elsewhere.
    written |= {f"credentials.{what}" for what in ("issue", "rotate", "revoke")}
    written |= {f"incident.{what}" for what in ("confirm", "approve", "dismiss")}
    written |= {f"maintenance.{what}" for what in ("approve", "refuse", "cancel")}
    written |= {f"life.{what}" for what in ("record", "approve", "refuse", "cancel")}
    assert written == set(ACTIONS)
