"""The commands of devices' passwords, under `pulse device credentials`."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir, DeviceIds
from pulse.settings import load

credentials_app = typer.Typer(
    help="设备的 MQTT 口令：只显示一次，只存散列 / Devices' MQTT passwords: shown once, kept as hashes.",
    no_args_is_help=True,
)

_Out = Annotated[
    Path | None,
    typer.Option("--out", help="写入新文件 (0600)，不在屏幕上显示 / Write to a new file, mode 0600."),
]
_InCommunity = Annotated[
    str | None, typer.Option("--community", help="只限这个社区 / Devices of this community.")
]


@credentials_app.command("issue")
def credentials_issue(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="设备编号 / Device ids.")] = None,
    all_missing: Annotated[
        bool, typer.Option("--all-missing", help="所有从未有过口令的设备 / Every device that never had one.")
    ] = False,
    community: _InCommunity = None,
    out: _Out = None,
    data_dir: DataDir = None,
) -> None:
    """发放口令，输出 设备:口令 各一行 / Issue passwords; prints lines `device:password`, once."""
    from pulse.commands import devices as command

    settings = load(data_dir=data_dir)
    command.issue(settings, ids or [], all_missing=all_missing, community=community, out=out)


@credentials_app.command("rotate")
def credentials_rotate(ids: DeviceIds, out: _Out = None, data_dir: DataDir = None) -> None:
    """更换口令，旧口令随即失效 / Replace passwords; the former ones are invalid at once."""
    from pulse.commands import devices as command

    command.rotate(load(data_dir=data_dir), ids, out=out)


@credentials_app.command("revoke")
def credentials_revoke(ids: DeviceIds, data_dir: DataDir = None) -> None:
    """撤销口令，连接随即断开 / Revoke passwords; mosquitto ends the connections made with them."""
    from pulse.commands import devices as command

    command.revoke(load(data_dir=data_dir), ids)


@credentials_app.command("list")
def credentials_list(community: _InCommunity = None, data_dir: DataDir = None) -> None:
    """列出各设备有无口令 / List which devices have one, never the password."""
    from pulse.commands import devices as command

    for line in command.listed(load(data_dir=data_dir), community):
        typer.echo(line)


@credentials_app.command("write")
def credentials_write(data_dir: DataDir = None) -> None:
    """由数据库重写 Mosquitto 的文件 / Write the broker's files again from the database."""
    from pulse.commands import devices as command

    command.write(load(data_dir=data_dir))
