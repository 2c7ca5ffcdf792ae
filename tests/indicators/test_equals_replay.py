"""Answers from the database are those of a replay of the messages, over random histories (rule 12)."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pulse.clock import SECOND_US
from pulse.indicators.online_rate import Whole
from pulse.indicators.present import described
from pulse.ledger.model import EVER, Device, Run, State
from pulse.ledger.outcome import Outcome
from pulse.ledger.rates import Figures
from pulse.ledger.replay import ColumnMessages, Known, Query, answer, device_figures
from pulse.registry.model import DeviceRecord
from pulse.stores.relational import coverage, intervals, maintenance
from tests.indicators.site import LONG_AGO, T0, Site, scaled, us
from tests.ledger.live import Kept, Live, replayed_states, state_at
from tests.ledger.strategies import HORIZON, World, worlds
from tests.ledger.test_twins import in_columns

END = HORIZON + 30


class StoredRuns(Kept):
    """Keeps the engine's rows where operation does."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._db = site.db

    def runs(self, device: str, from_us: int) -> Sequence[Run]:
        with self._db.read() as connection:
            return intervals.ever(connection, device, max(from_us, EVER))

    def keep(self, outcome: Outcome) -> None:
        with self._db.write() as connection:
            for device, cut, runs in outcome.rebuilt:
                intervals.replace_runs(connection, device, cut, runs)
            intervals.put_runs(connection, outcome.runs)


def on_the_product_s_axis(world: World) -> World:
    """The small world in microseconds from `T0`."""
    books = world.books
    devices = [
        d if d.retired is None or d.retired > d.commissioned else d._replace(retired=None)
        for d in books.devices
    ]
    messages = [
        replace(
            m,
            observed_us=us(m.observed_us),
            measured_us=None if m.measured_us is None else us(m.measured_us),
        )
        for m in world.messages
    ]
    books = books._replace(
        devices=scaled(devices),
        start=us(books.start),
        blinds=[
            b._replace(start=us(b.start), end=us(b.end), recorded=us(b.recorded), revoked=us(b.revoked))
            for b in books.blinds
        ],
        maintenance=[
            w._replace(start=us(w.start), end=us(w.end), recorded=us(w.recorded), cancelled=us(w.cancelled))
            for w in books.maintenance
            if w.start < w.end
        ],
        backlog_lateness=books.backlog_lateness * SECOND_US,
    )
    return World(books, messages)


def register(site: Site, devices: Sequence[Device]) -> None:
    """As people would: each change of terms when it comes into force."""
    for device in devices:
        for terms in device.terms:
            record = DeviceRecord(
                device.id,
                device.community,
                device.kind,
                timeout_s=terms.timeout / SECOND_US,
                max_lateness_s=terms.max_lateness / SECOND_US,
                clock_untrusted=terms.clock_untrusted,
                commissioned_us=device.commissioned,
                retired_us=device.retired,
                commissioned_recorded_us=device.commissioned_recorded,
                retired_recorded_us=None if device.retired is None else device.retired_recorded,
            )
            site.register(record, at=LONG_AGO if terms.since == EVER else (terms.since - T0) / SECOND_US)


def nothing(_now: int) -> None:
    """What to do at a step."""


def lived_through(site: Site, world: World, pace: int, each_step: Callable[[int], None] = nothing) -> None:
    """Let the ledger work through the history, with the database as its memory."""
    register(site, world.books.devices)
    with site.db.write() as connection:
        coverage.set_start(connection, world.books.start)
        for blind in world.books.blinds:
            coverage.record(connection, blind)
        for window in world.books.maintenance:
            maintenance.record(connection, window, "", "")
    live = Live(world, StoredRuns(site), begin=us(-1))
    while live.now < us(END):
        live.step(min(live.now + pace * SECOND_US, us(END)))
        site.mark((live.now - T0) / SECOND_US)
        each_step(live.now)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(1, 40), st.data())
def test_answers_from_the_database_are_those_of_a_replay(
    small: World, pace: int, data: st.DataObject
) -> None:
    world = on_the_product_s_axis(small)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            lived_through(site, world, pace)
            assert site.devices() == world.books.devices
            for _ in range(6):
                known_at = data.draw(st.integers(0, END))
                end = data.draw(st.integers(1, known_at)) if known_at else 0
                start = data.draw(st.integers(0, max(end - 1, 0)))
                same(site, world, us(start), us(end), us(known_at))
        finally:
            site.close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(5, 20), st.data())
def test_a_period_that_was_asked_about_before_follows_late_data(
    small: World, pace: int, data: st.DataObject
) -> None:
    world = on_the_product_s_axis(small)
    asked: list[tuple[int, int, int]] = []

    def ask(now: int) -> None:
        if now > us(0):
            end = data.draw(st.integers(us(0) + 1, now))
            asked.append((data.draw(st.integers(us(0), end - 1)), end, data.draw(st.integers(end, now))))
        for start, end, known_at in asked:
            for knowledge in {known_at, now}:
                matches(
                    site.rate.period(start, end, knowledge),
                    replayed(world, Query(start, end, knowledge)),
                    SECOND_US,
                )

    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            lived_through(site, world, pace, ask)
        finally:
            site.close()


def replayed(world: World, query: Query) -> Whole:
    """The figures of a replay, whole and by community and kind."""
    source = ColumnMessages(world.books, in_columns(world.heard()))
    (figures,) = answer(world.books, source, [query])
    whole = Whole(figures, {}, {})
    runs, known = source.runs(query.known_at), Known(world.books, query.known_at)
    for position, device in enumerate(world.books.devices):
        own = device_figures(device, runs.get(position, ()), known, query)
        whole.by_community.setdefault(device.community, Figures()).add(own)
        whole.by_kind.setdefault(device.kind, Figures()).add(own)
    return whole


def same(site: Site, world: World, start: int, end: int, known_at: int) -> None:
    """Every kind of answer about `[start, end)` and the instant `end`."""
    matches(site.rate.instant(end, known_at), replayed(world, Query(end, None, known_at)), 1)
    for device in site.rate.devices(end, known_at):
        registered = next(d for d in world.books.devices if d.id == device.device)
        assert device.state == state_at(world, registered, end, known_at).slug
        assert device == site.rate.device(device.device, end, known_at)
        past = replayed_states(world, registered, known_at)
        now = next(s for s in past if s.start <= end < s.end) if end >= 0 else past[0]
        if device.since_us is None:
            assert now.start == 0 or now.state is State.NOT_COMMISSIONED
        elif device.state in {"online", "fault"}:
            assert now.start <= device.since_us <= end
        else:
            assert device.since_us == now.start, (device, past)
    if start < end:
        period = replayed(world, Query(start, end, known_at))
        matches(site.rate.period(start, end, known_at), period, SECOND_US)


def matches(told: dict[str, Any], whole: Whole, unit: int) -> None:
    """The whole is as replayed, and so is every part."""
    expected = described(whole.all, unit)
    assert {name: told[name] for name in expected} == expected
    for name in ("by_community", "by_kind"):
        parts: dict[str, Figures] = getattr(whole, name)
        own = {part: _without_safeguards(found) for part, found in told[name].items()}
        assert own == {part: described(figures, unit) for part, figures in parts.items()}


def _without_safeguards(found: dict[str, Any]) -> dict[str, Any]:
    """Late evidence and the plan have tests of their own."""
    return {name: value for name, value in found.items() if name not in {"late", "planned"}}
