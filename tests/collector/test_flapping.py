"""The changes of a device that flaps are damped, and its flapping is told once, whatever restarts happen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.flapping import Flappers
from pulse.clock import MINUTE_US, SECOND_US
from pulse.ledger.flapping import FlapTerms
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import EVER, Device, State, Terms
from pulse.ledger.outcome import Transition
from pulse.stores.relational import events
from pulse.stores.relational.database import Database
from pulse.stores.relational.events import NewEvent
from tests.collector.builders import NOON_US

TERMS = FlapTerms(4, 10 * MINUTE_US)
FLEET = Fleet([Device(name, "xinjinglou", "camera", (Terms(EVER, SECOND_US),), EVER) for name in ("a", "b")])
ON, OFF, FAULT, UNKNOWN, EXCLUDED = (
    State.ONLINE, State.OFFLINE, State.FAULT, State.UNKNOWN, State.EXCLUDED,
)  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'pulse.db'}")
    opened.open()
    yield opened
    opened.close()


class Life:
    """Transitions as the keeper tells them: a minute apart, written down at once."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.minute = 0
        self.state = dict.fromkeys(("a", "b"), ON)
        self.told: list[tuple[str, bool, int]] = []
        self.flappers = self._flappers()

    @property
    def now_us(self) -> int:
        return NOON_US + self.minute * MINUTE_US

    def _flappers(self) -> Flappers:
        with self.db.read() as connection:
            return Flappers(connection, TERMS, self.now_us)

    def restart(self) -> None:
        self.flappers = self._flappers()

    def minutes(self, count: int = 1, *changes: tuple[str, State]) -> list[bool]:
        """Let time pass, then let devices change; which changes were damped."""
        self.minute += count
        transitions = []
        for device, after in changes:
            transitions.append(Transition(device, self.now_us, self.state[device], after, "test"))
            self.state[device] = after
        found = self.flappers.observe(transitions, FLEET, self.now_us)
        stored = [
            NewEvent(
                one.at, self.now_us, "transition",
                {"device": one.device, "before": one.before.slug, "after": one.after.slug},
            )
            for one in transitions
        ]  # fmt: skip
        with self.db.write() as connection:
            events.append(connection, [*stored, *found.news])
        for one in found.news:
            self.told.append((one.body["device"], one.body["flapping"], (one.at_us - NOON_US) // MINUTE_US))
        return list(found.damped)


@pytest.fixture
def life(db: Database) -> Life:
    return Life(db)


def flap(life: Life, count: int, *, restarts: bool = False) -> list[bool]:
    damped = []
    for number in range(count):
        damped += life.minutes(1, ("a", ON if life.state["a"] is not ON else OFF))
        if restarts and number % 2:
            life.restart()
    return damped


@pytest.mark.parametrize("restarts", [False, True])
def test_changes_after_the_one_too_many_are_damped_until_it_is_quiet(life: Life, restarts: bool) -> None:
    assert flap(life, 7, restarts=restarts) == [False] * 4 + [True] * 3
    assert life.told == [("a", True, 4)]
    assert life.minutes(9) == []
    assert life.told == [("a", True, 4)]
    life.minutes(1)
    assert life.told == [("a", True, 4), ("a", False, 17)]
    assert life.minutes(1, ("a", ON)) == [False]


def test_a_slow_episode_goes_on_across_a_restart(life: Life) -> None:
    flap(life, 4)
    for _ in range(4):
        assert life.minutes(9, ("a", ON if life.state["a"] is not ON else OFF)) == [True]
        life.restart()
    life.minutes(20)
    assert life.told == [("a", True, 4), ("a", False, 50)]


def test_an_episode_that_ended_while_nobody_looked_is_told_to_have_ended(life: Life) -> None:
    flap(life, 4)
    life.minute += 60
    life.restart()
    life.minutes(1)
    assert life.told == [("a", True, 4), ("a", False, 14)]
    life.restart()
    life.minutes(1)
    assert len(life.told) == 2


def test_blindness_and_maintenance_are_no_changes_and_each_device_counts_alone(life: Life) -> None:
    for number in range(6):
        assert life.minutes(1, ("a", UNKNOWN), ("b", EXCLUDED)) == [False, False]
        assert life.minutes(1, ("a", ON), ("b", OFF if number == 3 else ON)) == [False, False]
    assert life.told == []


def test_fault_and_offline_are_both_down(life: Life) -> None:
    for after in (OFF, FAULT, OFF, FAULT, OFF, ON, FAULT):
        assert life.minutes(1, ("a", after)) == [False]
    assert life.told == []
    assert life.minutes(1, ("a", ON)) == [False]
    assert life.told == [("a", True, 8)]


def test_several_changes_in_one_step_are_counted_in_their_order(life: Life) -> None:
    changes = [("a", OFF), ("a", ON)] * 3
    assert life.minutes(1, *changes) == [False] * 4 + [True] * 2
