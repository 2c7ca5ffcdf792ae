"""The commands of data sharing: its ratio, outlets, what they deliver, what departments acknowledged."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulse.cli_departments import reconcile
from pulse.options import DataDir
from pulse.settings import load

outlet_app = typer.Typer(
    help="出口：向哪个部门共享什么、如何送达 / Outlets: which department gets what, and how.",
    no_args_is_help=True,
)
sharing_app = typer.Typer(
    help="数据共享：贡献比例、回执、漏斗、核对 / Data sharing: the ratio, receipts, the funnel.",
    no_args_is_help=True,
)

_Id = Annotated[str, typer.Argument(metavar="ID", help="出口编号 / Id of the outlet.")]
_Json = Annotated[bool, typer.Option("--json", help="供程序读取 / For programs.")]
_Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="最多条数 / Most entries.")]


@outlet_app.command("list")
def outlet_list(as_json: _Json = False, data_dir: DataDir = None) -> None:
    """列出出口及其现状 / List the outlets, and how they are."""
    from pulse.commands import outlets as command

    for line in command.listed(load(data_dir=data_dir), as_json=as_json):
        typer.echo(line)


@outlet_app.command("show")
def outlet_show(outlet: _Id, as_json: _Json = False, data_dir: DataDir = None) -> None:
    """显示一个出口，YAML，可改后用 put 交回 / Show an outlet as YAML, which `put` takes."""
    from pulse.commands import outlets as command

    typer.echo(command.shown(load(data_dir=data_dir), outlet, as_json=as_json), nl=False)


@outlet_app.command("put")
def outlet_put(
    file: Annotated[
        Path, typer.Argument(help="YAML：一个出口，或 outlets 列表 / One outlet, or a list under outlets.")
    ],
    data_dir: DataDir = None,
) -> None:
    """新增或修改出口；有一个不对则都不写入 / Add or change outlets; one bad one, and none is taken.

    A new outlet gets what is received from now on.
    """
    from pulse.commands import outlets as command

    for line in command.put(load(data_dir=data_dir), file):
        typer.echo(line)


@outlet_app.command("key")
def outlet_key(
    outlet: _Id,
    algorithm: Annotated[
        str | None,
        typer.Option(
            "--algorithm", help="hmac-sha256 或 ed25519，默认按出口 / By default what the outlet says."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="替换已有的密钥 / Replace the key that there is.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """生成签名密钥，只有属主可读的文件 / Make a key to sign with, a file that its owner alone can read.

    Prints the key's id and where it lies; of Ed25519 the public key, for the department. The secret of an
    HMAC is given to the department by a way of your own.
    """
    from pulse.commands import outlets as command

    for line in command.key(load(data_dir=data_dir), outlet, algorithm, replace=replace):
        typer.echo(line)


@outlet_app.command("test")
def outlet_test(outlet: _Id, data_dir: DataDir = None) -> None:
    """送出一份空的、已签名的交付 / Send an empty, signed delivery; exit status 1 if it does not arrive."""
    from pulse.commands import outlets as command

    received, line = command.test(load(data_dir=data_dir), outlet)
    typer.echo(line)
    if not received:
        raise typer.Exit(1)


@outlet_app.command("deliveries")
def outlet_deliveries(
    outlet: _Id, limit: _Limit = 20, as_json: _Json = False, data_dir: DataDir = None
) -> None:
    """列出最近的交付及其状态 / List the newest deliveries, and how they are."""
    from pulse.commands import outlets as command

    for line in command.deliveries_of(load(data_dir=data_dir), outlet, limit, as_json=as_json):
        typer.echo(line)


@outlet_app.command("retry")
def outlet_retry(outlet: _Id, data_dir: DataDir = None) -> None:
    """等待再试的立即再试 / Have what waits for its next try tried now."""
    from pulse.commands import outlets as command

    typer.echo(command.retry(load(data_dir=data_dir), outlet))


outlet_app.command("reconcile")(reconcile)


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
    from pulse.commands import sharingratio as command

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
    from pulse.commands import sharingratio as command

    sys.stdout.buffer.write(command.replayed(file) + b"\n")


@sharing_app.command("receipts")
def sharing_receipts(
    outlet: Annotated[str | None, typer.Option("--outlet", help="只列这个出口 / Of this outlet.")] = None,
    limit: _Limit = 20,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """列出最近的回执 / List the newest receipts."""
    from pulse.commands import sharing as command

    for line in command.receipts_of(load(data_dir=data_dir), outlet, limit, as_json=as_json):
        typer.echo(line)


@sharing_app.command("funnel")
def sharing_funnel(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认一天前 / Beginning, a day ago by default.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="结束，默认现在 / End, now by default.")] = None,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """漏斗：可采集、已采集、待送、已送、已确认，卡在哪里 / How far each kind has come, and why no further."""
    from pulse.commands import sharing as command

    for line in command.funnel(load(data_dir=data_dir), from_, to, as_json=as_json):
        typer.echo(line)


@sharing_app.command("verify-chain")
def sharing_verify_chain(
    head: Annotated[
        str | None,
        typer.Option("--head", help="另处记下的 编号:链接值 / NUMBER:LINK that was noted elsewhere."),
    ] = None,
    as_json: _Json = False,
    data_dir: DataDir = None,
) -> None:
    """核对回执的散列链与所保留的内容 / Check the chain of receipts, and the contents that are kept.

    Names the first receipt that does not hold: exit status 1. Prints the chain's end as NUMBER:LINK; noted
    elsewhere and given to --head, it shows later that nobody wrote the whole chain anew.
    """
    from pulse.commands import sharing as command

    holds, lines = command.verified(load(data_dir=data_dir), head, as_json=as_json)
    for line in lines:
        typer.echo(line, err=not holds and not as_json)
    if not holds:
        raise typer.Exit(1)
