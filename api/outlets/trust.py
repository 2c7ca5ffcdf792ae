"""TLS towards departments: always verified, and every failure said in words."""

import ssl

from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet
from pulse.tls import client_context

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_… of OpenSSL
_SELF_SIGNED = {18, 19}
_OTHER_HOST = {62, 64}


def context(outlet: Outlet, keys: Keys) -> ssl.SSLContext:
    """Verifies against the outlet's CA file (the system's CAs without one), with our certificate if there is
    one. Raises `BadInput` naming a file that cannot be used.
    """
    authority, client = keys.authority(outlet.id), keys.client(outlet.id)
    return client_context(authority, where=f"{outlet.id}.ca.pem", certificate=client)


def explained(error: BaseException) -> str:
    """Why there was no connection; looks for the cause beneath what libraries made of it."""
    found: BaseException | None = error
    seen: list[BaseException] = []
    while found is not None and found not in seen:
        seen.append(found)
        found = found.__cause__ or found.__context__
    for cause in reversed(seen):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _of_certificate(cause)
    for cause in reversed(seen):
        if isinstance(cause, ssl.SSLError):
            return f"未能建立 TLS / no TLS: {cause.reason or cause}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"连接失败 / no connection: {cause.strerror}"
    return f"连接失败 / no connection: {str(error) or type(error).__name__}"


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "对方证书已过期 / its certificate has expired"
    if error.verify_code == _NOT_YET:
        return "对方证书尚未生效，请核对时钟 / its certificate is not valid yet; check the clock"
    if error.verify_code in _OTHER_HOST:
        return f"对方证书不是给此主机名的 / its certificate is for another host: {error.verify_message}"
    if error.verify_code in _SELF_SIGNED:
        return (
            "对方证书是自签名的，或其 CA 不受信任 / its certificate is self-signed, or its CA is not "
            f"trusted: {error.verify_message}"
        )
    return (
        f"对方证书不是由所信任的 CA 签发 / its certificate does not come from a CA that is trusted: "
        f"{error.verify_message}"
    )
