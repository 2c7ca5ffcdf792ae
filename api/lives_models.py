"""Bodies and answers about the lives of devices."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.coverage_models import DecisionItem
from api.maintenance_models import EffectAnswer
from pulse.access.reasons import MOST_REASON
from pulse.clock import parse_time
from pulse.registry.lives import Step

_What = Literal["commission", "retire", "replace"]
_Reason = Annotated[str, Field(max_length=MOST_REASON, description="理由 / why", examples=["到期更换"])]
_Place = Annotated[str | None, Field(max_length=500)]


class StepBody(BaseModel):
    """设备生命中的一步：启用、停用，或由另一台接替 / a device begins, is retired, or is replaced."""

    model_config = ConfigDict(extra="forbid", strict=True)

    device: Annotated[str, Field(max_length=64, examples=["cam-017"])]
    what: _What
    at: Annotated[str, Field(max_length=200, examples=["2026-11-23T14:00:00+08:00"])]
    successor: Annotated[str | None, Field(max_length=64)] = Field(
        None, description="更换时的新设备 / the new device of a replacement"
    )
    reason: _Reason

    def step(self) -> Step:
        """The step, not checked. Raises `BadInput` for a time that is none."""
        return Step(self.what, self.device, parse_time(self.at, "at"), self.reason, self.successor)


class NewStepBody(StepBody):
    """要记录的一步 / a step to be recorded."""

    preview: Annotated[
        str | None,
        Field(
            max_length=64,
            description="预览所给的 fingerprint；须由另一人批准的必须带上 / `fingerprint` of its preview, "
            "which a step has to bring that another person has to approve",
        ),
    ] = None


class MoveBody(BaseModel):
    """设备现在的位置，省略的不变 / where a device stands now; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    community: Annotated[str | None, Field(max_length=64)] = None
    building: _Place = None
    location: _Place = None
    reason: _Reason


class StepAnswer(BaseModel):
    """一步及其处理 / a step with what was decided of it."""

    id: int
    status: Literal["pending", "recorded", "refused", "cancelled"]
    what: _What
    device: str
    successor: str | None
    at: str
    reason: str
    recorded_at: str
    recorded_by: str
    known_at: str | None = Field(description="从何时起生效 / since when it counts; null: not approved")
    approved: DecisionItem | None
    refused: DecisionItem | None
    cancelled: DecisionItem | None


class StepsAnswer(BaseModel):
    """最近记录的在前 / recorded last first."""

    steps: list[StepAnswer]
    next: str | None


class OneStepAnswer(BaseModel):
    """一步；待批准的连同其影响 / a step; one that waits with what it would change."""

    step: StepAnswer
    effect: EffectAnswer | None


class StepPreviewAnswer(BaseModel):
    """尚未保存 / nothing is saved."""

    needs_approval: bool
    fingerprint: str = Field(description="保存时放入 preview / to be sent along as `preview`")
    effect: EffectAnswer


class LifeEventItem(BaseModel):
    """发生了什么、何时、由谁 / what happened, when, and who said so."""

    what: Literal["discovered", "registered", "commissioned", "moved", "changed", "retired"]
    at: str | None
    known_at: str | None = Field(description="何时登记 / when it was said; null: before that was kept")
    by: str | None
    before: dict[str, Any]
    after: dict[str, Any]


class StayItem(BaseModel):
    """在此位置的一台设备 / a device that stood in the place."""

    device: str
    from_: str | None = Field(alias="from")
    to: str | None


class LifeAnswer(BaseModel):
    """一台设备的一生，及其位置的历史 / the life of a device, and its place's history."""

    device: str
    events: list[LifeEventItem]
    steps: list[StepAnswer]
    place: list[StayItem] = Field(description="同一位置先后的设备 / the devices of its place, in order")


class MovedAnswer(BaseModel):
    """设备现在的位置 / where it stands now."""

    device: str
    community: str
    building: str
    location: str
