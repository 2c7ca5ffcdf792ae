"""What is remembered of every device, in columns: 60 bytes each beside its name."""

from collections.abc import Mapping, Sequence

import numpy as np

from pulse.batches import Ints
from pulse.stores.influx.ground import NOTHING, Mark

_MARKS = ("tried", "stored", "measured", "seq", "ahead")


class Memory:
    """The marks of devices by number, and where the last point of each lies in `late`, nanoseconds."""

    def __init__(self, marks: Mapping[str, Mark], late_ns: Mapping[str, int]) -> None:
        self._numbers: dict[str, int] = {}
        self.tried, self.stored, self.measured, self.seq, self.ahead, self.late_ns = np.empty(
            (len(_MARKS) + 1, 0), dtype=np.int64
        )
        for number, mark in zip(self.numbers(list(marks)).tolist(), marks.values(), strict=True):
            self.put(number, mark)
        self.late_ns[self.numbers(list(late_ns))] = list(late_ns.values())

    def numbers(self, devices: Sequence[str]) -> Ints:
        """The number of each device, given on first sight."""
        known = self._numbers
        found = list(map(known.get, devices))
        if None in found:
            found = [known.setdefault(device, len(known)) for device in devices]
        had = len(self.tried)
        if len(known) > had:
            more = max(len(known), had * 5 // 4) - had
            for name in (*_MARKS, "late_ns"):
                fresh = np.full(more, 0 if name == "ahead" else NOTHING, dtype=np.int64)
                setattr(self, name, np.append(getattr(self, name), fresh))
        return np.array(found, dtype=np.int64)

    def mark(self, number: int) -> Mark:
        """The mark of a device, a copy."""
        return Mark(*(int(getattr(self, name)[number]) for name in _MARKS))

    def put(self, number: int, mark: Mark) -> None:
        """Note a mark."""
        self.tried[number], self.stored[number] = mark.tried_us, mark.stored_us
        self.measured[number], self.seq[number] = mark.measured_us, mark.seq
        self.ahead[number] = mark.ahead_us

    def mark_of(self, device: str) -> Mark | None:
        """The mark of a device by its name; None if nothing was ever sent of it."""
        number = self._numbers.get(device)
        return None if number is None else self.mark(number)
