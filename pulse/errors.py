"""One tree of errors. What a person reads says what is wrong, where, and what to do about it."""


class PulseError(Exception):
    """Root of every error that this product raises on purpose; `str()` of it is fit for people."""


class BadInput(PulseError):
    """Something given from outside cannot be accepted; `where` names the place (a field, line or option)."""

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.reason = message
        self.where = where


class SettingsError(BadInput):
    """A setting is missing, contradictory or malformed."""


class NotFound(PulseError):
    """The thing asked for does not exist."""


class Conflict(PulseError):
    """The change contradicts what is already recorded."""


class Refused(PulseError):
    """A message is not acceptable: it goes to quarantine under `reason`, a short stable slug."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class StoreError(PulseError):
    """A store failed; the driver's own error is the cause."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or is overloaded now: the same call may succeed later.

    `retry_after_s` is the wait that the store itself asked for, None if it did not.
    """

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRejected(StoreError):
    """The store answered and refused the data: the same call will fail again."""


class Missing(PulseError):
    """A program, module or permission of this machine is missing; the text says how to get it."""
