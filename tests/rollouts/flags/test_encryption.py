import json
from base64 import b64encode

import pytest
from growthbook import decrypt as sdk_decrypt
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.encryption import CannotDecrypt, decrypt, encrypt, iv_of

from .cases import section, without_cases
from .strategies import steady

KEY = "Zvwv/+uhpFDznZ6SX28Yjg=="
keys = st.binary(min_size=16, max_size=16).map(lambda key: b64encode(key).decode())


@without_cases
def test_decryption_equals_the_published_cases():
    """Right keys open, wrong keys and damaged texts are refused."""
    cases = section("decrypt")
    for name, field, key, expected in cases:
        if expected is None:
            with pytest.raises(CannotDecrypt):
                decrypt(field, key)
        else:
            assert decrypt(field, key) == expected, name

    assert len(cases) == 10


@steady
@given(st.text(), keys, st.binary(min_size=16, max_size=16))
def test_the_sdk_reads_what_was_encrypted(text, key, iv):
    """Any text under any key, and so does our own reader."""
    field = encrypt(text, key, iv)

    assert sdk_decrypt(field, key) == text
    assert decrypt(field, key) == text


def test_equal_versions_have_equal_bytes():
    """So that the ETag is the same in every process, and 304 can happen."""
    text = json.dumps({"flag": {"defaultValue": True}})
    first, second = (encrypt(text, KEY, iv_of(text, KEY, "features")) for _ in range(2))

    assert first == second


def test_another_text_section_or_key_has_another_iv():
    """An IV is never met twice with one key for two texts."""
    other = b64encode(bytes(16)).decode()
    ivs = {
        iv_of(text, key, section)
        for text in ("a", "b")
        for key in (KEY, other)
        for section in ("features", "savedGroups")
    }

    assert len(ivs) == 8


@pytest.mark.parametrize("key", ["", "short", b64encode(bytes(32)).decode(), "é" * 24])
def test_a_key_of_another_length_is_refused(key):
    """AES-128 has sixteen bytes; nothing is padded or cut to fit."""
    with pytest.raises(ValueError):
        encrypt("text", key, bytes(16))
    with pytest.raises(CannotDecrypt):
        decrypt(encrypt("text", KEY, bytes(16)), key)


@steady
@given(st.text())
def test_reading_any_text_raises_nothing_else(field):
    """A damaged field is one kind of error."""
    with pytest.raises(CannotDecrypt):
        decrypt(field, KEY)
