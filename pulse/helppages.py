"""Help pages whose lines mix Chinese and English lose no letter.

Two habits of rich are changed in this process. It strips the space at the end of a wrapped line by counting
characters, so that where some take two columns the last letter gives way to an ellipsis. And what has no
space, such as a Chinese sentence in a narrow column, is cut off instead of going on in the next line.
"""

from typing import Any

from rich.cells import cell_len
from rich.containers import Lines
from rich.text import Text

_wrap = Text.wrap


def keep_letters() -> None:
    """Let rich wrap by columns, and long words too."""
    Text.rstrip_end = _rstrip_end  # type: ignore[method-assign]
    Text.wrap = _wrap_whole  # type: ignore[method-assign]


def _rstrip_end(self: Text, size: int) -> None:
    """Remove white space at the end that lies beyond `size` columns."""
    surplus = cell_len(self.plain) - size
    blanks = len(self.plain) - len(self.plain.rstrip())
    if surplus > 0 and blanks:
        self.right_crop(min(surplus, blanks))


def _wrap_whole(self: Text, *args: Any, **options: Any) -> Lines:
    """Wrap, and fold what would be cut off. Tables ask for an ellipsis unless they are told otherwise."""
    if options.get("overflow") == "ellipsis":
        options["overflow"] = "fold"
    return _wrap(self, *args, **options)
