"""The desk at which deliveries arrive, whatever way they came: checked, kept, counted, told of."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pulse.clock import SECOND_US, Clock
from pulse.errors import BadInput, PulseError
from pulse.sharing import signing
from pulse.sharing.signing import Key, Request, Unverified
from simulators.departments import content as contents
from simulators.departments.archive import Archive, Outcome
from simulators.departments.temper import Mood, Temper

Say = Callable[[str], None]


class NotAccepted(PulseError):
    """A delivery that is refused, with the HTTP status that says so."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Desk:
    """One department's desk. May be used from any thread."""

    def __init__(
        self, department: str, keys: Sequence[Key], archive: Archive, mood: Mood, clock: Clock, say: Say
    ) -> None:
        self.department = department
        self.archive = archive
        self.clock = clock
        self.refused: Counter[str] = Counter()
        """How many deliveries were not accepted, by reason."""
        self.last_us: int | None = None
        """When the last one was accepted."""
        self._keys = keys
        self._mood = mood
        self._say = say
        self._lock = threading.Lock()

    def temper(self) -> Temper:
        """How the department behaves now."""
        return self._mood.at(self.clock.monotonic_s())

    def tell(self, temper: Temper, for_s: float | None = None) -> None:
        """Let it behave so from now on, or for `for_s` seconds."""
        self._mood.tell(temper, self.clock.monotonic_s(), for_s)
        self.say(f"行为 behaviour {temper.do}" + ("" if for_s is None else f" ({for_s:g} s)"))

    def verify(self, request: Request, body: bytes, required: Sequence[str]) -> None:
        """Check the content's digest and the signature; a department without keys checks the digest alone.

        Raises `NotAccepted`.
        """
        try:
            signing.check_digest(request.fields.get("content-digest"), body)
            if self._keys:
                signing.verify(request, self._keys, self.clock.now_us() / SECOND_US, required=required)
        except Unverified as error:
            status = 400 if error.reason in {"digest", "malformed"} else 401
            raise NotAccepted(status, str(error)) from None

    def keep(self, delivery: str, body: bytes, fields: Mapping[str, str], *, forget: bool = False) -> Outcome:
        """Keep what a delivery says; the same one again is recognised. Raises `NotAccepted`."""
        try:
            content = contents.read(body, fields.get("content-type", ""))
        except BadInput as error:
            raise NotAccepted(415 if error.where == "Content-Type" else 422, str(error)) from None
        if content.delivery and content.delivery != delivery:
            raise NotAccepted(422, f"the content is of {content.delivery[:80]}, not of {delivery[:80]}")
        digest = signing.content_digest(body)
        now_us = self.clock.now_us()
        outcome = self.archive.accept(delivery, digest, content, now_us, forget=forget)
        if outcome is Outcome.OTHER:
            raise NotAccepted(409, f"{delivery[:80]} came before with other content")
        self.last_us = now_us
        kinds = Counter(record.data_kind for record in content.records)
        said = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())) or "—"
        still = f"; 平静 quiet {len(content.quiet)}" if content.quiet else ""
        again = " (重复 again)" if outcome is Outcome.AGAIN else " (未存 forgotten)" if forget else ""
        self.say(f"{delivery}: {said}{still}{again}")
        return outcome

    def refuse(self, why: str) -> None:
        """Note that a delivery was not accepted."""
        with self._lock:
            self.refused[why[:200]] += 1
        self.say(f"未接收 not accepted: {why}")

    def say(self, line: str) -> None:
        """Tell people something of this department."""
        self._say(f"{self.department}  {line}")
