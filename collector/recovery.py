"""The ledger at the start of the process: from its snapshot, or from what the databases have."""

import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from collector.archive import Archive
from collector.dialects.identity import SECRET_BYTES, Identifier
from collector.snapshotfile import Snapshot
from collector.spool import SNAPSHOT, Spool
from pulse import logs
from pulse.clock import MINUTE_US, SECOND_US
from pulse.errors import BadInput
from pulse.ledger.engine import Engine
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.fleet import Fleet
from pulse.ledger.model import FOREVER, Blind, Device, Evidence, Maintenance, Run
from pulse.ledger.tail import Tail
from pulse.limits import without_cycle_search
from pulse.messages import Message
from pulse.settings import Settings
from pulse.stores.base import TelemetryStore
from pulse.stores.relational import coverage, intervals, maintenance, meta, registry

log = logs.get(__name__)

PROVED_KEY = "coverage_proved"
SPOOL_KEY = "ledger_spool"
THROUGH_KEY = "ledger_batch"
SECRET_KEY = "identity_secret"  # noqa: S105 - where it stands


class Books(NamedTuple):
    """What the database says, apart from evidence."""

    version: int
    read_us: int
    """When the registry was read."""
    heard: int
    """The version of what people say of coverage."""
    fleet: Fleet
    maintenance: list[Maintenance]
    start_us: int | None
    blinds: list[Blind]
    through_us: int | None
    """Until when an earlier process wrote everything down."""


class Proof(msgspec.Struct):
    """Until when listening was proved, and the broker's count of dropped messages then."""

    at_us: int
    dropped: int | None


class Judged(msgspec.Struct, frozen=True):
    """By which registry evidence was judged: its version, and when that was read."""

    version: int
    read_us: int


JUDGED_KEY = "ledger_judged"
LONGEST_DECLARATION_US = 10 * MINUTE_US
"""The longest from when a policy is said to be recorded until a reader can see it (a large import)."""

_HEAD = struct.Struct("<qqq")


def read_books(connection: Connection, settings: Settings, now_us: int) -> Books:
    """Everything the engine is told of the world."""
    mark = coverage.watermark(connection)
    with without_cycle_search():
        fleet = registry.ledger_fleet(connection, default_timeout_s=settings.default_timeout_s)
    return Books(
        registry.version(connection),
        now_us,
        meta.count(connection, meta.COVERAGE),
        fleet,
        maintenance.entries(connection),
        coverage.start_us(connection),
        [blind for _, blind in coverage.entries(connection)],
        None if mark is None else mark.through_us,
    )


def read_proof(connection: Connection) -> Proof | None:
    """What `write_proof` wrote last."""
    text = meta.get(connection, PROVED_KEY)
    return None if text is None else msgspec.json.decode(text, type=Proof)


def write_proof(connection: Connection, proof: Proof) -> None:
    """Note until when listening was proved."""
    meta.put(connection, PROVED_KEY, msgspec.json.encode(proof).decode())


def is_own(connection: Connection, spool: Spool) -> bool:
    """Whether the ledger in the database was last written from this spool, which still has all of that.

    A spool that lost its newest batches (a disk that forgot them, an old copy put back) is like another one.
    """
    if meta.get(connection, SPOOL_KEY) not in (None, str(spool.identity())):
        return False
    through = max(int(meta.get(connection, THROUGH_KEY) or 0), spool.mark(SNAPSHOT))
    if through > spool.last_seq():
        log.error(
            "spool_lost_batches",
            path=str(spool.path),
            known_through=through,
            newest=spool.last_seq(),
            consequence="the ledger goes on from the database; what was not stored yet is lost",
        )
        return False
    return True


def identifier(connection: Connection) -> Identifier:
    """By what messages are told apart in this installation; its secret is made when there is none."""
    if meta.get(connection, SECRET_KEY) is None:
        meta.exchange(connection, SECRET_KEY, None, secrets.token_hex(SECRET_BYTES))
    return Identifier(bytes.fromhex(meta.get(connection, SECRET_KEY) or ""))


def write_own(connection: Connection, spool: Spool) -> None:
    """Note from which spool the ledger is written."""
    meta.put(connection, SPOOL_KEY, str(spool.identity()))


def write_through(connection: Connection, seq: int) -> None:
    """Note up to which batch of that spool it is written."""
    meta.put(connection, THROUGH_KEY, str(seq))


def read_judged(connection: Connection) -> Judged | None:
    """What `write_judged` wrote last."""
    text = meta.get(connection, JUDGED_KEY)
    return None if text is None else msgspec.json.decode(text, type=Judged)


def write_judged(connection: Connection, judged: Judged) -> None:
    """Note by which registry all that is written was judged."""
    meta.put(connection, JUDGED_KEY, msgspec.json.encode(judged).decode())


def judged_by(connection: Connection, judged: Judged, books: Books, settings: Settings) -> Fleet | None:
    """The devices with the terms that evidence was judged by; None if these are those of now.

    Where the registry has changed since, what was declared shortly before it was read counts as not seen
    then: that much evidence is judged once more at worst.
    """
    if judged.version == books.version:
        return None
    known_us = judged.read_us - LONGEST_DECLARATION_US
    with without_cycle_search():
        return registry.ledger_fleet(
            connection, default_timeout_s=settings.default_timeout_s, known_us=known_us
        )


def saved(engine: Engine, through_us: int, judged: Judged) -> Iterator[memoryview]:
    """A snapshot for the spool, in pieces, good until the engine is used again."""
    yield memoryview(_HEAD.pack(through_us, judged.version, judged.read_us))
    yield from engine.snapshot()


class Restored(NamedTuple):
    """The engine of a snapshot or of what is stored, and the time that it was swept to."""

    engine: Engine
    through_us: int
    seq: int
    """The last batch in it; 0 where there was no snapshot."""
    judged: Judged | None
    """By what its evidence was judged, None if nobody noted that."""
    absent: Sequence[str] = ()
    """Devices that were registered after the snapshot was taken."""


def restored(
    snapshot: Snapshot | None, books: Books, archive: Archive, settings: Settings
) -> Restored | None:
    """The engine of a snapshot; None without one."""
    if snapshot is None:
        return None
    try:
        through_us, version, read_us = _HEAD.unpack_from(snapshot.body)
        engine = new_engine(books, archive, settings, through_us)
        absent = engine.restore(snapshot.body[_HEAD.size :], through_us)
    except (struct.error, BadInput) as error:
        log.error("snapshot_unusable", error=str(error), consequence="rebuilding from what is stored")
        return None
    return Restored(engine, through_us, snapshot.seq, Judged(version, read_us), absent)


def rebuilt(
    connection: Connection, store: TelemetryStore, books: Books, archive: Archive, settings: Settings
) -> Restored:
    """The engine from the last run of every device and the raw messages since.

    Raises `StoreUnavailable` if the telemetry store does not answer.
    """
    through_us = books.through_us or 0
    engine = new_engine(books, archive, settings, through_us)
    runs = intervals.last_runs(connection, through_us, FOREVER)
    longest_us = max((terms.timeout for own in books.fleet.terms.lists for terms in own), default=0)
    judged = read_judged(connection)
    if not runs:
        return Restored(engine, through_us, 0, judged)
    recent: dict[str, list[Message]] = {}
    store.open()
    for message in store.read_messages(through_us - longest_us - MINUTE_US, FOREVER // 4):
        recent.setdefault(message.device, []).append(message)
    _adopt(engine, books, runs, recent, through_us, settings)
    return Restored(engine, through_us, 0, judged)


def introduced(
    connection: Connection, found: Restored, books: Books, archive: Archive, settings: Settings
) -> list[str]:
    """Let the engine adopt the stored runs of devices that are not in its snapshot; those without any."""
    runs = intervals.last_runs(connection, found.through_us, FOREVER, found.absent) if found.absent else {}
    recent = {name: archive.recent(name) for name in runs}
    _adopt(found.engine, books, runs, recent, found.through_us, settings)
    return [name for name in found.absent if name not in runs]


def _adopt(
    engine: Engine,
    books: Books,
    runs: Mapping[str, Run],
    recent: Mapping[str, Sequence[Message]],
    through_us: int,
    settings: Settings,
) -> None:
    backlog_us = round(settings.backlog_lateness_s * SECOND_US)
    for name, run in runs.items():
        device = books.fleet.get(name)
        if device is not None:
            evidence = _evidence(device, recent.get(device.id, ()), backlog_us)
            tail = _tail(device, run, evidence)
            engine.adopt(device.id, tail, through_us, is_open=run.end == FOREVER)


def new_engine(books: Books, archive: Archive, settings: Settings, now_us: int) -> Engine:
    """An engine that has heard nothing."""
    return Engine(
        books.fleet,
        archive,
        start=books.start_us,
        blinds=books.blinds,
        maintenance=books.maintenance,
        backlog_lateness=round(settings.backlog_lateness_s * SECOND_US),
        now=now_us,
    )


def _evidence(device: Device, messages: Iterable[Message], backlog_us: int) -> list[Piece]:
    heard = (Heard(m.evidence, m.observed_us, m.measured_us, m.retained, m.queued, m.order) for m in messages)
    return [piece for one in heard for piece in pieces(device, one, backlog_us)]


def _tail(device: Device, run: Run, evidence: Sequence[Piece]) -> Tail:
    """The last run with what is known of its last evidence; at worst its earliest possible deadline."""
    own = [p for p in evidence if p.at >= run.start and p.evidence is run.evidence]
    last = max(own, key=lambda p: (p.at, p.observed, p.order), default=None)
    heard = max(evidence, key=lambda p: (p.observed, p.order), default=None)
    at = run.since if last is None else last.at
    observed, order = (run.recorded, -1) if heard is None else (heard.observed, heard.order)
    if run.end == FOREVER and run.evidence is not Evidence.OFFLINE:
        run = run._replace(end=at + device.terms_at(at).timeout)
    elif last is None and run.evidence is not Evidence.OFFLINE:
        at = max(run.start, run.end - device.terms_at(run.end).timeout)
    return Tail(run, at, observed, order)
