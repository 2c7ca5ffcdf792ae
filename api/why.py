"""Why a device is in its state: the messages that decide, and what the collector heard around them. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pulse.clock import SECOND_US, to_iso
from pulse.ledger.evidence import Heard, Piece, pieces
from pulse.ledger.model import FOREVER, Blind, Device, known_blinds
from pulse.messages import Message


def listening_window(
    device: Device, blinds: Sequence[Blind], start_us: int | None, moment_us: int, known_us: int
) -> dict[str, Any]:
    """The window (moment - timeout, moment] in which silence is judged, with what was blind in it (rule 6).

    `blinds` are all entries of the installation, `start_us` the collector's first start (None: never).
    """
    timeout = device.terms_at(moment_us).timeout
    from_us = moment_us - timeout
    inside: list[dict[str, Any]] = []
    if start_us is None or start_us > from_us:
        to = None if start_us is None else to_iso(start_us)
        inside.append({"from": None, "to": to, "cause": "before_first_start"})
    inside.extend(
        {
            "from": to_iso(entry.start),
            "to": None if entry.end >= FOREVER else to_iso(entry.end),
            "cause": entry.cause,
        }
        for entry in known_blinds(blinds, known_us)
        if entry.scope.covers(device) and entry.start <= moment_us and entry.end > from_us
    )
    return {
        "from": to_iso(from_us),
        "to": to_iso(moment_us),
        "timeout_s": timeout / SECOND_US,
        "whole": not inside,
        "blind": inside,
    }


class Deciding(NamedTuple):
    """The messages as people read them, newest first, and the evidence that decides among them."""

    shown: list[dict[str, Any]]
    piece: Piece | None


def messages(
    device: Device, heard: Iterable[Message], at_us: int, known_us: int, backlog_lateness_us: int
) -> Deciding:
    """The messages known at `known_us`; of their evidence up to `at_us` the last decides (rule 5)."""
    known = {(m.observed_us, m.order, m.identity): m for m in heard if m.observed_us <= known_us}
    proofs = {key: _proofs(device, message, backlog_lateness_us) for key, message in known.items()}
    last = max(
        ((piece, key) for key, proved in proofs.items() for piece in proved if piece.at <= at_us),
        default=None,
    )
    return Deciding(
        [
            _item(known[key], proofs[key], decides=last is not None and last[1] == key)
            for key in sorted(known, reverse=True)
        ],
        None if last is None else last[0],
    )


def _proofs(device: Device, message: Message, backlog_lateness_us: int) -> tuple[Piece, ...]:
    heard = Heard(
        message.evidence,
        message.observed_us,
        message.measured_us,
        message.retained,
        message.queued,
        message.order,
    )
    return pieces(device, heard, backlog_lateness_us)


def _item(message: Message, proves: Sequence[Piece], *, decides: bool) -> dict[str, Any]:
    return {
        "observed_at": to_iso(message.observed_us),
        "measured_at": None if message.measured_us is None else to_iso(message.measured_us),
        "evidence": message.evidence.name.lower(),
        "channel": message.channel.name.lower(),
        "fault": message.fault,
        "seq": message.seq,
        "retained": message.retained,
        "queued": message.queued,
        "metrics": message.metrics or {},
        "proves": [to_iso(piece.at) for piece in proves],
        "decides": decides,
    }
