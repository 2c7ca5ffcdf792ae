"""Certificates of one's own: what is in them, how their files lie, and that nothing is lost by mistake."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pulse.certificates import (
    CA_DAYS,
    DEVICE_DAYS,
    SERVER_DAYS,
    keep,
    make_authority,
    make_device,
    make_server,
)
from pulse.errors import BadInput, Conflict

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_authority(tmp_path / "certificates", NOW)
    return tmp_path / "certificates"


def test_a_server_is_vouched_for_by_the_ca_for_its_hosts_only(folder: Path) -> None:
    pair = make_server(folder, ["mosquitto", "192.0.2.7"], NOW)
    made, authority = _certificate(pair.certificate), _certificate(folder / "ca.pem")
    made.verify_directly_issued_by(authority)
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mosquitto"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert pair.expires == NOW + timedelta(days=SERVER_DAYS)
    assert _certificate(folder / "ca.pem").not_valid_after_utc == NOW + timedelta(days=CA_DAYS)


def test_a_devices_common_name_is_its_id_and_it_is_no_server(folder: Path) -> None:
    pair = make_device(folder, "camera-001", NOW)
    made = _certificate(pair.certificate)
    assert pair.certificate == folder / "devices" / "camera-001.pem"
    assert [name.value for name in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["camera-001"]
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert pair.expires == NOW + timedelta(days=DEVICE_DAYS)


def test_nothing_outlives_the_ca(folder: Path) -> None:
    late = NOW + timedelta(days=CA_DAYS - 10)
    assert make_server(folder, ["a"], late).expires == NOW + timedelta(days=CA_DAYS)
    with pytest.raises(BadInput, match="expired"):
        make_device(folder, "d", NOW + timedelta(days=CA_DAYS))


def test_keys_are_their_owners_only(folder: Path) -> None:
    pairs = [make_server(folder, ["a"], NOW), make_device(folder, "d", NOW)]
    for key in (folder / "ca-key.pem", *(pair.key for pair in pairs)):
        assert key.stat().st_mode & 0o777 == 0o600
    shared = make_server(folder, ["a"], NOW, group_reads=True, replace=True)
    assert shared.key.stat().st_mode & 0o777 == 0o640
    assert not list(folder.rglob("*.new"))


def test_what_is_there_is_not_overwritten(folder: Path) -> None:
    make_server(folder, ["a"], NOW)
    make_device(folder, "d", NOW)
    before = {path: path.read_bytes() for path in folder.rglob("*.pem")}
    with pytest.raises(Conflict, match="not overwritten"):
        make_authority(folder, NOW)
    with pytest.raises(Conflict, match="not overwritten"):
        make_server(folder, ["b"], NOW)
    with pytest.raises(Conflict, match="not overwritten"):
        make_device(folder, "d", NOW)
    assert {path: path.read_bytes() for path in folder.rglob("*.pem")} == before


@pytest.mark.parametrize("host", ["", "a b", "a/b", "*.example.org", "https://a"])
def test_what_is_no_host_is_refused(folder: Path, host: str) -> None:
    with pytest.raises(BadInput, match="--host"):
        make_server(folder, [host], NOW)


def test_without_a_ca_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pulse certificates ca"):
        make_device(tmp_path, "d", NOW)
    with pytest.raises(BadInput, match="no device id"):
        make_device(tmp_path, "_collector", NOW)


def test_keeping_makes_once_and_renews_before_the_end_or_for_other_hosts(tmp_path: Path) -> None:
    first = keep(tmp_path, ["a", "192.0.2.7"], NOW)
    texts = [pair.certificate.read_bytes() for pair in first]
    soon = NOW + timedelta(days=SERVER_DAYS - 31)
    assert keep(tmp_path, ["a", "192.0.2.7"], soon) == first
    assert [pair.certificate.read_bytes() for pair in first] == texts
    renewed = keep(tmp_path, ["a", "192.0.2.7"], soon + timedelta(days=2))
    assert renewed[0] == first[0]
    assert renewed[1].expires > first[1].expires
    other = keep(tmp_path, ["b"], soon + timedelta(days=2))
    names = _certificate(other[1].certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["b"]
    assert (tmp_path / "ca.pem").read_bytes() == texts[0]


def test_the_commands_print_files_and_the_end(tmp_path: Path) -> None:
    def pulse(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pulse", "certificates", *words, "--folder", str(tmp_path / "c")]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert pulse("server", "--host", "a").returncode == 2
    assert "valid until" in pulse("ca").stdout
    assert pulse("server", "--host", "a", "--host", "127.0.0.1").stdout.startswith(f"{tmp_path}/c/server.pem")
    assert len(pulse("device", "d1", "d2").stdout.splitlines()) == 2
    again = pulse("ca")
    assert again.returncode == 1
    assert "not overwritten" in again.stderr
    assert len(pulse("keep", "--host", "a").stdout.splitlines()) == 2
