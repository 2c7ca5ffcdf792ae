"""Bodies and answers about what departments say that they hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pulse.ids import ID_PATTERN

MOST_KINDS = 200
_Day = Annotated[
    str,
    Field(
        max_length=40,
        description="本地日期 / a local day, in the zone of PULSE_TIMEZONE",
        examples=["2026-11-23"],
    ),
]
_DataKind = Annotated[str, Field(pattern=f"^{ID_PATTERN}$", description="数据种类 / kind of data")]


class HoldingItem(BaseModel):
    """若干记录 / some records."""

    count: int = Field(description="条数 / how many")
    digest: str = Field(
        description="各记录 id 的 SHA-256 之和，模 2^256 / sum of the SHA-256 of their ids modulo 2^256"
    )


class HeldBody(BaseModel):
    """部门所持某一种类的记录 / what the department holds of one kind."""

    model_config = ConfigDict(extra="forbid", strict=True)

    data_kind: _DataKind
    count: Annotated[int, Field(ge=0, le=2**62, description="条数 / how many")]
    digest: Annotated[
        str,
        Field(
            max_length=100,
            description="各记录 id（ASCII）的 SHA-256 之和，模 2^256，64 位小写十六进制 / "
            "sum of the SHA-256 of their ids (ASCII) modulo 2^256, 64 lower-case hexadecimal digits",
        ),
    ]


class ReportBody(BaseModel):
    """一天的报告；未列出的种类即没有记录 / a day's report; of kinds not in it there are none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    day: _Day
    through: Annotated[
        str | None,
        Field(
            max_length=80,
            description="已收到的最后一次投递；对照只到此为止 / the last delivery that it has; both "
            "sides are compared up to it. null：到已确认的全部 / null: up to all that is acknowledged",
            examples=["fire-17"],
        ),
    ] = None
    kinds: Annotated[list[HeldBody], Field(max_length=MOST_KINDS)]


class SidesItem(BaseModel):
    """双方某一种类 / both sides of one kind."""

    data_kind: str
    ours: HoldingItem = Field(description="我方已投递 / what we delivered")
    theirs: HoldingItem = Field(description="对方所持 / what the department holds")
    verdict: Literal["same", "missing_here", "missing_there", "differs"]


class ReportAnswer(BaseModel):
    """一份报告与对照 / a report, compared."""

    outlet: str
    day: str
    through: str | None
    recorded_at: str
    said_by: str
    agrees: bool = Field(description="双方一致 / both sides hold the same")
    kinds: list[SidesItem]


class ReportsAnswer(BaseModel):
    """每天最后一份，日期最近的在前 / the last one of each day, the latest day first."""

    reports: list[ReportAnswer]


class AgainBody(BaseModel):
    """重新投递什么 / what to deliver again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    day: _Day
    data_kinds: Annotated[
        list[_DataKind] | None,
        Field(
            min_length=1,
            max_length=MOST_KINDS,
            description="哪些种类；默认为当天最后一份报告中对方缺少的 / which kinds; by default those "
            "that the last report of the day lacks",
        ),
    ] = None


class AgainItem(BaseModel):
    """一次新的投递 / a new delivery."""

    id: str
    again_of: list[str] = Field(description="重投的是哪些 / the ones whose records it has")


class AgainAnswer(BaseModel):
    """重新投递了什么 / what is delivered again."""

    outlet: str
    day: str
    records: int
    deliveries: list[AgainItem]
    gone: int = Field(description="内容已不再保存的投递数 / deliveries whose content is kept no longer")
    left: int = Field(description="留待下次的投递数 / deliveries that were too many for one step")
