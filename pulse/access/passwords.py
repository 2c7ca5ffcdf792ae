"""Passwords of people: argon2id hashes, and rules after NIST SP 800-63B-4, 3.1.1.2.

Length counts, not composition: at least 15 characters (8 where the operator says so, the least that the
standard allows beside a second factor), at most 256, every character of Unicode, normalised (NFC) so that
the same password is the same on every keyboard. Refused are passwords that everybody tries, that repeat or
count, or that are made of the user's or the product's name. Nobody has to change one without cause.

Two lists look for these, as neither knows what the other does. zxcvbn (Wheeler, USENIX Security 2016) has
30,000 leaked passwords, common names and words, rows of keyboards, dates, l33t, and estimates the guesses
that a password made of such parts takes. Ours has Chinese habits and this trade's words, takes them out, and
looks at what remains.
"""

import re
import threading
import unicodedata

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn import zxcvbn

from pulse.errors import BadInput

DEFAULT_LEAST = 15
MOST = 256
"""Longer ones are refused rather than cut: hashing takes time for every byte."""

_hasher = PasswordHash((Argon2Hasher(),))
_at_once = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB for a moment; a storm of sign-ins must wait in line instead of taking the memory."""
_estimating = threading.Lock()
"""zxcvbn keeps the words that it is given in a variable of its module."""

_COMMON = frozenset(
    " ".join(
        (
            "password passw0rd p@ssword p@ssw0rd pass word letmein welcome administrator admin",
            "root user guest login qwerty qwertyuiop qwertyuiopasdfghjkl asdfghjkl zxcvbnm",
            "1q2w3e4r 1qaz2wsx 1qaz2wsx3edc iloveyou monkey dragon football baseball superman",
            "batman master sunshine princess trustno1 starwars changeme default secret test demo",
            "abc123 abcd1234 a1b2c3 woaini woaini1314 5201314 mima wodemima gongan shequ xiaoqu",
            "wuye 社区脉搏 密码 我的密码 管理员 默认密码 communitypulse community pulse",
            "woaizhongguo zhongguo tangshan jiaodaibu huanying hikvision huawei dahua uniview tplink",
        )
    ).split()
)
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)
_LEAST_OF_ITS_OWN = 6
"""Characters that have to remain once everything guessable is taken out."""
_MOST_ESTIMATED = 72
"""Characters that are looked at for the estimate, which takes time for each; that is zxcvbn's own limit."""
_LEAST_MAGNITUDE = 10
"""Powers of ten of guesses that a password has to withstand: what zxcvbn calls very unguessable, and fewer
where a password may be so short that random characters would not reach it."""


def check(password: str, *, user: str = "", least: int = DEFAULT_LEAST, where: str = "password") -> None:
    """Raise `BadInput` naming `where` for a password that the rules refuse; the text tells how to mend it."""
    text = unicodedata.normalize("NFC", password)
    if len(text) < least:
        raise BadInput(
            f"密码至少 {least} 个字符，可用几个词组成一句话 / "
            f"use at least {least} characters; a few words make a good one",
            where=where,
        )
    if len(text) > MOST:
        raise BadInput(f"密码最多 {MOST} 个字符 / use at most {MOST} characters", where=where)
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise BadInput("密码含有控制字符 / holds a control character", where=where)
    few = len(_unguessable(text.casefold(), user.casefold())) < min(_LEAST_OF_ITS_OWN, least)
    if few or _guesses(text, user) < 10 ** min(_LEAST_MAGNITUDE, least - 1):
        raise BadInput(
            "密码太容易猜：由常见或已泄露的密码、姓名、日期、用户名、重复或连续的字符组成 / "
            "too easy to guess: made of common or leaked passwords, names, dates, the user's name, repeated "
            "or consecutive characters",
            where=where,
        )


def _names(user: str) -> set[str]:
    parts = {part for part in re.split(r"[._\-@\s]+", user) if len(part) >= 3}
    return parts | {user} if user else parts


def _guesses(text: str, user: str) -> int:
    """How many guesses find it, for somebody who knows what people choose and the user's name."""
    names = sorted(_names(user.casefold()))
    with _estimating:
        found = zxcvbn(text[:_MOST_ESTIMATED], user_inputs=[*names, *sorted(_COMMON)])
    return int(found["guesses"])


def _unguessable(text: str, user: str) -> str:
    """What remains without common words, the user's name, repetitions and runs of the keyboard."""
    names = _names(user)
    for word in sorted(_COMMON | names, key=len, reverse=True):
        if len(word) >= 3 or word in names:
            text = text.replace(word, " ")
    text = re.sub(r"(.)\1{2,}", r"\1", text)
    text = re.sub(r"(.{2,8}?)\1+", r"\1", text)
    for row in _ROWS:
        for way in (row, row[::-1]):
            for length in range(len(way), 3, -1):
                for start in range(len(way) - length + 1):
                    text = text.replace(way[start : start + length], " ")
    return "".join(text.split())


def hashed(password: str) -> str:
    """The argon2id hash (RFC 9106) with its parameters and salt, as one line of text."""
    with _at_once:
        return _hasher.hash(unicodedata.normalize("NFC", password))


def matches(password: str, kept: str | None) -> bool:
    """Whether `password` is the one of the hash; as slow for a user who does not exist (None)."""
    with _at_once:
        found = _hasher.verify(unicodedata.normalize("NFC", password)[: MOST + 1], kept or _nobody())
    return found and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's: then it is made anew at a sign-in."""
    with _at_once:
        return _hasher.current_hasher.check_needs_rehash(kept)


_made: list[str] = []


def _nobody() -> str:
    """A hash that no password fits, made at its first use."""
    if not _made:
        _made.append(_hasher.hash("\0nobody"))
    return _made[0]
