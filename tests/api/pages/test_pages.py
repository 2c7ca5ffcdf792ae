"""The pages over a small installation, without a browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from pulse.indicators.online_rate import OnlineRate
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import registry
from pulse.stores.relational.database import Database
from tests.api.site import END, Site


@pytest.fixture
def pages(site: Site) -> Iterator[TestClient]:
    with TestClient(create_app(site.context), raise_server_exceptions=False) as client:
        yield client


def test_the_overview_shows_the_figures_of_the_api(pages: TestClient) -> None:
    figures = pages.get("/api/v1/indicators/online-rate").json()
    page = pages.get("/").text
    assert f"<b>{figures['running']}</b><i>/</i>{figures['total']}" in page
    assert f"{figures['percent']}<span" in page


@pytest.mark.parametrize("path", ["/", "/wall", "/devices", "/devices/cam-5", "/devices/none"])
def test_every_page_is_answered_in_both_languages_and_remembers_the_choice(
    pages: TestClient, path: str
) -> None:
    assert '<html lang="zh-CN"' in pages.get(path).text
    english = pages.get(path, params={"lang": "en"})
    assert '<html lang="en"' in english.text
    assert "lang=en" in english.headers["set-cookie"]
    assert '<html lang="en"' in pages.get(path).text
    assert re.search(r"[一-鿿]", re.sub(r"<[^>]+>", "", pages.get(path, params={"lang": "zh"}).text))


def test_a_language_or_theme_that_does_not_exist_is_not_remembered(pages: TestClient) -> None:
    answer = pages.get("/", params={"lang": "xx", "theme": '"><script>'})
    assert "set-cookie" not in answer.headers
    assert 'data-theme="auto"' in answer.text
    assert '"><script>' not in answer.text


def test_what_people_registered_stays_text(site: Site, pages: TestClient) -> None:
    nasty = '<img src=x onerror="alert(1)">'
    with site.db.write() as connection:
        registry.put_devices(
            connection,
            [
                DeviceRecord(
                    "cam-5",
                    "xinjinglou",
                    "camera",
                    nasty,
                    nasty,
                    building=nasty,
                    vendor=nasty,
                    commissioned_us=END,
                )
            ],
            END,
        )
    for path in ("/", "/devices", "/devices/cam-5", f"/devices?q={nasty}"):
        assert "<img" not in pages.get(path).text, path


def test_nothing_inline_may_run_and_nothing_is_kept_by_caches(pages: TestClient) -> None:
    answer = pages.get("/")
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"\son\w+=|javascript:|<style|\sstyle=", answer.text)
    assert re.findall(r"<script(?![^>]*\ssrc=)", answer.text) == []


def test_own_files_are_addressed_by_their_content(pages: TestClient) -> None:
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', pages.get("/").text)
    assert len(addresses) >= 5
    for address in addresses:
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        assert pages.get(address).status_code == 200


def test_filters_that_name_nothing_known_are_left_out_or_find_nothing(pages: TestClient) -> None:
    assert pages.get("/devices?state=broken").status_code == 200
    assert "cam-1" not in pages.get("/devices?community=nowhere").text
    assert pages.get("/devices?after=zzz&q=%00").status_code == 200


def test_a_long_search_is_refused_not_run(pages: TestClient) -> None:
    assert pages.get("/devices", params={"q": "x" * 101}).status_code in {400, 422}


def test_a_device_page_links_only_to_registered_devices(pages: TestClient) -> None:
    assert pages.get("/devices/cam-5").status_code == 200
    assert pages.get("/devices/..%2f..%2fetc").status_code == 404
    assert pages.get("/devices/none").status_code == 404


PERSON, PROGRAM = {"Accept": "text/html"}, {"Accept": "*/*"}


def test_an_address_that_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    pages: TestClient,
) -> None:
    page = pages.get("/nope?lang=en", headers=PERSON)
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
    assert '<a href="/">' in page.text
    for path, headers in (("/nope", PROGRAM), ("/api/v1/nope", PERSON)):
        answer = pages.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_silent_show_when_they_were_last_heard(pages: TestClient) -> None:
    """cam-5 beat at 180 s, lock-4 said goodbye at 300 s, which is when it is offline from."""
    rows = re.findall(r"<li class=\"device .*?</li>", pages.get("/devices?lang=en").text, re.DOTALL)
    row = {id_: next(row for row in rows if f'id="d-{id_}"' in row) for id_ in ("cam-1", "cam-5", "lock-4")}
    assert re.search(r'last heard\s+<time datetime="2026-11-23T00:03:00Z"', row["cam-5"])
    assert "last heard" not in row["cam-1"]
    assert "last heard" not in row["lock-4"]


def test_an_unreachable_database_is_said_in_words(site: Site, tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'no-such-folder' / 'pulse.db'}")
    context = replace(site.context, db=gone, rate=OnlineRate(gone, site.clock))
    with TestClient(create_app(context), raise_server_exceptions=False) as pages:
        for path in ("/", "/wall", "/devices", "/devices/cam-5"):
            answer = pages.get(path, params={"lang": "en"})
            assert answer.status_code == 503
            assert "The database cannot be reached now" in answer.text


def test_pages_are_no_part_of_the_api_description(pages: TestClient) -> None:
    assert "/wall" not in pages.get("/api/v1/openapi.json").json()["paths"]
