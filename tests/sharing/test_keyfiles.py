"""Keys of outlets as files."""

from pathlib import Path

import pytest

from pulse.errors import BadInput, Conflict
from pulse.sharing import keyfiles, signing
from pulse.sharing.keyfiles import Keys
from pulse.sharing.signing import Algorithm, Request


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "outlets")


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "ed25519"])
def test_a_key_that_was_made_signs_and_is_its_owners_only(keys: Keys, algorithm: Algorithm) -> None:
    made = keys.make("fire", algorithm)
    assert keys.signing("fire", algorithm) == made
    assert keys.path("fire", keyfiles.SUFFIX[algorithm]).stat().st_mode & 0o777 == 0o600
    fields = {"content-type": "x"}
    fields |= signing.sign(Request(fields), made, 1, covered=["content-type"]).as_fields()
    found = signing.verify(Request(fields), [signing.public_of(made)], 1, required=["content-type"])
    assert found.key == made.id


def test_the_department_gets_the_public_half_as_a_file(keys: Keys) -> None:
    made = keys.make("fire", "ed25519")
    path = keys.path("fire", "ed25519.pub")
    assert b"PRIVATE" not in path.read_bytes()
    assert keyfiles.ed25519_key("fire", path.read_bytes(), "pub") == signing.public_of(made)


def test_a_key_is_replaced_only_when_asked_for_and_then_has_another_name(keys: Keys) -> None:
    first = keys.make("fire", "hmac-sha256")
    with pytest.raises(Conflict):
        keys.make("fire", "hmac-sha256")
    assert keys.signing("fire", "hmac-sha256") == first
    assert keys.make("fire", "hmac-sha256", replace=True).id != first.id


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_a_key_that_others_can_read_or_write_is_refused(keys: Keys, mode: int) -> None:
    keys.make("fire", "hmac-sha256")
    path = keys.path("fire", "hmac")
    path.chmod(mode)
    with pytest.raises(BadInput, match="chmod 600"):
        keys.signing("fire", "hmac-sha256")


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("hmac", b"zz" * 32),
        ("hmac", b"ab" * 31),
        ("hmac", b"\xff" * 64),
        ("hmac", b""),
        ("ed25519", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("ed25519", b"nothing"),
        ("password", b"nobody"),
    ],
)
def test_what_is_no_key_is_said_with_its_file_and_without_its_content(
    keys: Keys, what: str, data: bytes
) -> None:
    keys.folder.mkdir()
    path = keys.path("fire", what)
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(BadInput) as caught:
        keys.password("fire") if what == "password" else keys.signing(
            "fire", "ed25519" if what == "ed25519" else "hmac-sha256"
        )
    assert caught.value.where == str(path)
    assert not data or data.decode("latin-1") not in str(caught.value)


def test_a_missing_key_says_how_to_make_it(keys: Keys) -> None:
    with pytest.raises(BadInput, match="pulse outlet key"):
        keys.signing("fire", "hmac-sha256")


def test_an_outlet_that_is_no_id_leads_out_of_no_folder(keys: Keys) -> None:
    with pytest.raises(BadInput):
        keys.make("../fire", "hmac-sha256")


def test_user_and_password_may_hold_colons_after_the_first(keys: Keys) -> None:
    assert keys.password("fire") is None
    keys.folder.mkdir()
    keys.path("fire", "password").touch(0o600)
    keys.path("fire", "password").write_text("bridge:a:b\n", encoding="utf-8")
    assert keys.password("fire") == ("bridge", "a:b")


def test_the_masking_key_is_made_once(keys: Keys) -> None:
    made = keys.masking()
    assert len(made) == keyfiles.SECRET_BYTES
    assert keys.masking() == made
    assert (keys.folder / keyfiles.MASKING).stat().st_mode & 0o777 == 0o600
