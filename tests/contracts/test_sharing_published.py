"""Published values of the data-sharing ratio on every relational back end: when, and whether they stand."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from api.context import Context
from api.jobs import publish
from pulse.clock import MINUTE_US
from pulse.indicators.online_rate import OnlineRate
from pulse.indicators.published import published as indicators
from pulse.indicators.sharing_present import NAME, compact
from pulse.indicators.sharing_publication import SharingPublication
from pulse.indicators.verifying import Outcome, recompute, verify
from pulse.ledger.model import Scope
from pulse.stores.relational import events, published
from pulse.stores.relational.published import PublishedValue
from tests import servers
from tests.indicators.sharing import SharingSite, data_kind, part
from tests.indicators.site import camera, us
from tests.stores.relational.backends import BACKENDS, empty_url

GO_ON = threading.Event()


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SharingSite]:
    made = SharingSite(tmp_path, database_url=empty_url(request, tmp_path))
    yield made
    made.close()


class Scheduler:
    """A process that publishes; it remembers what it worked out last."""

    def __init__(self, site: SharingSite) -> None:
        self.indicator = SharingPublication(site.db, site.rate.library)
        self._context = cast(Context, SimpleNamespace(db=site.db))
        self._seen: publish.Seen = {}

    def work(self) -> publish.Done:
        return publish._publish(self._context, self.indicator, GO_ON, self._seen, publish.LEAST_APART_US)


def living(site: SharingSite) -> None:
    """Two kinds, fresh for 100 s, from T0 on."""
    site.register(camera(), camera("gas-1", kind="gas_alarm"), camera("fence-1", kind="perimeter_alarm"))
    site.declare(
        data_kind("video_status", "camera"),
        data_kind("gas_reading", "gas_alarm"),
        data_kind("perimeter_event", "perimeter_alarm", quiet=True),
        since=0,
    )
    site.start(-1000)
    site.hear("fence-1", -900, 200)
    site.hear("fence-1", 230)


def values(site: SharingSite) -> list[PublishedValue]:
    with site.db.read() as connection:
        return published.series(connection, NAME, 0, us(10**6))


def said(site: SharingSite) -> list[tuple[float, int, int]]:
    return [((v.at_us - us(0)) / 1e6, v.numerator, v.denominator) for v in values(site)]


def outcomes(site: SharingSite) -> list[tuple[str, list[str]]]:
    """As a process of its own finds them."""
    with site.db.read() as connection:
        library = OnlineRate(site.db, site.clock).library
        found = list(recompute(indicators(site.db, library), published.walk(connection)))
    return [(str(one.outcome), [r.slug for r in one.reasons]) for one in found]


def test_it_is_published_at_every_minute_at_receipts_and_when_one_expires(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.mark(1)
    scheduler.work()
    site.acknowledge(20, [part("video_status", last=20)])
    site.mark(22)
    scheduler.work()
    site.acknowledge(62.5, [part("gas_reading", last=62.5)], recorded=63)
    for second in (64, 119.9, 120.5, 163, 181):
        site.mark(second)
        scheduler.work()
    assert said(site) == [
        (0, 0, 3),
        (20, 1, 3),
        (60, 1, 3),
        (63, 2, 3),
        (120, 1, 3),
        (162.5, 0, 3),
        (180, 0, 3),
    ]
    with site.db.read() as connection:
        assert verify(connection).broken is None
    assert {outcome for outcome, _ in outcomes(site)} == {"same"}


def test_a_change_of_the_catalogue_and_of_the_registry_is_published(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.mark(1)
    scheduler.work()
    site.declare(data_kind("vehicle_pass", "camera"), since=30, recorded=10)
    site.mark(12)
    scheduler.work()
    site.mark(31)
    scheduler.work()
    site.register(camera("gas-1", kind="gas_alarm", retired_us=us(45), retired_recorded_us=us(33)), at=33)
    site.mark(34)
    scheduler.work()
    site.mark(46)
    scheduler.work()
    assert said(site) == [(0, 0, 3), (30, 0, 4), (45, 0, 3)]


def test_what_comes_back_catches_up_at_the_moments_of_then(site: SharingSite) -> None:
    living(site)
    first = Scheduler(site)
    site.mark(1)
    first.work()
    site.acknowledge(20, [part("video_status", last=20)])
    site.acknowledge(70, [part("gas_reading", last=65)])
    site.mark(250)
    Scheduler(site).work()
    assert said(site) == [
        (0, 0, 3),
        (20, 1, 3),
        (60, 1, 3),
        (70, 2, 3),
        (120, 1, 3),
        (165, 0, 3),
        # Now the acknowledgement is too old as well.
        (170, 0, 3),
        (180, 0, 3),
        (240, 0, 3),
    ]
    assert [v.numerator for v in values(site)] == [
        site.sharing.instant(v.at_us, v.known_us)["shared"] for v in values(site)
    ]


def test_nothing_is_published_before_there_is_a_catalogue(site: SharingSite) -> None:
    site.register(camera())
    site.start(-1000)
    site.mark(600)
    assert Scheduler(site).work().published == 0
    site.declare(data_kind("video_status", "camera"), since=590)
    Scheduler(site).work()
    assert said(site) == [(600, 0, 1)]


def test_a_receipt_that_becomes_visible_behind_the_last_value_is_published_at_once(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.mark(30)
    scheduler.work()
    site.acknowledge(29, [part("video_status", last=29)], recorded=29)
    site.mark(31.5)
    scheduler.work()
    assert [numerator for _, numerator, _ in said(site)] == [0, 1]
    assert {outcome for outcome, _ in outcomes(site)} == {"same"}


def test_a_receipt_that_is_seen_before_the_watermark_knows_of_it_is_not_forgotten(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.mark(1)
    scheduler.work()
    site.acknowledge(10, [part("gas_reading", last=10)])
    site.acknowledge(20, [part("video_status", last=20)])
    site.mark(15)
    scheduler.work()
    last = values(site)[-1]
    assert (last.numerator, last.inputs["receipts_known"]) == (1, 1)
    assert str(last.inputs["receipts_head"]).startswith("2:")
    site.mark(22)
    scheduler.work()
    assert said(site)[-1] == (20, 2, 3)
    assert {outcome for outcome, _ in outcomes(site)} == {"same"}


def test_a_change_is_told_once_with_the_states_of_the_kinds(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.mark(1)
    scheduler.work()
    site.acknowledge(20, [part("video_status", last=20)])
    site.mark(62)
    scheduler.work()
    scheduler.work()
    with site.db.read() as connection:
        told = [e for e in events.after(connection, 0, 100) if e.topic == "sharing"]
    assert [(e.body["shared"], e.body["collectable"], e.body["percent"]) for e in told] == [
        (0, 3, "0.0"),
        (1, 3, "33.3"),
    ]
    assert told[1].body["kinds"][2] == {
        "id": "video_status",
        "state": "shared",
        "reason": "records_acknowledged",
    }
    assert list(told[1].body["by_community"]) == ["xinjinglou"]


def test_points_for_the_telemetry_store_have_a_count_of_every_state(site: SharingSite) -> None:
    living(site)
    site.acknowledge(20, [part("video_status", last=20)])
    site.mark(30)
    whole, own = Scheduler(site).indicator.points(Scheduler(site).indicator.draft(us(30)).value)
    assert (whole.community, own.community) == ("", "xinjinglou")
    assert (whole.name, whole.numerator, whole.denominator, whole.lower) == (NAME, 1, 3, 1 / 3)
    assert whole.states == {"shared": 1, "not_shared": 2, "unknown": 0, "not_collectable": 0}


# Verifying.


def tampered(site: SharingSite, table: str, statement: str) -> None:
    """What whoever has the database can do, and the product cannot."""
    with site.db.write() as connection:
        sqlite = connection.dialect.name == "sqlite"
        names = (
            [f"{table}_no_update", f"{table}_no_delete"] if sqlite else [f"{table}_append_only ON {table}"]
        )
        for name in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        assert connection.exec_driver_sql(statement).rowcount


def lived(site: SharingSite) -> None:
    living(site)
    scheduler = Scheduler(site)
    site.acknowledge(20, [part("video_status", last=20)])
    site.acknowledge(50, [part("gas_reading", last=45), part("perimeter_event", quiet=(0, 50))])
    site.acknowledge(240, [part("perimeter_event", quiet=(150, 240))])
    for second in (0, 61, 121, 181, 245, 301):
        site.mark(second)
        scheduler.work()
    assert {outcome for outcome, _ in outcomes(site)} == {"same"}


@pytest.mark.parametrize(
    ("table", "statement", "slug"),
    [
        (
            "receipt_parts",
            f"UPDATE receipt_parts SET last_us = {us(40)} WHERE data_kind = 'video_status'",
            "receipts",
        ),
        (
            "receipt_parts",
            f"UPDATE receipt_parts SET acknowledged_us = {us(51)} WHERE data_kind = 'gas_reading'",
            "receipts",
        ),
        ("receipt_parts", "DELETE FROM receipt_parts WHERE receipt = 2", "receipts"),
        (
            "receipt_parts",
            f"UPDATE receipt_parts SET quiet_from_us = {us(231)} WHERE receipt = 3",
            "receipts",
        ),
        ("receipts", "UPDATE receipts SET outlet = 'fire' WHERE number = 1", "receipts"),
        ("receipts", "UPDATE receipts SET link = 'x' WHERE number = 3", "receipts"),
        (
            "data_kinds",
            """UPDATE data_kinds SET says = replace(says, '"quiet":false', '"quiet":true')"""
            " WHERE id = 'video_status'",
            "catalogue",
        ),
        ("data_kinds", "DELETE FROM data_kinds WHERE id = 'gas_reading'", "catalogue"),
        ("data_kinds", "UPDATE data_kinds SET since_us = since_us + 60000001", "catalogue"),
    ],
)
def test_whoever_edits_a_receipt_or_a_kind_is_told_of(
    site: SharingSite, table: str, statement: str, slug: str
) -> None:
    lived(site)
    tampered(site, table, statement)
    found = [reasons for outcome, reasons in outcomes(site) if outcome == Outcome.DIFFERS]
    assert found
    # What follows from it is named beside it.
    assert all(slug in reasons for reasons in found)


def test_a_part_that_was_edited_before_it_was_published_does_not_follow_from_its_receipt(
    site: SharingSite,
) -> None:
    living(site)
    site.acknowledge(50, [part("gas_reading", last=-500)])
    tampered(site, "receipt_parts", f"UPDATE receipt_parts SET last_us = {us(50)}")
    site.mark(60)
    Scheduler(site).work()
    assert said(site)[-1] == (60, 1, 3)
    assert outcomes(site)[-1] == ("differs", ["receipts"])


@pytest.mark.parametrize(
    ("statement", "slug"),
    [
        ("UPDATE runs SET end_us = end_us - 1000000 WHERE device = 'fence-1' AND end_us > 0", "states"),
        (f"UPDATE devices SET commissioned_us = {us(100)} WHERE id = 'gas-1'", "registry"),
    ],
)
def test_whoever_edits_an_interval_or_a_device_is_told_of(
    site: SharingSite, statement: str, slug: str
) -> None:
    lived(site)
    with site.db.write() as connection:
        connection.execute(text(statement))
    found = {reason for outcome, reasons in outcomes(site) for reason in reasons}
    assert found == {slug}


def test_figures_that_do_not_follow_are_told_of(site: SharingSite) -> None:
    living(site)
    site.mark(60)
    honest = Scheduler(site).indicator.draft(us(60)).value
    figures = {**honest.figures, "all": {**honest.figures["all"], "shared": 3}}
    with site.db.write() as connection:
        published.append(connection, honest._replace(numerator=3, figures=figures, digest=""))
    assert outcomes(site) == [("differs", ["figures"])]


def test_what_the_product_did_itself_explains_a_difference(site: SharingSite) -> None:
    lived(site)
    site.register(camera("gas-1", kind="gas_alarm", commissioned_us=us(100)), at=300)
    found = outcomes(site)
    assert "differs" not in {outcome for outcome, _ in found}
    assert ("explained", ["registry_changed"]) in found


def test_a_decision_that_became_visible_a_moment_later_explains_a_difference(site: SharingSite) -> None:
    lived(site)
    last = values(site)[-1].known_us
    site.maintain(230, 240, recorded=(last - us(0)) / 1e6, scope=Scope(device="fence-1"))
    site.declare(data_kind("vehicle_pass", "camera"), since=300, recorded=(last - us(0)) / 1e6)
    assert [one for one in outcomes(site) if one[0] != "same"] == [("explained", ["decided_then"])]


def test_communities_and_devices_registered_later_change_nothing(site: SharingSite) -> None:
    lived(site)
    site.register(
        camera("cam-9", community="yiminyuan", commissioned_us=us(400), commissioned_recorded_us=us(400)),
        at=400,
    )
    assert {outcome for outcome, _ in outcomes(site)} == {"same"}


# Published at moments of change is what it is at every instant.


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 60), st.integers(0, 4)), max_size=8),
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 60)), max_size=3),
    st.integers(1, 7),
)
def test_between_published_values_it_is_what_the_last_one_says(
    tmp_path_factory: pytest.TempPathFactory,
    receipts: Sequence[tuple[int, int, int]],
    quiet: Sequence[tuple[int, int]],
    pace: int,
) -> None:
    site = SharingSite(tmp_path_factory.mktemp("site"))
    try:
        living(site)
        scheduler = Scheduler(site)
        pending = sorted(
            [(at + late, at, part("video_status", last=at - age)) for at, age, late in receipts]
            + [(at, at, part("perimeter_event", quiet=(at - length, at))) for at, length in quiet],
            key=lambda one: one[0],
        )
        known: list[tuple[int, int]] = []
        for second in range(0, 320, pace):
            while pending and pending[0][0] <= second:
                recorded, at, own = pending.pop(0)
                site.acknowledge(at, [own], recorded=recorded)
                known.append((recorded, at))
            site.mark(second)
            scheduler.work()
        chain = values(site)
        late = {at for recorded, at in known if recorded != at}
        for second in range(0, 300, 4):
            at_us = us(second) + 2_500_000
            said_then: Any = [v for v in chain if v.at_us <= at_us][-1]
            now = scheduler.indicator.draft(at_us).found.answer
            # What was acknowledged and told later was not known yet when a value was published.
            if not any(at <= second + 3 and second - 110 <= at for at in late):
                assert said_then.figures == compact(now), second
        assert {outcome for outcome, _ in outcomes(site)} == {"same"}
        assert all(v.at_us % MINUTE_US or v.at_us in {us(n) for n in range(0, 400, 60)} for v in chain)
    finally:
        site.close()


# Another program, by docs/published.md alone: it reads the database and knows nothing of ours.


def independent(database: Path, row: dict[str, Any], states: list[Any]) -> dict[str, str]:
    at, known = row["at_us"], row["known_us"]
    head = int(json.loads(row["inputs"])["receipts_head"].partition(":")[0])
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row

    def hashed(lines: list[list[Any]]) -> str:
        texts = [json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() for line in lines]
        return hashlib.sha256(b"".join(text + b"\n" for text in texts)).hexdigest()

    def newest(p: sqlite3.Row) -> tuple[int, int]:
        return p["acknowledged_us"], p["receipt"]

    kinds = {}
    for version in connection.execute(
        "SELECT * FROM data_kinds WHERE since_us <= ? ORDER BY recorded_us", (at,)
    ):
        if version["recorded_us"] <= known:
            kinds[version["id"]] = json.loads(version["says"])
    sources = {source for kind in kinds.values() for source in kind["sources"]}
    counts: dict[tuple[str, str], int] = {}
    for device in connection.execute("SELECT * FROM devices"):
        begun = device["commissioned_us"] <= at and device["commissioned_recorded_us"] <= known
        ended = device["retired_us"] is not None and device["retired_us"] <= at
        if begun and not ended and device["kind"] in sources:
            place = device["community"], device["kind"]
            counts[place] = counts.get(place, 0) + 1
    lines = []
    for name in sorted(kinds):
        after = at - round(kinds[name]["freshness_s"] * 1_000_000)
        parts = connection.execute(
            "SELECT p.*, r.delivery FROM receipt_parts p JOIN receipts r ON r.number = p.receipt WHERE"
            " data_kind = ? AND p.acknowledged_us <= ? AND p.recorded_us <= ? AND receipt <= ?",
            (name, at, known, head),
        ).fetchall()
        decides = set()
        for community in {p["community"] for p in parts}:
            own = [p for p in parts if p["community"] == community]
            decides.add(max(own, key=newest))
            window = [p for p in own if p["acknowledged_us"] > after and p["count"]]
            counting = [p for p in window if p["last_us"] is not None and after < p["last_us"] <= at]
            if counting or window:
                decides.add(max(counting or window, key=lambda p: (p["last_us"] or 0, *newest(p))))
            if kinds[name]["quiet"] and not counting:
                decides |= {p for p in own if p["acknowledged_us"] > after and p["quiet_until_us"]}
        for p in sorted(decides, key=lambda p: (p["receipt"], p["community"])):
            names = ("receipt", "outlet", "delivery", "acknowledged_us", "recorded_us", "count", "first_us")
            rest = ("last_us", "quiet_from_us", "quiet_until_us")
            lines.append([name, p["community"], *(p[n] for n in (*names, *rest))])
    connection.close()
    return {
        "catalogue": hashed(
            [
                [name, k["sources"], round(k["freshness_s"] * 1_000_000), k["quiet"]]
                for name, k in sorted(kinds.items())
            ]
        ),
        "registry": hashed([[*place, amount] for place, amount in sorted(counts.items())]),
        "receipts": hashed(lines),
        "states": hashed(states),
    }


def test_another_program_works_out_the_same_by_the_documentation(tmp_path: Path) -> None:
    site = SharingSite(tmp_path)
    living(site)
    site.register(camera("cam-2", community="rongxinyuan"))
    scheduler = Scheduler(site)
    site.acknowledge(20, [part("video_status", last=20)])
    site.acknowledge(50, [part("gas_reading", last=45), part("perimeter_event", quiet=(0, 50))])
    site.acknowledge(52, [part("video_status", last=52, community="rongxinyuan")], outlet="fire")
    site.acknowledge(70, [part("video_status", last=-90)], recorded=75)
    for second in (0, 61, 121, 301):
        site.mark(second)
        scheduler.work()
    site.close()
    raw = sqlite3.connect(tmp_path / "pulse.db")
    raw.row_factory = sqlite3.Row
    values_ = [dict(row) for row in raw.execute("SELECT * FROM published ORDER BY sequence")]
    links = {row["number"]: row["link"] for row in raw.execute("SELECT number, link FROM receipts")}
    raw.close()
    assert len(values_) > 8
    for row in values_:
        inputs, at = json.loads(row["inputs"]), row["at_us"]
        stated = us(50) <= at < us(150)
        # fence-1 beats from -900 s to 200 s, and from 230 s on; F is 100 s.
        lived_through = [["fence-1", "xinjinglou", [[at - 100_000_000, at + 1, "online"]]]]
        other = independent(tmp_path / "pulse.db", row, lived_through if stated else [])
        assert {name: inputs[name] for name in other} == other, at
        number, _, link = inputs["receipts_head"].partition(":")
        assert link == links.get(int(number), "0" * 64)
