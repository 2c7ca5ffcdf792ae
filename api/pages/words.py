"""The two languages of the pages, and times, spans and shares as people read them in each."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from babel.messages.pofile import read_po

from pulse.clock import SECOND_US

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")
DEFAULT: Final[Language] = "zh"

_LOCALES = Path(__file__).parent / "locales"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _(text: str) -> str:
    """Marks a text for the catalogues; it is translated where it is used."""
    return text


def chosen(*wishes: str | None) -> Language:
    """The first wish that is a language of the pages, else Chinese."""
    for wish in wishes:
        for language in LANGUAGES:
            if wish == language:
                return language
    return DEFAULT


class Words:
    """The catalogue of one language, read from its `.po` file; what it lacks stays as written in English."""

    _UNITS: ClassVar = (
        (86_400, _("%(n)s d")),
        (3_600, _("%(n)s h")),
        (60, _("%(n)s min")),
        (1, _("%(n)s s")),
    )

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._singular: dict[str, str] = {}
        self._plural: dict[str, list[str]] = {}
        with (_LOCALES / language / "LC_MESSAGES" / "pages.po").open("rb") as file:
            catalog = read_po(file, locale=language)
        for message in catalog:
            forms = [form for form in _several(message.string) if form]
            first, *_ = _several(message.id)
            if not first or not forms:
                continue
            if message.pluralizable:
                self._plural[first] = forms
            else:
                self._singular[first] = forms[0]

    def gettext(self, text: str) -> str:
        """`text` (English, as in the templates) in this language."""
        return self._singular.get(text, text)

    def ngettext(self, one: str, many: str, n: int) -> str:
        """The form for `n` things, in this language."""
        forms = self._plural.get(one)
        if forms is None:
            return one if n == 1 else many
        return forms[0] if n == 1 or len(forms) == 1 else forms[1]

    def span(self, duration_us: int) -> str:
        """A duration in its two largest units: `2 天 4 小时`, `2 d 4 h`; below a minute, seconds."""
        seconds = max(0, duration_us // SECOND_US)
        units = self._UNITS
        largest = next(position for position, (size, _) in enumerate(units) if seconds >= size or size == 1)
        size, text = units[largest]
        parts = [self.gettext(text) % {"n": seconds // size}]
        for smaller, smaller_text in units[largest + 1 : largest + 2]:
            rest = seconds % size // smaller
            if rest and smaller > 1:
                parts.append(self.gettext(smaller_text) % {"n": rest})
        return " ".join(parts)

    def seconds(self, duration_s: float) -> str:
        """A timeout or lateness in seconds, without a needless fraction."""
        return self.gettext("%(n)s s") % {"n": f"{duration_s:g}"}

    def name(self, zh: str, en: str, fallback: str) -> str:
        """The name in this language, else in the other, else the id."""
        return (zh or en if self.language == "zh" else en or zh) or fallback


def _several(text: object) -> list[str]:
    """The forms of a catalogue's text, whether it has one or many."""
    return [str(form) for form in text] if isinstance(text, tuple | list) else [str(text or "")]


@cache
def words(language: Language) -> Words:
    """The catalogue of a language, read once."""
    return Words(language)


class Times:
    """Microseconds as text in the zone of the installation."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.zone_name = zone

    def moment(self, at_us: int) -> datetime:
        """The instant in the zone."""
        return (_EPOCH + timedelta(microseconds=at_us)).astimezone(self.zone)

    def day(self, at_us: int) -> date:
        """The day of the instant in the zone."""
        return self.moment(at_us).date()

    def day_start_us(self, day: date) -> int:
        """The first instant of a day of the zone."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return (start - _EPOCH) // timedelta(microseconds=1)

    def parsed_day_us(self, text: str) -> int | None:
        """The first instant of the day written as `2026-11-23`, None for anything else."""
        try:
            return self.day_start_us(date.fromisoformat(text))
        except ValueError:
            return None

    def full(self, at_us: int) -> str:
        """`2026-11-23 13:05:22`."""
        return f"{self.moment(at_us):%Y-%m-%d %H:%M:%S}"

    def clock(self, at_us: int) -> str:
        """`13:05:22`."""
        return f"{self.moment(at_us):%H:%M:%S}"

    def short(self, at_us: int, now_us: int) -> str:
        """As much as tells it apart today: `13:05:22`, `11-21 13:05`, `2025-11-21 13:05`."""
        moment, now = self.moment(at_us), self.moment(now_us)
        if moment.date() == now.date():
            return f"{moment:%H:%M:%S}"
        return f"{moment:%m-%d %H:%M}" if moment.year == now.year else f"{moment:%Y-%m-%d %H:%M}"

    def about(self, at_us: int, now_us: int) -> str:
        """To the minute, for what happened around then: `13:05`, `11-21 13:05`."""
        short = self.short(at_us, now_us)
        return short[:5] if short[2] == ":" else short

    def minute(self, at_us: int, after_us: int | None = None) -> str:
        """`2026-11-23 13:05`; `13:05` of what ends on the day on which it began at `after_us`."""
        same_day = after_us is not None and self.day(after_us) == self.day(at_us)
        return f"{self.moment(at_us):%H:%M}" if same_day else f"{self.moment(at_us):%Y-%m-%d %H:%M}"

    def offset(self, at_us: int) -> str:
        """The zone's offset then: `UTC+8`, `UTC+5:30`."""
        offset = self.moment(at_us).utcoffset() or timedelta()
        minutes = int(offset.total_seconds()) // 60
        hours, rest = divmod(abs(minutes), 60)
        return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")
