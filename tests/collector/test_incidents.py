"""Incidents beside the ledger's steps: with the real engine and database, through crashes."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from collector.incidents import Incidents
from pulse.access import incidents as deciding
from pulse.access.roles import command_line
from pulse.ledger.engine import Engine
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, FOREVER, Blind, Device, Scope, State, Terms
from pulse.ledger.outcome import Outcome, Transition
from pulse.ledger.presence import presence_at
from pulse.messages import Channel, Evidence, Message
from pulse.stores.relational import coverage, events, incidents
from pulse.stores.relational.coverage import Watermark
from pulse.stores.relational.database import Database
from pulse.stores.relational.incidents import Entry
from tests.ledger.live import Kept

TIMEOUT = 90
ANNA, BERT = command_line("anna", "host"), command_line("bert", "host")


def device(name: str, community: str = "south") -> Device:
    return Device(name, community, "camera", (Terms(EVER, TIMEOUT),), EVER)


def saved(engine: Engine) -> bytes:
    return b"".join(engine.snapshot())


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    db.open()
    with closing(db):
        yield db


class Ledger:
    """An engine whose steps are written as the keeper writes them."""

    def __init__(self, db: Database, count: int = 10) -> None:
        self.db = db
        self.fleet = Fleet(device(f"d{i}") for i in range(count))
        self.kept = Kept()
        self.blinds: list[Blind] = []
        self.told: list[Transition] = []
        self.now = 0
        self.order = 0
        self.engine = self.begun()
        self.watching = self.watched()

    def begun(self) -> Engine:
        return Engine(
            self.fleet,
            self.kept,
            start=0,
            blinds=self.blinds,
            maintenance=[],
            backlog_lateness=0,
            now=self.now,
        )

    def watched(self) -> Incidents:
        with self.db.read() as connection:
            return Incidents(connection, self.engine, self.fleet, self.now)

    def message(self, name: str, at: int, evidence: Evidence = Evidence.BEAT) -> Message:
        self.order += 1
        channel = Channel.STATUS if evidence is Evidence.OFFLINE else Channel.HEARTBEAT
        return Message(
            name, "south", "camera", evidence, channel, at, None, False, False, self.order, order=self.order
        )

    def step(self, now: int, beats: Sequence[str] = (), wills: Sequence[str] = ()) -> None:
        """Everything received at `now`, then time to `now`, in one transaction."""
        heard = [self.message(name, now) for name in beats]
        heard += [self.message(name, now, Evidence.OFFLINE) for name in wills]
        self._write(now, self.engine.sweep(now), self.engine.apply(heard, now))
        self.kept.log.extend(heard)

    def register(self, now: int, devices: Sequence[Device]) -> None:
        """Take a changed registry."""
        self.fleet = Fleet(devices)
        self._write(now, self.engine.set_registry(self.fleet, [], now))

    def take_coverage(self, now: int) -> None:
        """What the keeper does when the counter of coverage has grown."""
        with self.db.read() as connection:
            self.blinds = [blind for _, blind in coverage.entries(connection)]
        self._write(now, self.engine.set_coverage(0, self.blinds, now))

    def _write(self, now: int, *outcomes: Outcome) -> None:
        self.now = now
        for outcome in outcomes:
            self.kept.keep(outcome)
        changes = [change for outcome in outcomes for change in outcome.transitions]
        self.told += changes
        self.watching.observe(changes, self.fleet, now)
        with self.db.write() as connection:
            self.watching.write(connection, now)
            coverage.set_watermark(connection, Watermark(now, True, now, "s"))

    def restart(self, snapshot: bytes | None = None, at: int | None = None) -> None:
        """Go on from a snapshot, by default the one of this moment."""
        body = snapshot or saved(self.engine)
        self.now = self.now if at is None else at
        self.engine = self.begun()
        self.engine.restore(memoryview(body), self.now)
        self.watching = self.watched()

    def listed(self) -> list[Entry]:
        with self.db.read() as connection:
            return incidents.listing(connection)

    def state(self, name: str) -> State:
        status = self.engine.status(name)
        assert status is not None
        return status.state

    def replayed(self, name: str, at: int, known_at: int) -> State:
        """The readable rule's word, from the messages and the coverage that are stored."""
        evidence: list[Piece] = []
        for m in self.kept.messages(name, 0, FOREVER):
            heard = Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order)
            evidence += pieces(self.fleet[name], heard, 0)
        with self.db.read() as connection:
            known = [b for _, b in coverage.entries(connection) if b.recorded <= known_at < b.revoked]
        blinds = [Blind(EVER, 0, EVER), *known]
        return presence_at(self.fleet[name], evidence, blinds, at)


NAMES = [f"d{i}" for i in range(10)]
WELL = NAMES[7:]


def cut_off(ledger: Ledger) -> None:
    """All beat at 100; then three go on, and the deadlines of seven pass at 190."""
    ledger.step(100, NAMES)
    ledger.step(150, WELL)
    ledger.step(195, WELL)


def test_a_silent_majority_is_one_incident_and_changes_no_state(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    (entry,) = ledger.listed()
    assert entry.found[:7] == ("south", 190, 100, 100, 7, 7, 10)
    assert (entry.status, entry.recorded_us) == ("suspected", 195)
    assert [ledger.state(name) for name in NAMES] == [State.OFFLINE] * 7 + [State.ONLINE] * 3
    assert {t.at for t in ledger.told if t.after is State.OFFLINE and t.cause == "deadline_passed"} == {190}


def test_a_storm_of_wills_is_one_incident(db: Database) -> None:
    ledger = Ledger(db)
    ledger.step(100, NAMES)
    ledger.step(110, wills=NAMES[:6])
    (entry,) = ledger.listed()
    assert entry.found[:7] == ("south", 110, 110, 110, 6, 6, 10)


def test_devices_that_were_never_heard_are_no_incident(db: Database) -> None:
    ledger = Ledger(db)
    ledger.step(500)
    assert {ledger.state(name) for name in NAMES} == {State.OFFLINE}
    assert ledger.listed() == []


def test_it_ends_when_no_more_than_half_are_silent(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    ledger.step(220, ["d0"])
    assert ledger.listed()[0].found.ended == FOREVER
    ledger.step(230, ["d1", *WELL])
    assert ledger.listed()[0].found[4:] == (7, 5, 10, 230)
    with db.read() as connection:
        told = [(e.body["devices"], e.body["ended"] is not None) for e in events.after(connection, 0, 99)]
    assert told == [(7, False), (7, True)]


def test_a_restart_goes_on_with_the_same_incident(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    ledger.restart()
    ledger.step(200, WELL)
    assert ledger.listed()[0].found[:7] == ("south", 190, 100, 100, 7, 7, 10)
    ledger.step(230, ["d0", "d1"])
    ledger.restart()
    (entry,) = ledger.listed()
    assert entry.found.ended == 230


@pytest.mark.parametrize("ended", [False, True])
def test_steps_taken_in_again_after_a_crash_find_the_same_incident(db: Database, ended: bool) -> None:
    ledger = Ledger(db)
    ledger.step(100, NAMES)
    snapshot = saved(ledger.engine)
    ledger.step(150, WELL)
    ledger.step(195, WELL)
    if ended:
        ledger.step(230, ["d0", "d1", *WELL])
    before = ledger.listed()
    ledger.restart(snapshot, at=100)
    # In other pieces than before.
    ledger.step(150, WELL)
    assert [e.found.opened for e in ledger.listed()] == [190]
    ledger.step(191)
    ledger.step(195, WELL)
    if ended:
        ledger.step(230, ["d0", "d1", *WELL])
    assert ledger.listed() == before
    with db.read() as connection:
        assert len(events.after(connection, 0, 99)) == 1 + ended


def test_a_changed_registry_keeps_the_incident_and_counts_anew(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    grown = [*ledger.fleet.devices(), device("n0"), device("n1")]
    ledger.register(200, grown)
    assert ledger.listed()[0].found[4:7] == (7, 7, 12)
    ledger.register(201, [one for one in grown if one.id not in NAMES[:2]])
    assert ledger.listed()[0].found[5:] == (5, 10, 201)


def approved(ledger: Ledger, now: int) -> None:
    with ledger.db.write() as connection:
        deciding.confirm(connection, ANNA, 1, "光缆被挖断", now)
        deciding.approve(connection, BERT, 1, now)
    ledger.take_coverage(now)


def test_approval_makes_the_silence_unknown_and_replay_says_the_same(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    approved(ledger, 200)
    assert [ledger.state(name) for name in NAMES] == [State.UNKNOWN] * 7 + [State.ONLINE] * 3
    for name in NAMES:
        assert ledger.state(name) is ledger.replayed(name, 200, 200)
    # As known before, the silence was offline, and is so for ever.
    assert ledger.replayed("d0", 195, 199) is State.OFFLINE
    assert ledger.replayed("d0", 195, 200) is State.UNKNOWN
    ledger.step(300, WELL)
    assert ledger.state("d0") is State.UNKNOWN
    assert ledger.listed()[0].found.ended == FOREVER


def test_the_end_closes_the_approved_interval_and_replay_says_the_same(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    approved(ledger, 200)
    ledger.step(230, ["d0", "d1", *WELL])
    scope = Scope(community="south")
    with db.read() as connection:
        found = [blind for _, blind in coverage.entries(connection)]
    assert found == [
        Blind(100, FOREVER, 200, 230, scope, deciding.CAUSE),
        Blind(100, 230, 230, FOREVER, scope, deciding.CAUSE),
    ]
    ledger.take_coverage(231)
    for now in (232, 319, 320, 321, 400):
        ledger.step(now, ["d0", "d1", *WELL])
        for name in NAMES:
            assert ledger.state(name) is ledger.replayed(name, now, now), (name, now)
    # What is still silent a whole timeout after the end is offline.
    assert ledger.state("d5") is State.OFFLINE
    ledger.restart()
    ledger.step(401)
    with db.read() as connection:
        assert [blind for _, blind in coverage.entries(connection)] == found


def test_an_end_taken_in_again_closes_the_interval_once(db: Database) -> None:
    ledger = Ledger(db)
    cut_off(ledger)
    approved(ledger, 200)
    snapshot = saved(ledger.engine)
    ledger.step(230, ["d0", "d1", *WELL])
    with db.read() as connection:
        found = coverage.entries(connection)
    ledger.restart(snapshot, at=200)
    ledger.step(230, ["d0", "d1", *WELL])
    with db.read() as connection:
        assert coverage.entries(connection) == found
    assert [e.found.ended for e in ledger.listed()] == [230]
