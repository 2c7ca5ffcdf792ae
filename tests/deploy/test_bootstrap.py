"""`make` on a machine that lacks something says what, in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "sh",
    "cat",
    "cksum",
    "sed",
    "awk",
    "df",
    "id",
    "rm",
    "dirname",
    "grep",
    "tail",
    "head",
    "make",
    "echo",
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A copy of what `make` needs, in a folder with a space, and a PATH with a shell's tools only."""
    copy, tools = tmp_path / "a copy", tmp_path / "bin"
    (copy / "deploy").mkdir(parents=True)
    tools.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "deploy/bootstrap"):
        shutil.copy(ROOT / name, copy / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tools / tool).symlink_to(found)
    return copy


def _python(machine: Path, name: str, script: str) -> None:
    program = machine.parent / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def _make(machine: Path, target: str = "setup", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", "-C", str(machine), target],
        env={"PATH": str(machine.parent / "bin"), "HOME": str(machine.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line about what is missing."""
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("community-pulse: ")]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize("target", ["demo", "test"])
def test_no_python_at_all(machine: Path, target: str) -> None:
    assert "Python 3.11 or newer is needed: install one" in _said(_make(machine, target))


def test_a_python_that_is_named_and_not_there(machine: Path) -> None:
    _python(machine, "python3", f'exec "{sys.executable}" "$@"')
    assert "PYTHON=python3.99 is not there" in _said(_make(machine, PYTHON="python3.99"))


def test_a_python_that_is_named_takes_the_place_of_the_one_before(machine: Path) -> None:
    """With everything installed: the folder's Python is another one than that which is named."""
    _python(machine, "python3", f'exec "{sys.executable}" "$@"')
    _python(machine, "other", 'case "$2" in *ensurepip*) echo 3.12;; *) echo "3.12 (other)"; exit 9;; esac')
    (machine / ".venv" / "bin").mkdir(parents=True)
    (machine / ".venv" / "bin" / "python").symlink_to(sys.executable)
    done = _make(machine, PYTHON="other")
    assert "making .venv with" in done.stderr
    assert "/other (Python 3.12)" in done.stderr


def test_a_python_that_is_too_old(machine: Path) -> None:
    _python(machine, "python3", 'case "$2" in *ensurepip*) echo old >&2; exit 1;; *) echo 3.9;; esac')
    assert "Python 3.11 or newer is needed (python3 is 3.9)" in _said(_make(machine))


def test_a_version_managers_placeholder_is_no_python(machine: Path) -> None:
    _python(machine, "python3", 'echo "python3: command not found" >&2; exit 127')
    assert "Python 3.11 or newer is needed: install one" in _said(_make(machine))


def test_no_venv_module(machine: Path) -> None:
    _python(
        machine, "python3", 'case "$2" in *ensurepip*) echo "no ensurepip" >&2; exit 1;; *) echo 3.12;; esac'
    )
    said = _said(_make(machine))
    assert "venv module is missing" in said
    assert "apt-get install python3-venv, or python3.12-venv" in said


def test_a_folder_that_cannot_be_written(machine: Path) -> None:
    _python(
        machine,
        "python3",
        'case "$1" in -c) echo 3.11;; *) echo "Error: [Errno 13] Permission denied" >&2; exit 1;; esac',
    )
    assert "make it writable" in _said(_make(machine))


def test_an_unfinished_copy_of_the_project(machine: Path) -> None:
    (machine / "constraints.txt").unlink()
    assert "this is not a whole copy of the project" in _said(_make(machine))


@pytest.mark.slow
def test_no_network_and_a_second_try_without_leftovers(machine: Path) -> None:
    _python(machine, "python3", f'exec "{sys.executable}" "$@"')
    for _ in range(2):
        done = _make(
            machine, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1", PIP_CONFIG_FILE=os.devnull
        )
        assert "no network to the Python package index" in _said(done)
    assert not list((machine / ".venv").glob("stamp-*"))


def test_help_needs_nothing(machine: Path) -> None:
    done = _make(machine, "help")
    assert done.returncode == 0
    assert "make demo" in done.stdout
