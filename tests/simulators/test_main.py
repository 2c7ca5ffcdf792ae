"""The parts of `pulse simulate`: passwords files and the line of progress."""

from pathlib import Path

import pytest

from pulse.errors import BadInput
from simulators.main import load_passwords, shown
from simulators.runner import Progress

STEADY = Progress(75.2, 826, 816, 815, 1300, 20.96, 2200, 0, 0, 0, "")


def test_a_passwords_file_names_devices_and_everyone_else(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# of the devices\nxjl-cam-001:a:b\n\n*:rest\n")
    assert load_passwords(file) == {"xjl-cam-001": "a:b", "*": "rest"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xjl-cam-001", "line 1: not of the form device:password"),
        ("a:b\na:c", "line 2: a is there twice"),
        ("a b:c", "line 1: what stands before the colon is neither a device id nor *"),
    ],
)
def test_a_bad_line_is_named_without_its_secret(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(text)
    with pytest.raises(BadInput) as refused:
        load_passwords(file)
    assert str(refused.value) == f"{file}: {said}"


def test_progress_is_one_line_that_names_troubles_only_when_there_are_any() -> None:
    line = shown(STEADY)
    assert "815/816" in line
    assert "826" in line
    assert "21.0/s" in line
    assert "refused" not in line
    assert "\n" not in line
    assert "refused 2" in shown(STEADY._replace(refused=2))
    assert shown(STEADY._replace(trouble="no broker")).endswith("; no broker")
