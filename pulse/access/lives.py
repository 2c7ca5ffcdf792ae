"""What people record of the lives of devices, and what a second person decides of what is recorded late.

A step whose time is long past changes rates that were known: it waits and changes nothing until somebody else
approves it, and counts as known from then on. Every step comes with its audit entry in the same transaction.
"""

from typing import Any

from sqlalchemy import Connection

from pulse.access.reasons import reason_of
from pulse.access.roles import Actor, person
from pulse.errors import BadInput, Conflict, NotFound
from pulse.ledger.model import FOREVER
from pulse.registry import lives as steps
from pulse.registry.lives import REPLACE, Step
from pulse.registry.model import DeviceRecord, check_text
from pulse.stores.relational import audit, lives, registry
from pulse.stores.relational.decisions import CANCELLED, PENDING, RECORDED, REFUSED, Decisions
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.lives import Entry


def proposed(connection: Connection, actor: Actor, step: Step, now_us: int, backdate_us: int) -> Entry:
    """The entry that `record` would make of a step, stored nowhere; its id is 0.

    Raises `BadInput` naming the member that cannot be, `Conflict` for what contradicts the device's life.
    """
    step = steps.checked(step)
    record, successor = _devices(connection, actor, step)
    steps.applied(step, record, successor, now_us)
    waits = step.at_us < now_us - backdate_us
    return Entry(0, step, now_us, actor.name, Decisions(FOREVER if waits else now_us))


def record(
    connection: Connection,
    actor: Actor,
    step: Step,
    now_us: int,
    backdate_us: int,
    *,
    effect: dict[str, Any] | None = None,
) -> Entry:
    """Record a step; it waits for another person if its time is more than `backdate_us` past.

    A successor that nobody registered is registered now, in the place of the other, not in service yet.
    `effect` is what its author was shown, for the audit log. Raises as `proposed`.
    """
    entry = proposed(connection, actor, step, now_us, backdate_us)
    device, successor = _devices(connection, actor, entry.step)
    if entry.step.successor is not None and successor is None:
        new = steps.in_place_of(device, entry.step.successor)
        registry.put_devices(connection, [new], now_us, by=actor.name)
    entry = entry._replace(id=lives.put(connection, entry))
    if entry.status == RECORDED:
        _apply(connection, actor, entry.step, now_us)
    said = said_of(entry) if effect is None else {**said_of(entry), "effect": effect}
    _note(connection, actor, "record", entry, device.community, None, said, now_us)
    return entry


def approve(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> Entry:
    """Approve what another person recorded late: it is known from now on.

    Raises `NotFound` for an entry that there is not (or is not the actor's to see), and `Conflict` for its
    author, where nothing waits, and where the device's life has gone another way meanwhile.
    """
    entry, community = _known(connection, actor, entry_id)
    _expect(entry)
    if person(entry.author) == person(actor.name):
        raise Conflict(
            f"须由记录者（{person(entry.author)}）以外的人批准 / "
            f"has to be approved by somebody else than {person(entry.author)}, who recorded it"
        )
    _apply(connection, actor, entry.step, now_us)
    decided = Decisions(now_us, Decision(now_us, actor.name))
    return _decided(connection, actor, "approve", entry, decided, community, now_us)


def refuse(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Say that what waits shall not count. Raises as `approve`, and `BadInput` for the reason."""
    entry, community = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry)
    decided = Decisions(refused=Decision(now_us, actor.name, said))
    return _decided(connection, actor, "refuse", entry, decided, community, now_us)


def cancel(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Withdraw what waits. Raises as `refuse`."""
    entry, community = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry)
    decided = Decisions(cancelled=Decision(now_us, actor.name, said))
    return _decided(connection, actor, "cancel", entry, decided, community, now_us)


def move(
    connection: Connection,
    actor: Actor,
    device_id: str,
    now_us: int,
    reason: str,
    *,
    community: str | None = None,
    building: str | None = None,
    location: str | None = None,
) -> DeviceRecord:
    """Say that a device stands elsewhere from now on; what is None stays. Gives the record as it is now.

    Raises `NotFound` for a device that there is not, `BadInput` for a place that cannot be.
    """
    record = registry.device(connection, device_id)
    if record is None or not actor.sees(record.community):
        raise NotFound(f"没有登记设备 {device_id} / no device {device_id} is registered")
    said = reason_of(reason)
    if community is not None and not (
        actor.sees(community) and community in {c.id for c in registry.communities(connection)}
    ):
        raise BadInput("没有这个小区 / there is no such community", where="community")
    given = {"community": community, "building": building, "location": location}
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        check_text(value, name)
    before = {name: getattr(record, name) for name in changes}
    if changes == before:
        raise BadInput("与现在的位置相同 / is where it stands already", where="location")
    moved = record._replace(
        community=record.community if community is None else community,
        building=record.building if building is None else building,
        location=record.location if location is None else location,
    )
    registry.put_devices(connection, [moved], now_us, by=actor.name)
    for concerned in sorted({record.community, moved.community}):
        audit.append(
            connection,
            actor,
            "device.move",
            f"device:{device_id}",
            now_us,
            community=concerned,
            before=before,
            after={**changes, "reason": said},
        )
    return moved


def seen(connection: Connection, actor: Actor, entry_id: int) -> Entry:
    """An entry that the actor may look at. Raises `NotFound`."""
    return _known(connection, actor, entry_id, locked=False)[0]


def note_stranger(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> None:
    """Write down that somebody reaches for another community's entry, which is as none to them."""
    entry = lives.of(connection, entry_id)
    community = None if entry is None else _community(connection, entry)
    if community is not None and not actor.sees(community):
        audit.append(
            connection,
            actor,
            "request",
            f"life:{entry_id}",
            now_us,
            outcome=audit.REFUSED,
            community=community,
            after={"wanted": "life"},
        )


def said_of(entry: Entry) -> dict[str, object]:
    """What the audit log tells of an entry."""
    step = entry.step
    said: dict[str, object] = {"step": step.what, "device": step.device, "step_us": step.at_us}
    if step.what == REPLACE:
        said["successor"] = step.successor
    return said | {"status": entry.status, "reason": step.reason}


def _apply(connection: Connection, actor: Actor, step: Step, now_us: int) -> None:
    record, successor = _devices(connection, actor, step)
    registry.put_devices(connection, steps.applied(step, record, successor, now_us), now_us, by=actor.name)


def _devices(connection: Connection, actor: Actor, step: Step) -> tuple[DeviceRecord, DeviceRecord | None]:
    record = registry.device(connection, step.device)
    if record is None or not actor.sees(record.community):
        raise BadInput("没有登记这台设备 / no such device is registered", where="device")
    successor = None if step.successor is None else registry.device(connection, step.successor)
    if successor is not None and not actor.sees(successor.community):
        raise BadInput("此编号已被占用 / the id is taken", where="successor")
    return record, successor


def _community(connection: Connection, entry: Entry) -> str | None:
    device = registry.device(connection, entry.step.device)
    return None if device is None else device.community


def _known(connection: Connection, actor: Actor, entry_id: int, *, locked: bool = True) -> tuple[Entry, str]:
    entry = lives.of(connection, entry_id, locked=locked)
    community = None if entry is None else _community(connection, entry)
    if entry is None or community is None or not actor.sees(community):
        raise NotFound(f"没有变更 {entry_id} / there is no step {entry_id}")
    return entry, community


_STANDING = {
    RECORDED: "已生效 / counts already",
    REFUSED: "已被驳回 / was refused",
    CANCELLED: "已取消 / was cancelled",
}


def _expect(entry: Entry) -> None:
    if entry.status != PENDING:
        raise Conflict(f"变更 {entry.id} / step {entry.id}: {_STANDING[entry.status]}")


def _decided(
    connection: Connection,
    actor: Actor,
    action: str,
    before: Entry,
    decided: Decisions,
    community: str,
    now_us: int,
) -> Entry:
    after = before._replace(decisions=decided)
    lives.decide(connection, after)
    reason = "" if decided.last is None else decided.last.reason
    said: dict[str, object] = {"status": after.status, **({"reason": reason} if reason else {})}
    _note(connection, actor, action, after, community, {"status": before.status}, said, now_us)
    return after


def _note(
    connection: Connection,
    actor: Actor,
    action: str,
    entry: Entry,
    community: str,
    before: dict[str, object] | None,
    after: dict[str, object],
    now_us: int,
) -> None:
    audit.append(
        connection,
        actor,
        f"life.{action}",
        f"life:{entry.id}",
        now_us,
        community=community,
        before=before,
        after=after,
    )
