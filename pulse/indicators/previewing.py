"""A plan looked at before it is saved: the entry that it would become, and what that would change."""

from typing import NamedTuple

from pulse.access import lives as living
from pulse.access import maintenance as recording
from pulse.access.roles import Actor
from pulse.indicators.books import Library
from pulse.indicators.effect import Effect, of_step, of_windows
from pulse.ledger.model import EVER
from pulse.registry import lives as lives_of_devices
from pulse.registry.lives import Step
from pulse.registry.plans import Plan, fingerprint
from pulse.stores.relational import lives, maintenance
from pulse.stores.relational.database import Database
from pulse.stores.relational.decisions import Decisions
from pulse.stores.relational.maintenance import Entry


class Preview(NamedTuple):
    """`fingerprint` has to come along when an entry is saved that waits for approval: it was looked at."""

    entry: Entry
    effect: Effect
    fingerprint: str


def previewed(
    db: Database, library: Library, actor: Actor, plan: Plan, now_us: int, backdate_us: int
) -> Preview:
    """What recording a plan would do; nothing is saved. Raises `BadInput` as recording does."""
    with db.read() as connection:
        entry = recording.proposed(connection, actor, plan, now_us, backdate_us)
    return Preview(entry, effect_of(db, library, actor, entry), fingerprint(entry.plan))


def effect_of(db: Database, library: Library, actor: Actor, entry: Entry) -> Effect:
    """What an entry that does not count would change if it did, in the communities of the actor."""
    with db.read() as connection:
        windows = maintenance.ledger_windows(connection, entry._replace(decisions=Decisions(EVER)))
    return of_windows(library, windows, actor.communities)


class StepPreview(NamedTuple):
    """The same of a step in a device's life."""

    entry: lives.Entry
    effect: Effect
    fingerprint: str


def previewed_step(
    db: Database, library: Library, actor: Actor, step: Step, now_us: int, backdate_us: int
) -> StepPreview:
    """What recording a step would do; nothing is saved. Raises as recording does."""
    with db.read() as connection:
        entry = living.proposed(connection, actor, step, now_us, backdate_us)
    effect = of_step(library, entry.step, actor.communities)
    return StepPreview(entry, effect, lives_of_devices.fingerprint(entry.step))
