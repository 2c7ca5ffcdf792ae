"""What every test may rely on: no settings of the person who runs them, and a summary of what was skipped."""

import os
import re
import shutil
from collections import defaultdict
from pathlib import Path

import hypothesis
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from pulse import logs
from pulse.access import passwords
from pulse.settings import PREFIX, Settings
from pulse.stores.relational.database import Database

_NEEDS = re.compile(r"needs (?P<program>\S+): (?P<how>.+)")

# A shared machine makes single examples slow; continuous integration must not fail by chance.
hypothesis.settings.register_profile(
    "pulse", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("pulse")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a `.env` of the working directory reaches a test."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and not name.startswith("PULSE_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(autouse=True)
def _logs_go_where_this_test_looks() -> None:
    """Commands set up logging for their own standard error; what one test left must not reach the next.

    Tests that ask what was logged use `caplog`.
    """
    logs.configure("INFO", json=True)


@pytest.fixture(autouse=True)
def _cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password's hash takes longer than most tests; those that are about it ask for the real one."""
    if "real_hashes" not in request.keywords:
        cheap = Argon2Hasher(time_cost=1, memory_cost=1_024, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", PasswordHash((cheap,)))
        monkeypatch.setattr(passwords, "_made", [])


@pytest.fixture(scope="session")
def _made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database that was just made."""
    path = tmp_path_factory.mktemp("made") / "made.db"
    database = Database(f"sqlite:///{path}")
    database.open()
    database.close()
    return path


@pytest.fixture(autouse=True)
def _databases_begin_as_copies(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _made_database: Path
) -> None:
    """Making a database takes longer than most tests; those of the migrations make theirs."""
    if "relational" in request.node.path.parts:
        return
    opened = Database.open

    def open_a_copy(self: Database) -> None:
        path = getattr(self, "_path", None)
        if path is not None and path.parent.is_dir() and not path.exists():
            new = path.with_name(f"{path.name}.copied")
            shutil.copyfile(_made_database, new)
            new.rename(path)
        opened(self)

    monkeypatch.setattr(Database, "open", open_a_copy)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which programs were missing, how many tests that cost, and how to get each."""
    missing: dict[tuple[str, str], int] = defaultdict(int)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found = _NEEDS.search(reason)
        if found:
            missing[found["program"], found["how"].strip()] += 1
    if not missing:
        return
    terminalreporter.section("skipped for want of a program")
    for (program, how), count in sorted(missing.items()):
        terminalreporter.line(
            f"{program}: {count} test{'s' if count > 1 else ''} skipped; to run them: {how}"
        )
