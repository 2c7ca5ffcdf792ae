"""Bodies and answers about maintenance."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.coverage_models import DecisionItem
from pulse.access.reasons import MOST_REASON
from pulse.access.showing_maintenance import Wish
from pulse.registry.plans import Reach

_Text = Annotated[str | None, Field(max_length=500)]
_Clock = Annotated[str | None, Field(max_length=5, examples=["22:30"])]


class PlanBody(BaseModel):
    """一条维护记录：哪些设备、何时、为何 / an entry: which devices, when and why.

    给了 weekdays 即为周期性 / with `weekdays` it recurs every week.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    device: _Text = Field(None, description="一台设备 / a device")
    kind: _Text = Field(None, description="类别 / a kind")
    community: _Text = Field(None, description="小区 / a community", examples=["xinjinglou"])
    building: _Text = Field(None, description="该小区的楼栋 / a building of the community")
    tag: _Text = Field(None, description="标签 / a tag")
    from_: Annotated[str, Field(alias="from", max_length=200, examples=["2026-11-23T14:00:00+08:00"])]
    to: Annotated[str, Field(max_length=200, examples=["2026-11-23T18:00:00+08:00"])]
    weekdays: Annotated[list[int], Field(max_length=7)] = Field(
        [], description="每周哪几天，1 为周一 / weekdays, 1 is Monday", examples=[[1, 4]]
    )
    daily_from: _Clock = Field(None, description="当地钟点，默认 00:00 / local time of day, by default 00:00")
    daily_to: _Clock = Field(
        None,
        description="不晚于开始则为次日，默认 24:00 / the next day unless later; 24:00 by default",
    )
    reason: Annotated[str, Field(max_length=MOST_REASON, description="理由 / why", examples=["更换电池"])]

    def wish(self) -> Wish:
        """What is wished for, not checked."""
        return Wish(
            Reach(self.device, self.kind, self.community, self.building, self.tag),
            self.from_,
            self.to,
            self.reason,
            tuple(self.weekdays),
            self.daily_from,
            self.daily_to,
        )


class NewPlanBody(PlanBody):
    """要记录的维护 / an entry to be recorded."""

    preview: Annotated[
        str | None,
        Field(
            max_length=64,
            description="预览所给的 fingerprint；须由另一人批准的记录必须带上 / `fingerprint` of its "
            "preview, which an entry has to bring that another person has to approve",
        ),
    ] = None


class ReachItem(BaseModel):
    """涉及哪些设备，null 为不限 / which devices it is about; null: whatever it is."""

    device: str | None
    kind: str | None
    community: str | None
    building: str | None
    tag: str | None


class WeeklyItem(BaseModel):
    """每周的时段，按该时区的钟点 / windows of every week, by the clock of the zone."""

    weekdays: list[int]
    daily_from: str
    daily_to: str
    timezone: str


class MaintenanceAnswer(BaseModel):
    """一条维护记录及其处理 / an entry of maintenance with what was decided of it."""

    id: int
    status: Literal["pending", "recorded", "refused", "cancelled"]
    phase: Literal["planned", "running", "over"] = Field(description="按现在的时刻 / as of now")
    scope: ReachItem
    from_: str = Field(alias="from")
    to: str | None = Field(description="null：未定 / null: not settled")
    weekly: WeeklyItem | None
    reason: str
    recorded_at: str
    recorded_by: str
    known_at: str | None = Field(
        description="从何时起生效；null：未获批准 / since when it counts; null: not approved"
    )
    approved: DecisionItem | None
    refused: DecisionItem | None
    cancelled: DecisionItem | None


class MaintenanceListAnswer(BaseModel):
    """最近记录的在前 / recorded last first."""

    maintenance: list[MaintenanceAnswer]
    next: str | None


class CompareItem(BaseModel):
    """没有与有这条记录时的在线率 / online rates without the entry and with it."""

    before: dict[str, Any]
    after: dict[str, Any]


class CompareAnswer(BaseModel):
    """全部与各小区 / all together and by community."""

    all: CompareItem
    by_community: dict[str, CompareItem] = Field(description="只列涉及的 / those that it concerns")


class EffectAnswer(BaseModel):
    """一条记录改变什么 / what an entry changes."""

    from_: str = Field(alias="from")
    to: str
    at: str
    devices: int = Field(description="涉及的设备数 / devices that it is about")
    period: CompareAnswer | None = Field(
        description="其已过去的部分，设备秒；null：尚未开始 / the part of it that is past, in "
        "device-seconds; null: it is yet to begin"
    )
    now: CompareAnswer = Field(description="现在，台数 / now, in devices")


class OneMaintenanceAnswer(BaseModel):
    """一条记录；待批准的连同其影响 / an entry; one that waits with what it would change."""

    entry: MaintenanceAnswer
    effect: EffectAnswer | None


class PreviewAnswer(BaseModel):
    """尚未保存 / nothing is saved."""

    needs_approval: bool = Field(description="须由另一人批准 / another person has to approve it")
    fingerprint: str = Field(description="保存时放入 preview / to be sent along as `preview`")
    effect: EffectAnswer
