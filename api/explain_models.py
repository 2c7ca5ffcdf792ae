"""The explanation of a difference as OpenAPI describes it. Amounts: device-seconds, negative ones too."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.models import Rate

ReasonSlug = Literal["late_data", "coverage", "maintenance", "registry", "unexplained"]


class AdjustedChange(BaseModel):
    """调整后在线率分子与分母的变化 / change of the adjusted rate's numerator and denominator."""

    numerator: float
    denominator: float


class Change(BaseModel):
    """现在所知减去当时公布 / what is known now less what was published, in device-seconds."""

    running: float = Field(description="分子 / numerator of the raw rate")
    total: float = Field(description="分母：在用 / denominator: in service")
    unknown: float = Field(description="未知，不计维护 / unknown, maintenance ignored")
    states: dict[str, float] = Field(description="各状态 / every state")
    adjusted: AdjustedChange


class ReasonItem(BaseModel):
    """一个原因所占的部分；各原因之和等于差额 / the part of one reason; together they are the difference."""

    reason: ReasonSlug = Field(
        description="late_data 迟到的数据 / messages that came late; "
        "coverage 采集覆盖更正 / blind intervals recorded or revoked later; "
        "maintenance 事后登记或取消的维护 / maintenance entered or cancelled later; "
        "registry 事后登记的启用或停用 / commissioning or retirement entered later; "
        "unexplained 公布值与当时所知不符的部分，应为 0 / what was published otherwise than the books give "
        "for that knowledge, 0 if all is well"
    )
    devices: int = Field(description="涉及的设备数 / devices concerned")
    change: Change


class DeviceReason(BaseModel):
    """一台设备的一个原因 / one reason of one device."""

    reason: ReasonSlug
    change: Change


class DeviceChange(BaseModel):
    """一台设备的变化 / what is otherwise about one device."""

    id: str
    community: str
    kind: str
    reasons: list[DeviceReason]


class ExplanationAnswer(BaseModel):
    """公布的在线率与现在所知之差及原因 / the rate as published, as known now, and why they differ."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    from_: str = Field(alias="from")
    to: str
    known_at: str = Field(description="“现在所知”的时间 / the time of what is known now")
    calculated_at: str
    community: str | None
    unit: Literal["device_seconds"]
    values: int = Field(description="时段内公布的次数 / how many values were published in the period")
    first: str | None = Field(description="其中最早的时刻 / the first moment of them")
    last: str | None
    published: Rate = Field(
        description="公布的各时刻，按到下一次公布的时间加权 / "
        "the published moments, weighed by the time until the next"
    )
    known: Rate = Field(
        description="同样的时刻与权重，按现在所知 / the same moments and weights, as known now"
    )
    difference: Change
    reasons: list[ReasonItem]
    devices_changed: int = Field(description="有变化的设备数 / devices of which something changed")
    devices: list[DeviceChange] = Field(description="变化大的在前 / the most changed first")
