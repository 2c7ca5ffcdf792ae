"""Bodies and answers about accounts, sessions, tokens, credentials and the audit log."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(max_length=64, description="用户名 / user name")]
_Communities = Annotated[
    list[Annotated[str, Field(max_length=64)]], Field(max_length=500, description="小区 / communities")
]
_Outlets = Annotated[
    list[Annotated[str, Field(max_length=64)]], Field(max_length=500, description="部门的出口 / outlets")
]
_Display = Annotated[str, Field(max_length=100, description="显示的姓名 / name that is shown")]
_Role = Annotated[
    str, Field(max_length=20, description="admin、manager、evaluator、department、viewer / what they are")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewUser(_Body):
    """新账户 / a new account; `communities` null: all, those to come too."""

    name: Name
    role: _Role
    display: _Display = ""
    communities: _Communities | None = None
    outlets: _Outlets = []


class UserChange(_Body):
    """要更改的内容，未给出的不变 / what is to change; what is not given stays."""

    role: _Role | None = None
    display: _Display | None = None
    communities: _Communities | None = None
    all_communities: bool = Field(False, description="全部小区 / all communities, those to come too")
    outlets: _Outlets | None = None
    disabled: bool | None = None


class NewToken(_Body):
    """新令牌 / a new token; `communities` null: all of its owner's."""

    label: Annotated[str, Field(max_length=100, description="用途 / what it is for")]
    scopes: Annotated[
        list[Annotated[str, Field(max_length=40)]],
        Field(max_length=20, description="权限 / permissions, such as devices:read"),
    ]
    communities: _Communities | None = None
    days: Annotated[int, Field(ge=1, le=400, description="有效天数 / days that it is valid")] = 90


class MeAnswer(BaseModel):
    """请求者 / who asks."""

    actor: str
    role: str | None
    permissions: list[str]
    communities: list[str] | None = Field(description="null 为全部 / null stands for all")
    outlets: list[str]


class UserAnswer(BaseModel):
    """一个账户 / one account."""

    name: str
    display: str
    role: str
    communities: list[str] | None
    outlets: list[str]
    disabled: bool
    has_password: bool
    created_at: str


class UsersAnswer(BaseModel):
    """全部账户 / every account."""

    users: list[UserAnswer]


class InvitedAnswer(UserAnswer):
    """账户及其一次性邀请 / an account with its one-time invitation, told this once."""

    invitation: str = Field(description="在 /welcome#… 使用 / to be used at /welcome#…")


class SessionAnswer(BaseModel):
    """一次登录 / one sign-in."""

    number: int
    created_at: str
    last_used_at: str
    expires_at: str
    address: str
    agent: str


class SessionsAnswer(BaseModel):
    """未结束的登录 / sign-ins that have not ended."""

    sessions: list[SessionAnswer]


BrokerTold = Literal["reloaded", "written", "open", "none", "failed"]
"""MQTT 服务器是否已得知 / whether the broker knows: its files are in force; written, and it watches them or
does not run; it lets everybody in until it starts again; somebody else has to bring them; not written."""


class EndedAnswer(BaseModel):
    """是否由此次请求结束 / whether it was this request that ended it."""

    ended: bool


class TokenAnswer(BaseModel):
    """一个令牌，不含其内容 / one token, never what it is."""

    number: int
    hint: str
    label: str
    owner: str
    scopes: list[str]
    communities: list[str] | None
    created_at: str
    expires_at: str
    last_used_at: str | None
    last_address: str | None
    revoked_at: str | None


class TokensAnswer(BaseModel):
    """令牌，最近的在前 / tokens, the newest first."""

    tokens: list[TokenAnswer]


class NewTokenAnswer(TokenAnswer):
    """新令牌及其内容，只此一次 / a new token and what it is, this once only."""

    token: str


class CredentialAnswer(BaseModel):
    """设备的新口令，只此一次 / a device's new password, this once only."""

    device: str
    password: str
    generation: int
    broker: BrokerTold


class RevokedAnswer(BaseModel):
    """口令已撤销 / the password is revoked."""

    ended: bool
    broker: BrokerTold


class EntryAnswer(BaseModel):
    """审计日志的一条 / one entry of the audit log."""

    number: int
    at: str
    actor: str
    origin: str
    action: str
    outcome: str
    subject: str
    community: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditAnswer(BaseModel):
    """最近的在前 / the newest first; `next` goes on behind them, null at the end."""

    entries: list[EntryAnswer]
    next: str | None


class VerifiedAnswer(BaseModel):
    """散列链的核对结果 / what checking the chain found."""

    entries: int
    head: str = Field(description="编号:摘要，请另处记下 / NUMBER:DIGEST, to be noted elsewhere")
    broken_at: int | None
    reason: str | None
