"""What people record of maintenance, and what a second person decides of what is recorded afterwards.

An entry that begins not long before it is recorded counts from then on. One that begins earlier changes what
was known to be down: it waits, changes nothing, and counts from the moment at which somebody else approves
it; whatever was answered before stays as it was known. Entries are cancelled, never deleted. Every step comes
with its audit entry in the same transaction.
"""

from typing import Any

from sqlalchemy import Connection

from pulse.access.reasons import reason_of
from pulse.access.roles import Actor, person
from pulse.errors import BadInput, Conflict, NotFound
from pulse.ledger.model import FOREVER
from pulse.registry import plans
from pulse.registry.plans import Plan, Reach
from pulse.stores.relational import audit, maintenance, pastdevices, registry
from pulse.stores.relational.decisions import CANCELLED, PENDING, RECORDED, REFUSED, Decisions
from pulse.stores.relational.incidents import Decision
from pulse.stores.relational.maintenance import Entry

MOST_PIECES = 50_000
"""Windows times devices of an entry about a building or a tag, which the ledger takes one by one."""


def proposed(connection: Connection, actor: Actor, plan: Plan, now_us: int, backdate_us: int) -> Entry:
    """The entry that `record` would make of a plan, stored nowhere; its id is 0.

    Raises `BadInput` naming the member that cannot be: nothing that the actor does not see can be named.
    """
    plan = plans.checked(plan)
    _check_known(connection, actor, plan)
    waits = plans.needs_approval(plan, now_us, backdate_us)
    return Entry(0, plan, now_us, actor.name, Decisions(FOREVER if waits else now_us))


def record(
    connection: Connection,
    actor: Actor,
    plan: Plan,
    now_us: int,
    backdate_us: int,
    *,
    effect: dict[str, Any] | None = None,
) -> Entry:
    """Record a plan; it waits for another person if it began more than `backdate_us` ago.

    `effect` is what its author was shown of what it changes, for the audit log. Raises `BadInput` as
    `proposed` does.
    """
    entry = proposed(connection, actor, plan, now_us, backdate_us)
    entry = entry._replace(id=maintenance.put(connection, entry))
    said = said_of(entry) if effect is None else {**said_of(entry), "effect": effect}
    audit.append(
        connection,
        actor,
        "maintenance.record",
        f"maintenance:{entry.id}",
        now_us,
        community=community_of(connection, entry),
        after=said,
    )
    return entry


def approve(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> Entry:
    """Approve what another person recorded afterwards: it counts from now on.

    Raises `NotFound` for an entry that there is not (or is not the actor's to see), `Conflict` for its
    author, for who sees only a part of what it is about, and where nothing waits.
    """
    entry = _known(connection, actor, entry_id)
    _expect(entry, PENDING)
    if person(entry.author) == person(actor.name):
        raise Conflict(
            f"须由记录者（{person(entry.author)}）以外的人批准 / "
            f"has to be approved by somebody else than {person(entry.author)}, who recorded it"
        )
    decided = entry.decisions._replace(known_us=now_us, approved=Decision(now_us, actor.name))
    return _decided(connection, actor, "approve", entry, decided, now_us)


def refuse(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Say that what waits shall not count. Raises as `approve`, and `BadInput` for the reason."""
    entry = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry, PENDING)
    decided = entry.decisions._replace(refused=Decision(now_us, actor.name, said))
    return _decided(connection, actor, "refuse", entry, decided, now_us)


def cancel(connection: Connection, actor: Actor, entry_id: int, reason: str, now_us: int) -> Entry:
    """Withdraw an entry whole, over or not, as known from now on. Raises as `refuse`."""
    entry = _known(connection, actor, entry_id)
    said = reason_of(reason)
    _expect(entry, PENDING, RECORDED)
    decided = entry.decisions._replace(cancelled=Decision(now_us, actor.name, said))
    return _decided(connection, actor, "cancel", entry, decided, now_us)


def seen(connection: Connection, actor: Actor, entry_id: int) -> Entry:
    """An entry that the actor may look at. Raises `NotFound`."""
    entry = maintenance.of(connection, entry_id)
    if entry is None or not _visible(connection, actor, entry):
        raise NotFound(_NO_ENTRY.format(entry_id))
    return entry


def may_decide(connection: Connection, actor: Actor, entry: Entry) -> bool:
    """Whether all that an entry is about is the actor's to see."""
    return actor.sees(community_of(connection, entry))


def note_stranger(connection: Connection, actor: Actor, entry_id: int, now_us: int) -> None:
    """Write down that somebody reaches for another community's entry, which is as none to them.

    In a transaction of its own, before the decision that is refused.
    """
    entry = maintenance.of(connection, entry_id)
    if entry is not None and not _visible(connection, actor, entry):
        audit.append(
            connection,
            actor,
            "request",
            f"maintenance:{entry_id}",
            now_us,
            outcome=audit.REFUSED,
            community=community_of(connection, entry),
            after={"wanted": "maintenance"},
        )


def community_of(connection: Connection, entry: Entry) -> str | None:
    """The community that an entry is about, None where it is about no one in particular."""
    reach = entry.plan.reach
    if reach.device is None:
        return reach.community
    device = registry.device(connection, reach.device)
    return None if device is None else device.community


def said_of(entry: Entry) -> dict[str, object]:
    """What the audit log tells of an entry."""
    plan = entry.plan
    said: dict[str, object] = {name: value for name, value in plan.reach._asdict().items() if value}
    said |= {"status": entry.status, "from_us": plan.start, "reason": plan.reason}
    if plan.end < FOREVER:
        said["to_us"] = plan.end
    if plan.weekly is not None:
        begins, ends = (plans.minute_text(m) for m in (plan.weekly.begins_min, plan.weekly.ends_min))
        said |= {"weekdays": list(plan.weekly.days), "daily": f"{begins}–{ends} {plan.weekly.zone}"}
    return said


_NO_ENTRY = "没有维护记录 {0} / there is no maintenance entry {0}"


def _visible(connection: Connection, actor: Actor, entry: Entry) -> bool:
    community = community_of(connection, entry)
    return community is None or actor.sees(community)


def _known(connection: Connection, actor: Actor, entry_id: int) -> Entry:
    entry = maintenance.of(connection, entry_id, locked=True)
    if entry is None or not _visible(connection, actor, entry):
        raise NotFound(_NO_ENTRY.format(entry_id))
    if not may_decide(connection, actor, entry):
        raise Conflict(
            "此记录不限于您的小区，须由能看到全部小区的人处理 / is about more than your communities; "
            "somebody who sees all of them has to decide"
        )
    return entry


def _check_known(connection: Connection, actor: Actor, plan: Plan) -> None:
    """Refuse what the registry does not have, or the actor does not see."""
    reach = plan.reach
    if reach.device is not None:
        device = registry.device(connection, reach.device)
        if device is None or not actor.sees(device.community):
            raise BadInput("没有登记这台设备 / no such device is registered", where="device")
        return
    if reach.kind is not None and reach.kind not in {k.id for k in registry.kinds(connection)}:
        raise BadInput("没有这个类别 / there is no such kind", where="kind")
    if reach.community is None:
        if actor.communities is not None:
            raise BadInput(
                "请指明您的一个小区 / name one of your communities; you do not see all of them",
                where="community",
            )
    elif not (
        actor.sees(reach.community) and reach.community in {c.id for c in registry.communities(connection)}
    ):
        raise BadInput("没有这个小区 / there is no such community", where="community")
    if reach.is_resolved:
        _check_members(connection, reach, len(plans.windows(plan)))


def _check_members(connection: Connection, reach: Reach, windows: int) -> None:
    members = pastdevices.members(connection, reach)
    if not members:
        raise BadInput(
            "没有符合的设备，请核对登记的楼栋与标签 / no device is like that; check the registry's buildings "
            "and tags",
            where="building" if reach.tag is None else "tag",
        )
    if len(members) * windows > MOST_PIECES:
        raise BadInput(
            f"{len(members)} 台设备 × {windows} 个窗口超过 {MOST_PIECES}，请改用小区或类别，或缩短时段 / "
            f"{len(members)} devices × {windows} windows are more than {MOST_PIECES}; name a community or "
            "kind instead, or a shorter time",
            where="to",
        )


_STANDING = {
    PENDING: "等待批准 / waits for approval",
    RECORDED: "已生效，无需批准 / counts already",
    REFUSED: "已被驳回 / was refused",
    CANCELLED: "已取消 / was cancelled",
}


def _expect(entry: Entry, *statuses: str) -> None:
    if entry.status not in statuses:
        raise Conflict(f"维护记录 {entry.id} / maintenance entry {entry.id}: {_STANDING[entry.status]}")


def _decided(
    connection: Connection, actor: Actor, action: str, before: Entry, decided: Decisions, now_us: int
) -> Entry:
    after = before._replace(decisions=decided)
    maintenance.decide(connection, after)
    reason = "" if decided.last is None else decided.last.reason
    audit.append(
        connection,
        actor,
        f"maintenance.{action}",
        f"maintenance:{after.id}",
        now_us,
        community=community_of(connection, after),
        before={"status": before.status},
        after={"status": after.status} | ({"reason": reason} if reason else {}),
    )
    return after
