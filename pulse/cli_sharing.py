"""The commands of data sharing: its ratio."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

sharing_app = typer.Typer(
    help="数据共享：数据贡献比例 / Data sharing: the data-sharing ratio.", no_args_is_help=True
)


@sharing_app.command("ratio")
def sharing_ratio(
    at: Annotated[str | None, typer.Option("--at", help="何时，默认现在 / When, now by default.")] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="按当时所知 / By what was known then; now by default.")
    ] = None,
    community: Annotated[
        str | None, typer.Option("--community", help="只看这个小区 / Of this community only.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """数据贡献比例：分子、分母与每种数据的状态 / The ratio, with the state and receipt of every kind."""
    from pulse.commands import sharing as command

    asked = command.Asked(at, known_at, community)
    for line in command.shown(load(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


@sharing_app.command("replay")
def sharing_replay(
    file: Annotated[Path, typer.Argument(help="复算文件 / The file, as the test vectors are.")],
) -> None:
    """由目录、设备、状态与回执的文件复算 / Work out a file's questions from its receipts and states.

    Prints {"answers": […]}; docs/sharing-ratio.md tells of its form. What is wrong with it is named by place.
    """
    from pulse.commands import sharing as command

    sys.stdout.buffer.write(command.replayed(file) + b"\n")
