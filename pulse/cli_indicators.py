"""The commands of the indicators: verifying what was published."""

from typing import Annotated

import typer

from pulse.options import DataDir
from pulse.settings import load

indicators_app = typer.Typer(help="指标的公布值 / Published values of the indicators.", no_args_is_help=True)


@indicators_app.callback()
def _group() -> None:
    """A group of its own, though there is one command in it."""


@indicators_app.command("verify-chain")
def verify_chain(
    head: Annotated[
        str | None,
        typer.Option("--head", help="另处记下的 编号:链接值 / NUMBER:LINK that was noted elsewhere."),
    ] = None,
    recompute: Annotated[
        bool | None,
        typer.Option(
            "--recompute/--no-recompute",
            help="重算全部公布值，或一个也不重算；默认重算最近 2000 个 / Recompute every value, or none; "
            "the newest 2,000 by default.",
        ),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="重算从何时起（含）/ Recompute from this time on.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="重算到何时（不含）/ Before this time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / Print JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """核对公布值的散列链并重算，指出第一处问题 / Check the chain of published values and recompute them.

    Names the first broken link, or the values that what is stored now does not give any more: exit status 1.
    Prints how many values hold, and the chain's end as NUMBER:LINK. Note it elsewhere: with --head it shows
    later that nobody wrote the whole chain anew.
    """
    from pulse.commands import indicators as command

    asked = command.Asked(head, recompute, from_, to)
    found = command.verified(load(data_dir=data_dir), asked, as_json=as_json)
    if not found:
        raise typer.Exit(1)
