"""Bodies and answers about coverage and incidents of correlated silence."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pulse.access.reasons import MOST_REASON


class ScopeItem(BaseModel):
    """涉及哪些设备，null 为不限 / which devices it is about; null: whatever it is."""

    device: str | None
    kind: str | None
    community: str | None


class BlindItem(BaseModel):
    """一段听不到的时间 / a time in which nothing could be heard."""

    id: int
    start: str
    end: str | None = Field(description="null：尚未结束 / null: it goes on")
    recorded_at: str = Field(description="何时记录 / since when it is known")
    revoked_at: str | None = Field(description="何时撤销 / since when it is known not to be so")
    scope: ScopeItem
    cause: str = Field(description="原因，见文档 / why; the documentation lists the causes")


class CoverageAnswer(BaseModel):
    """采集器何时听不到，最近记录的在前 / when the collector could not hear, what was recorded last first."""

    started_at: str | None = Field(description="首次开始采集，此前皆为未知 / before it all is unknown")
    blind: list[BlindItem]
    next: str | None


class DecisionItem(BaseModel):
    """谁何时作出决定 / who decided when."""

    at: str
    by: str
    reason: str | None


class IncidentAnswer(BaseModel):
    """一次集中失联 / a silence of more than half of a community."""

    id: int
    community: str
    status: Literal["suspected", "confirmed", "approved", "dismissed"]
    opened_at: str = Field(description="超过半数的时刻 / when it became more than half")
    recorded_at: str
    first: str = Field(description="最早的最后证据 / the earliest of the last evidence")
    start: str = Field(
        description="最晚的最后证据，疑似失联由此起 / the latest; the blindness would begin here"
    )
    ended_at: str | None = Field(description="不再超过半数的时刻 / when it was no longer more than half")
    devices: int = Field(description="同时失联最多的台数 / the most that were silent together")
    silent: int = Field(description="仍失联的台数 / those that are silent still")
    of: int = Field(description="服役且不在维护的台数 / devices in service and not in maintenance")
    confirmed: DecisionItem | None
    approved: DecisionItem | None
    dismissed: DecisionItem | None
    blind_id: int | None = Field(description="批准后记录的时段 / the interval that approval recorded")


class IncidentsAnswer(BaseModel):
    """最近的在前 / the newest first."""

    incidents: list[IncidentAnswer]


class ReasonBody(BaseModel):
    """理由 / the reason."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(max_length=MOST_REASON, description="理由 / why", examples=["光缆被挖断"])]
