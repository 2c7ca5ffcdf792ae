"""The commands that tell how things are: rate, statistics, recomputing, what waits, what was refused."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulse.options import AsJson, DataDir, InCommunity, KnownAt, Until
from pulse.settings import load


def replay(file: Annotated[Path, typer.Argument(help="复算文件 / The replay file.")]) -> None:
    """由消息、覆盖、登记与维护记录复算 / Recompute a file's queries from its messages and records.

    Prints {"answers": […]}. The form of the file is described in docs/ledger.md; what is wrong with a file
    is named by its place, with exit status 2.
    """
    from pulse.commands import replay as command

    sys.stdout.buffer.write(command.run(file) + b"\n")


def quarantine(
    limit: Annotated[int, typer.Option(min=1, help="最多列出的条数 / Most entries to list.")] = 20,
    reason: Annotated[str | None, typer.Option(help="只列这个原因 / Only of this reason.")] = None,
    data_dir: DataDir = None,
) -> None:
    """列出未能接收的消息及原因 / List the messages that could not be accepted, and why."""
    from pulse.commands import quarantine as command

    for line in command.listed(load(data_dir=data_dir), limit, reason):
        typer.echo(line)


def spool(
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """缓冲：等待入库的消息、速率、何时清空 / The spool: what waits, rates, when it is drained."""
    from pulse.commands import spool as command

    for line in command.shown(load(data_dir=data_dir), as_json=as_json):
        typer.echo(line)


def statistics(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认 30 天前 / Beginning, by default 30 days ago.")
    ] = None,
    to: Until = None,
    known_at: KnownAt = None,
    community: InCommunity = None,
    kind: Annotated[str | None, typer.Option(help="只限这个类别 / This kind only.")] = None,
    threshold: Annotated[
        str, typer.Option(help="可用率阈值，百分数 / Availability to reach, percent.")
    ] = "95",
    worst: Annotated[
        int, typer.Option(min=0, help="列出停止最久的设备数 / How many of the worst devices to list.")
    ] = 10,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """统计：可用率、中断、失效间隔、恢复时间、抖动 / Availability, outages, MTBF, MTTR, flapping.

    Of all devices, communities and kinds over a period; docs/statistics.md defines every figure.
    """
    from pulse.commands import statistics as command

    asked = command.Asked(from_, to, known_at, community, kind, threshold, worst)
    for line in command.shown(load(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


def rate(
    at: Annotated[str | None, typer.Option(help="时刻，默认现在 / A moment, now by default.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="时段开始 / Beginning of a period.")] = None,
    to: Annotated[str | None, typer.Option(help="时段结束 / End of a period.")] = None,
    known_at: KnownAt = None,
    community: InCommunity = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """在线率：现在、任一时刻或时段，按任何时候所知 / The online rate at any moment, as known at any time.

    With every state, the planned quantity, the timeouts in force, and how much became known too late.
    """
    from pulse.commands import rate as command

    asked = command.Asked(at, from_, to, known_at, community)
    for line in command.shown(load(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)


def recompute(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认一小时前 / Beginning, an hour ago by default.")
    ] = None,
    to: Until = None,
    known_at: KnownAt = None,
    community: InCommunity = None,
    device: Annotated[str | None, typer.Option(help="只限这台设备 / This device only.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """由保存的原始消息重算在线率，与状态区间逐台对照 / Work the rate out again from the raw messages.

    Compares with the intervals device by device; exit status 1 if they differ. Says from when on messages
    are still kept, and what of the period they can no longer prove.
    """
    from pulse.commands import recompute as command

    asked = command.Asked(from_, to, known_at, community, device)
    lines, agrees = command.shown(load(data_dir=data_dir), asked, as_json=as_json)
    for line in lines:
        typer.echo(line)
    if not agrees:
        raise typer.Exit(1)


def explain(
    from_: Annotated[
        str | None, typer.Option("--from", help="开始，默认一天前 / Beginning, a day ago by default.")
    ] = None,
    to: Until = None,
    known_at: Annotated[
        str | None, typer.Option(help="“现在所知”的时间 / The time of what is known; now by default.")
    ] = None,
    community: InCommunity = None,
    limit: Annotated[int, typer.Option(min=0, help="最多列出的设备 / Most devices to list.")] = 20,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """公布值与现在所知为何不同，逐台、逐个原因 / Why what was published differs from what is known now.

    Device by device, each with its reason: late data, coverage corrected, maintenance recorded, registry
    corrected. The reasons add up to the difference.
    """
    from pulse.commands import explain as command

    asked = command.Asked(from_, to, known_at, community, limit)
    for line in command.shown(load(data_dir=data_dir), asked, as_json=as_json):
        typer.echo(line)
