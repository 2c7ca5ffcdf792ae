"""`pulse policy suggest` over what a simulated fleet did, wrong clocks and late deliveries among it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pulse.cli import app
from pulse.clock import DAY_US, HOUR_US
from pulse.commands.policies import Whose
from pulse.commands.suggesting import shown
from pulse.errors import BadInput
from pulse.settings import Settings, load
from pulse.stores.opening import open_store
from pulse.stores.relational import policies, registry
from pulse.stores.relational.database import Database
from simulators.faults import Behaviour
from simulators.fleet import Fleet, fleet
from simulators.history import History
from tests.api.site import HandClock
from tests.simulators.scenes import SIXTY

END_US = 1_795_420_800_000_000


@pytest.fixture(name="town", scope="module")
def _town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Fleet]:
    """Half a day of sixty devices, of which the registry knows neither buffers nor wrong clocks."""
    made = fleet(2, scenario=SIXTY)
    settings = load(data_dir=tmp_path_factory.mktemp("town"))
    db = Database(settings.relational_url())
    db.open()
    with closing(db), db.write() as connection:
        registry.put_communities(connection, made.communities, 1)
        registry.put_kinds(connection, made.kinds, 1)
        plain = [d._replace(max_lateness_s=0, clock_untrusted=False) for d in made.devices]
        registry.put_devices(connection, plain, 1)
    with closing(open_store(settings)) as store:
        for batch in History(made, 2, END_US, 1).raw_beats(END_US - 12 * HOUR_US, END_US):
            store.write_messages(batch)
    return settings, made


def suggested(settings: Settings, *whose: str | None, days: int = 1) -> dict[str, Any]:
    lines = shown(settings, Whose(*whose), days, as_json=True, clock=HandClock(END_US))
    return {one["subject"]: one for one in map(json.loads, lines)}


def test_what_the_fleet_does_is_found_out(town: tuple[Settings, Fleet]) -> None:
    settings, made = town
    found = suggested(settings)
    for kind in made.kinds:
        assert found[kind.id]["suggestion"]["interval_s"] == kind.interval_s
        assert found[kind.id]["suggestion"]["max_lateness_s"] == 0
        assert not found[kind.id]["suggestion"]["clock_untrusted"]
    for device, fault in made.faults.items():
        one = found[device]
        match fault.behaviour:
            case Behaviour.WRONG_CLOCK:
                assert one["suggestion"]["clock_untrusted"]
                assert one["observed"]["time_zone_h"] == fault.clock_offset_us / HOUR_US
                assert "--clock untrusted" in one["command"]
            case Behaviour.LATE:
                assert one["suggestion"]["max_lateness_s"] > 0
                assert not one["suggestion"]["clock_untrusted"]
                assert "--max-lateness" in one["command"]
            case Behaviour.NEVER_ACTIVATED:
                assert one["suggestion"] is None
                assert one["beats"] == 0
    healthy = [d.id for d in made.devices if d.id not in made.faults]
    assert len(healthy) > 30
    for device in healthy:
        said = found[device]["suggestion"]
        assert not said["clock_untrusted"]
        assert said["max_lateness_s"] == 0
        assert found[device]["within_timeout"]["suggested"] >= found[device]["within_timeout"]["now"]


def test_it_is_told_in_words_and_applies_nothing(town: tuple[Settings, Fleet]) -> None:
    settings, made = town
    db = Database(settings.relational_url())
    db.open()
    with closing(db), db.read() as connection:
        before = policies.policies(connection)
        wrong = next(d for d, f in made.faults.items() if f.behaviour is Behaviour.WRONG_CLOCK)
        text = "\n".join(shown(settings, Whose(), 1, as_json=False, clock=HandClock(END_US)))
        alone = "\n".join(shown(settings, Whose(wrong), 1, as_json=False, clock=HandClock(END_US)))
        assert policies.policies(connection) == before
    assert f"pulse policy set --device {wrong} " in text
    assert "像时区/like a time zone" in text
    assert "效果/effect" in text
    assert "时钟偏差像是时区弄错" in alone


def test_too_few_beats_are_said_to_be_too_few(town: tuple[Settings, Fleet]) -> None:
    settings, made = town
    silent = next(d for d, f in made.faults.items() if f.behaviour is Behaviour.NEVER_ACTIVATED)
    lines = list(shown(settings, Whose(silent), 1, as_json=False, clock=HandClock(END_US)))
    assert "fewer than 50 beats: no suggestion" in lines[-1]
    late = HandClock(END_US + 3 * DAY_US)
    lines = list(shown(settings, Whose(), 1, as_json=False, clock=late))
    assert all("no suggestion" in line for line in lines[1::2])


def test_who_is_not_registered_is_refused(town: tuple[Settings, Fleet]) -> None:
    with pytest.raises(BadInput, match="no device of nobody"):
        list(shown(town[0], Whose("nobody"), 1, as_json=False))
    with pytest.raises(BadInput, match="give one of"):
        list(shown(town[0], Whose("a", "b"), 1, as_json=False))


def test_the_command_runs_and_prints_json_alone(
    town: tuple[Settings, Fleet], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del tmp_path
    settings, made = town
    monkeypatch.setenv("PULSE_DATA_DIR", str(settings.data_dir))
    community = made.communities[0].id
    result = CliRunner().invoke(app, ["policy", "suggest", "--community", community, "--days", "2", "--json"])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {one["community"] for one in found if one["scope"] == "device"} == {community}
