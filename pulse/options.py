"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="数据目录，代替 PULSE_DATA_DIR / Data folder, instead of PULSE_DATA_DIR."
    ),
]
