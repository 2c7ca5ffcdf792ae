"""The data-sharing ratio on every relational back end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse.errors import BadInput
from pulse.indicators import sharing_books
from pulse.ledger.model import Evidence, Scope
from pulse.sharing import ratio
from pulse.sharing.receipts import Acknowledged
from pulse.stores.relational import receipts
from tests import servers
from tests.indicators.sharing import SharingSite, data_kind, part, states_of
from tests.indicators.site import camera, us
from tests.stores.relational.backends import BACKENDS, empty_url

BOTH = ("xinjinglou", "rongxinyuan")


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningPostgres]:
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SharingSite]:
    made = SharingSite(tmp_path, database_url=empty_url(request, tmp_path))
    yield made
    made.close()


def shared(site: SharingSite, at: float, known: float | None = None) -> tuple[int, int]:
    answer = site.sharing.instant(us(at), None if known is None else us(known))
    return answer["shared"], answer["collectable"]


def test_numerator_denominator_and_every_kind_with_its_receipt(site: SharingSite) -> None:
    site.register(camera(), camera("gas-1", kind="gas_alarm"), camera("bin-1", kind="sorting_bin"))
    site.declare(
        data_kind("gas_reading", "gas_alarm"),
        data_kind("video_status", "camera"),
        data_kind("sorting_record", "sorting_bin"),
        data_kind("flow_reading", "flow_meter"),
    )
    site.start(-1000)
    made = site.acknowledge(50, [part("gas_reading", last=45), part("video_status", last=-60)])
    site.mark(60)
    answer = site.sharing.instant()
    assert states_of(answer) == {
        "flow_reading": ("not_collectable", "no_device_in_service"),
        "gas_reading": ("shared", "records_acknowledged"),
        "sorting_record": ("not_shared", "never_acknowledged"),
        "video_status": ("not_shared", "records_too_old"),
    }
    assert (answer["shared"], answer["collectable"], answer["percent"]) == (1, 3, "33.3")
    assert (answer["percent_upper"], answer["determined"], answer["value"]) == ("33.3", True, 1 / 3)
    assert answer["score"] == {"points": 0.67, "of": 2.0, "assumption": True}
    gas = answer["kinds"][1]
    assert gas["receipt"] == {
        "outlet": "police",
        "delivery": made.delivery,
        "number": 1,
        "acknowledged": "2026-11-23T00:00:50Z",
        "expires": "2026-11-23T00:02:25Z",
    }
    assert (answer["at"], answer["known_at"]) == ("2026-11-23T00:01:00Z", "2026-11-23T00:01:00Z")
    assert list(answer["by_community"]) == ["xinjinglou"]
    assert site.sharing.instant() is answer, "kept until the watermark moves on"


def test_any_moment_as_known_at_any_time(site: SharingSite) -> None:
    site.register(camera())
    site.declare(data_kind("video_status", "camera"))
    site.start(-1000)
    site.acknowledge(50, [part("video_status", last=50)], recorded=80)
    site.mark(300)
    assert shared(site, 60) == (1, 1)
    assert shared(site, 60, known=79) == (0, 1)
    assert shared(site, 60, known=80) == (1, 1)
    assert shared(site, 150) == (0, 1)
    assert shared(site, 149.999999) == (1, 1)
    with pytest.raises(BadInput, match="known_at"):
        shared(site, 60, known=59)


def test_a_community_is_judged_by_its_own_and_so_are_those_who_see_no_other(site: SharingSite) -> None:
    site.register(camera(), camera("cam-2", community="rongxinyuan"))
    site.declare(data_kind("video_status", "camera"))
    site.start(-1000)
    site.acknowledge(50, [part("video_status", last=50)])
    site.mark(60)
    answer = site.sharing.instant()
    own = {name: (a["shared"], a["collectable"]) for name, a in answer["by_community"].items()}
    assert own == {"rongxinyuan": (0, 1), "xinjinglou": (1, 1)}
    limited = site.sharing.instant(within=frozenset({"rongxinyuan"}))
    assert (limited["shared"], list(limited["by_community"])) == (0, ["rongxinyuan"])


def quiet_site(site: SharingSite) -> None:
    site.register(camera("fence-1", kind="perimeter_alarm"))
    site.declare(data_kind("perimeter_event", "perimeter_alarm", quiet=True))
    site.start(-1000)
    site.hear("fence-1", -900, 400)
    site.hear("fence-1", 450)


def test_quiet_needs_a_source_that_was_online_through_it(site: SharingSite) -> None:
    quiet_site(site)
    site.acknowledge(350, [part("perimeter_event", quiet=(300, 345))])
    site.acknowledge(470, [part("perimeter_event", quiet=(445, 465))])
    site.acknowledge(490, [part("perimeter_event", quiet=(465, 485))])
    site.mark(500)
    assert states_of(site.sharing.instant(us(360))) == {"perimeter_event": ("shared", "quiet_acknowledged")}
    assert states_of(site.sharing.instant(us(470))) == {"perimeter_event": ("not_shared", "source_offline")}
    assert shared(site, 490) == (1, 1)


def test_where_nobody_listened_quiet_is_unknown_and_no_points_are_given(site: SharingSite) -> None:
    quiet_site(site)
    site.deaf(380, 460, recorded=460)
    site.acknowledge(470, [part("perimeter_event", quiet=(410, 465))])
    site.mark(480)
    answer = site.sharing.instant()
    assert states_of(answer) == {"perimeter_event": ("unknown", "source_unknown")}
    assert (answer["percent"], answer["percent_upper"], answer["determined"]) == ("0.0", "100.0", False)
    assert answer["bounds"] == [0.0, 1.0]
    assert answer["score"]["points"] is None


def test_maintenance_is_not_online(site: SharingSite) -> None:
    quiet_site(site)
    site.maintain(300, 340, recorded=290, scope=Scope(device="fence-1"))
    site.acknowledge(350, [part("perimeter_event", quiet=(320, 345))])
    site.mark(360)
    assert states_of(site.sharing.instant()) == {"perimeter_event": ("not_shared", "source_offline")}


def test_a_collector_that_is_away_leaves_quiet_unknown(site: SharingSite) -> None:
    quiet_site(site)
    site.mark(460, written=500)
    site.clock.now = us(600)
    site.acknowledge(590, [part("perimeter_event", quiet=(560, 585))])
    assert states_of(site.sharing.instant()) == {"perimeter_event": ("unknown", "source_unknown")}


def test_a_retired_last_device_leaves_the_denominator(site: SharingSite) -> None:
    site.register(camera(retired_us=us(100), retired_recorded_us=us(110)), camera("lock-1", kind="lock"))
    site.declare(data_kind("video_status", "camera"), data_kind("lock_status", "lock"))
    site.start(-1000)
    site.acknowledge(90, [part("video_status", last=90)])
    site.mark(200)
    assert shared(site, 99) == (1, 2)
    assert shared(site, 105, known=109) == (1, 2)
    assert shared(site, 105) == (0, 1)


def test_the_catalogue_of_the_time_counts(site: SharingSite) -> None:
    site.register(camera())
    site.declare(data_kind("video_status", "camera"))
    site.declare(data_kind("vehicle_pass", "camera"), since=100, recorded=50)
    site.withdraw("video_status", since=150)
    site.start(-1000)
    site.acknowledge(90, [part("video_status", last=90)])
    site.mark(200)
    assert shared(site, 99) == (1, 1)
    assert shared(site, 100) == (1, 2)
    assert shared(site, 150) == (0, 1)
    assert shared(site, 120, known=149) == (1, 2)


def test_without_a_kind_that_can_be_collected_there_is_no_ratio(site: SharingSite) -> None:
    site.mark(0)
    answer = site.sharing.instant()
    assert (answer["percent"], answer["value"], answer["bounds"]) == (None, None, None)
    assert (answer["shared"], answer["collectable"], answer["score"]["points"]) == (0, 0, None)


# Reading only what decides answers the same as reading everything.

seconds = st.integers(0, 40)
one_part = st.builds(
    lambda community, at, age, known, stated: (community, at, age, known, stated),
    st.sampled_from(BOTH),
    seconds,
    st.none() | st.integers(0, 20),
    st.integers(0, 8),
    st.none() | st.tuples(st.integers(0, 15), st.integers(0, 15)),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    receipt_parts=st.lists(one_part, max_size=12),
    freshness=st.integers(1, 15),
    quiet=st.booleans(),
    online=st.lists(st.tuples(seconds, st.integers(1, 12)), max_size=4),
    example=st.integers(0, 1 << 60),
)
def test_what_is_read_decides_as_all_there_is(
    tmp_path_factory: pytest.TempPathFactory,
    receipt_parts: list[tuple[str, int, int | None, int, tuple[int, int] | None]],
    freshness: int,
    quiet: bool,
    online: list[tuple[int, int]],
    example: int,
) -> None:
    site = SharingSite(tmp_path_factory.mktemp("site"))
    try:
        site.register(camera("s-1"), camera("s-2", community="rongxinyuan"))
        kind = data_kind("k", "camera", freshness_s=freshness, quiet=quiet)
        site.declare(kind)
        site.start(-1000)
        end = -1
        for begin, length in sorted(online):
            if begin > end:
                end = begin + length
                site.hear("s-1", begin, end, said=Evidence.BEAT)
        site.deaf(20, 25, recorded=25)
        for community, at, age, late, stated in receipt_parts:
            last = None if age is None else at - age
            said = None if stated is None else (at - max(stated), at - min(stated))
            own = part("k", community=community, last=last, count=1, quiet=said)
            site.acknowledge(at, [own], recorded=at + late)
        site.mark(100)
        with site.db.read() as connection:
            books = site.rate.library.consult(connection, us(60))
            _, versions = site.sharing.kinds.read(connection)
            everything = receipts.acknowledged(connection, 0, us(100), us(100))
            for at in range(0, 60, 3):
                for known in {us(at), us(60)}:
                    asked = sharing_books.Asked(us(at), known)
                    found = sharing_books.worked_out(connection, books, versions, asked)
                    seen = [one for one in everything if one.recorded_us <= known]
                    watch = sharing_books._Watch(
                        connection, books, sharing_books._serving(books.fleet, asked), asked
                    )
                    whole = ratio.answer({"k": kind}, {"k": seen}, {"camera": set(BOTH)}, BOTH, watch, us(at))
                    assert told(found.answer) == told(whole), at
                    if found.answer.whole.shared:
                        assert found.answer.next_us is not None
    finally:
        site.close()


def told(answer: ratio.Answer) -> object:
    def of(one: ratio.Judged) -> object:
        number = one.receipt.number if isinstance(one.receipt, Acknowledged) else None
        return one.state, one.why, number, one.expires_us

    return [of(k) for k in answer.whole.kinds], {
        name: [of(k) for k in own.kinds] for name, own in answer.by_community.items()
    }
