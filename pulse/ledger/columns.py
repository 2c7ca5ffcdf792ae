"""The rules over batches: the same decisions as `evidence`, `runs` and `presence`, on columns.

Every function here has a readable twin for one device; tests hold the two together. Columns are numpy
arrays of 64-bit integers on the ledger's axis, one element a message, piece or device.
"""

from typing import NamedTuple

import numpy as np

from pulse.batches import ABSENT, Flags, Ints, by_number
from pulse.ledger.model import FOREVER, Evidence, Run, State

__all__ = ["ABSENT", "Flags", "Ints"]


class HeardColumns(NamedTuple):
    """Messages in columns; `device` is a position in a list of devices, `measured` may be `ABSENT`."""

    device: Ints
    evidence: Ints
    observed: Ints
    measured: Ints
    retained: Flags
    queued: Flags
    order: Ints


class PieceColumns(NamedTuple):
    """Evidence in columns."""

    device: Ints
    at: Ints
    observed: Ints
    order: Ints
    evidence: Ints

    def take(self, chosen: Ints | Flags) -> "PieceColumns":
        """The chosen elements of every column."""
        return PieceColumns(*(column[chosen] for column in self))


def evidence_of(
    heard: HeardColumns, max_lateness: Ints, untrusted: Flags, backlog_lateness: int
) -> PieceColumns:
    """The evidence of a batch (twin: `evidence.pieces`), in no particular order.

    `max_lateness` and `untrusted` are per message, by the terms in force at its measured time.
    """
    beat = heard.evidence != Evidence.OFFLINE
    usable = ~heard.retained
    live = usable & ~heard.queued
    lateness = np.where(heard.queued, backlog_lateness, max_lateness)
    measured = usable & beat & (heard.measured != ABSENT) & ~untrusted
    measured &= (heard.observed - lateness <= heard.measured) & (heard.measured <= heard.observed)
    measured &= heard.queued | (heard.measured < heard.observed)

    def both(column: Ints) -> Ints:
        return np.concatenate([column[live], column[measured]])

    return PieceColumns(
        both(heard.device),
        np.concatenate([heard.observed[live], heard.measured[measured]]),
        both(heard.observed),
        both(heard.order),
        both(heard.evidence),
    )


def by_device(pieces: PieceColumns) -> PieceColumns:
    """By device, then in the order of knowing: (observed time, order, time)."""
    device, observed, order = pieces.device, pieces.observed, pieces.order
    in_order = (observed[1:] > observed[:-1]) | ((observed[1:] == observed[:-1]) & (order[1:] > order[:-1]))
    if in_order.all():
        # As nearly always.
        return pieces.take(by_number(device))
    return pieces.take(np.lexsort((pieces.at, order, observed, device)))


def in_time_order(pieces: PieceColumns) -> PieceColumns:
    """By device, then by rule 5's (time, observed time, order)."""
    return pieces.take(np.lexsort((pieces.order, pieces.observed, pieces.at, pieces.device)))


def runs_known(
    ordered: PieceColumns, timeout: Ints, known_at: int, *, forever: int = FOREVER
) -> dict[int, list[Run]]:
    """The runs of all devices as known at `known_at`, by device position (twin: `runs.runs_known`).

    `ordered` comes from `in_time_order`; `timeout` is per piece, by the terms in force at its time.
    """
    known = ordered.observed <= known_at
    device, at = ordered.device[known], ordered.at[known]
    evidence, timeout = ordered.evidence[known], timeout[known]
    if not len(device):
        return {}
    decisive = np.ones(len(device), dtype=bool)
    decisive[:-1] = (device[1:] != device[:-1]) | (at[1:] != at[:-1])
    device, at, evidence, timeout = (c[decisive] for c in (device, at, evidence, timeout))
    deadline = at + timeout

    begins = np.ones(len(device), dtype=bool)
    begins[1:] = (
        (device[1:] != device[:-1])
        | (evidence[1:] != evidence[:-1])
        | (evidence[1:] == Evidence.OFFLINE)
        | (at[1:] > deadline[:-1])
    )
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(device)) - 1
    following = np.full(len(first), forever, dtype=np.int64)
    same = device[first[1:]] == device[first[:-1]]
    following[:-1][same] = at[first[1:]][same]
    end = np.where(evidence[first] == Evidence.OFFLINE, following, np.minimum(deadline[last], following))

    runs: dict[int, list[Run]] = {}
    words = list(Evidence)
    columns = (device[first].tolist(), at[first].tolist(), end.tolist(), evidence[first].tolist())
    for position, start, until, word in zip(*columns, strict=True):
        runs.setdefault(position, []).append(Run(start, until, words[word], start))
    return runs


NOTHING = -1
"""In an evidence column: nothing was heard of the device yet."""


def presence_now(
    evidence: Ints, since: Ints, end: Ints, timeout: Ints, deaf_until: Ints, at: Ints | int
) -> Ints:
    """The presence of many devices from their last run (twin: `answer.presence_now`), as State numbers.

    `deaf_until` is the greatest end of the known blind intervals that began by `at`, `ABSENT` for none.
    """
    said_offline = evidence == Evidence.OFFLINE
    alive = (evidence != NOTHING) & ~said_offline & (at < end)
    proved = (said_offline & (deaf_until <= since)) | (deaf_until <= at - timeout)
    silent = np.where(proved, np.int64(State.OFFLINE), np.int64(State.UNKNOWN))
    return np.where(
        alive, np.where(evidence == Evidence.FAULT, np.int64(State.FAULT), np.int64(State.ONLINE)), silent
    )


def next_due(evidence: Ints, since: Ints, end: Ints, timeout: Ints, deaf_until: Ints, at: Ints | int) -> Ints:
    """The next instant after `at` at which presence may change by itself; `FOREVER` for none.

    A living device's deadline; for silence that proves nothing yet, the end of a whole timeout of listening.
    """
    said_offline = (evidence == Evidence.OFFLINE) & (deaf_until <= since)
    alive = (evidence != NOTHING) & (evidence != Evidence.OFFLINE) & (at < end)
    heard_out = np.where(deaf_until < FOREVER - timeout, deaf_until + timeout, FOREVER)
    waiting = ~alive & ~said_offline & (heard_out > at)
    return np.where(alive, end, np.where(waiting, heard_out, FOREVER))
