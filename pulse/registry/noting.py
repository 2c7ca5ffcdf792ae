"""What changed in the registry, told by the audit log record by record, to those whose communities it is."""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pulse.access.roles import Actor
from pulse.registry.model import WHAT, What
from pulse.stores.relational import audit, registry


class _Record(NamedTuple):
    """A record's members, with the community and the kind that it is of."""

    members: Mapping[str, Any]
    community: str | None
    kind: str | None = None


_Records = Mapping[str, _Record]


@contextlib.contextmanager
def noted(connection: Connection, actor: Actor, now_us: int, what: Collection[What] = WHAT) -> Iterator[None]:
    """Write down what the block changes of these parts of the registry; nothing where it changes nothing.

    `registry.change` has the members that differ, before and after, of one record, once for each community
    that it concerns: of a device that moves, both; of a kind, all that have devices of it. `registry.add` has
    how many of each kind were added to a community.
    """
    before = {part: _records(connection, part) for part in what}
    yield
    for part in what:
        after = _records(connection, part)
        added: dict[str | None, Counter[str]] = {}
        for name, record in after.items():
            known = before[part].get(name)
            if known is None:
                added.setdefault(record.community, Counter())[record.kind or name] += 1
            elif known.members != record.members:
                if part == "kinds":
                    concerned = {d.community for d in registry.devices(connection, kind=name)}
                else:
                    concerned = {c for c in (known.community, record.community) if c is not None}
                _note_change(connection, actor, f"{_SUBJECTS[part]}:{name}", known, record, concerned, now_us)
        for community, counts in added.items():
            audit.append(
                connection,
                actor,
                "registry.add",
                f"registry:{part}",
                now_us,
                community=community,
                after={"added": dict(sorted(counts.items()))},
            )


def _note_change(
    connection: Connection,
    actor: Actor,
    subject: str,
    before: _Record,
    after: _Record,
    concerned: Collection[str],
    now_us: int,
) -> None:
    differing = [name for name, value in after.members.items() if before.members[name] != value]
    for community in sorted(concerned) or (None,):
        audit.append(
            connection,
            actor,
            "registry.change",
            subject,
            now_us,
            community=community,
            before={name: before.members[name] for name in differing},
            after={name: after.members[name] for name in differing},
        )


_SUBJECTS: Mapping[What, str] = {
    "communities": "community",
    "kinds": "kind",
    "planned": "planned",
    "devices": "device",
}


def _records(connection: Connection, what: What) -> _Records:
    match what:
        case "communities":
            return {c.id: _Record(c._asdict(), c.id) for c in registry.communities(connection)}
        case "kinds":
            return {kind.id: _Record(kind._asdict(), None) for kind in registry.kinds(connection)}
        case "planned":
            return {
                f"{community}/{kind}": _Record({"quantity": quantity}, community, kind)
                for (community, kind), quantity in registry.planned(connection).items()
            }
        case "devices":
            return {d.id: _Record(d._asdict(), d.community, d.kind) for d in registry.devices(connection)}
