"""The answers as OpenAPI describes them. Times are ISO 8601 in UTC, durations seconds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

StateSlug = Literal["online", "fault", "offline", "unknown", "excluded", "not_commissioned", "retired"]
CauseSlug = Literal[
    "heartbeat",
    "fault_reported",
    "deadline_passed",
    "explicit_offline",
    "never_heard",
    "collector_blind",
    "maintenance",
    "not_commissioned",
    "retired",
]

STATES_TEXT = (
    "在线 online、故障 fault、离线 offline、未知 unknown（采集中断，无从判断 / nobody listened）、"
    "维护中 excluded、未启用 not_commissioned、已停用 retired"
)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Adjusted(_Answer):
    """维护窗口除外的在线率 / the rate without maintenance: online / (online + fault + offline)."""

    numerator: float = Field(description="在线 / online")
    denominator: float = Field(description="在线、故障与离线之和 / online, fault and offline together")
    value: float | None = Field(
        description="比值，分母为 0 时为 null / the ratio, null without a denominator"
    )
    percent: str | None = Field(
        description="百分数，四舍五入到一位 / percent, half rounded up to one decimal"
    )
    basis: float | None = Field(description="依据所占的份额 / share that the rate is based on")


class Rate(_Answer):
    """设备在线率及其依据 / the device online rate with all that it is made of."""

    running: float = Field(
        description="正常运行的设备数，时段为设备秒 / running devices; device-seconds in a period"
    )
    total: float = Field(
        description="在用的设备数，时段为设备秒 / devices in service; device-seconds in a period"
    )
    value: float | None = Field(
        description="running / total；分母为 0 时为 null / null without a denominator"
    )
    percent: str | None = Field(
        description="百分数（存在未知时为下限）/ percent; the lower bound while unknowns exist"
    )
    percent_upper: str | None = Field(description="百分数上限 / the upper bound")
    determined: bool = Field(description="是否没有未知 / whether nothing is unknown")
    states: dict[str, float] = Field(description=f"各状态的数量 / how many in each state: {STATES_TEXT}")
    bounds: tuple[float | None, float | None] | None = Field(
        description="比值的下限与上限 / lower and upper bound of the ratio"
    )
    adjusted: Adjusted


class Score(_Answer):
    """按评价细则可得的分。细则未公布，满分线是我们的假设 / points; the full-mark threshold is assumed."""

    points: float | None = Field(description="依据不足时为 null / null where too much is unknown")
    of: float
    full_marks_from: float
    basis: float | None
    least_basis: float
    assumption: bool


class Late(BaseModel):
    """晚于该时刻加超时才得知的在线 / online time known only more than a timeout afterwards."""

    running: float = Field(description="其数量，含在 running 中 / how much of `running` it is")
    percent: str | None = Field(description="占 running 的百分数 / percent of `running`")


class GuardedRate(Rate):
    """在线率，及防止虚高的依据 / the rate with what keeps it from being improved on paper."""

    planned: int | None = Field(
        description="计划数量，未登记时为 null / planned quantity, null where none is registered"
    )
    late: Late


class TimeoutItem(BaseModel):
    """一个超时及采用它的在用设备数 / a timeout, and the devices in service that have it."""

    timeout_s: float
    devices: int


class OnlineRateAnswer(GuardedRate):
    """全部设备，并按小区和设备类别列出 / all devices, and by community and kind."""

    unit: Literal["devices", "device_seconds"] = Field(description="数量的单位 / what the amounts count")
    score: Score
    at: str | None = Field(None, description="所问的时刻 / the instant asked about")
    from_: str | None = Field(None, alias="from", description="时段的开始 / beginning of the period")
    to: str | None = Field(None, description="时段的结束 / end of the period")
    known_at: str = Field(description="按何时所知 / by what was known when")
    calculated_at: str = Field(description="计算的时间 / when it was worked out")
    timeouts: list[TimeoutItem] = Field(
        description="该时刻（时段为其末尾）各超时及设备数 / timeouts in force then, at the end of a period"
    )
    by_community: dict[str, GuardedRate] = Field(description="按小区 / by community")
    by_kind: dict[str, GuardedRate] = Field(description="按设备类别 / by kind")


class HistoryPoint(BaseModel):
    """某一分钟公布的数值 / what was published for one minute."""

    at: str
    numerator: int = Field(description="正常运行 / running")
    denominator: int = Field(description="在用 / in service")
    unknown: int = Field(description="状态未知 / in state unknown")
    percent: str | None
    percent_upper: str | None
    known_at: str = Field(description="按何时所知 / by what was known when")
    sequence: int = Field(description="在公布值之链中的序号，从 1 起 / place in the chain, from 1")
    inputs_digest: str = Field(description="输入的摘要（SHA-256）/ digest of what it was worked out from")
    link: str = Field(description="链接值（SHA-256），含前一条的 / over it and the link before it")


class PublishedVerifiedAnswer(BaseModel):
    """公布值之链的核对结果 / what checking the chain of published values found."""

    values: int
    head: str = Field(description="序号:链接值，请另处记下 / NUMBER:LINK, to be noted elsewhere")
    broken_at: int | None
    reason: str | None
    reason_zh: str | None


class HistoryAnswer(BaseModel):
    """公布值的序列 / a series of published values."""

    points: list[HistoryPoint]


class DeviceItem(BaseModel):
    """一台设备及其状态 / a device and its state."""

    id: str
    community: str
    kind: str
    name_zh: str
    name_en: str
    building: str
    location: str
    state: StateSlug = Field(description=STATES_TEXT)
    since: str | None = Field(description="从何时起处于此状态 / since when it is in this state")
    cause: CauseSlug = Field(description="原因 / why")
    evidence_at: str | None = Field(description="最后一次证据的时间 / time of the last evidence")
    deadline: str | None = Field(
        description="最后期限：此时仍无消息即离线 / offline if nothing is heard until then"
    )


class DevicesAnswer(BaseModel):
    """设备列表的一页 / one page of devices, in order of id."""

    items: list[DeviceItem]
    next: str | None = Field(
        description="下一页的 cursor，末页为 null / cursor of the next page, null at the end"
    )
    total: int = Field(description="符合条件的总数 / how many match in all pages")
    at: str
    known_at: str


class RegistryFacts(BaseModel):
    """登记的信息（现在的登记）/ what the registry says now."""

    id: str
    community: str
    kind: str
    name_zh: str
    name_en: str
    building: str
    location: str
    tags: list[str]
    vendor: str
    model: str
    serial: str
    timeout_s: float = Field(description="超时，已按设备、小区、类别的规定求得 / timeout in force, seconds")
    max_lateness_s: float = Field(description="允许的补报延迟 / how late a buffered beat may come, seconds")
    clock_untrusted: bool = Field(description="其时钟不可信 / its clock is not trusted")
    commissioned_at: str | None = Field(description="启用 / commissioned")
    retired_at: str | None = Field(description="停用 / retired")


class MessageItem(BaseModel):
    """一条收到的消息 / a message as received."""

    observed_at: str = Field(description="收到的时间 / when it was received")
    measured_at: str | None = Field(description="设备自己的时间 / by the device's own clock")
    evidence: Literal["beat", "fault", "offline"]
    channel: Literal["heartbeat", "status"]
    fault: str | None = Field(description="故障代码 / fault code")
    seq: int | None
    retained: bool = Field(
        description="代理保留的旧消息，不证明任何事 / retained by the broker, proves nothing"
    )
    queued: bool = Field(description="来自积压 / from the broker's backlog")
    metrics: dict[str, float]
    proves: list[str] = Field(description="它证明的时刻 / the times that it is evidence for")
    decides: bool = Field(description="现状由它决定 / the state follows from it")


class BlindItem(BaseModel):
    """采集听不到的一段时间 / a time in which the collector could hear nothing."""

    from_: str | None = Field(alias="from")
    to: str | None = Field(description="null：尚未结束 / still open")
    cause: str


class ListeningWindow(BaseModel):
    """判断沉默所看的时段 / the window in which silence is judged: (moment - timeout, moment]."""

    from_: str = Field(alias="from")
    to: str
    timeout_s: float
    whole: bool = Field(description="整段都在听 / the collector listened through all of it")
    blind: list[BlindItem] = Field(description="其中听不到的时段 / blind intervals that touch it")


class IntervalItem(BaseModel):
    """一段状态 / a stretch in one state, half-open."""

    state: StateSlug
    from_: str = Field(alias="from")
    to: str
    duration_s: float


class DeviceAnswer(BaseModel):
    """一台设备：状态、从何时起、为什么 / one device: its state, since when and why."""

    device: RegistryFacts
    state: StateSlug
    since: str | None
    cause: CauseSlug
    evidence_at: str | None
    deadline: str | None
    window: ListeningWindow | None
    messages: list[MessageItem] = Field(description="起决定作用的及最近的消息，新的在前 / newest first")
    messages_since: str | None = Field(
        description="原始消息保留到此时；更早的已按期限删除 / raw messages are kept from here on"
    )
    messages_deleted: bool = Field(
        description="决定现状的原始消息已不在库中 / the raw message that decides is no longer kept"
    )
    messages_unavailable: bool = Field(
        description="遥测库暂不可用，消息未能读出 / the store cannot be read now, so no messages are shown"
    )
    intervals: list[IntervalItem] = Field(description="此前 24 小时 / the 24 hours before")
    at: str
    known_at: str


class IntervalsAnswer(BaseModel):
    """一台设备在时段内的各状态，首尾相接 / every state of a device through a period, without gaps."""

    device: str
    intervals: list[IntervalItem]
    states: dict[str, float] = Field(description="各状态的秒数 / seconds in each state")
    from_: str = Field(alias="from")
    to: str
    known_at: str


class WatermarkItem(BaseModel):
    """采集进度 / how far the database is complete."""

    through: str = Field(description="此前发生的都已入库 / everything until then is in the database")
    written_at: str
    age_s: float
    session: str


class SpoolItem(BaseModel):
    """采集器与遥测库之间的缓冲 / what waits between the broker and the telemetry store."""

    told_at: str
    messages: int
    bytes: int
    oldest_age_s: float | None
    in_per_s: float | None
    out_per_s: float | None
    share: float = Field(description="占上限的比例，1 为满 / share of the limit, 1 is full")
    drained_in_s: float | None = Field(description="null：不在减少 / null: it does not shrink")
    stalled: str | None = Field(description="为何停止确认 / why nothing is acknowledged; null: all is well")
    stalled_since: str | None


class CollectorAnswer(BaseModel):
    """采集器是否在听 / whether the collector hears the devices."""

    listening: bool = Field(description="现在能听到 / it hears now")
    stale: bool = Field(description="采集器已不报告进度 / the collector stopped telling how far it is")
    blind_since: str | None = Field(description="从何时起听不到 / since when it hears nothing")
    at: str = Field(description="“现在”所指的时刻 / the instant that now stands for")
    started_at: str | None = Field(description="首次开始采集 / the first start; before it all is unknown")
    watermark: WatermarkItem | None = Field(description="null：从未运行 / null: it never ran")
    spool: SpoolItem | None = Field(description="null：从未报告 / null: the collector never told")
    quarantined: dict[str, int] | None = Field(
        description="隔离的消息数，按原因；只看得到部分小区者为 null / "
        "quarantined messages by reason; null to who sees some communities only"
    )
    discovered: int = Field(description="未登记的设备数 / devices heard that nobody registered")


class HealthAnswer(BaseModel):
    """进程在运行 / the process is alive."""

    status: Literal["ok"]
    version: str


class Part(BaseModel):
    """一个部分及其状况 / a part and how it is."""

    ok: bool
    detail: str


class ReadyAnswer(BaseModel):
    """各部分都可用 / every part can be used."""

    status: Literal["ready"]
    parts: dict[str, Part]


class ProblemError(BaseModel):
    """一个有误的参数 / one bad parameter."""

    parameter: str
    code: str = Field(description="固定的代码 / a stable code")
    detail: str
    value: str | None = None


class ProblemAnswer(BaseModel):
    """RFC 9457。title 与 detail 按 Accept-Language 为中文或英文 / in Chinese or English."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="此类问题的说明地址 / address of a description of this kind of problem")
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemError] | None = None


class ProblemKindAnswer(BaseModel):
    """一类问题的说明 / what a kind of problem means and what to do."""

    type: str
    status: int
    title: dict[str, str]
    remedy: dict[str, str]
