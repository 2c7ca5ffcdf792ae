"""Random secrets, shown once and kept as digests.

A secret of 256 random bits needs no slow hash (NIST SP 800-63B-4, 3.1.2.2): SHA-256 hides it, and the
database finds it by its digest, so nothing is ever compared byte by byte.
"""

import hashlib
import secrets

TOKEN_PREFIX = "pulse_"  # noqa: S105 - what leaked-secret scanners look for
HINT_CHARACTERS = len(TOKEN_PREFIX) + 4


def new_secret() -> str:
    """43 characters of `A-Za-z0-9_-`: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """An API token, recognisable as ours."""
    return TOKEN_PREFIX + new_secret()


def new_code() -> str:
    """A one-time code that people may have to type: 25 characters in five groups, 125 random bits."""
    # Crockford's base 32 leaves out I, L, O and U.
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5))


def digest(secret: str) -> str:
    """SHA-256 of a secret, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def code_digest(code: str) -> str:
    """Digest of a one-time code however it was typed: case, spaces and dashes do not matter."""
    return digest("".join(code.upper().split()).replace("-", ""))


def derived(secret: str, purpose: str) -> str:
    """Another secret for one purpose that does not tell the first: a form's token from a session's."""
    return hashlib.sha256(f"{purpose}\0{secret}".encode()).hexdigest()
