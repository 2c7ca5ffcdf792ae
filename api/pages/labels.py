"""What states, causes and parts are called for people."""

from typing import Final

from api.pages.words import Words, _
from pulse.registry.model import Community, DeviceRecord, Kind

STATES: Final = {
    "online": _("Online"),
    "fault": _("Fault"),
    "offline": _("Offline"),
    "unknown": _("Unknown"),
    "excluded": _("Maintenance"),
    "not_commissioned": _("Not in service yet"),
    "retired": _("Retired"),
}
CAUSES: Final = {
    "heartbeat": _("Heartbeats arrive in time"),
    "fault_reported": _("The device reports a fault"),
    "deadline_passed": _("No heartbeat within the timeout"),
    "explicit_offline": _("Said goodbye, or its connection broke (last will)"),
    "never_heard": _("Never heard since it went into service"),
    "collector_blind": _("The collector could not hear"),
    "maintenance": _("Within a maintenance window"),
    "not_commissioned": _("Not commissioned yet"),
    "retired": _("Retired"),
}
BLIND_CAUSES: Final = {
    "before_first_start": _("the collector had not been started yet"),
    "no_connection": _("no connection to the broker"),
    "collector_stopped": _("the collector was stopped"),
    "collector_down": _("the collector was not running"),
    "spool_stalled": _("the collector could not write to its disk"),
    "canary_overdue": _("its own test message did not come back"),
    "canary_lost": _("its own test message was lost"),
    "session_lost": _("the broker lost the collector's session"),
    "messages_dropped": _("the broker dropped messages"),
    "messages_discarded": _("messages had to be discarded"),
    "queued_without_time": _("messages from the backlog carry no trusted time"),
}
EVIDENCE: Final = {
    "beat": _("Heartbeat"),
    "fault": _("Heartbeat with a fault"),
    "offline": _("Offline message"),
}


class Labels:
    """The labels in one language."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def state(self, slug: str) -> str:
        """A state's name."""
        return self._words.gettext(STATES[slug])

    def cause(self, slug: str) -> str:
        """Why a device is in its state."""
        return self._words.gettext(CAUSES[slug])

    def blind(self, cause: str) -> str:
        """Why the collector heard nothing; a cause without words of its own is shown as recorded."""
        return self._words.gettext(BLIND_CAUSES.get(cause, cause))

    def evidence(self, slug: str) -> str:
        """What a message said."""
        return self._words.gettext(EVIDENCE[slug])

    def part(self, part: Community | Kind | None, fallback: str) -> str:
        """The name of a community or kind."""
        return fallback if part is None else self._words.name(part.name_zh, part.name_en, fallback)

    def device(self, record: DeviceRecord) -> str:
        """The name of a device."""
        return self._words.name(record.name_zh, record.name_en, record.id)
