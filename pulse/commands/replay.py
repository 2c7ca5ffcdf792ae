"""`pulse replay`: recompute the answers of a file."""

from pathlib import Path

import msgspec

from pulse.errors import BadInput
from pulse.ledger.replay_file import replay


def run(path: Path) -> bytes:
    """The answers of a replay file as JSON. Raises `BadInput` naming the file and the place."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        answers = replay(raw)
    except BadInput as error:
        raise BadInput(str(error), where=str(path)) from error
    return msgspec.json.format(msgspec.json.encode({"answers": answers}), indent=1)
