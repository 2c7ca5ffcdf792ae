"""What a device really does, and the policy that would fit it. Pure: times in, a suggestion out."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pulse.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_BEATS = 50
"""With fewer nothing is suggested: a percentile of a few gaps is an accident."""

SKEWED_US = 30 * SECOND_US
"""A clock this far off is wrong; deliveries take less."""

LATE_US = 10 * SECOND_US
"""A beat that arrives this much later than the device's promptest ones was buffered."""

_MISSED = 3
"""Beats that may be lost before a device counts as silent."""

_MARGIN = 1.5
"""How much longer than the longest usual gap a timeout is."""

_OUTAGE = 10
"""A gap of this many intervals is an outage, not the rhythm."""

_OFTEN = 0.01
"""The share of beats from which on what they do is the device's way and not an accident."""

_ZONE_US = 15 * MINUTE_US
_NEAR_ZONE_US = 2 * MINUTE_US
_NICE_S = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 450, 600, 900, 1200, 1800, 3600)

_LONG_US = 30 * MINUTE_US
"""What longer durations are whole multiples of."""


class Beats(NamedTuple):
    """A device's live heartbeats in order of reception: when they were received, and its own times.

    `dated` says which have one. What the broker had kept is left out, since nobody knows when it arrived.
    """

    observed: Ints
    measured: Ints
    dated: Flags


class Agreed(NamedTuple):
    """What is agreed with a device now, in microseconds; the interval None where nobody says it."""

    interval_us: int | None
    timeout_us: int
    max_lateness_us: int = 0
    clock_untrusted: bool = False


class Seen(NamedTuple):
    """What was seen of a device, in microseconds; of the clock None where it tells no time.

    `skew` is measured − received: below 0 the clock is behind, or delivery slow. `late` is the share of
    beats that were buffered and `lateness_p99_us` how late those were. `beyond_timeout` is the share of gaps
    longer than the present timeout, `alive` the share of time within it of a beat.
    """

    beats: int
    interval_p50_us: int
    interval_p99_us: int
    beyond_timeout: float
    alive: float
    skew_p50_us: int | None = None
    skew_p99_us: int | None = None
    zone_us: int | None = None
    late: float = 0.0
    lateness_p99_us: int = 0


class Reason(StrEnum):
    """Why a member should be what is suggested."""

    RHYTHM = "rhythm"
    MISSED_BEATS = "missed_beats"
    USUAL_GAPS = "usual_gaps"
    BUFFERS = "buffers"
    PROMPT = "prompt"
    CLOCK_OFF = "clock_off"
    TIME_ZONE = "time_zone"
    CLOCK_RIGHT = "clock_right"


class Suggestion(NamedTuple):
    """A policy that would fit, why, and the share of time that would be within its timeout of a beat.

    `clock_untrusted` None: the device tells no time, so that nothing can be said of its clock.
    """

    seen: Seen
    interval_us: int
    timeout_us: int
    max_lateness_us: int
    clock_untrusted: bool | None
    alive: float
    reasons: tuple[Reason, ...]


def suggest(beats: Beats, agreed: Agreed, deaf: Sequence[tuple[int, int]] = ()) -> Suggestion | None:
    """The policy that fits these beats; None for fewer than `LEAST_BEATS` of them.

    Gaps that meet one of the intervals `deaf` say nothing: the collector could not hear.
    """
    if len(beats.observed) < LEAST_BEATS:
        return None
    delay = (beats.observed - beats.measured)[beats.dated]
    # The promptest beats tell the clock, whatever else was buffered.
    prompt = int(np.percentile(delay, 5, method="lower")) if len(delay) else 0
    lateness = np.maximum(delay - prompt, 0)
    late = lateness > LATE_US
    gaps = _gaps(beats, prompt, deaf)
    if len(gaps) < LEAST_BEATS // 2:
        return None
    p50, p99 = (int(np.percentile(gaps, q, method="higher")) for q in (50, 99))
    beyond = float((gaps > agreed.timeout_us).mean())
    seen = Seen(len(beats.observed), p50, p99, beyond, _alive(gaps, agreed.timeout_us))
    if len(delay):
        skew = -delay
        middle = int(np.median(skew))
        seen = seen._replace(
            skew_p50_us=middle,
            skew_p99_us=int(skew[np.argsort(np.abs(skew), kind="stable")][int(0.99 * (len(skew) - 1))]),
            zone_us=zone_of(-prompt),
            late=float(late.mean()),
            lateness_p99_us=int(np.percentile(lateness[late], 99, method="higher")) if late.any() else 0,
        )
    return _fitting(seen, gaps, -prompt if len(delay) else None)


def zone_of(offset_us: int) -> int | None:
    """The time zone that a clock's offset looks like, None if it looks like none."""
    nearest = round(offset_us / _ZONE_US) * _ZONE_US
    if not 2 * _ZONE_US <= abs(nearest) <= 14 * HOUR_US or abs(offset_us - nearest) > _NEAR_ZONE_US:
        return None
    return nearest


def common(suggestions: Sequence[Suggestion]) -> Suggestion | None:
    """The policy that fits most devices of a kind, None without any.

    The timeout is what nine in ten can keep; that a device buffers or its clock is wrong is the kind's way
    only if it is that of most.
    """
    if not suggestions:
        return None
    buffering = [s for s in suggestions if s.max_lateness_us]
    wrong = [s for s in suggestions if s.clock_untrusted]
    most = len(suggestions) / 2
    timeout_us = int(np.percentile([s.timeout_us for s in suggestions], 90, method="higher"))
    model = max((s for s in suggestions if s.timeout_us <= timeout_us), key=lambda s: s.timeout_us)
    beats = np.array([s.seen.beats for s in suggestions])
    told = [s for s in suggestions if s.seen.skew_p50_us is not None]

    def whole(shares: Sequence[float]) -> float:
        return float(np.average(shares, weights=beats))

    def middle(values: Sequence[int]) -> int:
        return int(np.percentile(values, 50, method="higher"))

    seen = Seen(
        int(beats.sum()),
        middle([s.seen.interval_p50_us for s in suggestions]),
        int(np.percentile([s.seen.interval_p99_us for s in suggestions], 90, method="higher")),
        whole([s.seen.beyond_timeout for s in suggestions]),
        whole([s.seen.alive for s in suggestions]),
        middle([s.seen.skew_p50_us or 0 for s in told]) if told else None,
        middle([s.seen.skew_p99_us or 0 for s in told]) if told else None,
        None,
        whole([s.seen.late for s in suggestions]),
        max(s.seen.lateness_p99_us for s in suggestions),
    )
    buffers, untrusted = len(buffering) > most, len(wrong) > most
    return Suggestion(
        seen,
        middle([s.interval_us for s in suggestions]),
        timeout_us,
        max(s.max_lateness_us for s in buffering) if buffers else 0,
        untrusted if told else None,
        whole([s.alive for s in suggestions]),
        (
            Reason.RHYTHM,
            next(r for r in model.reasons if r in (Reason.MISSED_BEATS, Reason.USUAL_GAPS)),
            Reason.BUFFERS if buffers else Reason.PROMPT,
            *((Reason.CLOCK_OFF if untrusted else Reason.CLOCK_RIGHT,) if told else ()),
        ),
    )


def _fitting(seen: Seen, gaps: Ints, offset_us: int | None) -> Suggestion:
    interval_us = _rounded(seen.interval_p50_us)
    missed = _MISSED * interval_us
    usual = min(int(_MARGIN * seen.interval_p99_us), _OUTAGE * seen.interval_p50_us)
    timeout_us = _nice(max(missed, usual))
    buffers = seen.late >= _OFTEN
    reasons = [Reason.RHYTHM, Reason.USUAL_GAPS if usual > missed else Reason.MISSED_BEATS]
    max_lateness_us = 0
    if buffers:
        max_lateness_us = min(_nice(int(1.25 * seen.lateness_p99_us)), 7 * DAY_US)
    reasons.append(Reason.BUFFERS if buffers else Reason.PROMPT)
    untrusted = None if offset_us is None else abs(offset_us) > SKEWED_US
    if untrusted:
        reasons.append(Reason.CLOCK_OFF if seen.zone_us is None else Reason.TIME_ZONE)
    elif untrusted is not None:
        reasons.append(Reason.CLOCK_RIGHT)
    return Suggestion(
        seen,
        interval_us,
        timeout_us,
        max_lateness_us,
        untrusted,
        _alive(gaps, timeout_us),
        tuple(reasons),
    )


def _gaps(beats: Beats, prompt: int, deaf: Sequence[tuple[int, int]]) -> Ints:
    """The time between beats: by the device's own clock, put right, where that tells when they were sent."""
    sent = np.where(beats.dated, np.minimum(beats.measured + prompt, beats.observed), beats.observed)
    sent = np.sort(sent)
    gaps: Ints = np.diff(sent)
    keep = gaps > 0
    for start, end in deaf:
        keep &= (sent[1:] <= start) | (sent[:-1] >= end)
    return gaps[keep]


def _alive(gaps: Ints, timeout_us: int) -> float:
    """The share of time that is less than a timeout after a beat."""
    total = int(gaps.sum())
    return float(np.minimum(gaps, timeout_us).sum() / total) if total else 1.0


def _rounded(duration_us: int) -> int:
    """The nearest duration that a person would have said, if one is within a tenth; else whole seconds."""
    nearest = min(_NICE_S, key=lambda s: abs(s * SECOND_US - duration_us)) * SECOND_US
    if abs(nearest - duration_us) <= duration_us / 10:
        return nearest
    return max(round(duration_us / SECOND_US) * SECOND_US, duration_us if duration_us < SECOND_US else 0)


def _nice(duration_us: int) -> int:
    """A duration that a person would have said, not shorter by more than a fiftieth."""
    if duration_us <= SECOND_US:
        return duration_us
    found = next((s for s in _NICE_S if s * SECOND_US >= 0.98 * duration_us), None)
    return found * SECOND_US if found is not None else -(-duration_us // _LONG_US) * _LONG_US
