"""HTTP Message Signatures (RFC 9421) over digests of the content (RFC 9530): sign and verify; pure.

What is signed is a list of components: fields of the request by their names in lower case, and derived ones
(`@method`, `@target-uri`, …). HMAC with SHA-256 needs a secret that both sides hold, Ed25519 only the public
key on the far side. Of RFC 9421 everything that a delivery needs is here; component parameters are not.
"""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pulse.errors import PulseError
from pulse.sharing.structured import Malformed, Member, dictionary, inner_list, octets, serialized

Algorithm = Literal["hmac-sha256", "ed25519"]

LABEL = "pulse"
REQUEST = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
"""What is covered of a delivery that is pushed over HTTP."""
MESSAGE = ("content-type", "content-digest", "delivery")
"""What is covered of a delivery over MQTT: user properties of the message."""
MAX_AGE_S = 300
"""How old a signature may be when it is verified, and how far ahead its clock."""


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


def content_digest(content: bytes) -> str:
    """The `Content-Digest` field of a content: SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def check_digest(field: str | None, content: bytes) -> None:
    """Raise `Unverified` unless a `Content-Digest` field has the SHA-256 of this content."""
    if field is None:
        raise Unverified("missing", "there is no Content-Digest")
    with _malformed():
        found = dictionary(field, "Content-Digest").get("sha-256")
        said = None if found is None else octets(found, "Content-Digest")
    if said is None:
        raise Unverified("digest", "Content-Digest has no sha-256")
    if not hmac.compare_digest(said, hashlib.sha256(content).digest()):
        raise Unverified("digest", "the content is not the one of Content-Digest: it was changed on its way")


def sign(
    request: Request, key: Key, created_s: int, *, covered: Collection[str] = REQUEST, label: str = LABEL
) -> Signature:
    """Sign these components of a request at a time. Raises `Unverified` for one that it does not have."""
    member = Member(tuple(covered), {"created": created_s, "keyid": key.id, "alg": key.algorithm})
    base = _base(request, member)
    made = _mac(key, base) if key.algorithm == "hmac-sha256" else _signed(key, base)
    return Signature(f"{label}={serialized(member)}", f"{label}=:{base64.b64encode(made).decode()}:")


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
    with _malformed():
        inputs = dictionary(request.fields["signature-input"], "Signature-Input")
        signatures = dictionary(request.fields["signature"], "Signature")
        if label not in inputs or label not in signatures:
            raise Unverified("missing", f"there is no signature labelled {label}")
        member = inner_list(inputs[label])
        signature = octets(signatures[label], "Signature")
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
    if not _holds(key, _base(request, member), signature):
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
    return _base(request, Member(tuple(covered), dict(parameters)))


@contextlib.contextmanager
def _malformed() -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise Unverified("malformed", str(error)) from None


def _base(request: Request, member: Member) -> bytes:
    if len(set(member.covered)) != len(member.covered):
        raise Unverified("malformed", "a component is covered twice")
    lines = [f'"{name}": {_component(request, name)}' for name in member.covered]
    with _malformed():
        lines.append(f'"@signature-params": {serialized(member)}')
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
    try:
        target = urlsplit(request.target)
    except ValueError:
        raise Unverified("malformed", "the target is no address") from None
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


def _mac(key: Key, base: bytes) -> bytes:
    return hmac.digest(key.material, base, "sha256")


def _signed(key: Key, base: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(key.material).sign(base)


def _holds(key: Key, base: bytes, signature: bytes) -> bool:
    if key.algorithm == "hmac-sha256":
        return hmac.compare_digest(_mac(key, base), signature)
    try:
        Ed25519PublicKey.from_public_bytes(public_of(key).material).verify(signature, base)
    except InvalidSignature:
        return False
    return True
