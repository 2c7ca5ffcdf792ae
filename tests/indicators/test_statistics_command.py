"""`pulse statistics`: a table for people, JSON for programs, clear words for what cannot be."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulse import settings
from pulse.cli import app
from pulse.clock import to_iso
from pulse.commands import statistics
from pulse.commands.statistics import Asked
from pulse.errors import BadInput, PulseError
from tests.indicators.site import Site, camera, us

ASKED = Asked(None, None, None, None, None, "95", 10)


@pytest.fixture
def site(site: Site) -> Site:
    site.register(camera(), camera("cam-2"), camera("lock-1", kind="smart_lock", community="rongxinyuan"))
    site.start(0)
    site.hear("cam-1", 0, 1000)
    site.hear("cam-1", 1600)
    site.hear("cam-2", 0)
    site.hear("lock-1", 0, 3000)
    site.mark(4000)
    return site


def lines(site: Site, tmp_path: Path, asked: Asked = ASKED, *, as_json: bool = False) -> list[str]:
    loaded = settings.load(data_dir=tmp_path)
    return list(statistics.shown(loaded, asked, as_json=as_json, clock=site.clock))


def test_the_table_tells_all_groups_and_the_worst_devices(site: Site, tmp_path: Path) -> None:
    printed = lines(site, tmp_path, ASKED._replace(from_=to_iso(us(0)), to=to_iso(us(4000))))
    cells = [[cell for cell in line.split("  ") if cell.strip()] for line in printed]
    rows = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells if row}
    assert rows["全部 / all"] == [
        *("3", "86.7 %", "86.7 %", "26 min 40 s", "2", "1", "2"),
        *("1 h 26 min", "10 min", "5256.0", "0/0", "1/3"),
    ]
    assert rows["xinjinglou"][:2] == ["2", "92.5 %"]
    assert rows["smart_lock"][:2] == ["1", "75.0 %"]
    assert rows["lock-1"] == ["75.0 %", "16 min 40 s", "1", "16 min 40 s", "50 min", "—", "0"]
    assert printed[-1].startswith("抖动 / flapping: 30 min 内 6 次变化")
    order = [line.split()[0] for line in printed if line.startswith(("lock-1", "cam-"))]
    assert order == ["lock-1", "cam-1"]


def test_columns_of_chinese_text_stay_in_line(site: Site, tmp_path: Path) -> None:
    printed = lines(site, tmp_path)
    (place,) = {
        statistics._width(line.rstrip())
        for line in printed
        if line.startswith(("全部", "xinjinglou", "camera"))
    }
    assert place == statistics._width(next(line for line in printed if "≥95 %" in line))


def test_what_is_unknown_is_marked(site: Site, tmp_path: Path) -> None:
    site.deaf(2000, 2500)
    site.mark(4000)
    asked = ASKED._replace(from_=to_iso(us(-100)), to=to_iso(us(4000)))
    printed = lines(site, tmp_path, asked)
    assert any("–" in line and "全部" in line for line in printed)
    assert printed[-1].startswith("* 存在未知")


def test_programs_get_json(site: Site, tmp_path: Path) -> None:
    asked = ASKED._replace(kind="camera", community="xinjinglou", threshold="80", worst=1)
    answer = json.loads("\n".join(lines(site, tmp_path, asked, as_json=True)))
    assert (answer["devices"], answer["failures"], answer["above"]["threshold"]) == (2, 1, 80.0)
    assert [item["id"] for item in answer["worst"]] == ["cam-1"]
    none = json.loads("\n".join(lines(site, tmp_path, asked._replace(worst=0), as_json=True)))
    assert none["worst"] == []


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        (ASKED._replace(threshold="x"), "--threshold"),
        (ASKED._replace(community="nowhere"), "--community"),
        (ASKED._replace(kind="toaster"), "--kind"),
        (ASKED._replace(from_="yesterday"), "--from"),
        (ASKED._replace(to="yesterday"), "--to"),
    ],
)
def test_what_cannot_be_is_named_by_its_option(site: Site, tmp_path: Path, asked: Asked, option: str) -> None:
    with pytest.raises(BadInput) as refused:
        lines(site, tmp_path, asked)
    assert refused.value.where == option


def test_the_command_line_passes_its_options_on(tmp_path: Path) -> None:
    given = ["statistics", "--data-dir", str(tmp_path), "--json", "--threshold", "90"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["above"]["threshold"] == 90.0
    wrong = CliRunner().invoke(app, [*given[:3], "--kind", "toaster"])
    assert isinstance(wrong.exception, PulseError)
