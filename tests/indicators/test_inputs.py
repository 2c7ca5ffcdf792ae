"""What a value was worked out from: the same whenever it is asked, and what the documentation says it is."""

import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse.clock import HOUR_US, SECOND_US
from pulse.indicators.inputs import evidence
from pulse.indicators.publication import Publication
from pulse.indicators.verifying import Outcome, recompute
from pulse.ledger.model import Evidence, Scope
from pulse.stores.relational import coverage, maintenance, published
from tests.indicators.site import Site, camera, us
from tests.indicators.test_equals_replay import END, StoredRuns, on_the_product_s_axis, register
from tests.ledger.live import Live
from tests.ledger.strategies import World, worlds


def said(live: Live, at: int, known: int) -> str:
    devices = live.world.books.devices
    return evidence(devices, {d.id: live.kept.known(d.id, known) for d in devices}, at)


@settings(max_examples=150)
@given(worlds(), st.data())
def test_what_evidence_said_is_never_said_otherwise(world: World, data: st.DataObject) -> None:
    """However rows are split, joined, ended and superseded by what becomes known later, and by restarts."""
    live = Live(world)
    first: dict[tuple[int, int], str] = {}
    while live.now < END:
        live.step(live.now + data.draw(st.integers(1, 12)))
        match data.draw(st.sampled_from(["", "", "save", "restart"])):
            case "save":
                live.save()
            case "restart":
                live.restart()
        for at in {live.now, max(live.now - 3, 0), max(live.now - 20, 0)}:
            first[at, live.now] = said(live, at, live.now)
    for (at, known), digest in first.items():
        assert said(live, at, known) == digest, (at, known)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(1, 12))
def test_values_published_while_it_was_lived_through_come_out_the_same(small: World, pace: int) -> None:
    world = on_the_product_s_axis(small)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            register(site, world.books.devices)
            with site.db.write() as connection:
                coverage.set_start(connection, world.books.start)
                for blind in world.books.blinds:
                    coverage.record(connection, blind)
                for window in world.books.maintenance:
                    maintenance.record(connection, window, "", "")
            publication = Publication(site.rate.library)
            live = Live(world, StoredRuns(site), begin=us(-1))
            second = 0
            while second < END:
                second += pace
                live.step(us(second))
                site.mark(second)
                with site.db.write() as connection:
                    published.append(connection, publication.draft(us(second - pace // 2)).value)
            with site.db.read() as connection:
                found = list(recompute([publication], published.walk(connection)))
            assert {one.outcome for one in found} == {Outcome.SAME}, found
        finally:
            site.close()


# Another program, by docs/published.md alone: it reads the database and knows nothing of ours.


def independent(database: Path, row: dict[str, Any]) -> dict[str, str]:
    at, known = row["at_us"], row["known_us"]
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row

    def rows(table: str, until: str) -> list[sqlite3.Row]:
        return connection.execute(
            f"SELECT * FROM {table} WHERE recorded_us <= ? AND ({until} IS NULL OR {until} > ?)",
            (known, known),
        ).fetchall()

    def hashed(lines: list[list[Any]], *, in_order: bool = True) -> str:
        texts = [json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() for line in lines]
        return hashlib.sha256(b"".join(t + b"\n" for t in (texts if in_order else sorted(texts)))).hexdigest()

    devices = [
        d
        for d in connection.execute("SELECT * FROM devices ORDER BY id")
        if d["commissioned_us"] is not None
        and d["commissioned_us"] <= at
        and d["commissioned_recorded_us"] <= known
        and not (d["retired_us"] is not None and d["retired_us"] <= at and d["retired_recorded_us"] <= known)
    ]
    timeouts = dict(
        connection.execute(
            "SELECT subject, timeout_us FROM policies WHERE scope = 'device' AND since_us <= ?"
            " ORDER BY since_us",
            (at,),
        ).fetchall()
    )
    words = []
    for device in devices:
        own = [
            r for r in rows("runs", "superseded_us") if r["device"] == device["id"] and r["start_us"] <= at
        ]
        own = sorted(own, key=lambda r: r["start_us"])
        own = [r for r in own if r["end_us"] is None or r["end_us"] > at - HOUR_US]
        if not own:
            continue
        run = own.pop()
        if run["end_us"] is not None and run["end_us"] <= at:
            words.append([device["id"], "silence", run["end_us"]])
        elif run["evidence"] == 2:
            words.append([device["id"], "offline", run["since_us"]])
        else:
            begin = run["start_us"]
            while own and own[-1]["end_us"] == begin and own[-1]["evidence"] == run["evidence"]:
                begin = own.pop()["start_us"]
            word = "fault" if run["evidence"] else "beat"
            words.append([device["id"], word, begin if begin > at - HOUR_US else None])
    start = connection.execute("SELECT value FROM meta WHERE key = 'coverage_start_us'").fetchone()[0]
    names = ("start_us", "end_us", "recorded_us", "device", "kind", "community")
    deaf = sorted(
        json.dumps([*(b[n] for n in names), b["cause"]], separators=(",", ":"), ensure_ascii=False).encode()
        for b in rows("blinds", "revoked_us")
        if b["start_us"] <= at and b["start_us"] != b["end_us"]
    )
    first = json.dumps(["start", int(start)], separators=(",", ":")).encode()
    windows = [
        [w[n] for n in names]
        for w in rows("maintenance", "cancelled_us")
        if w["start_us"] <= at and (w["end_us"] is None or w["end_us"] > at)
    ]
    connection.close()
    return {
        "registry": hashed([[d["id"], d["community"], d["kind"], d["commissioned_us"]] for d in devices]),
        "policies": hashed([[d["id"], timeouts[d["id"]]] for d in devices]),
        "evidence": hashed(words),
        "coverage": hashlib.sha256(b"".join(t + b"\n" for t in [first, *deaf])).hexdigest(),
        "maintenance": hashed(windows, in_order=False),
    }


def independent_link(row: dict[str, Any]) -> str:
    made = hashlib.sha256()
    for name in (
        *("sequence", "name", "at_us", "known_us", "numerator", "denominator"),
        *("digest", "inputs_digest", "previous"),
    ):
        data = b"+" + str(row[name]).encode()
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


def test_another_program_works_out_the_same_by_the_documentation(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.register(*(camera(f"cam-{number}") for number in range(1, 7)))
    site.register(camera("lock-1", kind="lock", community="荣馨园".encode().hex(), retired_us=us(-50)))
    site.start(-9000)
    site.hear("cam-1", -8000)
    site.hear("cam-2", -900, 300)
    site.hear("cam-3", -900, 400)
    site.hear("cam-3", 400, said=Evidence.OFFLINE)
    site.hear("cam-4", -8000, -100)
    site.hear("cam-4", -100, 20, recorded=10, since=-8000)
    site.hear("cam-4", 20, 500)
    site.hear("cam-4", 500, said=Evidence.FAULT)
    site.hear("cam-5", -8000, -7000)
    site.hear("lock-1", -10)
    site.deaf(100, 130, recorded=130)
    site.deaf(90, 95, recorded=95, scope=Scope(kind="lock"))
    site.maintain(420, 560, recorded=200, scope=Scope(device="cam-3"))
    site.maintain(400, 660, recorded=250)
    publication = Publication(site.rate.library)
    for second in range(0, 660, 30):
        site.mark(second)
        with site.db.write() as connection:
            published.append(connection, publication.draft(us(second)).value)
    site.close()
    raw = sqlite3.connect(tmp_path / "pulse.db")
    raw.row_factory = sqlite3.Row
    values = [dict(row) for row in raw.execute("SELECT * FROM published ORDER BY sequence")]
    (head,) = raw.execute("SELECT value FROM meta WHERE key = 'published_head'").fetchone()
    raw.close()
    previous = "0" * 64
    for row in values:
        inputs = json.loads(row["inputs"])
        other = independent(tmp_path / "pulse.db", row)
        assert {name: inputs[name] for name in other} == other
        assert hashlib.sha256(row["inputs"].encode()).hexdigest() == row["inputs_digest"]
        assert inputs["default_timeout_us"] == 180 * SECOND_US
        assert row["previous"] == previous
        assert row["link"] == independent_link(row)
        previous = row["link"]
    assert head == f"{len(values)} {previous}"
    assert len({json.loads(row["inputs"])["evidence"] for row in values}) == 5, "what is looked at changes"
