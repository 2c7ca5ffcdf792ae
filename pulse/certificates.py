"""A certificate authority of one's own for MQTT and HTTPS: EC P-256, one folder, keys their owner's only.

`ca.pem` is what clients trust and may be given to anybody; `ca-key.pem` signs and stays where it is.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pulse.errors import BadInput, Conflict
from pulse.ids import is_id

CA_DAYS = 3650
SERVER_DAYS = 397
"""What browsers accept at most of any certificate."""
DEVICE_DAYS = 825
RENEW_DAYS = 30
_BACKDATED = timedelta(days=1)
"""A device's clock may be behind."""
_MOST_CN = 64


class Pair(NamedTuple):
    """A certificate and its key as files, and when the certificate ends."""

    certificate: Path
    key: Path
    expires: datetime


def make_authority(folder: Path, now: datetime) -> Pair:
    """Make `ca.pem` and `ca-key.pem`. Raises `Conflict` where they are already, `BadInput` for the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Community Pulse CA")])
    builder = _builder(name, name, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return _store(folder, "ca", builder.sign(key, hashes.SHA256()), key)


def make_server(
    folder: Path, hosts: Sequence[str], now: datetime, *, group_reads: bool = False, replace: bool = False
) -> Pair:
    """Make `server.pem` and `server-key.pem` for these host names and IP addresses, signed by the CA there.

    `group_reads`: the key's group may read it, for a server under another user. Raises `Conflict` where they
    are already unless `replace`, `BadInput` for a host or a folder without CA.
    """
    names = [_host(host) for host in hosts]
    if not names:
        raise BadInput("至少给一个 / give at least one", where="--host")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:_MOST_CN])])
    return _signed(
        folder,
        "server",
        subject,
        SERVER_DAYS,
        now,
        ExtendedKeyUsageOID.SERVER_AUTH,
        names,
        key_mode=0o640 if group_reads else 0o600,
        replace=replace,
    )


def make_device(folder: Path, device: str, now: datetime) -> Pair:
    """Make `devices/ID.pem` and `devices/ID-key.pem`; the common name is the device's id. Raises likewise."""
    if not is_id(device):
        raise BadInput("不是设备编号 / is no device id", where=device)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    return _signed(folder, f"devices/{device}", subject, DEVICE_DAYS, now, ExtendedKeyUsageOID.CLIENT_AUTH)


def keep(
    folder: Path, hosts: Sequence[str], now: datetime, *, group_reads: bool = False
) -> tuple[Pair, Pair]:
    """CA and server certificate as they are, made where they are missing.

    A server certificate that ends within 30 days, or is for other hosts, is replaced; a CA never is.
    """
    if (folder / "ca.pem").exists():
        authority = Pair(folder / "ca.pem", folder / "ca-key.pem", _expires(_load(folder / "ca.pem")))
    else:
        authority = make_authority(folder, now)
    path = folder / "server.pem"
    if path.exists():
        present = _load(path)
        said = present.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        same = list(said) == [_host(host) for host in hosts]
        if same and _expires(present) - now > timedelta(days=RENEW_DAYS):
            return authority, Pair(path, folder / "server-key.pem", _expires(present))
    return authority, make_server(folder, hosts, now, group_reads=group_reads, replace=True)


def _signed(
    folder: Path,
    stem: str,
    subject: x509.Name,
    days: int,
    now: datetime,
    purpose: x509.ObjectIdentifier,
    names: Sequence[x509.GeneralName] = (),
    *,
    key_mode: int = 0o600,
    replace: bool = False,
) -> Pair:
    authority = _load(folder / "ca.pem")
    try:
        text = (folder / "ca-key.pem").read_bytes()
        signer = serialization.load_pem_private_key(text, None)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"cannot read the CA's key: {error}", where=str(folder / "ca-key.pem")) from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise BadInput("the CA's key is no EC key", where=str(folder / "ca-key.pem"))
    if _expires(authority) <= now:
        raise BadInput("the CA has expired; make a new one in another folder", where=str(folder / "ca.pem"))
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, authority.subject, key.public_key(), now, days, latest=_expires(authority))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _store(
        folder, stem, builder.sign(signer, hashes.SHA256()), key, key_mode=key_mode, replace=replace
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
    latest: datetime | None = None,
) -> x509.CertificateBuilder:
    until = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(min(until, latest) if latest else until)
    )


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    if not all(label and label.isascii() and label.replace("-", "").isalnum() for label in labels):
        raise BadInput(f"{text!r} 不是主机名或 IP 地址 / is no host name or IP address", where="--host")
    return x509.DNSName(text)


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            "不存在，请先运行 pulse certificates ca / is not there; run `pulse certificates ca` first",
            where=str(path),
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"is no certificate that can be read: {error}", where=str(path)) from error


def _expires(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


def _store(
    folder: Path,
    stem: str,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    *,
    key_mode: int = 0o600,
    replace: bool = False,
) -> Pair:
    pair = Pair(folder / f"{stem}.pem", folder / f"{stem}-key.pem", _expires(certificate))
    for path in pair[:2]:
        if path.exists() and not replace:
            raise Conflict(f"{path} 已存在，不会覆盖 / is there already and is not overwritten")
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        pair.key.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        # The key first: a certificate without its key would look finished.
        for path, data, mode in (
            (pair.key, secret, key_mode),
            (pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644),
        ):
            new = path.with_name(path.name + ".new")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=str(folder)) from error
    return pair
