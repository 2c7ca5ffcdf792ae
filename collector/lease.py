"""One collector at a time: a lease in the relational database, renewed with everything that is written.

Who wants it writes over a lease that is free, whose holder said goodbye, is known to be dead, or has not
renewed it for `LEASE_S`. That time is counted by the one who waits, on its own monotonic clock, from when
it last saw a renewal: clocks of different machines are never compared. Every change is a compare-and-set,
and the ledger's thread renews in the transactions in which it writes, so that a collector that was
suspended and lost the lease meanwhile can commit nothing any more.
"""

import socket
import threading

import msgspec
from sqlalchemy import Connection

from pulse import logs, processes
from pulse.clock import Clock, to_iso
from pulse.errors import Conflict, StoreUnavailable
from pulse.stores.relational import meta
from pulse.stores.relational.database import Database

log = logs.get(__name__)

KEY = "collector_lease"
LEASE_S = 10.0
RENEW_S = 2.5
ASK_S = 0.5
SAY_AGAIN_S = 60.0


class LeaseLost(Conflict):
    """Another collector holds the lease: nothing of what this one was about to write may be written."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lease; `renewals` grows, so that a renewal can be seen."""

    session: str
    host: str
    process: str
    since_us: int
    renewals: int = 0

    def shown(self) -> str:
        """For people."""
        number = self.process.split(" ")[1]
        return f"host {self.host}, process {number}, session {self.session}, since {to_iso(self.since_us)}"


class Lease:
    """The lease as one collector sees it. `renew` and `check` may be called from any thread."""

    def __init__(self, db: Database, clock: Clock, session: str, *, lease_s: float = LEASE_S) -> None:
        self._db = db
        self._clock = clock
        self._session = session
        self._lease_s = lease_s
        self._renewed_s = 0.0
        self._held = False

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until the lease is ours; False if stopped before."""
        seen: str | None = None
        seen_s = said_s = self._clock.monotonic_s()
        said = False
        while not stop.is_set():
            now_s = self._clock.monotonic_s()
            try:
                found = self._try(seen if now_s - seen_s >= self._lease_s else None)
            except StoreUnavailable as error:
                log.warning("waiting_for_lease", error=str(error))
                seen_s = now_s
            else:
                if found is None:
                    return True
                if found != seen:
                    seen, seen_s = found, now_s
                if not said or now_s - said_s >= SAY_AGAIN_S:
                    said, said_s = True, now_s
                    log.warning(
                        "waiting_for_lease",
                        holder=msgspec.json.decode(found, type=Holder).shown(),
                        consequence="another collector works on this database; this one takes over when it"
                        f" ends, or says nothing for {self._lease_s:g} s",
                    )
            stop.wait(ASK_S)
        return False

    def _try(self, overdue: str | None) -> str | None:
        """Take the lease if it is free, `overdue`, or of a dead process; else give what stands there."""
        with self._db.write() as connection:
            own = Holder(self._session, socket.gethostname(), processes.this_process(), self._clock.now_us())
            while True:
                # A lease that is there is locked, so the exchange fails only where none was and another
                # collector has put its own meanwhile.
                found = meta.get(connection, KEY, locked=True)
                if found is not None and found != overdue:
                    holder = msgspec.json.decode(found, type=Holder)
                    if not processes.is_gone(holder.process):
                        return found
                if meta.exchange(connection, KEY, found, _text(own)):
                    break
        self._held = True
        self._renewed_s = self._clock.monotonic_s()
        if found is not None:
            log.warning("lease_taken_over", former=msgspec.json.decode(found, type=Holder).shown())
        return None

    def renew(self, connection: Connection) -> None:
        """Renew in the caller's transaction. Raises `LeaseLost`: then nothing of it must be committed."""
        now_s = self._clock.monotonic_s()
        if connection.dialect.name == "postgresql":
            # A transaction of a process that is suspended must not keep the lease's row locked for ever.
            connection.exec_driver_sql(
                f"SET LOCAL idle_in_transaction_session_timeout = '{self._lease_s:g}s'"
            )
        found = meta.get(connection, KEY, locked=True)
        holder = None if found is None else msgspec.json.decode(found, type=Holder)
        if holder is None or holder.session != self._session:
            self._held = False
            by = "it has ended since" if holder is None else holder.shown()
            raise LeaseLost(
                f"another collector has taken over this database while this one did not answer ({by});"
                " this one writes nothing any more. Run one collector; started again, it waits for its turn"
            )
        after = msgspec.structs.replace(holder, renewals=holder.renewals + 1)
        meta.exchange(connection, KEY, found, _text(after))
        self._renewed_s = now_s

    def check(self) -> None:
        """Raise `LeaseLost` if the lease may have passed on and has; cheap while it was renewed lately.

        A database that does not answer gives the lease to nobody else either.
        """
        if self._clock.monotonic_s() - self._renewed_s < self._lease_s:
            return
        try:
            with self._db.write() as connection:
                self.renew(connection)
        except StoreUnavailable as error:
            log.warning("lease_not_renewed", error=str(error))

    def keep(self, stop: threading.Event) -> None:
        """Renew until `stop` is set, for the times in which nothing is written. Raises `LeaseLost`."""
        while not stop.wait(RENEW_S):
            if self._clock.monotonic_s() - self._renewed_s >= RENEW_S:
                try:
                    with self._db.write() as connection:
                        self.renew(connection)
                except StoreUnavailable as error:
                    log.warning("lease_not_renewed", error=str(error))

    def release(self) -> None:
        """Give it back, so that the next need not wait; what cannot be given back runs out."""
        if not self._held:
            return
        self._held = False
        try:
            with self._db.write() as connection:
                found = meta.get(connection, KEY, locked=True)
                if found is not None and msgspec.json.decode(found, type=Holder).session == self._session:
                    meta.exchange(connection, KEY, found, None)
        except StoreUnavailable as error:
            log.warning("lease_not_released", error=str(error))


def holder_of(connection: Connection) -> Holder | None:
    """Who holds the lease, unless it is known to be dead; None if nobody does."""
    found = meta.get(connection, KEY)
    holder = None if found is None else msgspec.json.decode(found, type=Holder)
    return None if holder is None or processes.is_gone(holder.process) else holder


def _text(holder: Holder) -> str:
    return msgspec.json.encode(holder).decode()
