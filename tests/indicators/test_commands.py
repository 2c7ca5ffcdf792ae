"""`pulse indicators verify-chain`, as the operator runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pulse.clock import to_iso
from pulse.commands.indicators import Asked, _Progress, verified
from pulse.indicators.publication import Publication
from pulse.settings import load
from pulse.stores.relational import published
from tests.indicators.site import HandClock, Site, camera, us

COMMAND = ("indicators", "verify-chain")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Ten minutes of two cameras, one of which falls silent at 300 s."""
    made = Site(tmp_path)
    made.register(camera(), camera("cam-2"))
    made.start(-1000)
    made.hear("cam-1", -900)
    made.hear("cam-2", -900, 300)
    publication = Publication(made.rate.library)
    for second in range(0, 660, 60):
        made.mark(second)
        with made.db.write() as connection:
            published.append(connection, publication.draft(us(second)).value)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error, without progress, of the command as a process."""
    command = [sys.executable, "-m", "pulse", *COMMAND, *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=os.environ)
    # A slow machine takes long enough to be told of progress.
    said = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith(("核对", "重算"))]
    return done.returncode, done.stdout, "".join(said)


def edit(site: Site, statement: str) -> None:
    with site.db.write() as connection:
        if "published" in statement:
            for change in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER published_no_{change}"))
        connection.execute(text(statement))


def test_untouched_values_hold_and_the_end_is_printed_to_be_noted(site: Site) -> None:
    status, out, err = run()
    counted, recomputed, head = out.splitlines()
    assert (status, err) == (0, "")
    assert counted == "11 个公布值成链完好 / 11 published values hold"
    assert "recomputed 11: 11 the same, 0 explained, 0 differ; 0 without" in recomputed
    assert head.startswith("11:")
    assert run("--head", head, "--no-recompute")[0] == 0
    status, out, err = run("--head", f"11:{'0' * 64}")
    assert (status, out) == (1, "")
    assert "在第 11 条断开" in err
    assert "is not the one that was noted elsewhere" in err


def test_an_edited_row_is_named_in_both_languages(site: Site) -> None:
    edit(site, "UPDATE published SET numerator = 2 WHERE sequence = 7")
    status, out, err = run()
    assert (status, out) == (1, "")
    assert err == (
        "pulse: 公布值的链在第 7 条断开：已被更改：链接值与该行内容不符 / the chain of published values "
        "is broken at 7: was changed: its link does not fit what the row says\n"
    )
    status, out, _ = run("--json")
    found = json.loads(out)
    assert (status, found["holds"], found["broken_at"]) == (1, False, 7)
    assert found["recomputed"] == {"same": 0, "explained": 0, "differs": 0, "not_recorded": 0}


def test_an_edited_interval_is_named_by_the_values_that_it_was_in(site: Site) -> None:
    edit(site, "UPDATE runs SET end_us = NULL WHERE device = 'cam-2'")
    status, out, err = run()
    assert status == 1
    assert "11 published values hold" in out
    assert "5 the same, 0 explained, 6 differ" in out
    first = err.splitlines()[0]
    assert first == (
        f"pulse: 第 6 条 / value 6  {to_iso(us(300))}  1/2 → 2/2  不符：设备的区间（runs）与当时不同 / "
        "does not follow: intervals of devices (runs) differ from what they were then"
    )
    found = json.loads(run("--json", "--recompute")[1])
    assert [one["sequence"] for one in found["differing"]] == [6, 7, 8, 9, 10, 11]
    assert found["differing"][0]["published"] == [1, 2]
    assert found["differing"][0]["recomputed"] == [2, 2]
    assert run("--no-recompute")[0] == 0
    assert run("--to", to_iso(us(300)))[0] == 0
    assert run("--from", to_iso(us(300)), "--to", to_iso(us(301)))[0] == 1


def test_what_differs_because_of_something_is_told_and_is_no_failure(site: Site) -> None:
    edit(site, "UPDATE devices SET commissioned_us = commissioned_us + 1 WHERE id = 'cam-1'")
    edit(site, "UPDATE counters SET value = value + 1 WHERE name = 'registry'")
    status, out, err = run()
    assert (status, err) == (0, "")
    assert "0 the same, 11 explained, 0 differ" in out
    assert (
        "不同，因为登记册此后有更改（1 次，由谁见审计日志） / differs because the registry has been changed"
        in out
    )


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--head", "7"), "--head: 请用 pulse indicators verify-chain 印出的"),
        (("--from", "noon"), "--from: "),
        (("--from", "2026-11-24T00:00:00Z", "--to", "2026-11-23T00:00:00Z"), "--from: 起始须早于结束"),
        (("--no-recompute", "--to", "2026-11-23T00:00:00Z"), "contradicts --no-recompute"),
    ],
)
def test_what_cannot_be_asked_ends_with_status_2(words: tuple[str, ...], wrong: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert wrong in err


def test_an_empty_chain_holds() -> None:
    assert run() == (0, f"0 个公布值成链完好 / 0 published values hold\n0:{'0' * 64}\n", "")


def test_how_far_it_is_is_told_every_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    class Slow(HandClock):
        seconds = 0.0

        def monotonic_s(self) -> float:
            return self.seconds

    clock = Slow()
    progress = _Progress(clock)
    for number in range(1, 10):
        clock.seconds = number * 0.5
        progress.say("核对", "checked", number, 9)
    assert capsys.readouterr().err == "核对 / checked: 4 / 9\n核对 / checked: 8 / 9\n"


def test_only_the_newest_are_recomputed_unless_all_are_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pulse.commands.indicators.NEWEST", 3)
    for asked, count in ((Asked(), 3), (Asked(recompute=True), 11)):
        assert verified(load(), asked, as_json=True)
        assert json.loads(capsys.readouterr().out)["recomputed"]["same"] == count
