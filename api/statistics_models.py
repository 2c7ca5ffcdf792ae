"""Answers about statistics as OpenAPI describes them. Durations are seconds; docs/statistics defines all."""

from pydantic import BaseModel, ConfigDict, Field

from api.models import DeviceAnswer, Rate


class LongestItem(BaseModel):
    """停止时间最长的一次中断，从其开始算起 / the outage with the most time down, from its beginning."""

    model_config = ConfigDict(populate_by_name=True)

    device: str | None = Field(description="无权查看设备者为 null / null to who may not see devices")
    down_s: float = Field(description="已知停止的秒数 / seconds known to be down")
    from_: str = Field(alias="from")
    to: str | None = Field(description="null：仍在继续 / it goes on")


class _Statistics(BaseModel):
    availability: Rate = Field(
        description="可用率：时段内的在线率，数量为设备秒 / the online rate of the period, in device-seconds"
    )
    down_s: float = Field(description="故障与离线的时间 / time in fault and offline")
    outages: int = Field(description="在时段内有停止时间的中断 / outages with time down in the period")
    open: int = Field(description="时段结束时仍在继续的 / those that go on at its end")
    longest: LongestItem | None
    failures: int = Field(description="失效次数：曾运行，后停止 / losses of what had been running")
    operating_s: float = Field(description="在线时间，不含维护 / time online, maintenance left out")
    mtbf_s: float | None = Field(
        description="平均失效间隔工作时间，无失效为 null / mean operating time between failures, or null"
    )
    restored: int = Field(description="恢复次数 / restorations")
    restoration_s: float = Field(description="已恢复中断的停止时间 / time down of the outages restored")
    mttr_s: float | None = Field(
        description="平均恢复时间，无恢复为 null / mean time to restoration, or null"
    )
    faults_per_device_year: float | None = Field(
        description="每设备年（8,760 小时）失效次数 / failures in a device-year of 8,760 hours"
    )
    device_years: float = Field(description="已判定的设备年 / judged device-years")
    determined: bool = Field(
        description="没有未知；否则各次数为“至少” / nothing is unknown; else counts are at least as told"
    )


class FlappingItem(BaseModel):
    """抖动 / flapping."""

    now: bool = Field(description="时段结束时在抖动 / it flaps at the end of the period")
    episodes: int = Field(description="时段内开始的抖动 / episodes that began in the period")
    seconds: float


class GroupFlapping(BaseModel):
    """一组设备的抖动 / flapping of devices together."""

    now: int = Field(description="时段结束时在抖动的设备 / devices that flap at the end of the period")
    devices: int = Field(description="时段内抖动过的设备 / devices that flapped at some time of it")
    episodes: int
    seconds: float


class Above(BaseModel):
    """可用率达到阈值的设备 / devices whose availability is the threshold or more."""

    threshold: float = Field(description="百分数 / percent")
    devices: int = Field(description="确定达到，按下限 / those that surely do, by the lower bound")
    devices_upper: int = Field(description="可能达到，按上限 / those that perhaps do, by the upper bound")
    of: int = Field(description="在用设备 / devices in service")
    adjusted: int = Field(description="按调整后的可用率 / by the adjusted availability")
    adjusted_of: int = Field(description="其中有已判定时间的 / devices with judged time")


class GroupStatistics(_Statistics):
    """一组设备的统计，各设备之和 / of devices together: the sums of each."""

    devices: int = Field(description="时段内在用过的设备 / devices in service at some time of the period")
    flapping: GroupFlapping
    above: Above


class FlappingTerms(BaseModel):
    """多少次变化、多长时间内，算抖动 / how many changes within how long make a device flap."""

    changes: int
    window_s: float


class _About(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    to: str
    known_at: str = Field(description="按何时所知 / by what was known when")
    calculated_at: str
    flapping_terms: FlappingTerms


class StatisticsAnswer(GroupStatistics, _About):
    """全部设备，并按小区和设备类别列出 / all devices, and by community and kind."""

    by_community: dict[str, GroupStatistics]
    by_kind: dict[str, GroupStatistics]


class DeviceStatistics(_Statistics):
    """一台设备的统计 / of one device."""

    flapping: FlappingItem


class PeriodStatistics(DeviceStatistics, _About):
    """一台设备在一个时段的统计 / of one device over a period."""


class DeviceStatisticsAnswer(PeriodStatistics):
    """指明设备的统计 / the same with the device's name."""

    device: str


class DeviceFullAnswer(DeviceAnswer):
    """一台设备：状态、为什么、此前的表现 / one device: its state, why, and its past."""

    statistics: PeriodStatistics = Field(description="此前 30 天的统计 / statistics of the 30 days before")


class DeviceStatisticsItem(DeviceStatistics):
    """列表中的一台设备 / a device of the list."""

    id: str
    community: str
    kind: str
    name_zh: str
    name_en: str
    building: str
    location: str
    above: bool | None = Field(
        description="原始可用率达到阈值；null：取决于未知 / its raw availability reaches the threshold; "
        "null: that depends on the unknown"
    )


class DevicesStatisticsAnswer(_About):
    """一页设备 / one page of devices."""

    items: list[DeviceStatisticsItem]
    next: str | None = Field(description="下一页的 cursor / cursor of the next page")
    total: int = Field(description="符合条件的总数 / how many match in all pages")
