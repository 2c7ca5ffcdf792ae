"""Every scenario of vectors/ is answered as it expects."""

import json
from pathlib import Path
from typing import Any

import pytest

from pulse.errors import BadInput
from pulse.indicators.sharing_replay import replay

FOLDER = Path(__file__).parent / "vectors"
VECTORS = sorted(FOLDER.glob("*.json"))

each_vector = pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)


def test_the_vectors_are_here() -> None:
    assert len(VECTORS) == 14


@each_vector
def test_it_is_answered_as_expected(path: Path) -> None:
    raw = path.read_bytes()
    questions = json.loads(raw)["questions"]
    for question, answer in zip(questions, replay(raw), strict=True):
        assert chosen(answer, question["expected"]) == question["expected"], question


def chosen(answer: Any, expected: Any) -> Any:
    """The members of an answer that are expected."""
    if not isinstance(expected, dict):
        return answer
    return {name: chosen(answer[name], part) for name, part in expected.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"devices": 1}, "devices"),
        ({"surprise": 1}, "surprise"),
        ({"questions": [{"at": 2, "known_at": 1}]}, "known_at"),
        ({"questions": [{"at": 0.0000001}]}, "six decimals"),
        ({"states": [{"device": "d", "from": 0, "to": 2, "state": "asleep"}]}, "asleep"),
        (
            {"states": [{"device": "d", "from": at, "to": at + 2, "state": "online"} for at in (0, 1)]},
            "states of d",
        ),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_place(change: dict[str, Any], said: str) -> None:
    body = {"catalogue": [], "devices": [], "questions": [{"at": 1}], **change}
    with pytest.raises(BadInput, match=said):
        replay(json.dumps(body).encode())
