"""HTTP Message Signatures (RFC 9421) over digests of the content (RFC 9530): sign and verify; pure.

What is signed is a list of components: fields of the request by their names in lower case, and derived ones
(`@method`, `@target-uri`, …). HMAC with SHA-256 needs a secret that both sides hold, Ed25519 only the public
key on the far side. Of RFC 9421 everything that a delivery needs is here; component parameters are not.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pulse.errors import PulseError

Algorithm = Literal["hmac-sha256", "ed25519"]

LABEL = "pulse"
REQUEST = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
"""What is covered of a delivery that is pushed over HTTP."""
MESSAGE = ("content-type", "content-digest", "delivery")
"""What is covered of a delivery over MQTT: user properties of the message."""
MAX_AGE_S = 300
"""How old a signature may be when it is verified, and how far ahead its clock."""

_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=")
_NAME = re.compile(r'"((?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\["\\])*)"')
_PARAMETER = re.compile(r" *;\s*([a-z*][a-z0-9_.*-]*)=")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_END = re.compile(r"\s*(,|$)\s*")
_FIELD = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


class Unverified(PulseError):
    """A signature or digest that does not hold: `reason` is a short stable slug, the text words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Key(NamedTuple):
    """A key under its `id`. HMAC: `material` is the secret; Ed25519: the private key, 32 bytes, to sign with,
    or the public key, 32 bytes, to verify with (`public`).
    """

    id: str
    algorithm: Algorithm
    material: bytes
    public: bool = False

    def __repr__(self) -> str:
        return f"Key(id={self.id!r}, algorithm={self.algorithm!r})"


class Request(NamedTuple):
    """What components are taken from. Of a message that is no HTTP request only `fields` count.

    `fields` by name in lower case, several of one name joined by comma and space.
    """

    fields: Mapping[str, str]
    method: str = ""
    target: str = ""


class Signature(NamedTuple):
    """The two fields that carry a signature: `Signature-Input` and `Signature`."""

    input: str
    signature: str

    def as_fields(self) -> dict[str, str]:
        """Both by their names in lower case."""
        return {"signature-input": self.input, "signature": self.signature}


class Verified(NamedTuple):
    """A signature that holds: whose key, when it was made (seconds since 1970 UTC), and what it covers."""

    key: str
    created_s: int
    covered: tuple[str, ...]


class _Member(NamedTuple):
    covered: tuple[str, ...]
    parameters: dict[str, str | int]


def content_digest(content: bytes) -> str:
    """The `Content-Digest` field of a content: SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def check_digest(field: str | None, content: bytes) -> None:
    """Raise `Unverified` unless a `Content-Digest` field has the SHA-256 of this content."""
    if field is None:
        raise Unverified("missing", "there is no Content-Digest")
    found = _dictionary(field, "Content-Digest").get("sha-256")
    if found is None:
        raise Unverified("digest", "Content-Digest has no sha-256")
    if not hmac.compare_digest(_octets(found, "Content-Digest"), hashlib.sha256(content).digest()):
        raise Unverified("digest", "the content is not the one of Content-Digest: it was changed on its way")


def sign(
    request: Request, key: Key, created_s: int, *, covered: Collection[str] = REQUEST, label: str = LABEL
) -> Signature:
    """Sign these components of a request at a time. Raises `Unverified` for one that it does not have."""
    member = _Member(tuple(covered), {"created": created_s, "keyid": key.id, "alg": key.algorithm})
    made = (
        _mac(key, _base(request, member)) if key.algorithm == "hmac-sha256" else _signed(key, request, member)
    )
    return Signature(f"{label}={_serialized(member)}", f"{label}=:{base64.b64encode(made).decode()}:")


def verify(
    request: Request,
    keys: Iterable[Key],
    now_s: float,
    *,
    required: Collection[str] = REQUEST,
    max_age_s: float = MAX_AGE_S,
    label: str = LABEL,
) -> Verified:
    """Who signed a request. The content is not looked at: `check_digest` does that.

    Its fields need `signature-input` and `signature`; the signature has to cover what is `required`, to be by
    one of `keys` and made at most `max_age_s` from now. Raises `Unverified`.
    """
    for name in ("signature-input", "signature"):
        if name not in request.fields:
            raise Unverified("missing", f"there is no {name}")
    inputs = _dictionary(request.fields["signature-input"], "Signature-Input")
    signatures = _dictionary(request.fields["signature"], "Signature")
    if label not in inputs or label not in signatures:
        raise Unverified("missing", f"there is no signature labelled {label}")
    member = _member(inputs[label])
    left_out = [name for name in required if name not in member.covered]
    if left_out:
        raise Unverified("uncovered", f"the signature does not cover {', '.join(left_out)}")
    created = member.parameters.get("created")
    if not isinstance(created, int):
        raise Unverified("malformed", "the signature does not say when it was created")
    expires = member.parameters.get("expires")
    if abs(now_s - created) > max_age_s or (isinstance(expires, int) and now_s >= expires):
        raise Unverified("stale", f"the signature was created {now_s - created:.0f} s ago; check both clocks")
    named = member.parameters.get("keyid")
    key = next((key for key in keys if key.id == named), None)
    if key is None:
        raise Unverified("unknown_key", f"no key here has the id {named!r}")
    if member.parameters.get("alg", key.algorithm) != key.algorithm:
        raise Unverified("algorithm", f"key {key.id} is for {key.algorithm}")
    if not _holds(key, _base(request, member), _octets(signatures[label], "Signature")):
        raise Unverified("mismatch", f"the signature is not by key {key.id}, or what it covers was changed")
    return Verified(key.id, created, member.covered)


def public_of(key: Key) -> Key:
    """What the far side needs to verify: the public key of Ed25519, of HMAC the secret itself."""
    if key.algorithm == "hmac-sha256" or key.public:
        return key
    public = Ed25519PrivateKey.from_private_bytes(key.material).public_key().public_bytes_raw()
    return key._replace(material=public, public=True)


def signature_base(request: Request, covered: Collection[str], parameters: Mapping[str, str | int]) -> bytes:
    """The bytes that a signature is over (RFC 9421, 2.5). Raises `Unverified`."""
    return _base(request, _Member(tuple(covered), dict(parameters)))


def _base(request: Request, member: _Member) -> bytes:
    if len(set(member.covered)) != len(member.covered):
        raise Unverified("malformed", "a component is covered twice")
    lines = [f'"{name}": {_component(request, name)}' for name in member.covered]
    lines.append(f'"@signature-params": {_serialized(member)}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise Unverified("malformed", "a component is not ASCII") from None


def _component(request: Request, name: str) -> str:
    if not name.startswith("@"):
        if name not in request.fields:
            raise Unverified("missing", f"there is no field {name}, which the signature covers")
        value = request.fields[name].strip(" \t")
        if "\n" in value or "\r" in value:
            raise Unverified("malformed", f"the field {name} has more than one line")
        return value
    target = urlsplit(request.target)
    match name:
        case "@method":
            return request.method
        case "@target-uri":
            return request.target
        case "@authority":
            return _authority(target.netloc.lower(), target.scheme)
        case "@scheme":
            return target.scheme
        case "@path":
            return target.path or "/"
        case "@query":
            return f"?{target.query}"
    raise Unverified("malformed", f"the component {name} is not known here")


def _authority(netloc: str, scheme: str) -> str:
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return netloc.removesuffix(usual) if usual else netloc


def _serialized(member: _Member) -> str:
    names = " ".join(_string(name) for name in member.covered)
    said = "".join(
        f";{name}={value if isinstance(value, int) else _string(value)}"
        for name, value in member.parameters.items()
    )
    return f"({names}){said}"


def _string(text: str) -> str:
    if any(not " " <= char <= "~" for char in text):
        raise Unverified("malformed", "a text is not printable ASCII")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mac(key: Key, base: bytes) -> bytes:
    return hmac.digest(key.material, base, "sha256")


def _signed(key: Key, request: Request, member: _Member) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(key.material).sign(_base(request, member))


def _holds(key: Key, base: bytes, signature: bytes) -> bool:
    if key.algorithm == "hmac-sha256":
        return hmac.compare_digest(_mac(key, base), signature)
    try:
        Ed25519PublicKey.from_public_bytes(public_of(key).material).verify(signature, base)
    except InvalidSignature:
        return False
    return True


def _dictionary(field: str, where: str) -> dict[str, str]:
    """The members of a structured field (RFC 9651) by name, each as its text: inner list or bytes."""
    members: dict[str, str] = {}
    position = 0
    while position < len(field):
        begin = _MEMBER.match(field, position)
        if begin is None:
            raise Unverified("malformed", f"{where} is no dictionary of RFC 9651")
        end = _skip(field, begin.end(), where)
        members[begin[1]] = field[begin.end() : end]
        separator = _END.match(field, end)
        if separator is None or (separator[1] == "," and separator.end() == len(field)):
            raise Unverified("malformed", f"{where} is no dictionary of RFC 9651")
        position = separator.end()
    return members


def _skip(field: str, position: int, where: str) -> int:
    """Where the value that begins at `position` ends: the next comma that is in no string."""
    while position < len(field) and field[position] != ",":
        if field[position] == '"':
            text = _NAME.match(field, position)
            if text is None:
                raise Unverified("malformed", f"{where} has a string that does not end")
            position = text.end()
        else:
            position += 1
    return position


def _octets(text: str, where: str) -> bytes:
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise Unverified("malformed", f"{where} is no byte sequence of RFC 9651")
    try:
        return base64.b64decode(found[1], validate=True)
    except binascii.Error:
        raise Unverified("malformed", f"{where} is not base64") from None


def _member(text: str) -> _Member:
    """An inner list of strings with its parameters, strings or integers."""
    wrong = Unverified("malformed", "Signature-Input is no list of components with parameters")
    text = text.strip()
    if not text.startswith("("):
        raise wrong
    covered, position = [], 1
    while True:
        while text[position : position + 1] == " ":
            position += 1
        if text[position : position + 1] == ")":
            position += 1
            break
        name = _NAME.match(text, position)
        if name is None or text[name.end() : name.end() + 1] not in {" ", ")"}:
            raise wrong
        if not _FIELD.fullmatch(name[1].removeprefix("@")):
            raise wrong
        covered.append(name[1])
        position = name.end()
    parameters: dict[str, str | int] = {}
    while position < len(text):
        begin = _PARAMETER.match(text, position)
        if begin is None:
            raise wrong
        position = begin.end()
        if string := _NAME.match(text, position):
            parameters[begin[1]] = string[1].replace('\\"', '"').replace("\\\\", "\\")
            position = string.end()
        elif integer := _INTEGER.match(text, position):
            parameters[begin[1]] = int(integer[0])
            position = integer.end()
        else:
            raise wrong
    return _Member(tuple(covered), parameters)
