"""What people decide of a correlated silence: confirm it as blindness, approve that, or dismiss it.

An approved incident makes its silence unknown instead of offline, as known from then on; nothing that was
published before changes. Since that raises a rate, one person confirms and another approves. Every
decision comes with its audit entry and its live event in the same transaction.
"""

from sqlalchemy import Connection

from pulse.access.reasons import reason_of
from pulse.access.roles import Actor, person
from pulse.errors import Conflict, NotFound
from pulse.ledger.model import Blind, Scope
from pulse.stores.relational import audit, coverage, events, incidents, meta
from pulse.stores.relational.incidents import APPROVED, CONFIRMED, DISMISSED, SUSPECTED, Decision, Entry

CAUSE = "confirmed_blindness"


def confirm(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Say that it was the network or the collector, not the devices; nothing changes until it is approved.

    Raises `NotFound` for an incident that there is not (or is not the actor's to see), `BadInput` for a
    reason that is none, `Conflict` when something was decided before.
    """
    entry = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry, SUSPECTED)
    return _decided(
        connection,
        actor,
        "confirm",
        entry,
        entry._replace(confirmed=Decision(now_us, actor.name, said)),
        now_us,
    )


def approve(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> Entry:
    """Approve what another person confirmed: the community counts as blind from `start` to the end.

    Raises `NotFound`, and `Conflict` for who confirmed it and where nothing is confirmed.
    """
    entry = _known(connection, actor, entry_id)
    _expect(entry, CONFIRMED)
    assert entry.confirmed is not None  # noqa: S101 - what the status says
    if person(entry.confirmed.by) == person(actor.name):
        raise Conflict(
            f"须由确认者（{person(entry.confirmed.by)}）以外的人批准 / "
            f"has to be approved by somebody else than {person(entry.confirmed.by)}, who confirmed it"
        )
    found = entry.found
    blind = Blind(found.start, found.ended, now_us, scope=Scope(community=found.community), cause=CAUSE)
    after = entry._replace(approved=Decision(now_us, actor.name), blind_id=coverage.record(connection, blind))
    meta.grow(connection, meta.COVERAGE)
    return _decided(connection, actor, "approve", entry, after, now_us)


def dismiss(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Say that the devices were silent indeed; what was approved is withdrawn, as known from now on.

    Raises `NotFound`, `BadInput` and `Conflict` as `confirm` does.
    """
    entry = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry, SUSPECTED, CONFIRMED, APPROVED)
    if entry.blind_id is not None:
        coverage.revoke(connection, entry.blind_id, now_us)
        meta.grow(connection, meta.COVERAGE)
    after = entry._replace(dismissed=Decision(now_us, actor.name, said))
    return _decided(connection, actor, "dismiss", entry, after, now_us)


def note_stranger(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> None:
    """Write down that somebody reaches for another community's incident, which is as none to them.

    In a transaction of its own, before the decision that is refused.
    """
    entry = incidents.of(connection, entry_id)
    if entry is not None and not actor.sees(entry.found.community):
        audit.append(
            connection,
            actor,
            "request",
            f"incident:{entry_id}",
            now_us,
            outcome=audit.REFUSED,
            community=entry.found.community,
            after={"wanted": "coverage"},
        )


def _known(connection: Connection, actor: Actor, entry_id: int) -> Entry:
    entry = incidents.of(connection, entry_id, locked=True)
    if entry is None or not actor.sees(entry.found.community):
        raise NotFound(f"没有事件 {entry_id} / there is no incident {entry_id}")
    return entry


_STANDING = {
    SUSPECTED: "尚未确认 / is not confirmed yet",
    CONFIRMED: "已确认，等待批准 / is confirmed and waits for approval",
    APPROVED: "已批准 / is approved",
    DISMISSED: "已排除 / was dismissed",
}


def _expect(entry: Entry, *statuses: str) -> None:
    if entry.status not in statuses:
        raise Conflict(f"事件 {entry.id} / incident {entry.id}: {_STANDING[entry.status]}")


def _decided(
    connection: Connection, actor: Actor, action: str, before: Entry, after: Entry, now_us: int
) -> Entry:
    incidents.decide(connection, after)
    events.append(connection, [incidents.event(after, now_us)])
    last = max((d for d in after[3:6] if d is not None), key=lambda decision: decision.at_us)
    audit.append(
        connection,
        actor,
        f"incident.{action}",
        f"incident:{after.id}",
        now_us,
        community=after.found.community,
        before=before.said(),
        after=after.said() | ({"reason": last.reason} if last.reason else {}),
    )
    return after
