"""Messages against intervals: they agree, an edit shows, and what can no longer be proved is said."""

import json

import pytest
from typer.testing import CliRunner

from pulse.cli import app
from pulse.clock import SECOND_US, to_iso
from pulse.errors import BadInput
from pulse.indicators.recompute import RAW, Asked, Comparison, Recomputing
from pulse.ledger.model import State
from pulse.messages import Evidence
from pulse.stores.relational import coverage, deletions, intervals
from tests.api.site import END, T0, Site

WEEK_US = 604_800 * SECOND_US


def at(second: float) -> int:
    return T0 + round(second * SECOND_US)


def compare(site: Site, asked: Asked, retention_days: int | None = None) -> Comparison:
    recomputing = Recomputing(
        site.db,
        site.rate.library,
        site.store,
        site.clock,
        backlog_lateness_us=WEEK_US,
        retention_days=retention_days,
    )
    return recomputing.compare(asked)


def test_the_messages_give_what_the_intervals_say(site: Site) -> None:
    found = compare(site, Asked(T0, END))
    assert found.differing == []
    assert found.from_messages == found.from_intervals
    assert found.from_messages.of(State.ONLINE) > 0
    assert found.messages == sum(1 for _ in site.store.read_messages(0, END + 1))
    assert (found.proved_from_us, found.kept, found.goodbyes) == (T0, None, 0)


def test_a_goodbye_before_what_is_read_is_taken_from_the_intervals(site: Site) -> None:
    found = compare(site, Asked(at(500), END))
    assert found.differing == []
    assert found.goodbyes == 1


def test_an_interval_that_was_edited_is_named_with_both_figures(site: Site) -> None:
    with site.db.write() as connection:
        (run,) = intervals.runs(connection, at(100), at(101), END, ["cam-5"])["cam-5"]
        intervals.replace_runs(connection, "cam-5", T0, [run._replace(end=at(600))])
    found = compare(site, Asked(T0, END))
    ((device, proved, said),) = found.differing
    assert device.id == "cam-5"
    assert said.of(State.ONLINE) - proved.of(State.ONLINE) == 330 * SECOND_US


def test_a_message_that_is_missing_is_found(site: Site) -> None:
    late = site.message("cam-5", at(400), Evidence.BEAT)
    site.store.write_messages([late])
    ((device, proved, said),) = compare(site, Asked(T0, END)).differing
    assert device.id == "cam-5"
    assert proved.of(State.ONLINE) - said.of(State.ONLINE) > 0


def test_what_was_deleted_can_no_longer_be_proved(site: Site) -> None:
    site.store.delete_before(at(200))
    with site.db.write() as connection:
        deletions.record(connection, RAW, at(200), 50, END)
    found = compare(site, Asked(T0, END))
    assert found.kept is not None
    assert (found.kept.from_us, found.kept.deleted_us) == (at(200), END)
    # A beat before could have kept a device alive for a timeout of 90 s more.
    assert found.proved_from_us == at(290)
    assert found.differing == []
    assert sum(found.from_messages.amounts) == 11 * 310 * SECOND_US
    nothing = compare(site, Asked(T0, at(290)))
    assert (nothing.proved_from_us, nothing.messages) == (at(290), 0)


def test_a_store_that_deletes_by_itself_is_trusted_for_its_retention_only(site: Site) -> None:
    found = compare(site, Asked(T0, END), retention_days=1)
    assert found.proved_from_us == T0
    site.clock.now = END + 86_400 * SECOND_US
    assert compare(site, Asked(T0, END), retention_days=1).proved_from_us == END


def run(site: Site, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setattr("pulse.commands.recompute.SystemClock", lambda: site.clock)
    folder = str(site.context.settings.data_dir)
    done = CliRunner().invoke(app, ["recompute", *options, "--data-dir", folder], catch_exceptions=False)
    return done.exit_code, done.stdout


def test_the_command_tells_and_its_status_is_the_verdict(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    period = ["--from", to_iso(T0), "--to", to_iso(END)]
    status, told = run(site, monkeypatch, *period)
    assert status == 0
    assert "一致 / they agree" in told
    assert "can no longer prove" not in told
    status, text = run(site, monkeypatch, *period, "--json", "--device", "cam-5")
    answer = json.loads(text)
    assert (status, answer["agrees"]) == (0, True)
    assert answer["from_messages"] == answer["from_intervals"]
    assert answer["from_messages"]["running"] == 270
    with site.db.write() as connection:
        intervals.replace_runs(connection, "cam-5", T0 - 1, [])
        deletions.record(connection, RAW, at(100), 50, END)
    status, told = run(site, monkeypatch, *period)
    assert status == 1
    assert "cam-5: 消息 messages online 80 s" in told
    assert "can no longer prove" in told


def test_what_nobody_was_there_to_see_is_not_recomputed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that was alive when the collector ended is promised some time more by its last message."""
    with site.db.read() as connection:
        mark = coverage.watermark(connection)
    assert mark is not None
    site.clock.now = mark.written_us + 600 * SECOND_US
    with pytest.raises(BadInput, match="no collector has written since"):
        compare(site, Asked(T0, mark.through_us + 60 * SECOND_US))
    assert compare(site, Asked(T0, mark.through_us)).differing == []
    status, told = run(site, monkeypatch)
    assert (status, "一致 / they agree" in told) == (0, True)
    assert to_iso(mark.through_us) in told


@pytest.mark.parametrize(
    ("options", "where"),
    [(["--device", "none"], "--device"), (["--community", "none"], "--community"), (["--to", "x"], "--to")],
)
def test_what_cannot_be_asked_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, options: list[str], where: str
) -> None:
    with pytest.raises(BadInput) as refused:
        run(site, monkeypatch, *options)
    assert refused.value.where == where
