"""Mosquitto's password files: one `user:$7$iterations$salt$hash` a line.

The hash is PBKDF2 over SHA-512 (RFC 8018) with 12 random bytes of salt, both in base64, as
`mosquitto_passwd` of Mosquitto 2 writes it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from pulse.errors import BadInput

ITERATIONS = 101
"""`mosquitto_passwd`'s own number. Every password here is 256 random bits, which no hash has to slow down,
and the broker computes every connected client's again in one go whenever it is told to reload."""

_SALT_BYTES = 12
_HASH_BYTES = 64
_FORM = 4
MAX_NAME_BYTES = 65_535


def hashed(password: str, *, iterations: int = ITERATIONS) -> str:
    """The part after `user:` for `password`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, _HASH_BYTES)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def matches(password: str, entry: str) -> bool:
    """Whether `password` is the one of `entry` (the part after `user:`); malformed entries match nothing."""
    parts = entry.split("$")
    if len(parts) != _FORM + 1 or parts[1] != "7" or not parts[2].isdecimal():
        return False
    try:
        salt, digest = base64.b64decode(parts[3], validate=True), base64.b64decode(parts[4], validate=True)
        computed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, int(parts[2]), len(digest))
    except (binascii.Error, ValueError, OverflowError):
        return False
    return hmac.compare_digest(computed, digest)


def read(path: Path) -> dict[str, str]:
    """The entries of a password file by user. Raises `BadInput` naming the file (and line)."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the password file: {error}", where=str(path)) from error
    entries = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, entry = line.rstrip().partition(":")
        if not colon or not user or not entry.startswith("$7$"):
            raise BadInput(
                "not an entry user:$7$… of Mosquitto 2; make it with `mosquitto_passwd`",
                where=f"{path}, line {number}",
            )
        entries[user] = entry
    return entries


def rendered(entries: Mapping[str, str]) -> str:
    """A password file with these entries by user. Raises `BadInput` for a name that would break it."""
    for user in entries:
        if not user or ":" in user or "\n" in user or len(user.encode()) > MAX_NAME_BYTES:
            raise BadInput("a user's name is not empty and has no colon and no line end", where=repr(user))
    return "".join(f"{user}:{entry}\n" for user, entry in entries.items())
