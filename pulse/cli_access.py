"""The commands of accounts, API tokens and the audit log."""

from pathlib import Path
from typing import Annotated

import typer

from pulse.errors import BadInput
from pulse.options import DataDir
from pulse.settings import Settings, load

user_app = typer.Typer(help="账户 / Accounts.", no_args_is_help=True)
token_app = typer.Typer(help="访问令牌 / API tokens.", no_args_is_help=True)
audit_app = typer.Typer(help="审计日志 / The audit log.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="用户名 / Name of the user.")]
_Role = Annotated[
    str | None,
    typer.Option("--role", help="admin、manager、evaluator、department 或 viewer / What the user is."),
]
_Communities = Annotated[
    list[str] | None,
    typer.Option("--community", help="小区，可给多次 / A community; may be given several times."),
]
_AllCommunities = Annotated[
    bool, typer.Option("--all-communities", help="全部小区，含将来的 / All, those to come too.")
]
_Outlets = Annotated[
    list[str] | None, typer.Option("--outlet", help="部门的共享出口 / An outlet of a department.")
]
_Display = Annotated[str | None, typer.Option("--display", help="显示的姓名 / Name that is shown.")]
_FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="从标准输入读一行密码 / Read the password from standard input."),
]


@user_app.command("create")
def user_create(
    name: _Name,
    admin: Annotated[bool, typer.Option("--admin", help="管理员 / An administrator.")] = False,
    role: _Role = None,
    community: _Communities = None,
    all_communities: _AllCommunities = False,
    outlet: _Outlets = None,
    display: _Display = None,
    password_stdin: _FromStdin = False,
    data_dir: DataDir = None,
) -> None:
    """创建账户；不给密码则印出一次性邀请链接 / Make an account; without a password, prints an invitation."""
    from pulse.commands import people as command

    if admin == (role is not None):
        raise BadInput("给出 --admin 或 --role 之一 / give either --admin or --role", where="--role")
    wanted = command.Wanted(
        "admin" if admin else role, community or (), all_communities, outlet or (), display
    )
    command.create(_settings(data_dir), name, wanted, password_stdin=password_stdin)


@user_app.command("change")
def user_change(
    name: _Name,
    role: _Role = None,
    community: _Communities = None,
    all_communities: _AllCommunities = False,
    outlet: _Outlets = None,
    display: _Display = None,
    data_dir: DataDir = None,
) -> None:
    """更改角色、小区或姓名；权限有变则须重新登录 / Change role, communities or name; ends its sessions."""
    from pulse.commands import people as command

    wanted = command.Wanted(role, community or (), all_communities, outlet or (), display)
    command.change(_settings(data_dir), name, wanted)


@user_app.command("list")
def user_list(data_dir: DataDir = None) -> None:
    """列出账户 / List the accounts."""
    from pulse.commands import people as command

    for line in command.listed(_settings(data_dir)):
        typer.echo(line)


@user_app.command("disable")
def user_disable(name: _Name, data_dir: DataDir = None) -> None:
    """停用账户，会话与令牌随即失效 / Disable an account; its sessions and tokens end at once."""
    from pulse.commands import people as command

    command.disable(_settings(data_dir), name, disabled=True)


@user_app.command("enable")
def user_enable(name: _Name, data_dir: DataDir = None) -> None:
    """重新启用账户；令牌须另建 / Enable an account again; tokens have to be made anew."""
    from pulse.commands import people as command

    command.disable(_settings(data_dir), name, disabled=False)


@user_app.command("password")
def user_password(name: _Name, password_stdin: _FromStdin = False, data_dir: DataDir = None) -> None:
    """更换密码，会话随即结束 / Change a password; its sessions end."""
    from pulse.commands import people as command

    command.set_password(_settings(data_dir), name, from_stdin=password_stdin)


@user_app.command("unlock")
def user_unlock(name: _Name, data_dir: DataDir = None) -> None:
    """解除多次登录失败后的等待 / Let somebody sign in again who failed too often."""
    from pulse.commands import people as command

    command.unlock(_settings(data_dir), name)


@user_app.command("invite")
def user_invite(name: _Name, data_dir: DataDir = None) -> None:
    """印出一次性链接，供选定密码 / Print a one-time link with which the user chooses a password."""
    from pulse.commands import people as command

    command.invite(_settings(data_dir), name)


@token_app.command("create")
def token_create(
    owner: Annotated[str, typer.Argument(metavar="USER", help="所属用户 / The user that it acts for.")],
    label: Annotated[str, typer.Option("--label", help="用途 / What it is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="权限，如 devices:read，可给多次 / A permission; several times."),
    ],
    community: _Communities = None,
    days: Annotated[int, typer.Option("--days", help="有效天数 / Days that it is valid.")] = 90,
    data_dir: DataDir = None,
) -> None:
    """新建令牌并印出，只此一次 / Make a token and print it, this once only."""
    from pulse.commands import people as command

    command.create_token(_settings(data_dir), owner, label, scope, community or (), days)


@token_app.command("list")
def token_list(
    owner: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="只列此用户的 / Of this user only.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """列出令牌，不含其内容 / List tokens, never what they are."""
    from pulse.commands import people as command

    for line in command.listed_tokens(_settings(data_dir), owner):
        typer.echo(line)


@token_app.command("revoke")
def token_revoke(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="令牌编号 / Number of the token.")],
    data_dir: DataDir = None,
) -> None:
    """撤销令牌 / Make a token invalid."""
    from pulse.commands import people as command

    command.revoke_token(_settings(data_dir), number)


@audit_app.command("list")
def audit_list(
    actor: Annotated[
        str | None, typer.Option("--actor", help="谁，如 user:alice，含其令牌 / Who, tokens included.")
    ] = None,
    action: Annotated[str | None, typer.Option("--action", help="做了什么，如 user.create / What.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="对谁，如 user:bob / To what.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="done、refused 或 failed / How it ended.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="从何时（含）/ From this time on.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="到何时（不含）/ Before this time.")] = None,
    community: Annotated[str | None, typer.Option("--community", help="小区 / Of a community.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="最多列出的条数 / Most entries.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON / A JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """列出谁在何时做了什么，最近的在前 / List who did what, the newest first."""
    from pulse.commands import audit as command

    which = command.wanted(actor, action, subject, outcome, from_, to, community)
    for line in command.listed(_settings(data_dir), which, limit, as_json=as_json):
        typer.echo(line)


@audit_app.command("verify")
def audit_verify(
    head: Annotated[
        str | None,
        typer.Option("--head", help="另处记下的 编号:摘要 / NUMBER:DIGEST that was noted elsewhere."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """核对散列链，指出第一处断开 / Check the chain; names the first broken link, exit status 1.

    Prints how many entries hold, and the log's end as NUMBER:DIGEST. Note it elsewhere: with --head it
    shows later that nobody wrote the whole log anew.
    """
    from pulse.commands import audit as command

    command.verified(_settings(data_dir), head)


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="新文件，.csv 或 .jsonl / A new file, .csv or .jsonl.")],
    data_dir: DataDir = None,
) -> None:
    """导出全部审计日志 / Write the whole log into a file, mode 0600."""
    from pulse.commands import audit as command

    command.exported(_settings(data_dir), file)


def _settings(data_dir: Path | None) -> Settings:
    return load(data_dir=data_dir)
