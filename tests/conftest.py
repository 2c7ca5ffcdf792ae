"""What every test may rely on: no settings of the person who runs them, and a summary of what was skipped."""

import os
import re
from collections import defaultdict

import hypothesis
import pytest

from pulse import logs
from pulse.settings import PREFIX, Settings

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
