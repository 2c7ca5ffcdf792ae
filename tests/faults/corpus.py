"""Generated messages of every shape, and the account of what became of each."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from collector.dialects.identity import Identifier
from collector.dialects.records import is_record_topic
from collector.redeliveries import _own_identity
from pulse.messages import MAX_QUARANTINED_BYTES, Channel, Message, Quarantined, Record
from pulse.stores.relational.values import storable

DEVICES = tuple(f"cam-{number:02}" for number in range(20))
"""Registered as cameras of xinjinglou."""

BEHIND = "behind"
"""A device that speaks after everything else."""


class Case(NamedTuple):
    """One message. `good`: it has to be accepted, or refused; None: whatever the collector says."""

    topic: bytes
    payload: bytes
    good: bool | None = None
    retain: bool = False
    dup: bool = False

    @property
    def key(self) -> tuple[bytes, bytes]:
        return self.topic, self.payload


def beat_of(device: str, channel: str = "heartbeat", place: str = "xinjinglou/camera") -> bytes:
    return f"community/{place}/{device}/{channel}".encode()


_HOME = beat_of(DEVICES[0])
_BIG = b"9" * 5000

FAULTS: tuple[Case, ...] = (
    *(Case(_HOME, p, good=False) for p in (b"x" * 65_537, b'{"a":"' + b"x" * 70_000 + b'"}')),  # 13
    *(Case(_HOME, p, good=False) for p in (b'{"a":"\xff\xfe"}', b"\xc3\x28", b"\x80abc")),  # 14
    *(
        Case(_HOME, p, good=False)
        for p in (b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}', b'{"a":1,"a":2}', b'{"seq":1,"seq":2}')
    ),
    Case(_HOME, rb'{"fault":"\ud800"}', good=False),  # 15
    *(
        Case(_HOME, p, good=False)
        for p in (
            b'{"seq":9223372036854775808}',
            b'{"a":' + _BIG + b"}",
            b'{"seq":-' + _BIG + b"}",
            b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"a":' * 5000 + b"1" + b"}" * 5000,
        )
    ),  # 16
    *(
        Case(_HOME, json.dumps({"seq": 10**6 + n, "temp": value}).encode(), good)
        for n, (value, good) in enumerate(
            ((1, True), (1.5, True), (True, True), ("warm", True), (None, True), ([1], False), (2, True))
        )
    ),  # 17
    *(
        Case(beat_of(device), b"", good=False)
        for device in (
            *("cam-00,kind=x", "cam 1", "cam=1", 'cam"1', "cam\\1", '1")|>drop()', "摄像机"),  # 19
            *("a+b", "+", "#", "$SYS", "a\0b", "", "a" * 65, "a\nb", "-a", ".", ".."),  # 20
        )
    ),
    Case(beat_of("cam-00/extra"), b"", good=False),
    Case(b"", b"", good=False),
    Case(b"\xff\xfe", b"", good=False),
    Case(b"community/xinjinglou/camera/\xff\xfe/heartbeat", b"", good=False),
    Case(b"community/xinjinglou/camera/\xed\xa0\x80/heartbeat", b"", good=False),
    Case(b"$SYS/broker/clients/connected", b"1", good=False),
    Case(b"x" * 65_535, b"", good=False),
    Case(beat_of("cam-00", place="elsewhere/camera"), b"", good=False),
    Case(beat_of("cam-00", place="xinjinglou/gas_alarm"), b"", good=False),
)
"""Those of faults 13 to 20."""

_NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e3",
        "1E+2",
        "1e308",
        "1e-400",
        "1e309",
        "-1e999",
        "01",
        "+1",
        ".5",
        "1.",
    ),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *("1e11", "99999999999", "4102444800000", "18446744073709551616", "9" * 400, "0." + "1" * 400),
    *("NaN", "nan", "Infinity", "-Infinity", "inf", "0x10", "1_000", "true", "false", "null", "True"),
)
_TEXTS = (
    *('""', '"ok"', '"fault"', '"online"', '"2026-11-23T08:00:00Z"', '"2026-11-23T08:00:00"', '"9999-99-99"'),
    *(
        r'"\ud800"',
        r'"\udc00\ud800"',
        r'"\u0000"',
        '"\\',
        '"a":"b"',
        '"摄像机"',
        '"🔧"',
        '"' + "x" * 70 + '"',
    ),
    *("'ok'", '"\u2028"', '"\x7f"', "[]", "{}", "[[[[1]]]]", '{"a":1}', "[" * 600 + "]" * 600),
)
_NAMES = (
    *("ts", "seq", "status", "fault", "temperature", "a", "A.b-c_d", "_", "a b", "1a", "", "温度", "x" * 65),
    *("order", "time", "device", "identity", "\\u0061", "__proto__", "a:b", 'a"', "seq ", "Seq"),
)


class Corpus:
    """Messages from a seed: the same seed, time and count give the same ones."""

    def __init__(self, seed: int, now_us: int) -> None:
        self._dice = random.Random(seed)
        self._now_us = now_us
        self._seq = 0
        self._keys: dict[tuple[str, bytes, int], tuple[bytes, bytes]] = {}

    def cases(self, count: int) -> list[Case]:
        """At least `count`: those of the faults, generated ones, and some of all again."""
        cases = [case for case in FAULTS if self._is_own(case)]
        kinds: Sequence[tuple[Callable[[], Case], int]] = (
            (self._valid, 30),
            (lambda: self._mutated(self._valid()), 16),
            (self._record, 8),
            (lambda: self._mutated(self._record()), 6),
            (self._nasty, 20),
            (self._strange_topic, 12),
            (self._noise, 8),
        )
        makers = [maker for maker, weight in kinds for _ in range(weight)]
        while len(cases) < count:
            if self._dice.random() < 0.08:
                cases.append(self._dice.choice(cases[-2000:])._replace(dup=self._dice.random() < 0.5))
                continue
            case = self._dice.choice(makers)()
            # A retained copy of a record is refused or a repetition, by what came before it.
            if self._dice.random() < 0.05 and not is_record_topic(case.topic):
                case = case._replace(retain=True)
            if self._is_own(case):
                cases.append(case)
        return cases

    def _is_own(self, case: Case) -> bool:
        """Whether its entry in the quarantine could be no other message's."""
        return self._keys.setdefault(entry(case), case.key) == case.key

    def _place(self) -> bytes:
        roll = self._dice.random()
        if roll < 0.8:
            return beat_of(self._dice.choice(DEVICES))
        if roll < 0.9:
            length = self._dice.choice((1, 2, 8, 63, 64))
            return beat_of("s" + "".join(self._dice.choices("aZ09._-", k=length - 1)))
        return beat_of(self._dice.choice(DEVICES), "status")

    def _valid(self) -> Case:
        topic = self._place()
        if topic.endswith(b"/status"):
            return Case(topic, self._dice.choice((b"online", b"offline")), good=True)
        if self._dice.random() < 0.05:
            return Case(topic, b"", good=True)
        self._seq += 1
        members: dict[str, object] = {}
        ts_us = self._now_us - self._dice.choice((0, 0, 0, 90_000_000, 86_400_000_000)) + self._seq
        kind = self._dice.random()
        if kind < 0.5:
            members["ts"] = ts_us / 1_000_000
        elif kind < 0.7:
            members["ts"] = ts_us // 1000 + self._seq
        if kind > 0.45:
            members["seq"] = self._seq
        if self._dice.random() < 0.3:
            members["status"] = self._dice.choice(("ok", "fault"))
        if self._dice.random() < 0.1:
            members["fault"] = self._dice.choice(("E1", 7, "镜头", ""))
        for name in self._dice.sample(
            ("temperature", "a.b", "level", "open", "note"), self._dice.randrange(4)
        ):
            members[name] = self._dice.choice((1, -2.5, True, "text", None, 2**62))
        # Without a time or a number nothing but its bytes tells it from another.
        members["n"] = self._seq
        return Case(topic, json.dumps(members, ensure_ascii=self._dice.random() < 0.5).encode(), good=True)

    def _record(self) -> Case:
        self._seq += 1
        members: dict[str, object] = {"recording": self._dice.random() < 0.9, "bitrate_kbps": self._seq}
        if self._dice.random() < 0.7:
            ts_us = self._now_us - self._dice.choice((0, 0, 90_000_000, 86_400_000_000, 30 * 86_400_000_000))
            members["ts"] = self._dice.choice((ts_us / 1_000_000, ts_us // 1000, 0))
        good = self._dice.random() < 0.8
        if not good:
            name, value = self._dice.choice(
                (("surplus", 1), ("recording", "yes"), ("bitrate_kbps", -self._seq), ("disk_free_pct", 101))
            )
            members[name] = value
        topic = beat_of(self._dice.choice(DEVICES), "data/video_status")
        return Case(topic, json.dumps(members).encode(), good)

    def _mutated(self, case: Case) -> Case:
        if self._dice.random() < 0.2:
            return Case(self._bent(case.topic), case.payload)
        return Case(case.topic, self._bent(case.payload))

    def _bent(self, given: bytes) -> bytes:
        data = bytearray(given)
        for _ in range(self._dice.choice((1, 1, 1, 2, 5))):
            at = self._dice.randrange(len(data) + 1)
            match self._dice.randrange(5):
                case 0 if data:
                    data[at % len(data)] ^= 1 << self._dice.randrange(8)
                case 1:
                    del data[at:]
                case 2:
                    data[at:at] = self._dice.randbytes(self._dice.choice((1, 2, 9)))
                case 3:
                    data[at:at] = data[at : at + self._dice.randrange(12)]
                case _:
                    del data[at : at + self._dice.randrange(4)]
        return bytes(data)

    def _nasty(self) -> Case:
        members = []
        for _ in range(self._dice.choice((0, 1, 1, 2, 2, 3, 63, 64, 65))):
            name = self._dice.choice(_NAMES)
            value = self._dice.choice((*_NUMBERS, *_TEXTS))
            members.append(f'"{name}":{value}')
        text = self._dice.choice((",", ",", ", ", ",\n", ",,")).join(members)
        head, tail = self._dice.choice(
            (
                *[("{", "}")] * 8,
                ("\ufeff{", "}"),
                ("{", "}\0"),
                ("[", "]"),
                (" {", "} "),
                ("{", "}{}"),
                ("", ""),
            )
        )
        return Case(self._place(), (head + text + tail).encode("utf-8", "surrogatepass"))

    def _strange_topic(self) -> Case:
        parts = [b"community", b"xinjinglou", b"camera", self._dice.choice(DEVICES).encode(), b"heartbeat"]
        strange = (
            *(b"", b" ", b"+", b"#", b"\0", b"\xff", b"a" * 64, b"a" * 65, b"a" * 3000, b"..", b"$share"),
            *("摄像机", "\u202e", "\ufeffcam", "a\u0301", "\x7f", "\ufffe", "ｃａｍ", "İ", "a b", "a,b=c d"),
        )
        for _ in range(self._dice.choice((1, 1, 1, 2, 3))):
            word = self._dice.choice(strange)
            word = word.encode() if isinstance(word, str) else word
            match self._dice.randrange(4):
                case 0:
                    parts.insert(self._dice.randrange(len(parts) + 1), word)
                case 1 if len(parts) > 1:
                    parts.pop(self._dice.randrange(len(parts)))
                case _:
                    parts[self._dice.randrange(len(parts))] = word
        self._seq += 1
        return Case(b"/".join(parts), b'{"seq":%d}' % self._seq)

    def _noise(self) -> Case:
        length = self._dice.choice((1, 2, 7, 50, 500, 5000))
        topic = (
            self._place()
            if self._dice.random() < 0.8
            else self._dice.randbytes(self._dice.choice((1, 5, 200)))
        )
        return Case(topic, self._dice.randbytes(length))


def entry(case: Case) -> tuple[str, bytes, int]:
    """What the quarantine would show of it: topic, beginning and size."""
    shown = storable(case.topic[:1024].decode("utf-8", "backslashreplace"))
    return shown, case.payload[:MAX_QUARANTINED_BYTES], len(case.payload)


def passes_mosquitto(topic: bytes) -> bool:
    """Whether mosquitto takes the topic from a publisher: text, no wildcards, no control characters."""
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        return False
    refused = (
        code < 32 or 127 <= code < 160 or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
        for code in map(ord, text)
    )
    return bool(text) and not {"+", "#"} & set(text) and not any(refused) and text.count("/") < 200


def is_subscribed(topic: bytes) -> bool:
    """Whether the collector's subscriptions bring it."""
    levels = topic.split(b"/")
    if is_record_topic(topic):
        return True
    return len(levels) == 5 and levels[0] == b"community" and levels[4] in (b"heartbeat", b"status")


class Account(NamedTuple):
    """What became of messages: how many were stored, are in quarantine, and were recognised as repeated."""

    stored: int
    quarantined: int
    repeated: int


def account(
    sent: Iterable[Case],
    stored: Sequence[Message | Record],
    quarantined: Sequence[Quarantined],
    identifier: Identifier,
) -> Account:
    """Account for every message, or fail naming the first that is not accounted for."""
    count, verdict = Counter[tuple[bytes, bytes]](), {}
    by_entry = {}
    for case in sent:
        count[case.key] += 1
        verdict[case.key] = case.good
        by_entry[entry(case)] = case.key
    refused = Counter(by_entry[item.topic, item.payload, item.size] for item in quarantined)
    kept, unnumbered = _recognised(count.keys() - refused.keys(), stored, identifier)
    repeated = 0
    for key, times in count.items():
        if key in refused:
            assert (refused[key], kept[key]) == (times, 0), key
        else:
            assert 1 <= kept[key] <= times, key
            assert key not in unnumbered or kept[key] == times, key
            repeated += times - kept[key]
        assert verdict[key] in (None, key not in refused), key
    return Account(len(stored), len(quarantined), repeated)


def _recognised(
    keys: Iterable[tuple[bytes, bytes]], stored: Sequence[Message | Record], identifier: Identifier
) -> tuple[Counter[tuple[bytes, bytes]], set[tuple[bytes, bytes]]]:
    """How often each was stored, and those that nothing tells from their repetition."""
    plain, by_topic = {}, defaultdict(list)
    for topic, payload in keys:
        plain[identifier.of(topic, payload)] = topic, payload
        by_topic[topic].append(payload)
    kept, unnumbered = Counter[tuple[bytes, bytes]](), set()
    for message in stored:
        key = plain.get(message.identity)
        if key is None:
            if isinstance(message, Record):
                channel, alone = f"data/{message.data_kind}", message.measured_us is None
            else:
                channel = "heartbeat" if message.channel is Channel.HEARTBEAT else "status"
                alone = message.measured_us is None and message.seq is None
            topic = beat_of(message.device, channel, f"{message.community}/{message.kind}")
            key = next(
                (topic, payload)
                for payload in by_topic[topic]
                if message.identity == _later_identity(identifier, topic, payload, message, alone=alone)
            )
            if alone:
                unnumbered.add(key)
        kept[key] += 1
    return kept, unnumbered


def _later_identity(
    identifier: Identifier, topic: bytes, payload: bytes, message: Message | Record, *, alone: bool
) -> int:
    """The identity of a message that its time of reception joins: it has no time and number, or only a time
    that stands still."""
    if alone:
        return identifier.of(topic, payload, message.observed_us)
    first = identifier.of(topic, payload)
    return _own_identity(msgspec.structs.replace(message, identity=first))
