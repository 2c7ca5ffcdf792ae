"""Terms of many devices in columns: which timeout, lateness and clock trust is in force for a piece."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pulse.ledger.columns import Flags, Ints
from pulse.ledger.model import Device, Terms


class Judging(NamedTuple):
    """Per message: the agreed lateness and whether its device's clock is untrusted."""

    max_lateness: Ints
    untrusted: Flags


class TermsColumns:
    """The terms of a list of devices; nearly all have one, and those cost one look-up in a column."""

    def __init__(self, devices: Sequence[Device]) -> None:
        first = [d.terms[0] for d in devices]
        self._timeout = np.array([t.timeout for t in first], dtype=np.int64)
        self._lateness = np.array([t.max_lateness for t in first], dtype=np.int64)
        self._untrusted = np.array([t.clock_untrusted for t in first], dtype=bool)
        self._changing = {position: d for position, d in enumerate(devices) if len(d.terms) > 1}
        self.single: Flags = np.array([len(d.terms) == 1 for d in devices], dtype=bool)

    def _exceptions(self, device: Ints, at: Ints) -> list[tuple[int, Terms]]:
        """Where in the batch a device with changing terms is, with the terms in force."""
        if not self._changing:
            return []
        return [
            (place, self._changing[position].terms_at(int(at[place])))
            for place, position in enumerate(device.tolist())
            if position in self._changing
        ]

    def timeout(self, device: Ints, at: Ints) -> Ints:
        """The timeout of each of `device` in force at `at`."""
        timeout = self._timeout[device]
        for place, terms in self._exceptions(device, at):
            timeout[place] = terms.timeout
        return timeout

    def judging(self, device: Ints, measured: Ints) -> Judging:
        """How a measured time of each of `device` is judged at that time."""
        lateness, untrusted = self._lateness[device], self._untrusted[device]
        for place, terms in self._exceptions(device, measured):
            lateness[place] = terms.max_lateness
            untrusted[place] = terms.clock_untrusted
        return Judging(lateness, untrusted)
