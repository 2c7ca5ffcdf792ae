"""Which devices of a fleet count when: what is shared comes from those in service only; pure."""

from collections.abc import Iterable
from typing import Protocol


class Serves(Protocol):
    """A device with its place, kind and time in service."""

    @property
    def device(self) -> str: ...
    @property
    def community(self) -> str: ...
    @property
    def kind(self) -> str: ...

    def at(self, at_us: int) -> bool:
        """Whether it was in service then."""
        ...


class Serving:
    """The devices of an installation by id."""

    def __init__(self, devices: Iterable[Serves]) -> None:
        self._devices = {device.device: device for device in devices}

    def was(self, device: str, at_us: int) -> bool:
        """Whether a device is registered and was in service then."""
        found = self._devices.get(device)
        return found is not None and found.at(at_us)

    def sources(self, at_us: int) -> dict[str, set[str]]:
        """By community, the kinds of device that are in service there."""
        found: dict[str, set[str]] = {}
        for device in self._devices.values():
            if device.at(at_us):
                found.setdefault(device.community, set()).add(device.kind)
        return found
