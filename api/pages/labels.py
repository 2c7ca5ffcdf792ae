"""What states, causes and parts are called for people."""

import re
from typing import Final

from api.pages.words import Times, Words, _
from pulse.registry.model import Community, DeviceRecord, Kind
from pulse.registry.plans import Weekly, minute_text

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
    "broker_restarted": _("the broker was down"),
    "spool_elsewhere": _("another collector's spool holds what came last"),
    "messages_dropped": _("the broker dropped messages"),
    "messages_discarded": _("messages had to be discarded"),
    "queued_without_time": _("messages from the backlog carry no trusted time"),
    "sequence_gap": _("the device's numbers show that messages were lost"),
    "confirmed_blindness": _("two people found that the network or the collector failed"),
}
INCIDENTS: Final = {
    "suspected": _("To be confirmed"),
    "confirmed": _("To be approved"),
    "approved": _("Counts as unknown"),
    "dismissed": _("Dismissed"),
}
MAINTENANCE: Final = {
    "pending": _("To be approved"),
    "planned": _("Planned"),
    "running": _("Under way"),
    "over": _("Over"),
    "recorded": _("In force"),
    "refused": _("Turned down"),
    "cancelled": _("Cancelled"),
}
WEEKDAYS: Final = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
STEPS: Final = {
    "commission": _("Commissioning"),
    "retire": _("Retirement"),
    "replace": _("Replacement"),
}
HAPPENINGS: Final = {
    "discovered": _("Heard, not registered yet"),
    "registered": _("Registered in the books"),
    "commissioned": _("Commissioned"),
    "moved": _("Moved"),
    "changed": _("Changed"),
    "retired": _("Taken out of service"),
}
SHARED: Final = {
    "shared": _("Shared"),
    "not_shared": _("Not shared"),
    "unknown": _("Unknown"),
    "not_collectable": _("Not collectable"),
}
WHYS: Final = {
    "no_device_in_service": _("no device that gives it is in service"),
    "never_acknowledged": _("no department ever acknowledged any"),
    "acknowledged_too_old": _("the last receipt is too old"),
    "nothing_counts": _("what was acknowledged holds no records"),
    "time_unknown": _("of no acknowledged record the time is known"),
    "statement_too_old": _("“nothing happened” is stated of a time too long ago"),
    "records_too_old": _("old records were acknowledged"),
    "source_offline": _("“nothing happened”, but no device was online to notice"),
    "source_unknown": _("“nothing happened”; whether a device was online is unknown"),
    "quiet_acknowledged": _("acknowledged that nothing happened"),
    "records_acknowledged": _("records acknowledged"),
}
HEALTHS: Final = {
    "well": _("Delivers"),
    "waiting": _("Under way"),
    "failing": _("Not arriving"),
    "stuck": _("Stuck"),
    "silent": _("Nothing acknowledged yet"),
    "disabled": _("Disabled"),
}
WAYS: Final = {"http": _("HTTP push"), "mqtt": _("MQTT bridge"), "pull": _("Pull")}
STUCK: Final = {
    "full": _("the outbox is full: no delivery is made until the department takes some"),
    "masking_key": _("the key for masking cannot be used: nothing leaves"),
}
VERDICTS: Final = {
    "same": _("the same"),
    "missing_here": _("we delivered none"),
    "missing_there": _("missing there"),
    "differs": _("not the same records"),
}
EVIDENCE: Final = {
    "beat": _("Heartbeat"),
    "fault": _("Heartbeat with a fault"),
    "offline": _("Offline message"),
}
ROLES: Final = {
    "admin": _("Administrator"),
    "manager": _("Manager"),
    "evaluator": _("Evaluator"),
    "department": _("Department"),
    "viewer": _("Viewer"),
}
DUTIES: Final = {
    "admin": _("Everything: accounts, devices' credentials, the whole audit log"),
    "manager": _("Looks after chosen communities and their devices' credentials"),
    "evaluator": _("Reads everything of chosen communities, changes nothing"),
    "department": _("Takes shared data with API tokens, sees no devices"),
    "viewer": _("Looks at figures and devices of chosen communities"),
}
SCOPES: Final = {
    "indicators:read": _("Read indicators"),
    "devices:read": _("Read devices and why they are in their state"),
    "collector:read": _("Read what the collector could not hear"),
    "metrics:read": _("Read metrics for Prometheus"),
    "audit:read": _("Read the audit log"),
    "coverage:write": _("Decide whether a community's silence was the network's fault"),
    "credentials:write": _("Issue and revoke devices' credentials"),
    "maintenance:write": _("Record maintenance, approve and cancel it"),
    "policies:write": _("Set timeouts and other policies"),
    "registry:write": _("Commission, retire, replace and move devices"),
    "sharing:pull": _("Fetch deliveries of one's own outlets"),
    "sharing:read": _("Read what is shared with departments"),
    "sharing:write": _("Set outlets and what is shared"),
    "tokens:write": _("Make and revoke API tokens"),
    "users:write": _("Manage accounts"),
}
PEOPLE: Final = {
    "active": _("Active"),
    "waiting": _("Waiting for a password"),
    "locked": _("Locked out"),
    "disabled": _("Disabled"),
}
ACTIONS: Final = {
    "sign_in": _("Sign in"),
    "sign_out": _("Sign out"),
    "session.end": _("End sessions"),
    "setup.begin": _("Print set-up link"),
    "user.create": _("Create account"),
    "user.change": _("Change account"),
    "user.invite": _("Invite"),
    "user.password": _("Choose password"),
    "user.unlock": _("Unlock account"),
    "token.create": _("Make token"),
    "token.revoke": _("Revoke token"),
    "token.use": _("Use token"),
    "code.use": _("Use one-time code"),
    "credentials.issue": _("Issue device credentials"),
    "credentials.rotate": _("Rotate device credentials"),
    "credentials.revoke": _("Revoke device credentials"),
    "policy.set": _("Set policy"),
    "catalogue.set": _("Set kind of data"),
    "catalogue.withdraw": _("Withdraw kind of data"),
    "outlet.put": _("Set outlet"),
    "outlet.key": _("Make an outlet's key"),
    "outlet.retry": _("Try deliveries again"),
    "incident.confirm": _("Confirm blindness"),
    "incident.approve": _("Approve blindness"),
    "incident.dismiss": _("Dismiss suspicion"),
    "maintenance.record": _("Record maintenance"),
    "maintenance.approve": _("Approve maintenance"),
    "maintenance.refuse": _("Refuse maintenance"),
    "maintenance.cancel": _("Cancel maintenance"),
    "life.record": _("Record a step in a device's life"),
    "life.approve": _("Approve that step"),
    "life.refuse": _("Refuse that step"),
    "life.cancel": _("Cancel that step"),
    "device.move": _("Move device"),
    "registry.import": _("Import devices"),
    "registry.add": _("Add to registry"),
    "registry.change": _("Change registry"),
    "registry.export": _("Export registry"),
    "outlet.deliver_again": _("Deliver again"),
    "request": _("Request"),
    "export": _("Export devices"),
    "audit.export": _("Export audit log"),
}
OUTCOMES: Final = {
    "done": _("Done"),
    "refused": _("Refused"),
    "failed": _("Failed"),
}
MEMBERS: Final = {
    "name": _("Name"),
    "display": _("Full name"),
    "role": _("Role"),
    "communities": _("Communities"),
    "outlets": _("Outlets"),
    "disabled": _("Disabled"),
    "label": _("Purpose"),
    "hint": _("Begins with"),
    "scopes": _("Scopes"),
    "expires_us": _("Valid until"),
    "owner": _("Owner"),
    "session": _("Session"),
    "sessions_ended": _("Sessions ended"),
    "agent": _("Browser"),
    "reason": _("Reason"),
    "day": _("Day"),
    "data_kinds": _("Kinds of data"),
    "deliveries": _("Deliveries"),
    "records": _("Records"),
    "gone": _("Kept no longer"),
    "method": _("Method"),
    "path": _("Address"),
    "sent_from": _("Sent from"),
    "entries": _("Entries"),
    "community": _("Community"),
    "status": _("State"),
    "opened": _("Noticed"),
    "start": _("Last heard"),
    "ended": _("Ended"),
    "devices": _("Devices silent together"),
    "silent": _("Silent still"),
    "of": _("Devices in all"),
    "filters": _("Filters"),
    "added": _("Added"),
    "changed": _("Changed"),
    "unchanged": _("Unchanged"),
    "generation": _("Number of passwords so far"),
    "revoked": _("Revoked"),
    "name_zh": _("Chinese name"),
    "name_en": _("English name"),
    "kind": _("Kind"),
    "quantity": _("Quantity"),
    "building": _("Building"),
    "tag": _("Tag"),
    "from_us": _("Begins"),
    "to_us": _("Ends"),
    "weekdays": _("Weekdays"),
    "daily": _("Time of day"),
    "effect": _("Effect shown"),
    "device": _("Device"),
    "step": _("Step"),
    "step_us": _("Time of the step"),
    "successor": _("Takes its place"),
    "location": _("Place"),
    "tags": _("Tags"),
    "vendor": _("Maker"),
    "model": _("Model"),
    "serial": _("Serial number"),
    "interval_s": _("Beat interval, s"),
    "timeout_s": _("Timeout, s"),
    "max_lateness_s": _("Longest lateness, s"),
    "clock_untrusted": _("Clock is not trusted"),
    "since_us": _("In force from"),
    "commissioned_us": _("Commissioned"),
    "commissioned_recorded_us": _("Commissioning known since"),
    "retired_us": _("Retired"),
    "retired_recorded_us": _("Retirement known since"),
}
_BEFORE_CHINESE: Final = re.compile("[\u3000-\u9fff\uff00-\uffef].*", re.DOTALL)
REASONS: Final = {
    "wrong": _("wrong name or password"),
    "locked": _("locked out"),
    "disabled": _("disabled"),
}


# The first that fits: browsers name their ancestors too.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("MicroMessenger", "WeChat"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("OpenHarmony", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


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

    def incident(self, status: str) -> str:
        """What became of a suspicion."""
        return self._words.gettext(INCIDENTS[status])

    def maintenance(self, status: str) -> str:
        """How an entry of maintenance stands; of one in force also `planned`, `running` and `over`."""
        return self._words.gettext(MAINTENANCE[status])

    def step(self, what: str) -> str:
        """A step in a device's life."""
        return self._words.gettext(STEPS[what])

    def happening(self, what: str) -> str:
        """What happened to a device."""
        return self._words.gettext(HAPPENINGS[what])

    def weekday(self, day: int) -> str:
        """The name of a weekday, 1 for Monday."""
        return self._words.gettext(WEEKDAYS[day - 1])

    def weekly(self, weekly: Weekly) -> str:
        """The windows of every week: `周一、周四 22:00–02:00`."""
        days = self._words.gettext(_(", ")).join(self.weekday(day) for day in weekly.days)
        if len(weekly.days) == len(WEEKDAYS):
            days = self._words.gettext(_("every day"))
        return f"{days} {minute_text(weekly.begins_min)}–{minute_text(weekly.ends_min)}"

    def shared(self, slug: str) -> str:
        """What becomes of a kind of data in the ratio."""
        return self._words.gettext(SHARED[slug])

    def why(self, slug: str) -> str:
        """Why a kind of data is shared, or not."""
        return self._words.gettext(WHYS[slug])

    def health(self, slug: str) -> str:
        """How an outlet stands."""
        return self._words.gettext(HEALTHS[slug])

    def way(self, mode: str) -> str:
        """How an outlet delivers."""
        return self._words.gettext(WAYS[mode])

    def stuck(self, text: str) -> str:
        """Why an outlet comes no further; the far side's own words are shown as they are.

        Of a reason in both languages the reader's, behind what stands before both.
        """
        zh, separator, en = text.rpartition(" / ")
        if separator and self._words.language == "zh":
            return zh
        if separator:
            return _BEFORE_CHINESE.sub("", zh) + en
        return self._words.gettext(STUCK[text]) if text in STUCK else text

    def verdict(self, slug: str) -> str:
        """What both sides of a kind and day say of each other."""
        return self._words.gettext(VERDICTS[slug])

    def evidence(self, slug: str) -> str:
        """What a message said."""
        return self._words.gettext(EVIDENCE[slug])

    def role(self, slug: str) -> str:
        """A role's name."""
        return self._words.gettext(ROLES[slug])

    def duty(self, role: str) -> str:
        """What a role is for."""
        return self._words.gettext(DUTIES[role])

    def scope(self, permission: str) -> str:
        """What a permission lets somebody do."""
        return self._words.gettext(SCOPES[permission])

    def person(self, state: str) -> str:
        """Whether somebody can sign in."""
        return self._words.gettext(PEOPLE[state])

    def action(self, slug: str) -> str:
        """What somebody did; an action without words of its own is shown as recorded."""
        return self._words.gettext(ACTIONS.get(slug, slug))

    def outcome(self, slug: str) -> str:
        """How it ended."""
        return self._words.gettext(OUTCOMES.get(slug, slug))

    def member(self, name: str) -> str:
        """What a member of an audit entry is called."""
        return self._words.gettext(MEMBERS.get(name, name))

    def value(self, name: str, value: object, times: Times) -> str:
        """A member's value as people read it."""
        match value:
            case None:
                return self._words.gettext(_("all")) if name == "communities" else "—"
            case bool():
                return self._words.gettext(_("yes") if value else _("no"))
            case int() if name.endswith("_us"):
                return times.full(value)
            case list():
                return ", ".join(str(part) for part in value) or "—"
            case dict():
                return ", ".join(f"{key}: {part}" for key, part in value.items()) or "—"
            case str() if name == "role" and value in ROLES:
                return self.role(value)
            case str() if name == "status" and value in INCIDENTS:
                return self.incident(value)
            case str() if name == "status" and value in MAINTENANCE:
                return self.maintenance(value)
            case str() if name == "agent":
                return self.browser(value)
            case str() if name == "reason" and value in REASONS:
                return self._words.gettext(REASONS[value])
            case _:
                return str(value) or "—"

    def browser(self, agent: str) -> str:
        """A browser and its system, told from what it calls itself; else that, cut short."""
        program = next((name for mark, name in _BROWSERS if mark in agent), None)
        system = next((name for mark, name in _SYSTEMS if mark in agent), None)
        return " · ".join(filter(None, (program, system))) or agent[:40] or "—"

    def part(self, part: Community | Kind | None, fallback: str) -> str:
        """The name of a community or kind."""
        return fallback if part is None else self._words.name(part.name_zh, part.name_en, fallback)

    def device(self, record: DeviceRecord) -> str:
        """The name of a device."""
        return self._words.name(record.name_zh, record.name_en, record.id)
