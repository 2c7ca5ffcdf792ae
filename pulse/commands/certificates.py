"""`pulse certificates …`: a certificate authority of one's own and what it signs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pulse import certificates
from pulse.certificates import Pair
from pulse.clock import SECOND_US, SystemClock
from pulse.settings import Settings


def ca(settings: Settings, folder: Path | None) -> str:
    """Make the authority."""
    return _line(certificates.make_authority(_folder(settings, folder), _now()))


def server(settings: Settings, folder: Path | None, hosts: Sequence[str], *, group_reads: bool) -> str:
    """Make a server's certificate."""
    made = certificates.make_server(_folder(settings, folder), hosts, _now(), group_reads=group_reads)
    return _line(made)


def device(settings: Settings, folder: Path | None, ids: Sequence[str]) -> Iterator[str]:
    """Make devices' certificates."""
    for name in ids:
        yield _line(certificates.make_device(_folder(settings, folder), name, _now()))


def keep(
    settings: Settings, folder: Path | None, hosts: Sequence[str], *, group_reads: bool
) -> Iterator[str]:
    """Make what is missing, renew what ends soon."""
    for pair in certificates.keep(_folder(settings, folder), hosts, _now(), group_reads=group_reads):
        yield _line(pair)


def _folder(settings: Settings, folder: Path | None) -> Path:
    return settings.data_dir / "certificates" if folder is None else folder


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now_us() // SECOND_US, UTC)


def _line(pair: Pair) -> str:
    return f"{pair.certificate}  {pair.key}  有效至 / valid until {pair.expires:%Y-%m-%d}"
