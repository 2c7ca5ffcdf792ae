"""TLS of the pages and the API: the certificate is checked before anything listens."""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509

from pulse.errors import SettingsError

_CERT, _KEY = "PULSE_HTTP_TLS_CERT_FILE", "PULSE_HTTP_TLS_KEY_FILE"


def server_context(certificate: Path, key: Path, now: datetime) -> ssl.SSLContext:
    """TLS 1.2 at least, with that certificate. Raises `SettingsError` naming the file that cannot be used."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read {certificate}: {error.strerror}", where=_CERT) from error
    except ValueError as error:
        raise SettingsError(f"{certificate} 不是 PEM 证书 / is no certificate in PEM", where=_CERT) from error
    if now < found.not_valid_before_utc:
        raise SettingsError(
            f"{certificate} 自 {found.not_valid_before_utc:%Y-%m-%d} 起才有效，请检查本机时钟 / "
            f"is not valid before {found.not_valid_before_utc:%Y-%m-%d}; check this machine's clock",
            where=_CERT,
        )
    if now >= found.not_valid_after_utc:
        raise SettingsError(
            f"{certificate} 已于 {found.not_valid_after_utc:%Y-%m-%d} 过期，请换新 / "
            f"expired on {found.not_valid_after_utc:%Y-%m-%d}; renew it",
            where=_CERT,
        )
    try:
        key.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {key}: {error.strerror}", where=_KEY) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # The empty passphrase keeps an encrypted key from asking on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{key} 不是 {certificate} 的无口令私钥 / is not the private key of {certificate} in PEM "
            "without a passphrase",
            where=_KEY,
        ) from error
    return context
