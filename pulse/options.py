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

DeviceIds = Annotated[list[str], typer.Argument(metavar="ID...", help="设备编号 / Device ids.")]

Until = Annotated[str | None, typer.Option("--to", help="结束，默认现在 / End, now by default.")]
KnownAt = Annotated[
    str | None, typer.Option("--known-at", help="按当时所知 / By what was known then; now by default.")
]
InCommunity = Annotated[str | None, typer.Option("--community", help="只限这个小区 / This community only.")]
AsJson = Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")]
