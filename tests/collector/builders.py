"""Values that the collector's tests share."""

from pulse.messages import Channel, Evidence, Message, Quarantined, Record

SECOND_US = 1_000_000
NOON_US = 1_763_899_200 * SECOND_US


class SteppedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now_us: int = NOON_US) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / SECOND_US

    def pass_s(self, seconds: float) -> None:
        self.us += round(seconds * SECOND_US)


def beat(
    device: str = "cam-1",
    observed_us: int = NOON_US,
    *,
    measured_us: int | None = None,
    identity: int | None = None,
    evidence: Evidence = Evidence.BEAT,
    queued: bool = False,
    retained: bool = False,
    seq: int | None = None,
) -> Message:
    """A heartbeat of a camera; its identity is its reception unless given."""
    return Message(
        device,
        "xinjinglou",
        "camera",
        evidence,
        Channel.HEARTBEAT,
        observed_us,
        measured_us,
        retained,
        queued,
        observed_us if identity is None else identity,
        seq,
    )


def refused(reason: str = "not_json", observed_us: int = NOON_US) -> Quarantined:
    """Something for the quarantine."""
    return Quarantined(observed_us, reason, "why", "community/a/b/c/heartbeat", b"\xff\x00", 2)


def reading(
    device: str = "gas-1",
    observed_us: int = NOON_US,
    *,
    measured_us: int | None = None,
    identity: int | None = None,
    body: bytes = b'{"lel_pct":0.4,"alarm":"none"}',
) -> Record:
    """A record of a gas alarm; its identity is its reception unless given."""
    return Record(
        device,
        "xinjinglou",
        "gas_alarm",
        "gas_reading",
        observed_us,
        measured_us,
        observed_us if measured_us is None else measured_us,
        False,
        observed_us if identity is None else identity,
        body,
    )
