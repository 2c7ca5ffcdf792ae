"""docs/ledger.md tells what the code does: the rules that are cited stand there, examples are computed."""

import json
import re
from pathlib import Path

import pytest

from pulse.errors import BadInput
from pulse.ledger.evidence import Piece
from pulse.ledger.model import EVER, Device, Evidence, State, Terms
from pulse.ledger.replay_file import replay
from pulse.ledger.runs import history_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["ledger.md", "ledger.zh-CN.md"]

both_languages = pytest.mark.parametrize("document", DOCUMENTS)


def text_of(document: str) -> str:
    return (ROOT / "docs" / document).read_text(encoding="utf-8")


def example(document: str) -> str:
    (found,) = re.findall(r"^```json\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)
    return str(found)


@both_languages
def test_the_documented_file_is_answered_as_documented(document: str) -> None:
    assert replay(example(document).encode()) == json.loads(example(document))["expected"]


def test_both_languages_show_the_same_file() -> None:
    first, second = map(example, DOCUMENTS)
    assert first == second


@both_languages
def test_the_rows_of_the_late_beat_are_the_real_ones(document: str) -> None:
    shown = re.findall(r"^\| (\d+) \| (\d+) \| beat \| (\d+) \|", text_of(document), re.MULTILINE)
    device = Device("d", "c", "k", (Terms(EVER, 90),), EVER)
    beats = [(100, 100), (150, 300), (300, 300)]
    rows = history_of(device, [Piece(at, observed, 0, Evidence.BEAT) for at, observed in beats]).runs()
    assert [tuple(map(int, row)) for row in shown] == [(r.start, r.end, r.recorded) for r in rows]


@both_languages
def test_every_rule_that_the_code_cites_is_on_the_page(document: str) -> None:
    rules = set(re.findall(r"^(\d+)\. \*\*", text_of(document), re.MULTILINE))
    assert rules == {str(number) for number in range(1, 13)}
    cited = {
        number
        for path in (ROOT / "pulse").rglob("*.py")
        for listed in re.findall(r"\brules? ((?:\d+(?:, | and | to )?)+)", path.read_text(encoding="utf-8"))
        for number in re.findall(r"\d+", listed)
    }
    assert len(cited) > 5
    assert cited <= rules


@both_languages
def test_every_state_and_every_member_of_a_file_is_on_the_page(document: str) -> None:
    text = text_of(document)
    missing = [state.slug for state in State if not re.search(rf"^\| `{state.slug}`", text, re.MULTILINE)]
    members = [
        "why", "devices", "policy", "coverage", "maintenance", "messages", "queries", "expected", "id",
        "community", "kind", "timeout_s", "commissioned_at", "retired_at", "max_lateness_s",
        "clock_untrusted", "commissioned_recorded_at", "retired_recorded_at", "backlog_lateness_s", "start",
        "blind", "from", "to", "recorded_at", "scope", "revoked_at", "cancelled_at", "device", "observed_at",
        "measured_at", "retained", "queued", "at", "known_at",
    ]  # fmt: skip
    missing += [name for name in members if f"`{name}`" not in text]
    assert not missing


@both_languages
def test_the_error_on_the_page_is_the_real_one(document: str) -> None:
    (shown,) = re.findall(r"^```\n(pulse: .*)\n```", text_of(document), re.MULTILINE)
    with pytest.raises(BadInput) as refused:
        replay(example(document).replace('"observed_at": 130', '"observed_at": NaN').encode())
    assert shown == f"pulse: site.json: {refused.value}"
