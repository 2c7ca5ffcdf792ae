"""Registry files: exact in both directions, every bad row named, nothing guessed."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.clock import SECOND_US
from pulse.errors import BadInput
from pulse.ids import ID_PATTERN
from pulse.registry import cells, csvfile
from pulse.registry.model import MAX_DURATION_S, Community, DeviceRecord, Kind, Planned
from pulse.registry.sheet import BadRows

COMMUNITIES = ("rongxinyuan", "xinjinglou")
KINDS = ("camera", "smart_lock")
HEADER = ",".join(column.name for column in csvfile.DEVICES)
PLAIN = "d1,xinjinglou,camera,,,,,,,,,,,,,"


def parse(text: str, *, prefix: bool = False) -> list[DeviceRecord]:
    return csvfile.parse(text.encode(), communities=COMMUNITIES, kinds=KINDS, prefix=prefix)


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(BadRows) as caught:
        parse(text)
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
    return [(problem.line, problem.column) for problem in caught.value.problems]


def row(**members: str) -> str:
    """A line for one device, good but for the members given."""
    filled = {"id": "d1", "community": "xinjinglou", "kind": "camera", **members}
    out = io.StringIO()
    csv.writer(out).writerow(filled.get(c.name, "") for c in csvfile.DEVICES)
    return out.getvalue().removesuffix("\r\n")


ids = st.from_regex(ID_PATTERN, fullmatch=True)
texts = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from("'=+-@\",; ﻿＝中"), st.just("'")
    ),
    max_size=12,
)
tags = texts.map(lambda t: t.replace(";", "").strip()).filter(bool)
durations = st.integers(1, int(MAX_DURATION_S) * SECOND_US).map(lambda us: us / SECOND_US)
times = st.none() | st.integers(-10 * 10**15, 10 * 10**15)
devices = st.builds(
    DeviceRecord,
    id=ids,
    community=st.sampled_from(COMMUNITIES),
    kind=st.sampled_from(KINDS),
    name_zh=texts,
    name_en=texts,
    building=texts,
    location=texts,
    tags=st.lists(tags, max_size=3).map(tuple),
    vendor=texts,
    model=texts,
    serial=texts,
    timeout_s=st.none() | durations,
    max_lateness_s=st.just(0.0) | durations,
    clock_untrusted=st.booleans(),
    commissioned_us=times,
    retired_us=times,
    # A file does not say since when something is known.
    commissioned_recorded_us=st.none(),
    retired_recorded_us=st.none(),
).filter(lambda d: d.commissioned_us is None or d.retired_us is None or d.commissioned_us <= d.retired_us)


@given(st.lists(devices, max_size=5, unique_by=lambda d: d.id), st.booleans())
def test_devices_written_and_read_are_the_same(records: list[DeviceRecord], mark: bool) -> None:
    data = csvfile.render(records).encode("utf-8-sig" if mark else "utf-8")
    assert csvfile.parse(data, communities=COMMUNITIES, kinds=KINDS) == records


@given(st.lists(st.builds(Community, ids, texts, texts), unique_by=lambda r: r.id, max_size=4))
def test_communities_written_and_read_are_the_same(records: list[Community]) -> None:
    assert csvfile.parse_communities(csvfile.render_communities(records).encode()) == records


@given(
    st.lists(
        st.builds(Kind, ids, texts, texts, st.none() | durations, st.none() | durations),
        unique_by=lambda r: r.id,
        max_size=4,
    )
)
def test_kinds_written_and_read_are_the_same(records: list[Kind]) -> None:
    assert csvfile.parse_kinds(csvfile.render_kinds(records).encode()) == records


@given(
    st.lists(
        st.builds(Planned, st.sampled_from(COMMUNITIES), st.sampled_from(KINDS), st.integers(0, 10**9)),
        unique_by=lambda r: r[:2],
        max_size=4,
    )
)
def test_planned_quantities_written_and_read_are_the_same(records: list[Planned]) -> None:
    data = csvfile.render_planned(records).encode()
    assert csvfile.parse_planned(data, communities=COMMUNITIES, kinds=KINDS) == records


@given(texts)
def test_no_cell_is_written_that_a_spreadsheet_would_run(text: str) -> None:
    assert cells.escape(text)[:1] not in set("=+-@＝＋－＠")
    assert cells.unescape(cells.escape(text)) == text


def test_a_formula_stays_text_in_both_directions() -> None:
    record = DeviceRecord("d1", "xinjinglou", "camera", name_zh="=cmd()", tags=("-1", "b"))
    written = csvfile.render([record])
    assert "'=cmd()" in written
    assert "'-1;b" in written
    assert parse(written) == [record]
    assert parse(f"{HEADER}\n{row(name_zh='=cmd()')}\n")[0].name_zh == "=cmd()"


def test_columns_may_come_in_any_order_and_blank_lines_are_skipped() -> None:
    names = [column.name for column in csvfile.DEVICES][::-1]
    cells_of = row(name_zh="门").split(",")[::-1]
    text = f"{','.join(names)}\r\n\r\n{','.join(cells_of)}\r\n,,,,,,,,,,,,,,,\r\n"
    assert parse(text) == [DeviceRecord("d1", "xinjinglou", "camera", "门")]


def test_what_people_write_is_understood() -> None:
    text = f"{HEADER}\n" + row(
        id=" d1 ",
        tags="室外; 大门 ;;",
        timeout_s="180",
        max_lateness_s=" 0.5 ",
        clock_untrusted="是",
        commissioned_at="2026-11-23 08:00:00+08:00",
        retired_at="2026-11-24T00:00:00Z",
    )
    assert parse(text) == [
        DeviceRecord(
            "d1",
            "xinjinglou",
            "camera",
            tags=("室外", "大门"),
            timeout_s=180.0,
            max_lateness_s=0.5,
            clock_untrusted=True,
            commissioned_us=1_795_392_000 * SECOND_US,
            retired_us=1_795_478_400 * SECOND_US,
        )
    ]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("id", ""),
        ("id", "a/b"),
        ("id", "设备1"),
        ("id", "a" * 65),
        ("community", ""),
        ("community", "nowhere"),
        ("kind", "Camera"),
        ("name_zh", "a\nb"),
        ("name_en", "x" * 501),
        ("building", "a\0b"),
        ("tags", "a\tb"),
        ("timeout_s", "0"),
        ("timeout_s", "-5"),
        ("timeout_s", "ten"),
        ("timeout_s", "nan"),
        ("timeout_s", "1e3"),
        ("timeout_s", "1_0"),
        ("timeout_s", "１８０"),
        ("timeout_s", "0.0000001"),
        ("timeout_s", "999999999999"),
        ("max_lateness_s", "-1"),
        ("clock_untrusted", "maybe"),
        ("commissioned_at", "2026-11-23"),
        ("commissioned_at", "2026-11-23T08:00:00"),
        ("commissioned_at", "2026/11/23 8:00"),
        ("commissioned_at", "20261123"),
        ("commissioned_at", "1795392000"),
        ("retired_at", "2026-02-30T00:00:00Z"),
        ("retired_at", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(column: str, cell: str) -> None:
    text = f"{HEADER}\n{row(id='good')}\n{row(**{column: cell})}\n"
    assert problems(text) == [(3, column)]


def test_every_problem_of_a_file_is_named() -> None:
    text = "\n".join(
        [
            HEADER,
            row(id="ok"),
            row(id="!", timeout_s="x", commissioned_at="y"),
            "too,few",
            row(id="ok"),
            row(id="e", commissioned_at="2026-01-02T00:00:00Z", retired_at="2026-01-01T00:00:00Z"),
            row(id="f", community="nowhere", kind="nothing"),
            row(id="g", name_zh="two\nlines"),
            row(id="h", kind="nothing"),
        ]
    )
    assert problems(text) == [
        (3, "commissioned_at"),
        (3, "id"),
        (3, "timeout_s"),
        (4, ""),
        (5, "id"),
        (6, "retired_at"),
        (7, "community"),
        (7, "kind"),
        (8, "name_zh"),
        (10, "kind"),
    ]


def test_the_text_says_line_column_and_reason_in_both_languages() -> None:
    with pytest.raises(BadRows) as caught:
        parse(f"{HEADER}\n{row()}\n{row()}\n")
    assert str(caught.value) == (
        "1 处错误，未导入任何内容 / 1 problem; nothing was imported\n"
        "第 3 行 / line 3，id 列 / column id: 与第 2 行重复 / the same as on line 2"
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", [(1, "")]),
        (HEADER.replace(",serial", ""), [(1, "serial")]),
        (HEADER.replace("serial", "序列号"), [(1, "serial"), (1, "序列号")]),
        (HEADER + ",id", [(1, "id")]),
        (HEADER.replace(",", ";"), [(1, "")]),
        (HEADER.replace(",", "\t"), [(1, "")]),
    ],
)
def test_a_wrong_header_is_explained(header: str, expected: list[tuple[int, str]]) -> None:
    assert sorted(problems(f"{header}\n{PLAIN}\n" if header else "")) == expected


def test_broken_quotes_are_named_by_the_line_where_they_begin() -> None:
    assert problems(f'{HEADER}\n{PLAIN}\n"d2,xinjinglou\n{PLAIN}\n') == [(3, "")]
    assert problems(f'{HEADER}\n"d2"x{PLAIN[2:]}\n') == [(2, "")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (f"{HEADER}\n{PLAIN}\n{PLAIN.replace('camera,', 'camera,摄像机')}\n".encode("gbk"), "line 3 on"),
        ("编号".encode("gb18030"), "iconv -f GB18030 -t UTF-8"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04 whatever", "Excel workbook"),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_saying_what_to_do(data: bytes, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        csvfile.parse(data, communities=COMMUNITIES, kinds=KINDS)
    assert "CSV UTF-8" in str(caught.value)


def test_ids_can_be_prefixed_with_their_community_once() -> None:
    text = f"{HEADER}\n{row(id='d1')}\n{row(id='xinjinglou-d2')}\n{row(id='d1', community='rongxinyuan')}\n"
    assert [d.id for d in parse(text, prefix=True)] == ["xinjinglou-d1", "xinjinglou-d2", "rongxinyuan-d1"]


def test_a_prefix_that_makes_an_id_too_long_is_named() -> None:
    with pytest.raises(BadRows, match="column id"):
        parse(f"{HEADER}\n{row(id='a' * 60)}\n", prefix=True)


def test_planned_quantities_name_community_kind_and_number() -> None:
    data = (
        b"community,kind,quantity\nxinjinglou,camera,1\nxinjinglou,camera,2\nx,camera,3\nxinjinglou,camera,-1"
    )
    with pytest.raises(BadRows) as caught:
        csvfile.parse_planned(data, communities=COMMUNITIES, kinds=KINDS)
    assert [(p.line, p.column) for p in caught.value.problems] == [
        (3, "kind"),
        (4, "community"),
        (5, "quantity"),
    ]
