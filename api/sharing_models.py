"""Bodies and answers about the data-sharing ratio and the catalogue of kinds of data."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pulse.access.policies import MOST_REASON
from pulse.sharing.catalogue import MAX_FRESHNESS_S

KindState = Literal["shared", "not_shared", "unknown", "not_collectable"]
KindReason = Literal[
    "records_acknowledged",
    "quiet_acknowledged",
    "source_unknown",
    "source_offline",
    "records_too_old",
    "statement_too_old",
    "time_unknown",
    "nothing_counts",
    "acknowledged_too_old",
    "never_acknowledged",
    "no_device_in_service",
]
MaskingWord = Literal["hash", "mask", "drop"]
_Sources = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=100,
        description="可产生此数据的设备类别 / kinds of device that can give it",
        examples=[["perimeter_alarm"]],
    ),
]
_From = Annotated[
    str | None,
    Field(
        alias="from",
        max_length=200,
        description="从何时起，默认现在，不能是过去 / from when on, now by default, never the past",
        examples=["2026-12-01T00:00:00+08:00"],
    ),
]


class ReceiptItem(BaseModel):
    """起作用的回执，没有则为最近的 / the receipt that counts, else the last one."""

    outlet: str = Field(description="部门出口 / outlet of the department")
    delivery: str = Field(description="交付编号 / id of the delivery")
    number: int = Field(description="回执序号 / number in the chain of receipts")
    acknowledged: str = Field(description="部门确认的时间 / when the department acknowledged it")
    expires: str | None = Field(
        description="计到何时（不含）；null：从不计 / counts until then, not included; null: it never did"
    )


class SharedKind(BaseModel):
    """一种数据的状态 / a kind of data and its state."""

    id: str
    name_zh: str
    name_en: str
    state: KindState = Field(
        description="已共享、未共享、未知、不可采集 / `not_collectable`: no device in service"
    )
    reason: KindReason = Field(description="原因 / why")
    quiet: bool = Field(description="可静默 / may have nothing to tell")
    freshness_s: float = Field(description="确认的有效期（秒）/ how long a receipt counts")
    receipt: ReceiptItem | None


class Sharing(BaseModel):
    """数据贡献比例及其依据 / the ratio with all that it is made of."""

    shared: int = Field(description="已共享的种数 / kinds that are shared")
    collectable: int = Field(description="可采集的种数 / kinds that can be collected")
    unknown: int = Field(description="无从得知的种数 / kinds of which nobody can say")
    value: float | None = Field(
        description="shared / collectable；分母为 0 时为 null / null without a denominator"
    )
    percent: str | None = Field(
        description="百分数（存在未知时为下限）/ percent; the lower bound while unknowns exist"
    )
    percent_upper: str | None = Field(description="百分数上限 / the upper bound")
    determined: bool = Field(description="是否没有未知 / whether nothing is unknown")
    bounds: tuple[float | None, float | None] | None = Field(
        description="比值的下限与上限 / lower and upper bound of the ratio"
    )
    kinds: list[SharedKind] = Field(description="目录中的每种数据 / every kind in the catalogue")


class SharingScore(BaseModel):
    """按评价细则可得的分；细则未公布，按比例给分是假设 / points in proportion, which is assumed."""

    points: float | None = Field(description="有未知或无分母时为 null / null while undetermined")
    of: float
    assumption: bool


class SharingAnswer(Sharing):
    """全部小区合计，并按小区列出 / all communities together, and each alone."""

    score: SharingScore
    at: str = Field(description="所问的时刻 / the instant asked about")
    known_at: str = Field(description="按何时所知 / by what was known when")
    calculated_at: str = Field(description="计算的时间 / when it was worked out")
    by_community: dict[str, Sharing] = Field(description="按小区 / by community")


class SharingPoint(BaseModel):
    """公布的一个数值 / one value as it was published."""

    at: str
    shared: int = Field(description="已共享 / shared")
    collectable: int = Field(description="可采集 / collectable")
    unknown: int = Field(description="未知 / unknown")
    percent: str | None
    percent_upper: str | None
    kinds: dict[str, tuple[KindState, KindReason]] = Field(
        description="每种数据的状态与原因 / state and reason of every kind"
    )
    known_at: str = Field(description="按何时所知 / by what was known when")
    sequence: int = Field(description="在公布值之链中的序号，从 1 起 / place in the chain, from 1")
    inputs_digest: str = Field(description="输入的摘要（SHA-256）/ digest of what it was worked out from")
    link: str = Field(description="链接值（SHA-256），含前一条的 / over it and the link before it")


class SharingHistoryAnswer(BaseModel):
    """公布值的序列 / a series of published values."""

    points: list[SharingPoint]


class DataKindItem(BaseModel):
    """目录中的一种数据 / a kind of data as the catalogue describes it."""

    id: str
    name_zh: str
    name_en: str
    sources: list[str] = Field(description="可产生此数据的设备类别 / kinds of device that can give it")
    schema_: dict[str, Any] = Field(alias="schema", description="记录的 JSON Schema / of a record")
    freshness_s: float = Field(description="确认的有效期（秒）/ how long a receipt counts")
    quiet: bool = Field(description="可静默：无事也是共享 / may be quiet, which is shared too")
    personal: bool = Field(description="个人数据 / personal data")
    masked: dict[str, MaskingWord] = Field(
        description="共享前遮蔽的字段 / fields that are masked before they are shared"
    )


class CatalogueAnswer(BaseModel):
    """某一时刻的目录 / the catalogue at a moment."""

    kinds: list[DataKindItem]
    at: str
    known_at: str


class DataKindVersion(BaseModel):
    """一次约定；says 为 null：移出目录 / a version; null: it left the catalogue."""

    id: str
    from_: str = Field(alias="from", description="从何时起 / from when on")
    recorded_at: str = Field(description="何时记录 / since when it is known")
    said_by: str = Field(description="由谁 / by whom")
    says: DataKindItem | None


class DataKindAnswer(BaseModel):
    """一种数据：此刻的约定与历次版本 / a kind: what holds, and every version in order of recording."""

    id: str
    holds: DataKindItem | None = Field(description="null：不在目录中 / it is not in the catalogue")
    history: list[DataKindVersion]


class DataKindBody(BaseModel):
    """一种数据的全部约定 / all that is said of a kind."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)

    name_zh: Annotated[str, Field(max_length=500, description="中文名 / name in Chinese")]
    name_en: Annotated[str, Field(max_length=500, description="英文名 / name in English")]
    sources: _Sources
    schema_: Annotated[
        dict[str, Any],
        Field(
            alias="schema",
            description="记录的 JSON Schema（2020-12），不引用外部 / of a record; stands alone",
            examples=[{"type": "object", "properties": {"zone": {"type": "string"}}}],
        ),
    ]
    freshness_s: Annotated[
        float, Field(gt=0, le=MAX_FRESHNESS_S, description="确认的有效期（秒）/ how long a receipt counts")
    ] = 86_400.0
    quiet: Annotated[bool, Field(description="可静默 / may have nothing to tell")] = False
    personal: Annotated[bool, Field(description="个人数据 / personal data")] = False
    masked: Annotated[
        dict[str, MaskingWord],
        Field(
            max_length=100,
            description="共享前遮蔽的字段：hash、mask 或 drop / fields that never leave as they are",
        ),
    ] = {}
    from_: _From = None
    reason: Annotated[
        str, Field(max_length=MOST_REASON, description="理由 / why", examples=["公安分局要求"])
    ] = ""
