"""Every problem that the API answers with, and every fault of a parameter, in both languages."""

from typing import NamedTuple

from api.negotiate import Language

TYPE_PREFIX = "/api/v1/problems/"


class Text(NamedTuple):
    """One thing said in both languages."""

    zh: str
    en: str

    def said(self, language: Language) -> str:
        """The text in that language."""
        return self.zh if language == "zh" else self.en


class Kind(NamedTuple):
    """A kind of problem: its slug ends the `type` of RFC 9457."""

    slug: str
    status: int
    title: Text
    remedy: Text

    @property
    def type(self) -> str:
        """The address of its description on this server."""
        return TYPE_PREFIX + self.slug


INVALID_PARAMETERS = Kind(
    "invalid-parameters",
    422,
    Text("请求参数有误", "Some parameters cannot be accepted"),
    Text(
        "errors 列出每个有误的参数及原因；改正后重试。",
        "`errors` names each bad parameter and why; correct them and try again.",
    ),
)
UNKNOWN_PATH = Kind(
    "unknown-path",
    404,
    Text("没有这个地址", "There is nothing at this address"),
    Text(
        "请检查路径；全部接口见 /docs 或 /api/v1/openapi.json。",
        "Check the path; /docs and /api/v1/openapi.json list every endpoint.",
    ),
)
UNKNOWN_DEVICE = Kind(
    "unknown-device",
    404,
    Text("没有这台设备", "No such device"),
    Text(
        "请检查设备编号；已登记的设备见 GET /api/v1/devices。",
        "Check the id; GET /api/v1/devices lists the registered devices.",
    ),
)
NOT_FOUND = Kind(
    "not-found",
    404,
    Text("没有找到", "Not found"),
    Text("请检查所给的名称或编号。", "Check the name or id that was given."),
)
DOCS_MISSING = Kind(
    "docs-missing",
    404,
    Text("此安装没有接口文档页面", "This installation has no documentation page"),
    Text(
        "构建软件包时会带上 Swagger UI；在此之前可读 /api/v1/openapi.json。",
        "Building the package brings Swagger UI along; until then read /api/v1/openapi.json.",
    ),
)
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed",
    405,
    Text("此地址不支持这种请求方法", "This address does not support the method"),
    Text("Allow 响应头列出支持的方法。", "The Allow header lists the methods that it does."),
)
CONFLICT = Kind(
    "conflict",
    409,
    Text("与已有记录矛盾", "This contradicts what is recorded"),
    Text("请重新读取现状后再试。", "Read the present state again, then retry."),
)
BAD_REQUEST = Kind(
    "bad-request",
    400,
    Text("请求无法处理", "The request cannot be processed"),
    Text("detail 说明原因。", "`detail` says why."),
)
UNAVAILABLE = Kind(
    "unavailable",
    503,
    Text("暂时无法使用数据库或遥测库", "A database or store cannot be used for now"),
    Text("请稍后重试；/readyz 指出是哪一部分。", "Try again later; /readyz names the part."),
)
NOT_READY = Kind(
    "not-ready",
    503,
    Text("尚未就绪", "Not ready"),
    Text("parts 列出每个部分及其状况。", "`parts` names each part and how it is."),
)
INTERNAL = Kind(
    "internal",
    500,
    Text("服务器内部错误", "Something went wrong on the server"),
    Text(
        "请把 request_id 交给运维人员，日志中有同一编号。",
        "Give the `request_id` to the operator; the log has the same one.",
    ),
)

SIGN_IN_REQUIRED = Kind(
    "sign-in-required",
    401,
    Text("请先登录", "Sign in first"),
    Text(
        "在 /sign-in 登录，或用请求头 Authorization: Bearer 给出访问令牌。",
        "Sign in at /sign-in, or give an API token in the header Authorization: Bearer.",
    ),
)
BAD_TOKEN = Kind(
    "bad-token",
    401,
    Text("访问令牌无效", "The API token does not hold"),
    Text(
        "令牌不正确、已撤销或已过期；请登录后在账户页新建一个。",
        "It is wrong, revoked or expired; sign in and make another one on the account page.",
    ),
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    Text("您的角色无权这样做", "Your role may not do this"),
    Text(
        "请联系管理员；此次请求已记入审计日志。",
        "Ask an administrator; the audit log has noted this request.",
    ),
)
OTHER_SITE = Kind(
    "other-site",
    403,
    Text("请求不是来自本站页面", "The request does not come from a page of this site"),
    Text(
        "请重新载入页面后再试；脚本请改用访问令牌。",
        "Load the page again and retry; scripts use an API token instead.",
    ),
)
TOKEN_IN_ADDRESS = Kind(
    "token-in-address",
    400,
    Text("令牌不能写在地址里", "A token may not stand in the address"),
    Text(
        "地址会留在日志与历史记录里；请撤销该令牌，另建一个，用请求头 Authorization: Bearer 发送。",
        "Addresses end up in logs and histories: revoke that token, make another one and send it in the "
        "header Authorization: Bearer.",
    ),
)
LENGTH_REQUIRED = Kind(
    "length-required",
    411,
    Text("请求须说明长度", "The request has to say how long it is"),
    Text("请发送 Content-Length。", "Send a Content-Length."),
)
TOO_LARGE = Kind(
    "too-large",
    413,
    Text("请求过大", "The request is too large"),
    Text("请求体最多 256 KiB。", "A body may have 256 KiB."),
)
TOO_MANY = Kind(
    "too-many-requests",
    429,
    Text("请求过于频繁", "Too many requests"),
    Text("Retry-After 说明多少秒后可再试。", "Retry-After says after how many seconds to try again."),
)

KINDS = {
    kind.slug: kind
    for kind in (
        SIGN_IN_REQUIRED,
        BAD_TOKEN,
        FORBIDDEN,
        OTHER_SITE,
        TOKEN_IN_ADDRESS,
        LENGTH_REQUIRED,
        TOO_LARGE,
        TOO_MANY,
        INVALID_PARAMETERS,
        UNKNOWN_PATH,
        UNKNOWN_DEVICE,
        NOT_FOUND,
        DOCS_MISSING,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        BAD_REQUEST,
        UNAVAILABLE,
        NOT_READY,
        INTERNAL,
    )
}

FAULTS = {
    "unknown_parameter": Text("没有这个参数；可用的参数：{known}", "no such parameter; there are: {known}"),
    "of_all_communities": Text(
        "此项公布值只有全部小区合计，而您只能看到部分小区；请去掉此参数，或改用 community",
        "published for all communities together, of which you see some; leave it out, or give `community`",
    ),
    "unknown_member": Text("没有这个成员", "no such member"),
    "not_json": Text("不是 JSON", "not JSON"),
    "given_twice": Text("只能给一次", "may be given once only"),
    "missing": Text("必须给出", "has to be given"),
    "not_a_time": Text(
        "不是时间；请用带时区的 ISO 8601（2026-11-23T08:00:00Z、2026-11-23T16:00:00+08:00）或 Unix 秒",
        "not a time; use ISO 8601 with a zone (2026-11-23T08:00:00Z, 2026-11-23T16:00:00+08:00) "
        "or epoch seconds",
    ),
    "in_the_future": Text(
        "晚于服务器现在的时间 {now}；请给出不晚于它的时间",
        "later than the server's present time {now}; give a time that is not",
    ),
    "after_known_at": Text(
        "晚于 known_at；问的时间不能晚于知情的时间",
        "later than known_at; what is asked about cannot lie after what is known",
    ),
    "not_before_to": Text("必须早于 to", "has to be earlier than `to`"),
    "needs_partner": Text("必须与 {partner} 一起给出", "has to be given together with `{partner}`"),
    "excludes": Text("不能与 {partner} 同时给出", "cannot be given together with `{partner}`"),
    "unknown_value": Text("没有这个值；可用的值：{known}", "no such value; there are: {known}"),
    "out_of_range": Text("超出范围：{bounds}", "out of range: {bounds}"),
    "not_a_number": Text("不是整数", "not a whole number"),
    "not_a_percentage": Text(
        "不是 0 到 100 之间、最多三位小数的百分数",
        "not a percentage from 0 to 100 with at most three decimals",
    ),
    "not_of_step": Text("必须是 60 的倍数（秒）", "has to be a multiple of 60 (seconds)"),
    "too_many_points": Text(
        "会得到 {points} 个点，最多 {most} 个；请缩短时段，或把 step_s 改为 {step_s} 以上",
        "would give {points} points, at most {most} are given; shorten the period "
        "or use a step_s of {step_s} or more",
    ),
    "bad_cursor": Text(
        "不是本接口给出的 next；请去掉 cursor 从第一页开始",
        "not a `next` that this endpoint gave; leave cursor out to begin at the first page",
    ),
    "cursor_of_other_query": Text(
        "属于另一组条件；翻页时条件须与第一页相同（at、known_at 可省略）",
        "belongs to other filters; keep those of the first page (at and known_at may be left out)",
    ),
    "too_long": Text("太长：最多 {most} 个字符", "too long: at most {most} characters"),
    "not_an_id": Text(
        "不是编号；请用 1 到 64 个字符 A-Z a-z 0-9 . _ -，以字母或数字开头",
        "not an id; use 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit",
    ),
    "unusable": Text("无法使用：{reason}", "cannot be used: {reason}"),
}
