"""Bodies and answers about outlets, deliveries, receipts and accesses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pulse.sharing.outlets import LEAST_EVERY_S, MOST_EVERY_S, MOST_RECORDS

_Mode = Literal["http", "mqtt", "pull"]
_Format = Literal["json", "csv"]
_Signature = Literal["hmac-sha256", "ed25519", "none"]


class _Said(BaseModel):
    """What an outlet is."""

    name_zh: Annotated[str, Field(max_length=500, description="中文名 / name in Chinese")] = ""
    name_en: Annotated[str, Field(max_length=500, description="英文名 / name in English")] = ""
    department: Annotated[str, Field(max_length=500, description="部门 / the department")] = ""
    mode: Annotated[
        _Mode, Field(description="http 推送、mqtt 桥接、pull 由部门拉取 / we push, we publish, it fetches")
    ]
    url: Annotated[
        str,
        Field(
            max_length=2000,
            description="https:// 或 mqtts:// 地址；拉取的没有 / address; none of one that is pulled from",
        ),
    ] = ""
    topic: Annotated[
        str, Field(max_length=200, description="主题，默认 pulse/sharing/编号 / topic of an mqtt outlet")
    ] = ""
    format: Annotated[_Format, Field(description="格式 / format")] = "json"
    signature: Annotated[_Signature, Field(description="签名算法 / how it is signed")] = "hmac-sha256"
    data_kinds: Annotated[list[str] | None, Field(description="种类，null：全部 / kinds; null: all")] = None
    communities: Annotated[
        list[str] | None, Field(description="小区，null：全部 / communities; null: all")
    ] = None
    fields: Annotated[
        dict[str, list[str]],
        Field(description="各种类只送出的字段（最小必要）/ by kind, the only fields that leave"),
    ] = {}
    every_s: Annotated[
        float | None,
        Field(
            ge=LEAST_EVERY_S, le=MOST_EVERY_S, description="每隔多少秒；与 at 都不给：即时 / every so often"
        ),
    ] = None
    at: Annotated[
        str | None, Field(max_length=5, description="每天的时刻 HH:MM / daily at", examples=["08:30"])
    ] = None
    most_records: Annotated[
        int, Field(ge=1, le=MOST_RECORDS, description="一次最多条数 / most records of a delivery")
    ] = 1000
    timeout_s: Annotated[float, Field(ge=1, le=300, description="等待回答的秒数 / longest wait")] = 30.0
    insecure: Annotated[
        bool, Field(description="允许向他机明文传输 / allows plain text to other machines")
    ] = False
    disabled: Annotated[bool, Field(description="停用 / disabled")] = False


class OutletBody(_Said):
    """出口的全部内容；未给出的取默认值 / all of an outlet; what is not given has its default."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OutletState(BaseModel):
    """出口现状 / how it is."""

    deliveries: int = Field(description="已生成的交付 / deliveries made so far")
    waiting: int = Field(description="等待确认的交付 / deliveries without a receipt")
    waiting_records: int
    waiting_bytes: int
    oldest_waiting: str | None
    last_made: str | None
    error: str | None = Field(description="上次为何未送达 / why the last attempt failed")
    next_try: str | None
    not_made: str | None = Field(description="为何不再生成：full、masking_key / why no more are made")
    key: str | None = Field(description="签名密钥的编号 / id of the key")
    key_fault: str | None = Field(description="密钥为何不可用 / why its keys cannot be used")
    withheld: dict[str, int] = Field(description="扣下的记录，种类/原因 / records withheld, kind/reason")


class OutletItem(_Said):
    """一个出口及其现状 / an outlet, and how it is."""

    id: str
    since: str | None = Field(description="这样规定自何时 / since when it is so")
    said_by: str = Field(
        description="谁规定的；无权修改者看不到 / by whom; empty for those who may not change it"
    )
    state: OutletState


class OutletsAnswer(BaseModel):
    """出口 / outlets, by id."""

    outlets: list[OutletItem]


class TriedAnswer(BaseModel):
    """试投递的结果 / what came of a test delivery."""

    received: bool
    detail: str
    retry_after_s: float | None


class RetriedAnswer(BaseModel):
    """多少份将立即再试 / how many are tried at once."""

    deliveries: int


class PartItem(BaseModel):
    """一个种类、一个小区 / of one kind and community."""

    data_kind: str
    community: str
    count: int
    first: str | None = Field(description="最早的测量时间 / earliest measurement")
    last: str | None = Field(description="最晚的测量时间 / latest measurement")
    quiet_from: str | None = Field(description="自此未发生其他 / nothing else happened from then")
    quiet_until: str | None


class DeliveryItem(BaseModel):
    """一份交付 / a delivery."""

    outlet: str
    delivery: str
    made_at: str
    state: Literal["waiting", "acknowledged", "split"]
    records: int
    size: int
    format: _Format
    digest: str = Field(description="内容的 SHA-256 / of its content")
    parts: list[PartItem]
    failed_attempts: int
    error: str | None
    next_try: str | None
    sent_at: str | None
    acknowledged_at: str | None


class DeliveriesAnswer(BaseModel):
    """最近的交付在前 / the newest first."""

    deliveries: list[DeliveryItem]
    next: str | None = Field(description="作为 before 取下一页 / give it as `before` for the next page")


class ReceiptItem(BaseModel):
    """一张回执 / a receipt."""

    number: int
    outlet: str
    delivery: str
    digest: str
    parts: list[PartItem]
    answer: dict[str, Any] | None = Field(
        description="对方的回答；仅限可看审计者 / for those who see the audit log"
    )
    sent_at: str
    acknowledged_at: str
    recorded_at: str
    previous: str
    link: str


class ReceiptsAnswer(BaseModel):
    """最近的回执在前 / the newest first."""

    receipts: list[ReceiptItem]
    next: int | None = Field(description="作为 before 取下一页 / give it as `before` for the next page")


class AccessItem(BaseModel):
    """一次访问 / an access."""

    id: int
    at: str
    outlet: str
    delivery: str | None
    action: str = Field(description="send、test、pull、commit")
    actor: str
    address: str
    outcome: Literal["done", "failed", "refused"]
    detail: str


class AccessesAnswer(BaseModel):
    """最近的访问在前 / the newest first."""

    accesses: list[AccessItem]
    next: int | None = Field(description="作为 before 取下一页 / give it as `before` for the next page")


class StepItem(BaseModel):
    """到达这一步的记录 / records that came as far as this."""

    records: int
    newest: str | None = Field(description="其中最晚的测量时间 / latest measurement among them")
    quiet_until: str | None = Field(description="已声明无事到何时 / up to when quiet was stated")


class StuckItem(BaseModel):
    """卡在哪里 / where it is stuck."""

    reason: str
    zh: str
    en: str


class FunnelRow(BaseModel):
    """一个种类去往一个出口 / one kind on its way to one outlet; `outlet` null: none takes it."""

    outlet: str | None
    data_kind: str
    collectable: bool
    collected: StepItem
    outbox: StepItem
    sent: StepItem
    acknowledged: StepItem
    acknowledged_at: str | None
    withheld: dict[str, int] = Field(description="自出口启用以来，按原因 / since the outlet began, by reason")
    stuck: StuckItem | None


class FunnelAnswer(BaseModel):
    """共享漏斗 / the funnel over a period."""

    from_: str = Field(alias="from")
    to: str
    rows: list[FunnelRow]


class PulledItem(BaseModel):
    """一份交付，逐字节 / a delivery, byte for byte."""

    delivery: str
    cursor: str = Field(description="提交它即为回执 / committing it is the receipt")
    content_type: str
    content_digest: str = Field(description="body 各字节的摘要（RFC 9530）/ digest of the bytes of body")
    signature_input: str | None
    signature: str | None
    body: dict[str, Any] | str = Field(description="JSON 为对象，CSV 为文本 / an object, or CSV as text")


class PulledAnswer(BaseModel):
    """游标之后的交付 / the deliveries behind the cursor."""

    deliveries: list[PulledItem]
    cursor: str | None
    more: bool = Field(description="还有更多 / there are more")


class CursorBody(BaseModel):
    """已收到并保存的最后一份 / the last one that was received and kept."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cursor: Annotated[str, Field(min_length=1, max_length=200, examples=["street-5"])]


class CommittedAnswer(BaseModel):
    """到此为止都已确认 / all up to it is acknowledged."""

    cursor: str
    receipts: int = Field(description="此次记下的回执 / receipts that this commit made")
