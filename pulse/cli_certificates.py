"""The commands of a certificate authority of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.options import DataDir, DeviceIds
from pulse.settings import load

certificates_app = typer.Typer(
    help="自建 CA 与证书，用于 mqtts:// 与 https:// / A CA of your own for mqtts:// and https://.",
    no_args_is_help=True,
)

_Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="证书目录，默认在数据目录中 / Folder; in the data folder if not given."),
]
_Hosts = Annotated[
    list[str], typer.Option("--host", help="主机名或 IP，可重复 / Host name or IP, repeatable.")
]
_GroupReads = Annotated[
    bool, typer.Option("--group-reads", help="同组用户可读私钥 / The key's group may read it.")
]


@certificates_app.command("ca")
def certificates_ca(folder: _Folder = None, data_dir: DataDir = None) -> None:
    """建立 CA，十年有效 / Make the CA, valid for ten years; an existing one is never overwritten."""
    from pulse.commands import certificates as command

    typer.echo(command.ca(load(data_dir=data_dir), folder))


@certificates_app.command("server")
def certificates_server(
    host: _Hosts, group_reads: _GroupReads = False, folder: _Folder = None, data_dir: DataDir = None
) -> None:
    """签发服务器证书 / Sign a certificate for a broker or the pages, valid for 397 days."""
    from pulse.commands import certificates as command

    typer.echo(command.server(load(data_dir=data_dir), folder, host, group_reads=group_reads))


@certificates_app.command("device")
def certificates_device(ids: DeviceIds, folder: _Folder = None, data_dir: DataDir = None) -> None:
    """签发设备证书 / Sign devices' client certificates, valid for 825 days; the common name is the id."""
    from pulse.commands import certificates as command

    for line in command.device(load(data_dir=data_dir), folder, ids):
        typer.echo(line)


@certificates_app.command("keep")
def certificates_keep(
    host: _Hosts, group_reads: _GroupReads = False, folder: _Folder = None, data_dir: DataDir = None
) -> None:
    """缺则建立，将到期则续签 / Make CA and server certificate where missing, renew 30 days before the end."""
    from pulse.commands import certificates as command

    for line in command.keep(load(data_dir=data_dir), folder, host, group_reads=group_reads):
        typer.echo(line)
