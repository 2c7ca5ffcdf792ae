"""How long to wait before the next attempt to connect: pure, but for the dice that are passed in."""

import random

LONGEST_S = 30.0
STABLE_S = 10.0
TAKEN_OVER_S = (60.0, 600.0)
SHORT_LIVED_S = 5.0
SHORT_LIVED_IN_A_ROW = 4


class Backoff:
    """Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) up to 30 s.

    Another client with our id throws us out as often as we come back. It is told by MQTT 5, and suspected
    when connections end again and again within seconds; then waiting grows to minutes, so that the two
    do not throw each other out for ever.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._failures = 0
        self._short_lived = 0
        self._takeovers = 0

    def failed(self) -> float:
        """An attempt failed before the broker accepted it: seconds to wait."""
        self._failures += 1
        return self._dice.uniform(0, min(LONGEST_S, 2.0 ** min(self._failures, 10) / 2))

    def ended(self, lived_s: float, *, taken_over: bool) -> tuple[float, bool]:
        """A connection ended after `lived_s`: seconds to wait, and whether another client has our id."""
        self._short_lived = self._short_lived + 1 if lived_s < SHORT_LIVED_S else 0
        if taken_over or self._short_lived >= SHORT_LIVED_IN_A_ROW:
            self._takeovers += 1
            least, most = TAKEN_OVER_S
            longest = min(most, least * 2**self._takeovers)
            return self._dice.uniform(longest / 2, longest), True
        if lived_s >= STABLE_S:
            self._failures = 0
            self._takeovers = 0
        return self.failed(), False
