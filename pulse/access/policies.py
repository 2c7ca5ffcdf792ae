"""What people agree with devices: interval, timeout, lateness and clock trust, each with its audit entry.

Nothing here changes what was: a word holds from its declaration on, or from a later time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.clock import DAY_US, SECOND_US, to_iso
from pulse.errors import BadInput, NotFound
from pulse.ledger.model import EVER
from pulse.registry.model import check_duration, microseconds, seconds
from pulse.stores.relational import audit, registry
from pulse.stores.relational import policies as versions
from pulse.stores.relational.policies import COMMUNITY, DEFAULT, DEVICE, EVERYTHING, KIND, MEMBERS, Version
from pulse.versions import in_force, timeline

MOST_REASON = 500
MOST_LATENESS_S = 7 * DAY_US / SECOND_US
"""Stores find a message by its measured time only so far before its reception."""

_DURATIONS = {"interval_s": "interval_us", "timeout_s": "timeout_us", "max_lateness_s": "max_lateness_us"}
SETTING = "setting"
"""Whose word it is where nobody said a timeout: `PULSE_DEFAULT_TIMEOUT_S`."""


class Word(NamedTuple):
    """A member as it holds for somebody, and the scope that says so; "" where nobody says anything."""

    value: float | bool | None
    said_by: str


def declare(
    connection: Connection,
    actor: Actor,
    scope: str,
    subject: str,
    said: Mapping[str, float | bool | None],
    now_us: int,
    *,
    since_us: int | None = None,
    reason: str = "",
) -> Version | None:
    """Let `said` hold from `since_us` (now) on; its members are those of `as_members` but for the times.

    None as a value takes the word back, so that the next wider scope decides. Gives the version, None where
    all holds already. Raises `NotFound` for a subject that there is not (or is not the actor's to see) and
    `BadInput` naming the member that cannot be.
    """
    concerned = _concerned(connection, actor, scope, subject)
    members = _members(said)
    words = " ".join(reason.split())
    if len(words) > MOST_REASON or not words.isprintable():
        raise BadInput(
            f"至多 {MOST_REASON} 个可见字符 / at most {MOST_REASON} visible characters", where="reason"
        )
    if since_us is not None and since_us < now_us:
        raise BadInput(
            f"早于现在（{to_iso(now_us)}）；约定不改变过去 / lies in the past, which no policy changes",
            where="from",
        )
    before = timeline(_history(connection, scope, subject))
    after = versions.declare(connection, scope, subject, members, now_us, since_us)
    if after is None:
        return None
    if after.interval_us and after.timeout_us and after.timeout_us <= after.interval_us:
        raise BadInput(
            f"{after.timeout_us / SECOND_US:g} 秒不长于心跳间隔 / is not longer than the interval of "
            f"{after.interval_us / SECOND_US:g} s",
            where="timeout_s",
        )
    old = in_force(before, after.since_us)
    for community in concerned or (None,):
        audit.append(
            connection,
            actor,
            "policy.set",
            f"policy:{scope}:{subject}",
            now_us,
            community=community,
            before={} if old is None else _told(old),
            after=_told(after) | {"since_us": after.since_us} | ({"reason": words} if words else {}),
        )
    return after


def listing(connection: Connection, actor: Actor, at_us: int, scope: str | None = None) -> list[Version]:
    """The versions in force at a time that say anything, the widest scopes first, of what the actor sees."""
    scopes = versions.SCOPES if scope is None else (scope,)
    found = versions.all_histories(connection, scopes)
    holding = (in_force(timeline(own), at_us) for own in found.values())
    chosen = [
        version for version in holding if version is not None and version.says and _sees(actor, version)
    ]
    return sorted(chosen, key=lambda v: (versions.SCOPES.index(v.scope), v.subject))


def history(connection: Connection, actor: Actor, scope: str, subject: str) -> list[Version]:
    """Everything that was ever declared, in that order. Raises `NotFound` as `declare` does."""
    _check_seen(connection, actor, scope, subject)
    return _history(connection, scope, subject)


def holding(
    connection: Connection, actor: Actor, scope: str, subject: str, at_us: int, default_timeout_s: float
) -> dict[str, Word]:
    """What holds at a time of a device, a community, a kind or by default, and who says it.

    Of a community or kind: what holds for its devices that say nothing themselves, and whose kind or
    community says nothing either. Raises `NotFound` as `declare` does.
    """
    _check_seen(connection, actor, scope, subject)
    resolver = versions.Resolver(connection, round(default_timeout_s * SECOND_US))
    chain = resolver.chain(timeline(_history(connection, scope, subject)), at_us)
    words = {}
    for member in MEMBERS:
        says = next((v for v in chain if getattr(v, member) is not None), None)
        value = None if says is None else getattr(says, member)
        words[_in_seconds(member)] = Word(
            value if member == "clock_untrusted" else seconds(value), "" if says is None else says.scope
        )
    if words["timeout_s"].value is None:
        words["timeout_s"] = Word(default_timeout_s, SETTING)
    return words


def as_members(version: Version) -> dict[str, Any]:
    """A version as people and programs get it."""
    told = _told(version)
    return {
        "scope": version.scope,
        "subject": version.subject,
        "from": _since(version.since_us),
        "recorded_at": _since(version.recorded_us),
        **told,
    }


def _since(at_us: int) -> str | None:
    return None if at_us <= EVER else to_iso(at_us)


def _told(version: Version) -> dict[str, Any]:
    return {
        _in_seconds(member): getattr(version, member)
        if member == "clock_untrusted"
        else seconds(getattr(version, member))
        for member in MEMBERS
    }


def _in_seconds(member: str) -> str:
    return member.removesuffix("_us") + "_s" if member.endswith("_us") else member


def _members(said: Mapping[str, float | bool | None]) -> dict[str, Any]:
    if not said:
        raise BadInput("没有要设置的内容 / nothing is to be set", where="policy")
    members: dict[str, Any] = {}
    for name, value in said.items():
        if name == "clock_untrusted":
            members[name] = None if value is None else bool(value)
            continue
        duration = None if value is None else float(value)
        check_duration(duration, name, least_s=0 if name == "max_lateness_s" else 1 / SECOND_US)
        if name == "max_lateness_s" and duration is not None and duration > MOST_LATENESS_S:
            raise BadInput("最多七天 / at most seven days", where=name)
        members[_DURATIONS[name]] = microseconds(duration)
    return members


def _history(connection: Connection, scope: str, subject: str) -> list[Version]:
    return versions.histories(connection, [(scope, subject)]).get((scope, subject), [])


def _sees(actor: Actor, version: Version) -> bool:
    match version.scope:
        case versions.DEVICE:
            return actor.sees(version.community)
        case versions.COMMUNITY:
            return actor.sees(version.subject)
        case _:
            return True


def _check_seen(connection: Connection, actor: Actor, scope: str, subject: str) -> None:
    """Raise `NotFound` unless there is such a subject and the actor may know of it."""
    match scope:
        case versions.DEVICE:
            device = registry.device(connection, subject)
            seen = device is not None and actor.sees(device.community)
        case versions.COMMUNITY:
            seen = actor.sees(subject) and subject in {c.id for c in registry.communities(connection)}
        case versions.KIND:
            seen = subject in {kind.id for kind in registry.kinds(connection)}
        case _:
            seen = (scope, subject) == (DEFAULT, EVERYTHING)
    if not seen:
        raise NotFound(f"没有登记 {scope} {subject} / no {scope} {subject} is registered")


def _concerned(connection: Connection, actor: Actor, scope: str, subject: str) -> list[str]:
    """The communities whose devices a word may concern. Raises `NotFound` for what is not the actor's."""
    _check_seen(connection, actor, scope, subject)
    if scope == COMMUNITY:
        return [subject]
    if scope == DEVICE:
        device = registry.device(connection, subject)
        return [] if device is None else [device.community]
    if actor.communities is not None:
        raise NotFound(
            f"{scope} 涉及全部社区，不在您的范围 / {scope} concerns every community, not only yours"
        )
    if scope == KIND:
        return sorted({device.community for device in registry.devices(connection, kind=subject)})
    return [community.id for community in registry.communities(connection)]
