"""`pulse indicators verify-chain` and `pulse sharing ratio` over a site that shares."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulse.cli import app
from pulse.clock import to_iso
from pulse.indicators.sharing_publication import SharingPublication
from pulse.stores.relational import published
from tests.indicators.sharing import SharingSite, data_kind, part
from tests.indicators.site import camera, us


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SharingSite]:
    made = SharingSite(tmp_path)
    made.register(camera(), camera("gas-1", kind="gas_alarm"))
    made.declare(data_kind("video_status", "camera"), data_kind("gas_reading", "gas_alarm"))
    made.start(-1000)
    made.acknowledge(10, [part("video_status", last=10)])
    made.mark(60)
    yield made
    made.close()


def run(site: SharingSite, folder: Path, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--data-dir", str(folder)])
    assert done.exit_code == status, done.output
    return done.output


def test_the_ratio_of_a_moment_with_every_kind(site: SharingSite, tmp_path: Path) -> None:
    told = run(site, tmp_path, "sharing", "ratio", "--at", to_iso(us(60)))
    assert "50.0 %  1/2" in told
    assert "police-1" in told
    assert "never_acknowledged" in told
    assert "xinjinglou: 50.0 %  1/2  缺/lacks gas_reading" in told
    as_json = json.loads(run(site, tmp_path, "sharing", "ratio", "--at", to_iso(us(5)), "--json"))
    assert as_json["shared"] == 0
    own = run(site, tmp_path, "sharing", "ratio", "--at", to_iso(us(60)), "--community", "xinjinglou")
    assert "1/2" in own


def test_the_chain_is_recomputed_and_an_edit_told(site: SharingSite, tmp_path: Path) -> None:
    publication = SharingPublication(site.db, site.rate.library)
    for second in (5, 20, 60):
        site.mark(second)
        with site.db.write() as connection:
            published.append(connection, publication.draft(us(second)).value)
    found = json.loads(run(site, tmp_path, "indicators", "verify-chain", "--json"))
    assert (found["holds"], found["recomputed"]["same"]) == (True, 3)
    with site.db.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER receipt_parts_no_update")
        connection.exec_driver_sql(f"UPDATE receipt_parts SET last_us = {us(9)}")
    told = json.loads(run(site, tmp_path, "indicators", "verify-chain", "--json", status=1))
    assert [(one["name"], one["reasons"][0]["slug"]) for one in told["differing"]] == [
        ("data-sharing-ratio", "receipts"),
        ("data-sharing-ratio", "receipts"),
    ]
