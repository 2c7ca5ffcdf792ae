"""Published values on every relational back end: one chain that shows what was tampered with."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pulse import chain
from pulse.chain import Broken, Verified
from pulse.errors import Conflict, PulseError
from pulse.indicators.online_rate import OnlineRate
from pulse.indicators.publication import Publication
from pulse.indicators.verifying import Outcome, Recomputed, recompute, verify
from pulse.ledger.model import FOREVER, Evidence, Scope
from pulse.stores.relational import coverage, maintenance, published, registry
from pulse.stores.relational.database import Database
from pulse.stores.relational.published import PublishedValue
from tests import servers
from tests.indicators.site import Site, camera, us
from tests.stores.relational.backends import BACKENDS, empty_url

VALUES = 6


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, database_url=empty_url(request, tmp_path))
    yield made
    made.close()


@pytest.fixture
def db(site: Site) -> Database:
    return site.db


def value(at_us: int, name: str = "online-rate") -> PublishedValue:
    return PublishedValue(name, at_us, at_us + 1, 811, 826, {"at": at_us}, inputs={"form": 1, "at": at_us})


def filled(db: Database) -> None:
    for at_us in range(1, VALUES + 1):
        with db.write() as connection:
            published.append(connection, value(at_us))


def verified(db: Database, noted: chain.Head | None = None) -> Verified:
    with db.read() as connection:
        return verify(connection, noted)


def broken(db: Database) -> Broken | None:
    return verified(db).broken


def tampered(db: Database, *statements: str) -> None:
    """What whoever has the database can do, and the product cannot."""
    with db.write() as connection:
        for trigger in (
            ("published_no_update", "published_no_delete")
            if connection.dialect.name == "sqlite"
            else ("published_append_only ON published",)
        ):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        for statement in statements:
            connection.execute(text(statement))


# The chain.


def test_values_of_all_names_are_one_chain_in_the_order_of_their_publication(db: Database) -> None:
    assert verified(db) == Verified(0, chain.Head(), None)
    with db.write() as connection:
        published.append_many(connection, [value(3), value(1), value(2, "other")])
        published.append(connection, value(9))
    found = verified(db)
    assert (found.links, found.broken) == (4, None)
    with db.read() as connection:
        rows = list(published.walk(connection))
    assert [(row.sequence, row.name, row.at_us) for row in rows] == [
        (1, "online-rate", 3),
        (2, "online-rate", 1),
        (3, "other", 2),
        (4, "online-rate", 9),
    ]
    assert [row.previous for row in rows] == [chain.FIRST, *(row.link for row in rows[:-1])]
    assert found.head == chain.Head(4, rows[-1].link)


def test_a_value_that_is_refused_leaves_the_chain_as_it_was(db: Database) -> None:
    filled(db)
    before = verified(db).head
    with pytest.raises(Conflict), db.write() as connection:
        published.append_many(connection, [value(70), value(2)])
    with db.write() as connection:
        with pytest.raises(Conflict):
            published.append(connection, value(2))
        published.append(connection, value(71))
    found = verified(db, before)
    assert (found.links, found.broken) == (VALUES + 1, None)


@pytest.mark.parametrize(
    ("statements", "number", "said"),
    [
        (["UPDATE published SET numerator = 826 WHERE sequence = 3"], 3, "was changed"),
        (["UPDATE published SET known_us = 0 WHERE sequence = 1"], 1, "was changed"),
        (["UPDATE published SET figures = '{}' WHERE sequence = 4"], 4, "figures were changed"),
        (["UPDATE published SET inputs = '{}' WHERE sequence = 4"], 4, "inputs were changed"),
        (["UPDATE published SET figures = '{}', digest = 'x' WHERE sequence = 4"], 4, "was changed"),
        (["UPDATE published SET link = 'x' WHERE sequence = 5"], 5, "was changed"),
        (["DELETE FROM published WHERE sequence = 1"], 1, "missing"),
        (["DELETE FROM published WHERE sequence = 4"], 4, "missing: 3 is followed by 5"),
        (["DELETE FROM published WHERE sequence = 6"], 6, "missing"),
        (["DELETE FROM published"], 1, "missing: the chain ends at 0, it had 6"),
        (
            [
                "INSERT INTO published SELECT name, at_us + 100, known_us, numerator, denominator, figures,"
                " digest, 7, inputs, inputs_digest, link, link FROM published WHERE sequence = 6"
            ],
            7,
            "was changed",
        ),
        (
            [
                "UPDATE published SET sequence = -sequence - 1 WHERE sequence >= 3",
                "UPDATE published SET sequence = -sequence WHERE sequence < 0",
                "INSERT INTO published SELECT name, at_us + 100, known_us, numerator, denominator, figures,"
                " digest, 3, inputs, inputs_digest, link, link FROM published WHERE sequence = 2",
            ],
            3,
            "was changed",
        ),
        (
            [
                "UPDATE published SET sequence = CASE sequence WHEN 2 THEN -3 WHEN 3 THEN -2 END"
                " WHERE sequence IN (2, 3)",
                "UPDATE published SET sequence = -sequence WHERE sequence < 0",
            ],
            2,
            "what belongs here stands at 3: a value was put in or moved",
        ),
    ],
)
def test_whatever_is_done_to_the_rows_the_first_broken_link_is_named(
    db: Database, statements: list[str], number: int, said: str
) -> None:
    filled(db)
    assert broken(db) is None
    tampered(db, *statements)
    found = broken(db)
    assert found is not None
    assert (found.number, said in found.reason) == (number, True), found
    with db.write() as connection:
        # Publishing goes on, and what comes later hides nothing.
        published.append(connection, value(1000))
    after = broken(db)
    assert after is not None
    assert after.number == number


@pytest.mark.parametrize(
    "change", ["UPDATE published SET numerator = 1", "DELETE FROM published", "TRUNCATE published"]
)
def test_the_database_refuses_to_change_what_was_published(db: Database, change: str) -> None:
    filled(db)
    with db.read() as connection:
        if connection.dialect.name == "sqlite" and change.startswith("TRUNCATE"):
            return
    with pytest.raises(PulseError, match="only appended to"), db.write() as connection:
        connection.execute(text(change))
    assert broken(db) is None


def test_a_chain_written_anew_does_not_fit_an_end_that_was_noted_elsewhere(db: Database) -> None:
    filled(db)
    noted = verified(db).head
    tampered(db, "DELETE FROM published", "DELETE FROM meta WHERE key = 'published_head'")
    for at_us in range(1, VALUES + 3):
        with db.write() as connection:
            published.append(connection, value(at_us)._replace(numerator=826))
    assert broken(db) is None
    found = verified(db, noted).broken
    assert found is not None
    assert (found.number, "written anew" in found.reason) == (VALUES, True)


def test_schedulers_that_publish_together_make_one_chain(db: Database) -> None:
    """Each has a connection of its own, as a process of its own does; all want to publish the same."""
    failed, refused = list[BaseException](), list[int]()
    begin = threading.Barrier(4)

    def schedule() -> None:
        own = Database(db._url.render_as_string(hide_password=False))
        try:
            begin.wait(20)
            for at_us in range(1, 26):
                try:
                    with own.write() as connection:
                        published.append(connection, value(at_us))
                except Conflict:
                    refused.append(at_us)
        except BaseException as error:
            failed.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    found = verified(db)
    assert (found.links, found.broken) == (25, None)
    assert len(refused) == 75


# Recomputing.


def lived(site: Site) -> None:
    """Four cameras: one online throughout, one silent from 300 s on, one that said goodbye, one at fault."""
    site.register(*(camera(f"cam-{number}") for number in range(1, 5)))
    site.start(-1000)
    site.hear("cam-1", -900)
    site.hear("cam-2", -900, 300)
    site.hear("cam-3", -900, 400)
    site.hear("cam-3", 400, said=Evidence.OFFLINE)
    site.hear("cam-4", -900, 500)
    site.hear("cam-4", 500, said=Evidence.FAULT)
    site.deaf(100, 130, recorded=130)
    site.maintain(420, 560, recorded=200, scope=Scope(device="cam-3"))


def publish(site: Site, *seconds: int) -> None:
    for at in seconds:
        site.mark(at)
        draft = Publication(site.rate.library).draft(us(at))
        with site.db.write() as connection:
            published.append(connection, draft.value)


def recomputed(site: Site) -> list[Recomputed]:
    with site.db.read() as connection:
        # As a process of its own does, which has read nothing before.
        fresh = Publication(OnlineRate(site.db, site.clock).library)
        return list(recompute([fresh], published.walk(connection)))


def outcomes(site: Site) -> list[tuple[int, str, list[str]]]:
    """The values that do not come out the same: which, how, and because of what."""
    return [
        (one.sequence, str(one.outcome), [reason.slug for reason in one.reasons])
        for one in recomputed(site)
        if one.outcome is not Outcome.SAME
    ]


MINUTES = (0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600)


def change(site: Site, statement: str) -> None:
    with site.db.write() as connection:
        assert connection.execute(text(statement)).rowcount == 1


def test_untouched_values_come_out_the_same(site: Site) -> None:
    lived(site)
    publish(site, *MINUTES)
    assert outcomes(site) == []
    assert [one.found for one in recomputed(site)] == [one.said for one in recomputed(site)]
    assert [one.said for one in recomputed(site)] == [(4, 4)] * 5 + [
        (3, 4),
        (3, 4),
        (2, 4),
        (2, 4),
        (1, 4),
        (1, 4),
    ]


@pytest.mark.parametrize(
    ("statement", "section", "first"),
    [
        ("UPDATE runs SET end_us = NULL WHERE device = 'cam-2'", "evidence", 6),
        (f"UPDATE runs SET end_us = {us(301)} WHERE device = 'cam-2'", "evidence", 6),
        (f"UPDATE runs SET end_us = {us(299)} WHERE device = 'cam-2'", "evidence", 6),
        (f"UPDATE runs SET start_us = {us(-901)} WHERE device = 'cam-1'", "evidence", 1),
        (f"UPDATE runs SET evidence = 0 WHERE device = 'cam-4' AND start_us = {us(500)}", "evidence", 10),
        (f"UPDATE runs SET since_us = {us(410)} WHERE evidence = 2", "evidence", 8),
        (f"UPDATE runs SET recorded_us = {us(450)} WHERE evidence = 2", "evidence", 8),
        ("DELETE FROM runs WHERE device = 'cam-1'", "evidence", 1),
        (f"UPDATE blinds SET end_us = {us(190)}", "coverage", 4),
        ("DELETE FROM blinds", "coverage", 4),
        (f"UPDATE maintenance SET start_us = {us(350)}", "maintenance", 7),
        ("DELETE FROM maintenance", "maintenance", 8),
        ("UPDATE devices SET commissioned_us = commissioned_us + 1 WHERE id = 'cam-1'", "registry", 1),
        (f"UPDATE devices SET retired_us = {us(200)}, retired_recorded_us = 0 WHERE id = 'cam-2'",
         "registry", 5),
        ("UPDATE policies SET timeout_us = 91000000 WHERE subject = 'cam-1'", "policies", 1),
    ],
)  # fmt: skip
def test_an_interval_that_was_edited_is_found_by_the_values_it_was_in(
    site: Site, statement: str, section: str, first: int
) -> None:
    lived(site)
    publish(site, *MINUTES)
    change(site, statement)
    found = outcomes(site)
    assert found
    assert found[0][:2] == (first, "differs"), found
    assert section in found[0][2]
    assert broken(site.db) is None


def test_figures_that_do_not_follow_from_their_inputs_are_found(site: Site) -> None:
    lived(site)
    publish(site, 0)
    site.mark(60)
    honest = Publication(site.rate.library).draft(us(60)).value
    figures = {**honest.figures, "all": {**honest.figures["all"], "raw": [4, 5]}}
    with site.db.write() as connection:
        published.append(connection, honest._replace(denominator=5, figures=figures))
    assert broken(site.db) is None
    assert outcomes(site) == [(2, "differs", ["figures"])]


# What happens later by right is no tampering.


def test_what_becomes_known_later_changes_no_value(site: Site) -> None:
    """Late evidence splits runs, an open run ends, coverage is revoked and recorded, windows cancelled."""
    lived(site)
    publish(site, *MINUTES)
    with site.db.write() as connection:
        connection.execute(text(f"DELETE FROM runs WHERE device = 'cam-1' AND start_us = {us(-900)}"))
    # A fault measured at 290 and delivered at 700 splits what was one run, and the time behind it.
    site.hear("cam-1", -900, 290)
    site.hear("cam-1", 290, 310, recorded=-900, since=-900, superseded=700)
    site.hear("cam-1", 290, 310, said=Evidence.FAULT, recorded=700)
    site.hear("cam-1", 310, 690, recorded=-900, since=310)
    site.hear("cam-2", 300, 390, recorded=700, since=-900)
    with site.db.write() as connection:
        (entry, _), *_ = coverage.entries(connection)
        coverage.revoke(connection, entry, us(650))
        maintenance.cancel(connection, 1, us(650))
    site.deaf(0, 600, recorded=660)
    site.maintain(0, 600, recorded=660)
    assert outcomes(site) == []


def test_devices_registered_and_timeouts_agreed_later_change_no_value(site: Site) -> None:
    lived(site)
    publish(site, *MINUTES)
    now = camera("cam-9", commissioned_us=us(-500), commissioned_recorded_us=None)
    idle = camera("cam-8", community="rongxinyuan", commissioned_us=None, commissioned_recorded_us=None)
    with site.db.write() as connection:
        registry.put_devices(connection, [camera("cam-2", timeout_s=300)], us(700))
    site.register(now, idle, at=700)
    with site.db.write() as connection:
        registry.put_devices(
            connection, [camera("cam-1", retired_us=us(100), retired_recorded_us=None)], us(710)
        )
    site.hear("cam-9", 300)
    assert outcomes(site) == []


def test_a_community_that_a_device_moved_to_explains_a_difference(site: Site) -> None:
    lived(site)
    publish(site, 0)
    site.register(camera("cam-5", community="rongxinyuan"), at=700)
    with site.db.write() as connection:
        registry.put_devices(connection, [camera("cam-1", community="rongxinyuan")], us(710))
    ((_, outcome, reasons),) = outcomes(site)
    assert (outcome, set(reasons)) == ("explained", {"registry_changed"})


def test_another_default_timeout_changes_no_value(site: Site, tmp_path: Path) -> None:
    site.register(camera(timeout_s=None))
    with site.db.write() as connection:
        connection.execute(text("UPDATE kinds SET timeout_us = NULL"))
        connection.execute(text("UPDATE policies SET timeout_us = NULL"))
    site.start(-1000)
    site.hear("cam-1", -900, 0)
    site.deaf(-50, -20, recorded=-20)
    publish(site, 60, 120)
    assert [one.said for one in recomputed(site)] == [(0, 1), (0, 1)]
    later = Publication(type(site.rate)(site.db, site.clock, default_timeout_s=60.0).library)
    with site.db.read() as connection:
        found = list(recompute([later], published.walk(connection)))
    assert {one.outcome for one in found} == {Outcome.SAME}


def test_messages_that_waited_for_the_telemetry_store_explain_a_difference(site: Site) -> None:
    lived(site)
    publish(site, 300)
    with site.db.write() as connection:
        coverage.set_waiting(connection, 12)
    publish(site, 360)
    with site.db.write() as connection:
        coverage.set_waiting(connection, 0)
    publish(site, 420)
    # Received at 340, and taken in after 360 only.
    site.hear("cam-2", 330, 400, recorded=340)
    found = [one for one in recomputed(site) if one.outcome is not Outcome.SAME]
    assert [(one.sequence, str(one.outcome)) for one in found] == [(2, "explained"), (3, "differs")]
    assert found[0].reasons[0].slug == "late_messages"
    assert "12" in found[0].reasons[0].en


def test_a_decision_that_became_visible_a_moment_later_explains_a_difference(site: Site) -> None:
    lived(site)
    publish(site, 240, 300)
    site.deaf(0, FOREVER, recorded=299.9)
    site.maintain(280, 400, recorded=299.5)
    assert outcomes(site) == [(2, "explained", ["decided_then"])]
    site.deaf(0, FOREVER, recorded=200)
    assert {outcome for _, outcome, _ in outcomes(site)} == {"differs"}


def test_values_whose_inputs_nobody_recorded_are_said_to_be_so(site: Site) -> None:
    lived(site)
    with site.db.write() as connection:
        published.append(connection, value(us(0))._replace(inputs={"none": "before_0004"}))
        published.append(connection, value(us(1))._replace(inputs={"form": 99}))
    assert outcomes(site) == [(1, "not_recorded", []), (2, "differs", ["form"])]
