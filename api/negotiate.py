"""Which of the offered languages and media types a request prefers (RFC 9110, 12.5)."""

from collections.abc import Sequence
from typing import Literal

Language = Literal["zh", "en"]


def language(accept_language: str | None) -> Language:
    """`en` where the header prefers English over Chinese, else `zh`."""
    ranked = [tag.partition("-")[0] for tag in _ranked(accept_language or "")]
    for tag in ranked:
        if tag == "en":
            return "en"
        if tag in {"zh", "*"}:
            return "zh"
    return "zh"


def media_type(accept: str | None, offered: Sequence[str]) -> str:
    """The offered type that the header prefers; the first one if it names none of them."""
    for wanted in _ranked(accept or ""):
        group = wanted.removesuffix("*") if wanted.endswith("/*") else None
        for candidate in offered:
            if wanted in {candidate, "*/*"} or (group and candidate.startswith(group)):
                return candidate
    return offered[0]


def _ranked(header: str) -> list[str]:
    """The header's values, lower case, the preferred first; those with q=0 are left out."""
    weighted: list[tuple[float, str]] = []
    for part in header.split(","):
        value, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, number = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(number)
                except ValueError:
                    quality = 0.0
        if value and quality > 0:
            weighted.append((quality, value))
    weighted.sort(key=lambda entry: -entry[0])
    return [value for _, value in weighted]
