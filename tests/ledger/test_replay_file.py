"""The file of `pulse replay`: what is wrong is named by its place, what is right is computed exactly."""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse.cli import main
from pulse.errors import BadInput
from pulse.ledger.replay_file import replay
from tests.ledger.test_vectors import VECTORS

Refusal = Callable[[bytes], str]

FILE: dict[str, Any] = {
    "why": "every member that a file may have",
    "devices": [
        {
            "id": "d1",
            "community": "xinjinglou",
            "kind": "camera",
            "timeout_s": 90,
            "commissioned_at": 0,
            "retired_at": 5000,
            "max_lateness_s": 60,
            "clock_untrusted": False,
            "commissioned_recorded_at": -10,
            "retired_recorded_at": 4000,
        }
    ],
    "policy": {"backlog_lateness_s": 1000},
    "coverage": {
        "start": 0,
        "blind": [
            {"from": 200, "to": 300, "scope": {"community": "c"}, "recorded_at": 300, "revoked_at": 400}
        ],
    },
    "maintenance": [
        {"from": 500, "to": 600, "scope": {"device": "d2"}, "recorded_at": 450, "cancelled_at": 550}
    ],
    "messages": [
        {
            "device": "d1",
            "kind": "beat",
            "observed_at": 100,
            "measured_at": 99,
            "retained": False,
            "queued": False,
        },
        {"device": "d1", "kind": "fault", "observed_at": 150},
    ],
    "queries": [{"at": 120, "known_at": 130}, {"from": 0, "to": 1000}],
    "expected": [
        {
            "states": {
                "online": 1,
                "fault": 0,
                "offline": 0,
                "unknown": 0,
                "excluded": 0,
                "not_commissioned": 0,
                "retired": 0,
            },
            "raw": [1, 1],
            "adjusted": [1, 1],
        }
    ],
}

Path_ = tuple[str | int, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from places(item, (*path, name))


def shown(path: Path_) -> str:
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "the file"


def at(path: Path_) -> Any:
    value = FILE
    for name in path:
        value = value[name]  # type: ignore[index]
    return value


def changed(path: Path_, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    document = copy.deepcopy(FILE)
    parent: Any = document
    for name in path[:-1]:
        parent = parent[name]
    change(parent, path[-1])
    return document


def with_raw(path: Path_, raw: str) -> bytes:
    """The file with `raw` in the place of one value."""

    def mark(parent: Any, name: Any) -> None:
        parent[name] = "@@"

    return json.dumps(changed(path, mark)).replace('"@@"', raw).encode()


PLACES = [(), *places(FILE)]
OBJECTS = [path for path in PLACES if isinstance(at(path), dict)]
NUMBERS = [path for path in PLACES if isinstance(at(path), int) and not isinstance(at(path), bool)]
TEXTS = [path for path in PLACES if isinstance(at(path), str)]
FLAGS = [path for path in PLACES if isinstance(at(path), bool)]
REQUIRED = [
    "devices", "coverage", "queries", "devices[0].id", "devices[0].community", "devices[0].kind",
    "devices[0].timeout_s", "devices[0].commissioned_at", "devices[0].retired_at", "coverage.start",
    "coverage.blind[0].from", "coverage.blind[0].to", "coverage.blind[0].recorded_at", "maintenance[0].from",
    "maintenance[0].to", "maintenance[0].recorded_at", "messages[0].device", "messages[0].kind",
    "messages[0].observed_at",
    "messages[1].device", "messages[1].kind", "messages[1].observed_at",
    "queries[1].from", "queries[1].to",
]  # fmt: skip


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Refusal:
    """Give a file to the command, see it refused with exit status 2 and one line, and give that line."""

    def give(raw: bytes) -> str:
        path = tmp_path / "file.json"
        path.write_bytes(raw)
        return refusal(path, monkeypatch, capsysbinary).removeprefix(f"pulse: {path}: ")

    return give


def refusal(path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> str:
    monkeypatch.setattr(sys, "argv", ["pulse", "replay", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsysbinary.readouterr()
    assert (ended.value.code, printed.out) == (2, b"")
    lines = printed.err.decode().splitlines()
    assert len(lines) == 1
    assert len(lines[0]) < 500
    return lines[0]


def test_a_file_with_every_member_is_answered() -> None:
    instant, period = replay(json.dumps(FILE).encode())
    assert instant == FILE["expected"][0]
    assert period == {
        "states": {
            "online": 51,
            "fault": 90,
            "offline": 769,
            "unknown": 90,
            "excluded": 0,
            "not_commissioned": 0,
            "retired": 0,
        },
        "raw": [51, 1000],
        "adjusted": [51, 910],
    }


# Members.


@pytest.mark.parametrize("path", OBJECTS, ids=shown)
def test_an_unknown_member_is_named_by_its_place(path: Path_, refused: Refusal) -> None:
    document = changed((*path, "colour"), lambda parent, name: parent.update({name: 1}))
    prefix = f"{shown(path)}.colour" if path else "colour"
    assert refused(json.dumps(document).encode()).startswith(f"{prefix}: is not a known member")


@pytest.mark.parametrize("place", REQUIRED)
def test_a_missing_member_is_named_by_its_place(place: str, refused: Refusal) -> None:
    path = next(path for path in PLACES if shown(path) == place)
    document = changed(path, lambda parent, name: parent.pop(name))
    assert refused(json.dumps(document).encode()) == f"{place}: is missing"


@pytest.mark.parametrize(
    "path", [p for p in PLACES if p and isinstance(p[-1], str) and shown(p) not in REQUIRED], ids=shown
)
def test_every_other_member_may_be_absent(path: Path_) -> None:
    document = changed(path, lambda parent, name: parent.pop(name))
    if path[:2] == ("queries", 0) and path[-1] == "at":
        document["queries"][0] = {"from": 0, "to": 1}
    assert len(replay(json.dumps(document).encode())) == 2


def test_unknown_names_are_told_in_one_short_line(refused: Refusal) -> None:
    for name in ("two\nlines", "\u2028", "\x1b[31m", "x" * 100_000, "\ud800"):
        line = refused(json.dumps({**FILE, name: 1}).encode())
        assert "is not a known member" in line
        assert line.isprintable()


# Values of a wrong kind.


@pytest.mark.parametrize(
    "raw",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "1e-400", "1e99999999999999999999", "9" * 5000,
     "-" + "9" * 5000, f"1.{'0' * 5000}1", "true", "false", '"5"', '"NaN"', "[]", "{}"],
    ids=lambda raw: raw if len(raw) < 30 else f"{len(raw)}-digits",
)  # fmt: skip
@pytest.mark.parametrize("path", NUMBERS, ids=shown)
def test_what_is_no_finite_number_is_refused_where_one_belongs(path: Path_, raw: str) -> None:
    with pytest.raises(BadInput) as refused:
        replay(with_raw(path, raw))
    message = str(refused.value)
    assert message.startswith(f"{shown(path)}: must be a finite number of seconds")
    assert len(message) < 300


def test_an_impossible_time_ends_the_command_with_its_place(refused: Refusal) -> None:
    line = refused(with_raw(("messages", 1, "observed_at"), "NaN"))
    assert line == "messages[1].observed_at: must be a finite number of seconds, not NaN"
    line = refused(with_raw(("queries", 1, "to"), "1e999"))
    assert line.startswith("queries[1].to: must be a finite number of seconds")


@pytest.mark.parametrize("path", NUMBERS, ids=shown)
def test_null_stands_for_a_time_only_where_there_may_be_none(path: Path_) -> None:
    optional = {
        "retired_at", "commissioned_recorded_at", "retired_recorded_at", "revoked_at", "cancelled_at",
        "measured_at", "known_at",
    }  # fmt: skip
    if path[-1] in optional or shown(path) == "coverage.blind[0].to":
        replay(with_raw(path, "null"))
        return
    with pytest.raises(BadInput, match="finite number of seconds, not null") as refused:
        replay(with_raw(path, "null"))
    assert refused.value.where == shown(path)


@pytest.mark.parametrize("raw", ["5", "null", "true", "[]", "{}", "1e999", "NaN", "9" * 5000])
@pytest.mark.parametrize("path", TEXTS, ids=shown)
def test_what_is_no_text_is_refused_where_one_belongs(path: Path_, raw: str) -> None:
    if path[-2:-1] == ("scope",) and raw == "null":
        replay(with_raw(path, raw))
        return
    with pytest.raises(BadInput) as refused:
        replay(with_raw(path, raw))
    assert refused.value.where == shown(path)


@pytest.mark.parametrize("raw", ["0", "1", "null", '"true"', "[]", "NaN"])
@pytest.mark.parametrize("path", FLAGS, ids=shown)
def test_what_is_neither_true_nor_false_is_refused_where_one_belongs(path: Path_, raw: str) -> None:
    with pytest.raises(BadInput, match="must be true or false") as refused:
        replay(with_raw(path, raw))
    assert refused.value.where == shown(path)


@pytest.mark.parametrize("raw", ["5", '"x"', "true", "NaN"])
@pytest.mark.parametrize("path", [p for p in PLACES if isinstance(at(p), dict | list)], ids=shown)
def test_what_is_no_object_or_array_is_refused_where_one_belongs(path: Path_, raw: str) -> None:
    document = with_raw(path, raw) if path else raw.encode()
    with pytest.raises(BadInput, match=r"must be an? (object|array)|must be null or|finite") as refused:
        replay(document)
    assert str(refused.value.where).startswith(shown(path))


# Members that are given twice: JSON readers disagree about which one counts.


@pytest.mark.parametrize("path", [p for p in PLACES if p and isinstance(p[-1], str)], ids=shown)
def test_a_member_that_is_given_twice_is_named_by_its_place(path: Path_, refused: Refusal) -> None:
    value = json.dumps(at(path))
    twice = f"{value}, {json.dumps(path[-1])}: {value}"
    assert refused(with_raw(path, twice)).startswith(f"{shown(path)}: is given 2 times")


def test_a_member_given_twice_in_one_message_and_never_in_another_is_found(refused: Refusal) -> None:
    messages = [
        '{"device": "d1", "kind": "beat", "observed_at": 1, "queued": true, "queued": false}',
        '{"device": "d1", "kind": "beat", "observed_at": 2}',
    ]
    assert refused(with_raw(("messages",), f"[{', '.join(messages)}]")).startswith("messages[0].queued: ")


# Times that contradict each other, names that lead nowhere.


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("queries", 0), {"at": 131, "known_at": 130}, "queries[0].at: lies past queries[0].known_at"),
        (
            ("queries", 1),
            {"from": 0, "to": 130.5, "known_at": 130},
            "queries[1].to: lies past queries[1].known_at",
        ),
        (("queries", 1), {"from": 10, "to": 9.5}, "queries[1].to: lies before queries[1].from"),
        (("queries", 0), {"at": 1, "from": 0, "to": 2}, "queries[0]: has both at and from/to"),
        (("queries", 0), {"at": 1, "to": 2}, "queries[0]: has both at and from/to"),
        (("queries", 0), {}, "queries[0].from: is missing"),
        (("coverage", "blind", 0, "to"), 199, "coverage.blind[0].to: lies before coverage.blind[0].from"),
        (("maintenance", 0, "to"), 499.5, "maintenance[0].to: lies before maintenance[0].from"),
        (("devices", 0, "timeout_s"), 0, "devices[0].timeout_s: must be more than 0"),
        (("devices", 0, "timeout_s"), -1, "devices[0].timeout_s: must be more than 0"),
        (("devices", 0, "max_lateness_s"), -0.5, "devices[0].max_lateness_s: must not be negative"),
        (("policy", "backlog_lateness_s"), -1, "policy.backlog_lateness_s: must not be negative"),
        (("messages", 1, "device"), "d9", 'messages[1].device: "d9" is not among the devices'),
        (("messages", 1, "kind"), "data", "messages[1].kind: must be beat, fault or offline"),
        (("messages", 1, "kind"), "BEAT", "messages[1].kind: must be beat, fault or offline"),
        (("devices",), FILE["devices"] * 2, 'devices[1].id: "d1" is there twice'),
    ],
)
def test_contradictions_are_named_by_their_place(
    path: Path_, value: Any, expected: str, refused: Refusal
) -> None:
    def put(parent: Any, name: Any) -> None:
        parent[name] = value

    assert refused(json.dumps(changed(path, put)).encode()).startswith(expected)


def test_a_period_may_end_at_its_knowledge_time_and_be_empty() -> None:
    document = {**FILE, "queries": [{"from": 100, "to": 150, "known_at": 150}, {"from": 7, "to": 7}]}
    whole, empty = replay(json.dumps(document).encode())
    assert whole["raw"] == [50, 50]
    assert empty["raw"] is None
    assert empty["adjusted"] is None
    assert set(empty["states"].values()) == {0}


# What is no file of ours at all.


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "is not JSON"),
        (b"   ", "is not JSON"),
        (b"{", "is not JSON"),
        (b"{}x", "is not JSON"),
        (b"{'devices': []}", "is not JSON"),
        (json.dumps(FILE).encode() + b"{}", "is not JSON"),
        (json.dumps(FILE).encode()[:-1], "is not JSON"),
        (b"[]", "the file: must be an object, not an array"),
        (b"null", "the file: must be an object, not null"),
        (b"7", "the file: must be an object, not 7"),
        (b"{}", "devices: is missing"),
        (b"[" * 1_000_000, "is nested too deeply"),
        (b'{"why":' * 100_000 + b"1" + b"}" * 100_000, "is nested too deeply"),
        (with_raw(("messages", 0), "[" * 100_000 + "]" * 100_000), "is nested too deeply"),
        (b"\xff\xfe\x00", "is not "),
        (b'{"why": "\xff"}', "is not UTF-8: invalid start byte at byte 9"),
        (json.dumps(FILE).encode().replace(b'"d1"', b'"d\xc3"'), "is not UTF-8"),
        (json.dumps(FILE).encode().replace(b"camera", b"cam\x00era"), "is not JSON"),
    ],
    ids=range(18),
)
def test_what_is_no_replay_file_is_told_in_one_line(raw: bytes, expected: str, refused: Refusal) -> None:
    assert refused(raw).startswith(expected)


def test_a_file_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    line = refusal(tmp_path, monkeypatch, capsysbinary)
    assert line == f"pulse: {tmp_path}: cannot be read: Is a directory"
    absent = tmp_path / "absent.json"
    line = refusal(absent, monkeypatch, capsysbinary)
    assert line == f"pulse: {absent}: cannot be read: No such file or directory"


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_answered_or_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        replay(raw)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(PLACES[1:]), _json)
def test_any_value_in_any_place_is_answered_or_refused_at_a_place_of_the_file(
    path: Path_, value: Any
) -> None:
    try:
        answers = replay(with_raw(path, json.dumps(value)))
    except BadInput as error:
        place = error.where
    else:
        place = "answered"
        json.dumps(answers, allow_nan=False)
    assert place


# Exact times.


def asked(
    *messages: tuple[str, str], queries: str, timeout: str = "90", start: str = "-1000000"
) -> list[dict[str, Any]]:
    """Answers for one device; messages are (observed_at, measured_at) as JSON numbers."""
    lines = ", ".join(
        f'{{"device": "d1", "kind": "beat", "observed_at": {observed}, "measured_at": {measured}}}'
        for observed, measured in messages
    )
    raw = f"""{{
      "devices": [{{"id": "d1", "community": "c", "kind": "k", "timeout_s": {timeout},
                   "commissioned_at": -1000000, "retired_at": null, "max_lateness_s": 1000}}],
      "coverage": {{"start": {start}}},
      "messages": [{lines}],
      "queries": {queries}
    }}"""
    return replay(raw.encode())


def online(answer: dict[str, Any]) -> int | float:
    amount = answer["states"]["online"]
    assert isinstance(amount, int | float)
    return amount


def test_a_tenth_and_two_tenths_are_three_tenths() -> None:
    """In doubles 0.1 + 0.2 is 0.30000000000000004, and the device would be online a moment too long."""
    just, at_last = asked(
        ("0.1", "null"), timeout="0.2", queries='[{"at": 0.3}, {"at": 0.29999999999999999}]'
    )
    assert (online(just), online(at_last)) == (0, 1)
    (period,) = asked(("0.1", "null"), timeout="0.2", queries='[{"from": 0, "to": 1}]')
    assert period["states"]["online"] == 0.2
    assert period["states"]["offline"] == 0.8


def test_times_are_told_apart_by_their_twentieth_digit() -> None:
    beat = "7.00000000000000000001"
    before, upon, after = asked(
        (beat, "null"),
        queries=f'[{{"at": 7}}, {{"at": {beat}}}, {{"at": 97.00000000000000000001}}]',
    )
    assert [online(a) for a in (before, upon, after)] == [0, 1, 0]
    (period,) = asked((beat, "null"), queries='[{"from": 7, "to": 8}]')
    assert period["states"]["online"] == 1.0
    assert period["states"]["offline"] == 1e-20


def test_amounts_are_printed_as_the_nearest_double() -> None:
    third = "0.3333333333333333333333333333"
    (period,) = asked(("0", "null"), timeout=third, queries='[{"from": 0, "to": 1}]')
    assert period["states"]["online"] == 1 / 3
    assert period["raw"] == [1 / 3, 1]


def test_whole_amounts_are_printed_without_a_point(tmp_path: Path) -> None:
    answers = asked(("0.5", "null"), timeout="90.5", queries='[{"from": 0.5, "to": 100.5}]')
    assert json.dumps(answers[0]["states"]["online"]) == "90.5"
    assert json.dumps(answers[0]["states"]["offline"]) == "9.5"
    assert json.dumps(answers[0]["raw"]) == "[90.5, 100]"


@pytest.mark.parametrize("written", ["5", "5.0", "5.000", "0.5e1", "50E-1", "500e-2"])
def test_one_number_may_be_written_in_many_ways(written: str) -> None:
    assert [online(a) for a in asked((written, "null"), queries='[{"at": 5}, {"at": 4.99}]')] == [1, 0]


@pytest.mark.parametrize(
    "zero", ["0", "-0", "0.0", "-0.0", "0e9", "0e-999999", "0e999999999", "0.0e-300000000"]
)
def test_zero_is_zero_and_costs_nothing_however_it_is_written(zero: str) -> None:
    queries = f'[{{"at": {zero}}}, {{"from": {zero}, "to": 90}}]'
    assert [online(a) for a in asked((zero, zero), queries=queries)] == [1, 90]


def test_times_before_1970_and_fractions_of_them_count_the_same() -> None:
    queries = '[{"at": -0.6}, {"at": -0.5}, {"at": 0.49}, {"at": 0.5}, {"from": -1, "to": 1}]'
    answers = asked(("-0.5", "null"), timeout="1", queries=queries)
    assert [online(a) for a in answers] == [0, 1, 1, 0, 1]


def test_amounts_beyond_any_double_s_whole_numbers_stay_exact() -> None:
    (period,) = asked(queries='[{"from": 0, "to": 100000000000000000000000001}]')
    assert period["states"]["offline"] == 100000000000000000000000001


# Order.


def of_order(*lines: dict[str, Any], at: int) -> str:
    document = {**FILE, "messages": [{"device": "d1", **line} for line in lines], "queries": [{"at": at}]}
    states = replay(json.dumps(document).encode())[0]["states"]
    return "".join(name for name, amount in states.items() if amount)


def test_at_one_reception_the_later_line_wins() -> None:
    beat, fault = {"kind": "beat", "observed_at": 100}, {"kind": "fault", "observed_at": 100}
    assert of_order(beat, fault, at=110) == "fault"
    assert of_order(fault, beat, at=110) == "online"


def test_reception_counts_before_the_place_in_the_file() -> None:
    """The fault stands later in the file, but was received earlier; both speak of the time 80."""
    beat = {"kind": "beat", "observed_at": 120, "measured_at": 80}
    fault = {"kind": "fault", "observed_at": 100, "measured_at": 80}
    assert of_order(beat, fault, at=85) == "online"
    assert of_order(fault, beat, at=85) == "online"


def test_receptions_may_go_back_in_the_file() -> None:
    lines = [{"kind": "beat", "observed_at": at} for at in (300, 100, 200)]
    assert [of_order(*lines, at=at) for at in (100, 189, 290, 310, 391)] == [
        "online",
        "online",
        "offline",
        "online",
        "offline",
    ]


@given(st.sampled_from(VECTORS), st.randoms(use_true_random=False))
def test_the_place_in_the_file_matters_only_between_equal_receptions(path: Path, random: Any) -> None:
    document = json.loads(path.read_bytes())
    expected = document["expected"]
    keyed = [(line["observed_at"], i, line) for i, line in enumerate(document["messages"])]
    random.shuffle(keyed)
    places: dict[Any, list[int]] = {}
    for observed, i, _ in keyed:
        places.setdefault(observed, []).append(i)
    in_order = {observed: iter(sorted(own)) for observed, own in places.items()}
    lines = {i: line for _, i, line in keyed}
    document["messages"] = [lines[next(in_order[observed])] for observed, _, _ in keyed]
    assert replay(json.dumps(document).encode()) == expected


@given(st.sampled_from(VECTORS), st.data())
def test_messages_given_twice_change_nothing(path: Path, data: st.DataObject) -> None:
    document = json.loads(path.read_bytes())
    repeated = []
    for line in document["messages"]:
        repeated.extend([line] * data.draw(st.integers(1, 2)))
    assert replay(json.dumps({**document, "messages": repeated}).encode()) == document["expected"]
