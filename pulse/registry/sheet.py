"""Tables in CSV: bytes to lines with their numbers, every problem collected, and back."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pulse.errors import BadInput
from pulse.registry.cells import escape, unescape

MAX_FILE_BYTES = 200_000_000


class Column(NamedTuple):
    """One column: its name, what reads a cell (raising `BadInput`) and what writes one."""

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


class Problem(NamedTuple):
    """What is wrong in one place of a file; lines count from 1, `column` is "" for the whole line."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f"第 {self.line} 行 / line {self.line}"
        if self.column:
            place += f"，{self.column} 列 / column {self.column}"
        return f"{place}: {self.reason}"


class BadRows(BadInput):
    """A file cannot be taken; `problems` names each place, and so does the text."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        head = (
            f"{len(problems)} 处错误，未导入任何内容 / "
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''}; nothing was imported"
        )
        super().__init__("\n".join([head, *map(str, problems)]))
        self.problems = tuple(problems)


class Line(NamedTuple):
    """One line of a table: its number in the file and its cells' values in the order of the columns."""

    number: int
    values: tuple[Any, ...]


def read(data: bytes, columns: Sequence[Column], problems: list[Problem]) -> list[Line]:
    """The lines whose every cell can be read; what is wrong with the others is added to `problems`.

    Columns may come in any order, all have to be there. Raises `BadInput` for what is no CSV in UTF-8.
    """
    rows = _rows(decoded(data), problems)
    header = next(rows, None)
    if header is None:
        problems.append(Problem(1, "", f"缺少表头 / the header is missing: {_names(columns)}"))
        return []
    positions = _positions(header, columns, problems)
    if problems:
        return []
    lines = []
    for number, cells in rows:
        if len(cells) != len(header[1]):
            problems.append(
                Problem(
                    number,
                    "",
                    f"有 {len(cells)} 格，表头有 {len(header[1])} 格 / "
                    f"cells: {len(cells)}, in the header: {len(header[1])}",
                )
            )
            continue
        line = _line(number, [cells[position] for position in positions], columns, problems)
        if line is not None:
            lines.append(line)
    return lines


def write(columns: Sequence[Column], records: Iterable[tuple[Any, ...]]) -> str:
    """CSV (RFC 4180) with a header; members of a record beyond the columns are left out."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(column.name for column in columns)
    for record in records:
        # Records may carry more than the file: what the registry itself works out.
        writer.writerow(escape(column.write(value)) for column, value in zip(columns, record, strict=False))
    return out.getvalue()


def decoded(data: bytes) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. Raises `BadInput` with what to do."""
    if len(data) > MAX_FILE_BYTES:
        raise BadInput(f"文件超过 {MAX_FILE_BYTES:,} 字节 / the file is larger than {MAX_FILE_BYTES:,} bytes")
    if data.startswith(b"PK\x03\x04"):
        raise BadInput(
            "这是 Excel 工作簿，不是 CSV：请另存为“CSV UTF-8（逗号分隔）” / "
            "this is an Excel workbook, not CSV: save it as “CSV UTF-8 (comma delimited)”"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name, tool = _encoding(data)
        raise BadInput(
            f"文件不是 UTF-8 编码（第 {line} 行起），像是 {name}：请在 Excel 或 WPS 中另存为"
            f"“CSV UTF-8（逗号分隔）”，或运行 iconv -f {tool} -t UTF-8 / the file is not UTF-8 (from line "
            f"{line} on), it looks like {name}: save it as “CSV UTF-8 (comma delimited)” in Excel or WPS, "
            f"or run iconv -f {tool} -t UTF-8"
        ) from error


def _encoding(data: bytes) -> tuple[str, str]:
    """What the bytes may be instead: a name for people and iconv's."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16", "UTF-16"
    return "GBK", "GB18030"


def _rows(text: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank with the number of the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(
                Problem(number, "", f"引号或格子有误，其后未读 / bad quoting, the rest was not read: {error}")
            )
            return
        if any(cell.strip() for cell in cells):
            yield number, cells


def _positions(
    header: tuple[int, list[str]], columns: Sequence[Column], problems: list[Problem]
) -> list[int]:
    number, cells = header
    given = [cell.strip() for cell in cells]
    if len(given) == 1 and len(columns) > 1 and any(mark in given[0] for mark in ";\t，"):
        problems.append(
            Problem(number, "", "请用英文逗号分隔 / separate the cells by commas (,), not ; or tabs")
        )
        return []
    wanted = [column.name for column in columns]
    for name in dict.fromkeys(given):
        if name not in wanted:
            problems.append(
                Problem(number, name[:40], f"没有这一列 / no such column; there are {_names(columns)}")
            )
        elif given.count(name) > 1:
            problems.append(Problem(number, name, "出现多次 / more than once"))
    problems.extend(
        Problem(number, name, "缺少这一列 / the column is missing") for name in wanted if name not in given
    )
    return [given.index(name) for name in wanted] if not problems else []


def _line(
    number: int, cells: Sequence[str], columns: Sequence[Column], problems: list[Problem]
) -> Line | None:
    values, good = [], True
    for column, cell in zip(columns, cells, strict=True):
        try:
            values.append(column.read(unescape(cell)))
        except BadInput as error:
            problems.append(Problem(number, column.name, error.reason))
            good = False
    return Line(number, tuple(values)) if good else None


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)
