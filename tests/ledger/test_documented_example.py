"""The example of the ledger's guide is true."""

import json
import re
from pathlib import Path

import pytest

from pulse.ledger.replay_file import replay

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("document", ["ledger.md", "ledger.zh-CN.md"])
def test_the_documented_file_is_answered_as_documented(document: str) -> None:
    example = re.search(r"```json\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    assert replay(example[1].encode()) == json.loads(example[1])["expected"]
