"""Which devices' terms of the past are other than they were: what they judged has to be judged anew."""

from typing import NamedTuple

import numpy as np

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.model import Terms
from pulse.ledger.terms import TermsColumns, in_force


class Changed(NamedTuple):
    """Devices by position, and since when their terms differ.

    `timeout_alone`: nothing but the timeout does, and none since then, of before or now, is below `shortest`.
    `trusted_now`: a clock that was not trusted is, so that a message may prove something that proved nothing.
    """

    position: Ints
    since: Ints
    timeout_alone: Flags
    shortest: Ints
    trusted_now: Flags

    def where(self, chosen: Flags) -> "Changed":
        """Some of them."""
        return Changed(
            self.position[chosen],
            self.since[chosen],
            self.timeout_alone[chosen],
            self.shortest[chosen],
            self.trusted_now[chosen],
        )


class _Difference(NamedTuple):
    since: int
    timeout_alone: bool
    shortest: int
    trusted_now: bool


def changed_terms(before: TermsColumns, there: Ints, after: TermsColumns, now: int) -> Changed:
    """The devices of `after` that had, by `before`, other terms at some time up to `now`.

    `there` is the position in `before` of each device of `after`, -1 for a new one.
    """
    here = np.flatnonzero(there >= 0)
    old, new = before.number[there[here]].astype(np.int64), after.number[here]
    pairs, which = np.unique(old * max(len(after.lists), 1) + new, return_inverse=True)
    found = [
        _difference(before.lists[pair // len(after.lists)], after.lists[pair % len(after.lists)], now)
        for pair in pairs.tolist()
    ]
    differs = np.array([one is not None for one in found], dtype=bool)
    rows = differs[which] if len(pairs) else np.zeros(0, dtype=bool)
    told = [one or _Difference(0, False, 0, False) for one in found]

    def column(values: list[int]) -> Ints:
        return np.array(values, dtype=np.int64)[which][rows] if len(pairs) else np.empty(0, dtype=np.int64)

    return Changed(
        here[rows],
        column([one.since for one in told]),
        column([one.timeout_alone for one in told]).astype(bool),
        column([one.shortest for one in told]),
        column([one.trusted_now for one in told]).astype(bool),
    )


def _difference(before: tuple[Terms, ...], after: tuple[Terms, ...], now: int) -> _Difference | None:
    if before == after:
        return None
    edges = sorted({terms.since for terms in (*before, *after) if terms.since <= now})
    both = [(in_force(before, edge), in_force(after, edge)) for edge in edges]
    first = next((n for n, (old, new) in enumerate(both) if old[1:] != new[1:]), None)
    if first is None:
        return None
    since = both[first:]
    return _Difference(
        edges[first],
        all(old[2:] == new[2:] for old, new in since),
        min(terms.timeout for pair in since for terms in pair),
        any(old.clock_untrusted and not new.clock_untrusted for old, new in since),
    )
