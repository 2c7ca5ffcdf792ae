"""What one device said in the days before, in closed form: any stretch of it without the rest.

Runs come from the edges of the spells in which the device was heard; the raw messages of any window come
from the same spells, so that the ledger finds those runs in them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import FOREVER, Blind, Device, Evidence, Run
from pulse.messages import Channel
from simulators import chance
from simulators.faults import Behaviour, Fault, Unit, copy_delays_us, flap_every, flap_us, late_us
from simulators.outages import Outage, Way
from simulators.rhythm import Times, keepalive_s
from simulators.spells import Life, Spell, back_us, lives, spells

UNMEASURED = -FOREVER
"""Stands for the measured time of a message that has none."""

_LATENCY_US = (3_000, 40_000)
_WILL_US = 50_000
_CATCHING_UP_US = 5_000
_BURST = 64


class Said(NamedTuple):
    """Messages in columns, in no order. `made` is when the device made it, by a clock that is right."""

    observed: Times
    measured: Times
    made: Times
    seq: Times
    evidence: Times
    channel: Times
    identity: Times


class Track:
    """One device from `start_us` to `end_us`, both on the ledger's axis."""

    def __init__(
        self,
        unit: Unit,
        fault: Fault | None,
        outages: Sequence[Outage],
        blinds: Iterable[Blind],
        start_us: int,
        end_us: int,
        *,
        never: bool = False,
    ) -> None:
        self._unit = unit
        self._span = (start_us, end_us)
        self._fault = fault if fault is not None and not fault.behaviour.is_down else None
        self._rhythm = unit.rhythm
        self._latency_key = chance.bits(unit.key, 31)
        self._first = self._rhythm.first_from(start_us)
        self._blinds = [(blind.start, blind.end) for blind in blinds]
        self._lives = [] if never else list(lives(outages, start_us, end_us))
        self.spells = [spell for life in self._lives for spell in spells(unit.key, life, self._blinds)]
        self.wills: list[int] = []
        self.wills = [will for outage in outages for will in self._wills(outage)]

    def said(self, from_us: int, to_us: int) -> Said:
        """The messages observed in `[from_us, to_us)`."""
        parts = [*self._beats(from_us, to_us), *self._announcements(from_us, to_us)]
        if any(from_us <= will < to_us for will in self.wills) or not parts:
            parts.append(_status(self._unit.key, self.wills, Evidence.OFFLINE))
        joined = Said(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        inside = (joined.observed >= from_us) & (joined.observed < to_us)
        return Said(*(column[inside] for column in joined))

    def runs(self) -> list[Run]:
        """Its runs, in order of time, if it does not buffer: then messages count when they are observed."""
        pieces: list[tuple[int, int, Evidence]] = [(will, will, Evidence.OFFLINE) for will in self.wills]
        for spell in self.spells:
            edges = self._edges(spell)
            if edges is not None:
                pieces.append((*edges, Evidence.FAULT if spell.faulty else Evidence.BEAT))
        runs: list[Run] = []
        for first, last, evidence in sorted(pieces):
            end = FOREVER if evidence is Evidence.OFFLINE else last + self._unit.timeout_us
            if runs and runs[-1].end >= first:
                if runs[-1].evidence is evidence is not Evidence.OFFLINE:
                    runs[-1] = runs[-1]._replace(end=end)
                    continue
                runs[-1] = runs[-1]._replace(end=first)
            runs.append(Run(first, end, evidence, first, recorded=first))
        return runs

    def decisive(self, device: Device) -> list[Piece]:
        """The evidence that the runs of a buffering device come from, without what cannot matter.

        In the middle of a spell each beat sent at once follows the one before within the timeout, so that
        neither a late beat nor a measured time says anything new.
        """
        said = self.said(*self._span)
        timeout_us = self._unit.timeout_us
        middle = np.zeros(len(said.observed), dtype=bool)
        for spell in self.spells:
            begun = said.made >= spell.start + timeout_us
            middle |= begun & (said.observed < spell.end - timeout_us)
        late = said.observed - said.made > _LATENCY_US[1]
        wanted = ~(middle & late)
        heard = sorted(
            zip(*(column[wanted].tolist() for column in (*said[:2], said.evidence, middle)), strict=True)
        )
        return [
            piece
            for order, (observed, measured, evidence, inside) in enumerate(heard)
            for piece in pieces(
                device,
                Heard(
                    Evidence(evidence),
                    observed,
                    None if inside or measured == UNMEASURED else measured,
                    order=order,
                ),
                0,
            )
        ]

    def last(self) -> tuple[int, Evidence] | None:
        """Time and kind of the last evidence, None if nothing was ever heard."""
        found = [(will, Evidence.OFFLINE) for will in self.wills[-1:]]
        for spell in reversed(self.spells):
            edges = self._edges(spell)
            if edges is not None:
                found.append((edges[1], Evidence.FAULT if spell.faulty else Evidence.BEAT))
                break
        return max(found, default=None)

    def _is(self, behaviour: Behaviour) -> bool:
        return self._fault is not None and self._fault.behaviour is behaviour

    def _edges(self, spell: Spell) -> tuple[int, int] | None:
        """The first and the last observation of a beat in a spell, None if there is none."""
        if self._fault is not None:
            return self._edges_of_misbehaviour(spell)
        first = self._rhythm.first_from(spell.start)
        last = self._rhythm.first_from(spell.end) - 1
        while last >= first and self._observed(last) >= spell.end:
            last -= 1
        if last < first:
            return (spell.start, spell.start) if spell.announced else None
        return spell.start if spell.announced else self._observed(first), self._observed(last)

    def _edges_of_misbehaviour(self, spell: Spell) -> tuple[int, int] | None:
        reach = 2 * self._unit.timeout_us
        near_start = self.said(spell.start, min(spell.start + reach, spell.end))
        near_end = self.said(max(spell.end - reach, spell.start), spell.end)
        beats = np.concatenate(
            [said.observed[said.evidence != Evidence.OFFLINE] for said in (near_start, near_end)]
        )
        return (int(beats.min()), int(beats.max())) if len(beats) else None

    def _observed(self, k: int) -> int:
        """When beat `k` of a device that sends its beats at once is heard."""
        low, high = _LATENCY_US
        return self._rhythm.at(k) + low + int(chance.uniform(self._latency_key, k) * (high - low))

    def _wills(self, outage: Outage) -> Iterator[int]:
        """The last will that an outage brings, if the device was connected and the collector hears it."""
        before = next((spell for spell in self.spells if spell.end == outage.start), None)
        if before is None or outage.way not in {Way.DEATH, Way.NETWORK}:
            return
        will = outage.start + _WILL_US
        if outage.way is Way.NETWORK:
            edges = self._edges(before)
            last_packet = before.start if edges is None else edges[1]
            will = last_packet + round(1.5 * keepalive_s(self._unit.interval_us))
        if will < outage.end and not any(low <= will < high for low, high in self._blinds):
            yield will

    def _beats(self, from_us: int, to_us: int) -> Iterator[Said]:
        """Heartbeats of every life that may be observed in the window, and others besides."""
        if self._fault is not None and self._is(Behaviour.LATE):
            for life in self._lives:
                if from_us < life.end and life.start < to_us:
                    yield self._late(self._fault, life, from_us, to_us)
            return
        reach = 2 * self._unit.interval_us
        for spell in self.spells:
            if spell.end <= from_us or to_us <= spell.start:
                continue
            ks = self._rhythm.numbers(max(from_us - reach, spell.start), min(to_us, spell.end))
            made = self._rhythm.times(ks)
            if self._fault is not None and self._is(Behaviour.FLAPPING):
                there = np.array(
                    [self._is_there(self._fault, k, at) for k, at in _pairs(ks, made)], dtype=bool
                )
                ks, made = ks[there], made[there]
            evidence = Evidence.FAULT if spell.faulty else Evidence.BEAT
            observed = made + self._latency(ks)
            heard = observed < spell.end
            yield self._heartbeats(ks[heard], made[heard], observed[heard], evidence)
            if self._fault is not None and self._is(Behaviour.DUPLICATES):
                yield self._copies(self._fault, spell, ks, made)

    def _late(self, fault: Fault, life: Life, from_us: int, to_us: int) -> Said:
        longest = max((high - low for low, high in self._blinds), default=0)
        reach = fault.max_lateness_us + 2 * longest + 2 * self._unit.interval_us
        ks = self._rhythm.numbers(max(from_us - reach, life.start), min(to_us, life.end))
        made = self._rhythm.times(ks)
        lag = np.array([late_us(self._unit, fault, k) for k in ks.tolist()], dtype=np.int64)
        observed = made + lag + self._latency(ks)
        for low, high in self._blinds:
            back = back_us(self._unit.key, high)
            kept = (observed >= low) & (observed < back)
            burst = (ks % _BURST + 1) * _CATCHING_UP_US + self._latency(ks)
            observed = np.where(kept, back + burst, observed)
        heard = observed < life.end
        evidence = Evidence.FAULT if life.faulty else Evidence.BEAT
        return self._heartbeats(ks[heard], made[heard], observed[heard], evidence)

    def _copies(self, fault: Fault, spell: Spell, ks: Times, made: Times) -> Said:
        """Copies of beats; never of the last ones before an end, so that no copy is the last evidence."""
        chosen = self._rhythm.times(ks + 2) < spell.end
        ks, made = ks[chosen], made[chosen]
        delays = np.array(
            [copy_delays_us(self._unit, fault, k) for k in ks.tolist()], dtype=np.int64
        ).reshape(-1, fault.copies)
        observed = (made + self._latency(ks))[:, None] + delays
        evidence = Evidence.FAULT if spell.faulty else Evidence.BEAT
        return self._heartbeats(
            np.repeat(ks, fault.copies), np.repeat(made, fault.copies), observed.ravel(), evidence
        )

    def _announcements(self, from_us: int, to_us: int) -> Iterator[Said]:
        """How a device says at the start of a spell that it is there; one with a fault says its fault."""
        begun = [s for s in self.spells if s.announced and from_us <= s.start < to_us]
        online = [spell.start for spell in begun if not spell.faulty]
        if self._fault is not None and self._is(Behaviour.FLAPPING):
            for spell in self.spells:
                online += self._comebacks(self._fault, spell, from_us, to_us)
        if online:
            yield _status(self._unit.key, online, Evidence.BEAT)
        for spell in begun:
            if spell.faulty:
                ks = np.array([self._rhythm.first_from(spell.start) - 1], dtype=np.int64)
                made = np.array([spell.start - 1], dtype=np.int64)
                yield self._heartbeats(ks, made, made + 1, Evidence.FAULT)

    def _comebacks(self, fault: Fault, spell: Spell, from_us: int, to_us: int) -> list[int]:
        """When a flapping device is back, in the part of a spell that lies in the window."""
        every = flap_every(self._unit, fault)
        ks = self._rhythm.numbers(max(from_us - self._unit.timeout_us, spell.start), min(to_us, spell.end))
        ks = ks[ks % every == 0]
        backs = [at + flap_us(self._unit, k) for k, at in _pairs(ks, self._rhythm.times(ks))]
        return [back for back in backs if back < spell.end]

    def _is_there(self, fault: Fault, k: int, at: int) -> bool:
        """Whether a flapping device is connected when it makes beat `k`."""
        every = flap_every(self._unit, fault)
        dropped = k // every * every
        return k == dropped or at >= self._rhythm.at(dropped) + flap_us(self._unit, dropped)

    def _latency(self, ks: Times) -> Times:
        low, high = _LATENCY_US
        share = chance.uniform_array(self._latency_key, ks)
        return low + (share * (high - low)).astype(np.int64)

    def _heartbeats(self, ks: Times, made: Times, observed: Times, evidence: Evidence) -> Said:
        offset = self._fault.clock_offset_us if self._fault is not None else 0
        identity = chance.bits_array(chance.bits(self._unit.key, 40), made) >> np.uint64(1)
        return Said(
            observed,
            made + offset,
            made,
            ks - self._first + 1,
            np.full(len(ks), evidence, dtype=np.int64),
            np.full(len(ks), Channel.HEARTBEAT, dtype=np.int64),
            identity.astype(np.int64),
        )


def _status(device_key: int, at: Sequence[int], evidence: Evidence) -> Said:
    observed = np.array(at, dtype=np.int64)
    unmeasured = np.full(len(observed), UNMEASURED, dtype=np.int64)
    identity = chance.bits_array(chance.bits(device_key, 41), observed) >> np.uint64(1)
    return Said(
        observed,
        unmeasured,
        observed,
        unmeasured,
        np.full(len(observed), evidence, dtype=np.int64),
        np.full(len(observed), Channel.STATUS, dtype=np.int64),
        identity.astype(np.int64),
    )


def _pairs(ks: Times, times: Times) -> Iterator[tuple[int, int]]:
    return zip(ks.tolist(), times.tolist(), strict=True)
