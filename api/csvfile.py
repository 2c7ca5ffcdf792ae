"""Tables as CSV that a spreadsheet opens without damage."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

_BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """The rows under a line of column names, in UTF-8.

    The byte order mark makes Excel read Chinese; an apostrophe keeps text that begins like a formula text
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
    return (_BOM + out.getvalue()).encode()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value
