"""The reason that people give with a decision."""

from pulse.errors import BadInput

MOST_REASON = 500


def reason_of(text: str) -> str:
    """The reason without needless spaces. Raises `BadInput` for none, and for what cannot be shown."""
    said = " ".join(text.split())
    if not said or len(said) > MOST_REASON or not said.isprintable():
        raise BadInput(
            f"请说明理由，至多 {MOST_REASON} 个可见字符 / "
            f"give the reason in at most {MOST_REASON} visible characters",
            where="reason",
        )
    return said
