"""Every scenario of vectors/ is answered as it expects: by the command, the fast way and the exact one."""

import json
import subprocess
import sys
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pytest

from pulse.cli import main
from pulse.ledger import replay_file
from pulse.ledger.replay_file import replay

FOLDER = Path(__file__).parent / "vectors"
VECTORS = sorted(FOLDER.glob("*.json"))

each_vector = pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)


def test_the_vectors_are_here() -> None:
    assert len(VECTORS) == 47


@each_vector
def test_the_command_answers_as_expected(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pulse", "replay", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsysbinary.readouterr()
    assert (ended.value.code, printed.err) == (0, b"")
    assert json.loads(printed.out) == {"answers": json.loads(path.read_bytes())["expected"]}


def as_a_process(path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pulse", "replay", path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"answers": json.loads(path.read_bytes())["expected"]}


def test_the_command_runs_as_a_process_of_its_own() -> None:
    as_a_process(FOLDER / "02-811-of-826.json")


@pytest.mark.slow
@each_vector
def test_every_vector_through_a_process_of_its_own(path: Path) -> None:
    as_a_process(path)


@each_vector
def test_replay_answers_as_expected(path: Path) -> None:
    raw = path.read_bytes()
    assert replay(raw) == json.loads(raw)["expected"]


_TIMES = {
    "timeout_s", "commissioned_at", "retired_at", "max_lateness_s", "commissioned_recorded_at",
    "retired_recorded_at", "backlog_lateness_s", "start", "from", "to", "recorded_at", "revoked_at",
    "cancelled_at", "observed_at", "measured_at", "at", "known_at",
}  # fmt: skip


_EXACT = Context(prec=100)


def stretched(value: Any, factor: Decimal) -> Any:
    """The file with every time multiplied, and the device-seconds that it expects with them."""
    if isinstance(value, list):
        return [stretched(item, factor) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        is_time = name in _TIMES and isinstance(item, int | Decimal)
        found[name] = _EXACT.multiply(item, factor) if is_time else stretched(item, factor)
    return found


def expected_of(document: Any, factor: Decimal) -> list[Any]:
    """The expected answers of the stretched file: those of instants stay, those of periods grow."""
    answers = []
    for query, answer in zip(document["queries"], document["expected"], strict=True):
        unit = Decimal(1) if "at" in query else factor
        answers.append(
            {
                "states": {
                    state: _EXACT.multiply(amount, unit) for state, amount in answer["states"].items()
                },
                "raw": answer["raw"] and [_EXACT.multiply(amount, unit) for amount in answer["raw"]],
                "adjusted": answer["adjusted"]
                and [_EXACT.multiply(amount, unit) for amount in answer["adjusted"]],
            }
        )
    return answers


def written(document: Any) -> bytes:
    """JSON with every digit of its decimals."""
    marked = json.dumps(document, default=lambda number: f"@{number:f}@")
    return marked.replace('"@', "").replace('@"', "").encode()


@pytest.mark.parametrize(
    "factor",
    [Decimal("0.1"), Decimal("0.000001"), Decimal(10**18), Decimal("1.00000000000000000000000000000001")],
    ids=["tenths", "microseconds", "beyond-64-bits", "32-digits-behind-the-point"],
)
@each_vector
def test_the_answers_keep_their_proportions_on_any_scale(path: Path, factor: Decimal) -> None:
    """The default of seven days for the backlog is no time of the file, so it is written into it."""
    document = json.loads(path.read_bytes())
    document["policy"] = {"backlog_lateness_s": 604_800, **document.get("policy", {})}
    raw = written({**stretched({**document, "expected": []}, factor)})
    answers = replay(raw)
    for answer, expected in zip(answers, expected_of(document, factor), strict=True):
        assert answer["states"] == {state: printed(amount) for state, amount in expected["states"].items()}
        for name in ("raw", "adjusted"):
            assert answer[name] == (expected[name] and [printed(amount) for amount in expected[name]])


def printed(amount: Decimal) -> int | float:
    """Whole numbers exactly, others as the nearest double."""
    return int(amount) if amount == int(amount) else float(amount)


@each_vector
def test_the_exact_way_answers_as_the_columns_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = path.read_bytes()
    by_columns = replay(raw)
    monkeypatch.setattr(replay_file, "_COLUMN_LIMIT", 0)
    assert replay(raw) == by_columns


@each_vector
def test_the_careful_reader_understands_what_the_fast_one_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = path.read_bytes()
    by_fast = replay(raw)

    def refuse(_: bytes) -> Any:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "odd")

    monkeypatch.setattr(replay_file, "_lines", refuse)
    assert replay(raw) == by_fast
