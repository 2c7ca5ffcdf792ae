"""Keys of outlets as files, one folder, readable by their owner only: made, read, never logged.

Of an outlet `fire`: `fire.hmac` (hexadecimal digits of the secret), `fire.ed25519` (private key, PKCS #8 in
PEM) beside `fire.ed25519.pub`, which the department gets; `fire.password` (`user:password` of the
department's broker), `fire.ca.pem` (whom to trust), `fire.client.pem` (a certificate and key of our own).
`masking.key` is the installation's, for digests of personal fields.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pulse.errors import BadInput, Conflict
from pulse.ids import check_id
from pulse.sharing.signing import Algorithm, Key, public_of

SUFFIX: dict[Algorithm, str] = {"hmac-sha256": "hmac", "ed25519": "ed25519"}
MASKING = "masking.key"
SECRET_BYTES = 32
_MOST_BYTES = 65_536


class Keys:
    """The folder of the outlets' keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, outlet: str, what: str) -> Path:
        """Where a file of an outlet lies. Raises `BadInput` for what is no id."""
        return self.folder / f"{check_id(outlet, 'outlet')}.{what}"

    def signing(self, outlet: str, algorithm: Algorithm) -> Key:
        """The key to sign with. Raises `BadInput` naming a file that is missing, open to others or no key."""
        path = self.path(outlet, SUFFIX[algorithm])
        data = _read_secret(path)
        if algorithm == "hmac-sha256":
            return hmac_key(outlet, data, str(path))
        return ed25519_key(outlet, data, str(path))

    def password(self, outlet: str) -> tuple[str, str] | None:
        """User and password at the department's broker or server, None if there is no file."""
        path = self.path(outlet, "password")
        if not path.exists():
            return None
        user, colon, password = _text(_read_secret(path), str(path)).partition(":")
        if not colon or not user:
            raise BadInput("一行 用户:密码 / has to be one line, user:password", where=str(path))
        return user, password

    def authority(self, outlet: str) -> Path | None:
        """Certificates (PEM) that the far side's has to come from, None for the system's."""
        path = self.path(outlet, "ca.pem")
        return path if path.exists() else None

    def client(self, outlet: str) -> Path | None:
        """Our own certificate with its key (PEM), None for none. Raises `BadInput` if open to others."""
        path = self.path(outlet, "client.pem")
        if not path.exists():
            return None
        _check_closed(path)
        return path

    def make(self, outlet: str, algorithm: Algorithm, *, replace: bool = False) -> Key:
        """Make a key, the private one for its owner only. Raises `Conflict` where there is one already."""
        path = self.path(outlet, SUFFIX[algorithm])
        if path.exists() and not replace:
            raise Conflict(f"{path} 已存在，不会覆盖 / is there already and is not overwritten")
        if algorithm == "hmac-sha256":
            _store(path, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
            return self.signing(outlet, algorithm)
        private = Ed25519PrivateKey.generate()
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        _store(path, private.private_bytes(*form, serialization.NoEncryption()))
        key = self.signing(outlet, algorithm)
        _store(self.path(outlet, "ed25519.pub"), public_pem(key), mode=0o644)
        return key

    def masking(self) -> bytes:
        """The installation's key for digests of personal fields, made when it is needed first."""
        path = self.folder / MASKING
        if not path.exists():
            # Another process may be quicker.
            with contextlib.suppress(Conflict):
                _store(path, secrets.token_hex(SECRET_BYTES).encode() + b"\n", exclusive=True)
        return hmac_key("masking", _read_secret(path), str(path)).material


def hmac_key(outlet: str, data: bytes, where: str) -> Key:
    """The key that the text of a secret's file says: 64 or more hexadecimal digits. Raises `BadInput`."""
    try:
        material = bytes.fromhex(_text(data, where))
    except ValueError:
        raise BadInput("不是十六进制数字 / is not hexadecimal digits", where=where) from None
    if len(material) < SECRET_BYTES:
        raise BadInput(
            f"至少 {2 * SECRET_BYTES} 个十六进制数字 / at least {2 * SECRET_BYTES} hexadecimal digits",
            where=where,
        )
    return Key(_name(outlet, hmac.digest(material, b"pulse key id", "sha256")), "hmac-sha256", material)


def ed25519_key(outlet: str, data: bytes, where: str) -> Key:
    """The key of a PEM, the private or the public one. Raises `BadInput`."""
    wrong = BadInput("不是 Ed25519 的 PEM 密钥 / is no Ed25519 key in PEM", where=where)
    try:
        if b"PRIVATE" in data:
            private = serialization.load_pem_private_key(data, None)
            if not isinstance(private, Ed25519PrivateKey):
                raise wrong
            key = Key("", "ed25519", private.private_bytes_raw())
        else:
            public = serialization.load_pem_public_key(data)
            if not isinstance(public, Ed25519PublicKey):
                raise wrong
            key = Key("", "ed25519", public.public_bytes_raw(), public=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise wrong from None
    return key._replace(id=_name(outlet, hashlib.sha256(public_of(key).material).digest()))


def public_pem(key: Key) -> bytes:
    """The public half of an Ed25519 key as PEM, for the department."""
    public = Ed25519PublicKey.from_public_bytes(public_of(key).material)
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _name(outlet: str, fingerprint: bytes) -> str:
    # Both sides see which of two keys was used, while one replaces the other.
    return f"{outlet}-{fingerprint.hex()[:8]}"


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise BadInput("不是文本 / is no text", where=where) from None


def _read_secret(path: Path) -> bytes:
    _check_closed(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"读不了 / cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > _MOST_BYTES:
        raise BadInput(f"大于 {_MOST_BYTES} 字节 / is larger than {_MOST_BYTES} bytes", where=str(path))
    return data


def _check_closed(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BadInput(
            "不存在；用 pulse outlet key 生成，或把文件放在那里 / is not there; make it with "
            "`pulse outlet key`, or put it there",
            where=str(path),
        ) from None
    except OSError as error:
        raise BadInput(f"读不了 / cannot be read: {error.strerror}", where=str(path)) from error
    if not stat.S_ISREG(found.st_mode):
        raise BadInput("不是文件 / is no file", where=str(path))
    if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise BadInput(
            f"他人可读写，请 chmod 600 / is open to others (mode {found.st_mode & 0o777:o}); chmod 600 it",
            where=str(path),
        )


def _store(path: Path, data: bytes, *, mode: int = 0o600, exclusive: bool = False) -> None:
    """Whole or not at all; `exclusive` raises `Conflict` where there is one already."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(new, path)
            new.unlink()
        else:
            new.replace(path)
    except FileExistsError:
        new.unlink(missing_ok=True)
        raise Conflict(f"{path} 已存在 / is there already") from None
    except OSError as error:
        raise BadInput(f"写不了 / cannot be written: {error.strerror}", where=str(path)) from error
