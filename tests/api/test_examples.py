"""The evaluators' examples of docs/api.md work as they stand."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pulse import settings
from pulse.access import keys, people
from pulse.access.roles import Role, command_line
from tests import programs
from tests.api.serving import running
from tests.api.site import Site

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLI = command_line("root", "host")
SCOPES = ["indicators:read", "devices:read", "audit:read"]


def _block(document: str) -> str:
    """The shell block that uses `$PULSE_TOKEN`."""
    text = (DOCS / document).read_text(encoding="utf-8")
    (found,) = [b for b in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "$PULSE_TOKEN" in b]
    return str(found)


@pytest.mark.parametrize("document", ["api.md", "api.zh-CN.md"])
def test_every_line_runs_with_an_evaluator_s_token(site: Site, tmp_path: Path, document: str) -> None:
    programs.require("curl")
    with site.db.write() as connection:
        eva = people.create(connection, CLI, "eva", Role.EVALUATOR, site.clock.now)
        token = keys.create(connection, CLI, eva, "评价", SCOPES, None, 30, site.clock.now)
    closed = settings.load(data_dir=site.context.settings.data_dir, public_view=False)
    block = _block(document)
    assert block.count("curl") >= 4
    with running(replace(site.context, settings=closed)) as server:
        for key, status in ((token.secret, 0), ("pulse_wrong", 22)):
            done = subprocess.run(
                ["sh", "-e", "-c", block],
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"], "PULSE": server.address, "PULSE_TOKEN": key},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == status, done.stdout + done.stderr
    assert '"running"' not in done.stdout
    assert (tmp_path / "audit.csv").exists()
