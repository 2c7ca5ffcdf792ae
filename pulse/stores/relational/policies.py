"""What was agreed with devices, kinds and communities, and by default: versions that are only ever added.

A version holds from its `since_us` on and is known from its `recorded_us` on. Of several that hold at a
time the one that was declared last counts: the last word holds from its time on, until the next one does.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, tuple_, update

from pulse.errors import BadInput
from pulse.ledger.model import EVER, FOREVER, Terms
from pulse.registry.model import Policy, seconds
from pulse.stores.relational import meta, tables
from pulse.stores.relational.tables import policies as table
from pulse.stores.relational.values import upsert
from pulse.versions import in_force, timeline

DEFAULT, KIND, COMMUNITY, DEVICE = "default", "kind", "community", "device"
SCOPES = (DEFAULT, KIND, COMMUNITY, DEVICE)
"""From the widest to the narrowest, which goes before the others."""

EVERYTHING = "all"
"""The only subject of the scope `default`."""

MEMBERS = ("interval_us", "timeout_us", "max_lateness_us", "clock_untrusted")
"""What a version can say; None says nothing, so that the next wider scope decides."""

_REGISTERED = {KIND: tables.kinds, COMMUNITY: tables.communities, DEVICE: tables.devices}
_CHUNK = 500


class Version(NamedTuple):
    """A row of the table: what a scope's subject says from a time on; None says nothing."""

    scope: str
    subject: str
    since_us: int
    recorded_us: int
    interval_us: int | None = None
    timeout_us: int | None = None
    max_lateness_us: int | None = None
    clock_untrusted: bool | None = None
    community: str | None = None
    kind: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What it says, without since when."""
        return self[4:]

    @property
    def says(self) -> bool:
        """Whether it says anything of its own."""
        return any(getattr(self, member) is not None for member in MEMBERS)


def policies(connection: Connection) -> list[Policy]:
    """Every version ever declared, by scope, subject and time of declaration."""
    rows = connection.execute(select(table).order_by(table.c.scope, table.c.subject, table.c.recorded_us))
    return [shown(_version(row)) for row in rows]


def shown(version: Version) -> Policy:
    """A version in the units of people."""
    return Policy(
        version.scope,
        version.subject,
        version.since_us,
        version.recorded_us,
        seconds(version.interval_us),
        seconds(version.timeout_us),
        seconds(version.max_lateness_us),
        version.clock_untrusted,
        version.community,
        version.kind,
    )


def put(connection: Connection, versions: Iterable[Version]) -> None:
    """Store versions."""
    rows = [version._asdict() for version in versions]
    if rows:
        connection.execute(upsert(connection, table), rows)


def histories(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[Version]]:
    """The versions of these (scope, subject), in the order of declaration; of those that have any."""
    found: dict[tuple[str, str], list[Version]] = defaultdict(list)
    for first in range(0, len(keys), _CHUNK):
        some = keys[first : first + _CHUNK]
        query = select(table).where(tuple_(table.c.scope, table.c.subject).in_(some))
        for row in connection.execute(query.order_by(table.c.recorded_us)):
            found[row.scope, row.subject].append(_version(row))
    return dict(found)


def all_histories(connection: Connection, scopes: Sequence[str]) -> dict[tuple[str, str], list[Version]]:
    """The same of every subject of these scopes."""
    found: dict[tuple[str, str], list[Version]] = defaultdict(list)
    query = select(table).where(table.c.scope.in_(scopes))
    for row in connection.execute(query.order_by(table.c.recorded_us)):
        found[row.scope, row.subject].append(_version(row))
    return dict(found)


def declared(
    scope: str,
    subject: str,
    history: Sequence[Version],
    said: Mapping[str, Any],
    now_us: int,
    since_us: int | None = None,
) -> Version | None:
    """The version to store so that the members `said` hold from `since_us` (now) on.

    What is not said stays as it is then. None when all of it holds already from then on. A clock that went
    back puts nothing before what was declared last.
    """
    recorded_us = max(now_us, history[-1].recorded_us + 1) if history else now_us
    at_us = recorded_us if since_us is None else since_us
    holding = timeline(history)
    before = in_force(holding, at_us) or Version(scope, subject, EVER, EVER)
    after = before._replace(since_us=at_us, recorded_us=recorded_us, **said)
    if before.content == after.content and (not holding or holding[-1].since_us <= at_us):
        return None
    return after


def declare(
    connection: Connection,
    scope: str,
    subject: str,
    said: Mapping[str, Any],
    now_us: int,
    since_us: int | None = None,
) -> Version | None:
    """Let the members `said` (of `MEMBERS`) hold from `since_us` (now) on; None takes a word back.

    The registry's own columns follow. Gives the version stored, None where nothing changes. Raises
    `BadInput` for a subject that is not registered.
    """
    registered = _REGISTERED.get(scope)
    if registered is None:
        known = (scope, subject) == (DEFAULT, EVERYTHING)
    else:
        known = connection.scalar(select(registered.c.id).where(registered.c.id == subject)) is not None
    if not known:
        raise BadInput(f"no {scope} has the id {subject!r}; register it first", where="policy")
    history = histories(connection, [(scope, subject)]).get((scope, subject), [])
    version = declared(scope, subject, history, said, now_us, since_us)
    if version is None:
        return None
    put(connection, [version])
    _follow(connection, version)
    meta.grow(connection, meta.REGISTRY)
    return version


def _follow(connection: Connection, version: Version) -> None:
    """Let the columns of a kind or device say what was declared of it last."""
    if version.scope == KIND:
        columns: dict[str, Any] = {"interval_us": version.interval_us, "timeout_us": version.timeout_us}
    elif version.scope == DEVICE:
        columns = {
            "timeout_us": version.timeout_us,
            "max_lateness_us": version.max_lateness_us or 0,
            "clock_untrusted": bool(version.clock_untrusted),
        }
    else:
        return
    own = _REGISTERED[version.scope]
    connection.execute(update(own).where(own.c.id == version.subject).values(columns))


Said = tuple[int, int, int | None, int | None, int | None, bool | None, str | None, str | None]
"""What a device says: the members of `Version` from `since_us` on."""


class Resolver:
    """Works out the terms of devices: what the device says, else its community, its kind, the default.

    Devices that say the same since the same times get the same list, which is made once. What was declared
    after `known_us` is not known yet; `default_timeout_us` holds where not even the default says any.
    """

    def __init__(self, connection: Connection, default_timeout_us: int, known_us: int = FOREVER) -> None:
        self._default_timeout_us = default_timeout_us
        self._known_us = known_us
        self._wide = {
            key: timeline(history, known_us)
            for key, history in all_histories(connection, (DEFAULT, COMMUNITY, KIND)).items()
        }
        self._known: dict[tuple[Said, ...], tuple[Terms, ...]] = {}

    def terms(self, said: tuple[Said, ...]) -> tuple[Terms, ...]:
        """The terms of a device by its own versions in the order of declaration; the first is from `EVER`."""
        known = self._known.get(said)
        if known is None:
            own = timeline((Version(DEVICE, "", *one) for one in said), self._known_us)
            known = self._known[said] = self._terms(own)
        return known

    def chain(self, own: Sequence[Version], at_us: int) -> list[Version]:
        """The versions in force at a time that a device listens to, its own first, the default last."""
        version = in_force(own, at_us)
        found = (version, *(in_force(wider, at_us) for wider in self._wider(version)))
        return [one for one in found if one is not None]

    def _terms(self, own: list[Version]) -> tuple[Terms, ...]:
        times = {EVER}
        for version in (*own, None):
            times.update(v.since_us for wider in self._wider(version) for v in wider)
        times.update(version.since_us for version in own)
        terms: list[Terms] = []
        for since in sorted(times):
            found = self._at(own, since)
            if not terms or terms[-1][1:] != found[1:]:
                terms.append(found)
        return tuple(terms)

    def _at(self, own: list[Version], at_us: int) -> Terms:
        chain = self.chain(own, at_us)
        timeout = first_said(chain, "timeout_us")
        return Terms(
            at_us,
            self._default_timeout_us if timeout is None else timeout,
            first_said(chain, "max_lateness_us") or 0,
            bool(first_said(chain, "clock_untrusted")),
        )

    def _wider(self, version: Version | None) -> list[list[Version]]:
        keys = [(DEFAULT, EVERYTHING)]
        if version is not None:
            keys = [(COMMUNITY, version.community or ""), (KIND, version.kind or ""), *keys]
        return [self._wide[key] for key in keys if key in self._wide]


def first_said(chain: Iterable[Version], member: str) -> Any:
    """What the first of the versions that says anything of a member says of it, None if none does."""
    return next((value for v in chain if (value := getattr(v, member)) is not None), None)


def _version(row: Row[*tuple[Any, ...]]) -> Version:
    return Version(*row)
