"""`pulse outlet …`: outlets, their keys and their deliveries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pulse.access import outlets as agreeing
from pulse.access.showing import printable
from pulse.clock import SystemClock, to_iso
from pulse.commands.operating import database, operator
from pulse.errors import BadInput
from pulse.settings import Settings
from pulse.sharing.keyfiles import SUFFIX, Keys, public_pem
from pulse.sharing.outlets import members
from pulse.sharing.signing import Algorithm
from pulse.stores.relational import deliveries, outlets
from pulse.stores.relational.deliveries import Stored

_MOST_BYTES = 1_000_000


def listed(settings: Settings, *, as_json: bool) -> Iterator[str]:
    """A line an outlet."""
    with database(settings) as db, db.read() as connection:
        waiting = deliveries.outstanding(connection)
        positions = outlets.all_positions(connection)
        for outlet in outlets.current(connection):
            own, position = waiting.get(outlet.id), positions.get(outlet.id)
            first = deliveries.waiting(connection, outlet.id, limit=1)
            error = first[0].error if first else None
            count = 0 if own is None else own.deliveries
            made = 0 if position is None else position.number
            stuck = None if position is None else position.stuck
            if as_json:
                told = {"deliveries": made, "waiting": count, "error": error, "not_made": stuck}
                yield json.dumps(members(outlet) | told, ensure_ascii=False)
                continue
            state = "停用 disabled" if outlet.disabled else f"{made} 份 made, {count} 待确认 waiting"
            more = "".join(f"  {text}" for text in (stuck, error) if text)
            line = f"{outlet.id}  {outlet.mode}  {outlet.name_zh} {outlet.name_en}  {state}{more}"
            yield printable(line)


def shown(settings: Settings, outlet: str, *, as_json: bool) -> str:
    """An outlet in a form that `put` takes. Raises `NotFound`."""
    with database(settings) as db, db.read() as connection:
        found = members(agreeing.of(connection, operator(), outlet))
    if as_json:
        return json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    return yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=110)


def put(settings: Settings, file: Path) -> Iterator[str]:
    """Add or change the outlets of a file. Raises `BadInput` naming place and member."""
    said = _read(file)
    now_us = SystemClock().now_us()
    with database(settings) as db, db.write() as connection:
        done = [agreeing.put(connection, operator(), one, now_us, where) for where, one in said]
    keys = Keys(settings.outlet_keys())
    for outlet, changed in done:
        yield f"{outlet.id}: {'已写入 / written' if changed else '没有变化 / as it was'}"
        algorithm = outlet.algorithm
        if algorithm is not None and not keys.path(outlet.id, SUFFIX[algorithm]).exists():
            yield f"  还没有密钥，请运行 / it has no key yet; run: pulse outlet key {outlet.id}"


def key(settings: Settings, outlet: str, algorithm: str | None, *, replace: bool) -> Iterator[str]:
    """Make a key for an outlet. Raises `BadInput`, `Conflict` where there is one, `NotFound`."""
    keys = Keys(settings.outlet_keys())
    with database(settings) as db, db.write() as connection:
        found = agreeing.of(connection, operator(), outlet)
        chosen = algorithm or found.signature
        if chosen not in SUFFIX:
            raise BadInput("请用 hmac-sha256 或 ed25519 / use hmac-sha256 or ed25519", where="--algorithm")
        wanted: Algorithm = "hmac-sha256" if chosen == "hmac-sha256" else "ed25519"
        made = keys.make(outlet, wanted, replace=replace)
        agreeing.key_made(connection, operator(), outlet, wanted, made.id, SystemClock().now_us())
    yield f"{made.id}"
    yield f"{keys.path(outlet, SUFFIX[wanted])}"
    if wanted == "ed25519":
        yield public_pem(made).decode().rstrip("\n")


def test(settings: Settings, outlet: str) -> tuple[bool, str]:
    """Send an empty delivery; whether it arrived, and what was answered. Raises `NotFound`, `BadInput`."""
    from api.outlets.testing import try_out

    with database(settings) as db:
        with db.read() as connection:
            found = agreeing.of(connection, operator(), outlet)
        answer = try_out(settings, db, SystemClock(), operator(), found)
    said = "已收到 / received" if answer.received else "未送达 / did not arrive"
    return answer.received, printable(f"{said}: {answer.detail}")


def deliveries_of(settings: Settings, outlet: str, limit: int, *, as_json: bool) -> Iterator[str]:
    """A line a delivery, the newest first. Raises `NotFound`."""
    with database(settings) as db, db.read() as connection:
        agreeing.of(connection, operator(), outlet)
        found = deliveries.listing(connection, outlet, limit=limit)
    for stored in found:
        yield json.dumps(_plain(stored), ensure_ascii=False) if as_json else printable(_line(stored))


def retry(settings: Settings, outlet: str) -> str:
    """Have what waits tried now. Raises `NotFound`."""
    with database(settings) as db, db.write() as connection:
        count = agreeing.retry(connection, operator(), outlet, SystemClock().now_us())
    return f"{count} 份将立即再试 / {count} deliveries are tried at once"


def _read(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """The outlets of a file, each with its place."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise BadInput(f"大于 {_MOST_BYTES} 字节 / is larger than {_MOST_BYTES} bytes", where=str(file))
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"读不了 / cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError:
        raise BadInput("不是 UTF-8 / is not UTF-8", where=str(file)) from None
    except yaml.YAMLError as error:
        raise BadInput(f"不是 YAML / is not YAML: {error}", where=str(file)) from None
    listed = found.get("outlets") if isinstance(found, dict) and "outlets" in found else [found]
    if not isinstance(listed, list) or not listed:
        raise BadInput("没有出口 / there is no outlet", where=str(file))
    said = []
    for position, one in enumerate(listed):
        where = f"{file}: outlets[{position}]" if len(listed) > 1 else str(file)
        if not isinstance(one, dict):
            raise BadInput("不是映射 / is not a mapping", where=where)
        said.append((where, {str(name): value for name, value in one.items()}))
    return said


def _plain(stored: Stored) -> dict[str, Any]:
    return {
        "delivery": stored.id,
        "state": stored.state,
        "records": stored.records,
        "size": stored.size,
        "digest": stored.digest,
        "made_at": to_iso(stored.made_us),
        "sent_at": None if stored.sent_us is None else to_iso(stored.sent_us),
        "acknowledged_at": None if stored.acknowledged_us is None else to_iso(stored.acknowledged_us),
        "failed_attempts": stored.attempts,
        "next_try": to_iso(stored.next_us) if stored.error else None,
        "error": stored.error,
    }


def _line(stored: Stored) -> str:
    states = {"waiting": "待确认 waiting", "acknowledged": "已确认 acknowledged", "split": "已拆分 split"}
    line = f"{stored.id}  {to_iso(stored.made_us)}  {stored.records}  {states[stored.state]}"
    if stored.error:
        line += f"  第 {stored.attempts} 次失败 / failed {stored.attempts} times: {stored.error}"
    return line
