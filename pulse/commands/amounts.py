"""Amounts as commands print them."""

_HOUR_S = 3600


def hours(seconds: float) -> str:
    """Seconds in hours with one decimal: `1,617.3 h`."""
    return f"{seconds / _HOUR_S:,.1f} h"


def signed_hours(seconds: float) -> str:
    """A difference in hours without its unit, to the millihour; 0 as such."""
    return f"{seconds / _HOUR_S:+.3f}" if seconds else "0"
