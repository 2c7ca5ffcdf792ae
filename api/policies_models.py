"""Bodies and answers about policies."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pulse.access.policies import MOST_REASON

Scope = Literal["default", "kind", "community", "device"]
_Duration = Annotated[float | None, Field(description="秒，null：收回 / seconds; null takes the word back")]


class PolicyItem(BaseModel):
    """一次约定；null 由范围更大的决定 / a version; what is null the next wider scope decides."""

    scope: Scope
    subject: str = Field(description="设备、小区或类别编号；默认为 all / an id; `all` of the default")
    from_: str | None = Field(alias="from", description="从何时起，null：自始 / null: from ever")
    recorded_at: str | None = Field(description="何时记录，null：自始 / since when it is known")
    interval_s: float | None = Field(description="心跳间隔 / between beats")
    timeout_s: float | None = Field(description="超时 / silence after which it is offline")
    max_lateness_s: float | None = Field(description="缓存补传最多迟到 / how late it may deliver")
    clock_untrusted: bool | None = Field(description="时钟不可信 / its clock proves nothing")


class PoliciesAnswer(BaseModel):
    """现行约定，范围大的在前 / what is in force, the widest scopes first."""

    policies: list[PolicyItem]
    more: bool = Field(description="还有未列出的 / there are more than `limit`")


class DurationWord(BaseModel):
    """现行的值及由谁决定 / what holds, and whose word it is: a scope, `setting`, or "" for nobody's."""

    value: float | None
    said_by: str


class FlagWord(BaseModel):
    """现行的值及由谁决定 / what holds, and whose word it is."""

    value: bool | None
    said_by: str


class Holding(BaseModel):
    """此刻的约定 / what holds now."""

    interval_s: DurationWord
    timeout_s: DurationWord
    max_lateness_s: DurationWord
    clock_untrusted: FlagWord


class PolicyAnswer(BaseModel):
    """此刻的约定与历次约定 / what holds now, and every version in the order in which they were declared."""

    scope: Scope
    subject: str
    holds: Holding
    history: list[PolicyItem]


class PolicyChange(BaseModel):
    """要设置的内容，未给出的不变 / what is to be set; what is not given stays."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)

    interval_s: _Duration = None
    timeout_s: _Duration = None
    max_lateness_s: _Duration = None
    clock_untrusted: Annotated[bool | None, Field(description="null：收回 / null takes the word back")] = None
    from_: Annotated[
        str | None,
        Field(
            alias="from",
            max_length=200,
            description="从何时起，默认现在，不能是过去 / from when on, now by default, never the past",
            examples=["2026-12-01T00:00:00+08:00"],
        ),
    ] = None
    reason: Annotated[
        str,
        Field(max_length=MOST_REASON, description="理由 / why", examples=["厂家改为每两分钟上报"]),
    ] = ""
