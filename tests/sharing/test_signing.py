"""Signatures of deliveries: RFC 9421's own vectors, and everything that must not pass."""

import base64
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given
from hypothesis import strategies as st

from pulse.sharing import signing
from pulse.sharing.signing import Key, Request, Signature, Unverified

# RFC 9421, B.1.4, B.1.5 and the test request of B.2.
RFC_ED25519 = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
RFC_ED25519_PUBLIC = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
RFC_SECRET = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
RFC_FIELDS = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-length": "18",
}
RFC_TARGET = "https://example.com/foo?param=Value&Pet=dog"
RFC_CREATED_S = 1618884473

NOW_S = 1_795_000_000
BODY = b'{"form":1}'


def _rfc_private() -> bytes:
    key = load_der_private_key(base64.b64decode(RFC_ED25519), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.private_bytes_raw()


def test_the_hmac_example_of_the_rfc() -> None:
    key = Key("test-shared-secret", "hmac-sha256", base64.b64decode(RFC_SECRET))
    signed = {
        "signature-input": 'sig-b25=("date" "@authority" "content-type");created=1618884473'
        ';keyid="test-shared-secret"',
        "signature": "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    }
    request = Request(RFC_FIELDS | signed, "POST", RFC_TARGET)
    found = signing.verify(request, [key], RFC_CREATED_S, required=["date"], label="sig-b25")
    assert found == ("test-shared-secret", RFC_CREATED_S, ("date", "@authority", "content-type"))


def test_the_ed25519_example_of_the_rfc() -> None:
    key = Key("test-key-ed25519", "ed25519", base64.b64decode(RFC_ED25519_PUBLIC), public=True)
    assert signing.public_of(Key("test-key-ed25519", "ed25519", _rfc_private())) == key
    covered = ("date", "@method", "@path", "@authority", "content-type", "content-length")
    signed = {
        "signature-input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lI"
        "p5WPpBKRCw==:",
    }
    request = Request(RFC_FIELDS | signed, "POST", RFC_TARGET)
    assert signing.verify(request, [key], RFC_CREATED_S, required=covered, label="sig-b26").covered == covered


def test_the_signature_base_is_the_one_of_the_rfc() -> None:
    base = signing.signature_base(
        Request(RFC_FIELDS, "POST", RFC_TARGET),
        ("date", "@authority", "content-type"),
        {"created": RFC_CREATED_S, "keyid": "test-shared-secret"},
    )
    assert base == (
        b'"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@authority": example.com\n'
        b'"content-type": application/json\n'
        b'"@signature-params": ("date" "@authority" "content-type");created=1618884473'
        b';keyid="test-shared-secret"'
    )


def test_the_digest_example_of_rfc_9530() -> None:
    assert signing.content_digest(b'{"hello": "world"}') == (
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
    )


def test_other_digests_beside_it_do_no_harm() -> None:
    signing.check_digest(f"sha-512=:AAAA:, {signing.content_digest(BODY)}", BODY)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (None, "missing"),
        ("", "digest"),
        ("sha-512=:AAAA:", "digest"),
        ("sha-256=AAAA", "malformed"),
        ("sha-256=:AAA:", "malformed"),
        ("sha-256", "malformed"),
        (signing.content_digest(BODY + b" "), "digest"),
    ],
)
def test_a_digest_that_does_not_fit_is_refused(field: str | None, reason: str) -> None:
    with pytest.raises(Unverified) as caught:
        signing.check_digest(field, BODY)
    assert caught.value.reason == reason


HMAC = Key("fire-1a2b", "hmac-sha256", b"s" * 32)
ED25519 = Key("fire-3c4d", "ed25519", bytes(range(32)))


@dataclass
class Pushed:
    """A signed delivery, which a test may spoil before it is verified."""

    key: Key = HMAC
    method: str = "POST"
    target: str = "https://fire.example/in?from=pulse"
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fields = {
            "content-type": "application/json",
            "content-digest": signing.content_digest(BODY),
            "idempotency-key": "fire-17",
        }
        self.fields |= self.signed().as_fields()

    def signed(self) -> Signature:
        return signing.sign(Request(self.fields, self.method, self.target), self.key, NOW_S)

    def refused(self, *keys: Key, now_s: float = NOW_S) -> str:
        with pytest.raises(Unverified) as caught:
            self.verified(*keys, now_s=now_s)
        return caught.value.reason

    def verified(self, *keys: Key, now_s: float = NOW_S) -> signing.Verified:
        request = Request(self.fields, self.method, self.target)
        return signing.verify(request, keys or [signing.public_of(self.key)], now_s)


@pytest.mark.parametrize("key", [HMAC, ED25519])
def test_what_is_signed_verifies(key: Key) -> None:
    pushed = Pushed(key)
    assert pushed.fields["signature-input"] == (
        'pulse=("@method" "@target-uri" "content-type" "content-digest" "idempotency-key")'
        f';created={NOW_S};keyid="{key.id}";alg="{key.algorithm}"'
    )
    assert pushed.verified() == (key.id, NOW_S, signing.REQUEST)


@pytest.mark.parametrize("key", [HMAC, ED25519])
@pytest.mark.parametrize("name", ["content-type", "content-digest", "idempotency-key"])
def test_a_changed_field_is_noticed(key: Key, name: str) -> None:
    pushed = Pushed(key)
    pushed.fields[name] += "1"
    assert pushed.refused() == "mismatch"


@pytest.mark.parametrize("key", [HMAC, ED25519])
def test_a_delivery_to_another_address_or_by_another_method_does_not_verify(key: Key) -> None:
    pushed = Pushed(key)
    pushed.target = "https://other.example/in?from=pulse"
    assert pushed.refused() == "mismatch"
    pushed = Pushed(key)
    pushed.method = "PUT"
    assert pushed.refused() == "mismatch"


def test_a_signature_without_a_field_that_it_has_to_cover_is_refused() -> None:
    pushed = Pushed()
    pushed.fields |= signing.sign(
        Request(pushed.fields, pushed.method, pushed.target), HMAC, NOW_S, covered=["content-type"]
    ).as_fields()
    assert pushed.refused() == "uncovered"


def test_a_field_that_is_covered_has_to_be_there() -> None:
    pushed = Pushed()
    del pushed.fields["idempotency-key"]
    assert pushed.refused() == "missing"


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_an_unsigned_delivery_is_refused(name: str) -> None:
    pushed = Pushed()
    del pushed.fields[name]
    assert pushed.refused() == "missing"


def test_another_key_under_the_same_id_does_not_verify() -> None:
    assert Pushed().refused(HMAC._replace(material=b"t" * 32)) == "mismatch"
    other = signing.public_of(ED25519._replace(material=bytes(32)))
    assert Pushed(ED25519).refused(other) == "mismatch"


def test_a_key_that_nobody_knows_is_named() -> None:
    assert Pushed().refused(HMAC._replace(id="other")) == "unknown_key"


def test_the_algorithm_is_the_keys_and_not_the_senders_choice() -> None:
    # With the public key as the secret of an HMAC anybody could sign.
    public = signing.public_of(ED25519)
    pushed = Pushed(Key(ED25519.id, "hmac-sha256", public.material))
    assert pushed.refused(public) == "algorithm"


@pytest.mark.parametrize("away_s", [-301, 301])
def test_old_signatures_and_ones_from_the_future_are_refused(away_s: int) -> None:
    assert Pushed().refused(now_s=NOW_S + away_s) == "stale"


def test_of_two_keys_the_one_that_is_named_counts() -> None:
    assert Pushed().verified(HMAC._replace(id="old", material=b"o" * 32), HMAC).key == HMAC.id


@pytest.mark.parametrize(
    "input_field",
    [
        "pulse=",
        "pulse=(",
        'pulse=("@method"',
        'pulse=("@method""content-type")',
        'pulse=("@method");created=x',
        'pulse=("content-type";bs);created=1',
        "pulse=(content-type);created=1",
        'pulse=("a" "a");created=1,',
        '"@method"',
        'pulse=("\\");created=1',
        'pulse=("@method" "@target-uri" "content-type" "content-digest" "idempotency-key")',
        'pulse=("@method" "@target-uri" "content-type" "content-digest" "idempotency-key" "@method")'
        f';created={NOW_S};keyid="{HMAC.id}"',
        'pulse=("@method" "@target-uri" "content-type" "content-digest" "idempotency-key" "@status")'
        f';created={NOW_S};keyid="{HMAC.id}"',
    ],
)
def test_what_is_no_signature_input_is_refused_in_words(input_field: str) -> None:
    pushed = Pushed()
    pushed.fields["signature-input"] = input_field
    assert pushed.refused() in {"malformed", "uncovered"}


@given(st.text(), st.text())
def test_no_text_in_these_fields_does_more_than_being_refused(input_field: str, signature: str) -> None:
    pushed = Pushed()
    pushed.fields |= {"signature-input": input_field, "signature": signature}
    pushed.refused()


@given(st.integers(0, len(BODY) * 8 - 1))
def test_every_changed_bit_of_the_content_is_noticed(bit: int) -> None:
    spoilt = bytearray(BODY)
    spoilt[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unverified):
        signing.check_digest(signing.content_digest(BODY), bytes(spoilt))


def test_what_would_break_the_lines_of_the_base_is_refused() -> None:
    pushed = Pushed()
    pushed.fields["idempotency-key"] = 'fire-17\n"@method": GET'
    with pytest.raises(Unverified):
        pushed.signed()
    pushed.fields["idempotency-key"] = "消防-17"
    with pytest.raises(Unverified):
        pushed.signed()


def test_a_key_does_not_show_its_material() -> None:
    assert "ssss" not in f"{HMAC} {HMAC!r}"


def test_other_signatures_beside_ours_do_no_harm() -> None:
    pushed = Pushed()
    pushed.fields["signature-input"] = f'proxy=("x, y" "date");created=1, {pushed.fields["signature-input"]}'
    pushed.fields["signature"] = f"proxy=:AAAA:, {pushed.fields['signature']}"
    assert pushed.verified().key == HMAC.id


def test_a_message_over_mqtt_covers_its_user_properties() -> None:
    fields = {
        "content-type": "application/json",
        "content-digest": signing.content_digest(BODY),
        "delivery": "fire-17",
    }
    signed = signing.sign(Request(fields), HMAC, NOW_S, covered=signing.MESSAGE)
    request = Request(fields | signed.as_fields())
    assert signing.verify(request, [HMAC], NOW_S, required=signing.MESSAGE).covered == signing.MESSAGE
