"""TLS towards a broker: always verified, never left away, and every failure said in words."""

import ssl
from pathlib import Path

from pulse.errors import SettingsError

CA_SETTING = "PULSE_MQTT_CA_FILE"

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_… of OpenSSL
_OTHER_HOST = {62, 64}


def client_context(
    ca_file: Path | None, *, where: str = CA_SETTING, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Verifies the server's chain against `ca_file` (None: the system's) and its host name; TLS 1.2 at least.

    `certificate` and `key` are the client's own. Raises `SettingsError` naming the file and `where`.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SettingsError(
            f"{ca_file} 不是可读的 CA 证书 / is no CA certificate that can be read: {_plain(error)}",
            where=where,
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise SettingsError(
                f"不是可读的证书与私钥 / is no certificate with its key that can be read: {_plain(error)}",
                where=str(certificate),
            ) from error
    return context


def explained(error: OSError, where: str = CA_SETTING) -> str:
    """Why a TLS connection was not made, and what to look at; other errors in their own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return f"{where}: 服务器证书已过期 / the broker's certificate has expired"
        if error.verify_code == _NOT_YET:
            return f"{where}: 服务器证书尚未生效 / the broker's certificate is not valid yet; check the clock"
        if error.verify_code in _OTHER_HOST:
            return (
                f"{where}: 服务器证书不是给此主机名的 / the broker's certificate is for another host: "
                f"{error.verify_message}"
            )
        return (
            f"{where}: 服务器证书不是由所信任的 CA 签发 / the broker's certificate does not come from the CA "
            f"that is trusted: {error.verify_message}"
        )
    if isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError):
        return (
            f"{where}: 此端口未能建立 TLS，不会改用明文 / no TLS on this port ({_plain(error)}); "
            "plain text is not tried instead, use mqtt:// if that is meant"
        )
    return str(error)


def _plain(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return str(reason or error)
