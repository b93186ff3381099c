"""Encrypted payloads: AES-128-CBC, which hides rules from casual readers and no more.

The key ships in every client, so this is no protection against anyone who looks.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

KEY_BYTES: Final = 16
IV_BYTES: Final = 16


class CannotDecrypt(ValueError):
    """A text that was not encrypted with this key, or is damaged."""


def encrypt(text: str, key: str, iv: bytes) -> str:
    """The field an SDK decrypts: base64 of the IV, a dot, base64 of the ciphertext.

    key: base64 of 16 bytes. iv: 16 bytes, the same for the same version of a payload, or its
    ETag would change with every request and every process (see `iv_of`).
    """
    encryptor = _cipher(_key(key), iv).encryptor()
    padder = PKCS7(128).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    sealed = encryptor.update(padded) + encryptor.finalize()
    return f"{b64encode(iv).decode()}.{b64encode(sealed).decode()}"


def iv_of(text: str, key: str, section: str) -> bytes:
    """An IV that all processes agree on: 16 bytes of a keyed hash of what is encrypted.

    Equal texts give equal bytes, which tells a reader no more than the ETag does; different
    texts never share an IV.
    """
    message = section.encode() + b"\0" + text.encode()
    return hmac.digest(_key(key), message, sha256)[:IV_BYTES]


def decrypt(field: str, key: str) -> str:
    """The text in a field. Raises CannotDecrypt."""
    iv, _, sealed = field.partition(".")
    try:
        decryptor = _cipher(_key(key), b64decode(iv, validate=True)).decryptor()
        padded = decryptor.update(b64decode(sealed, validate=True)) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (ValueError, binascii.Error) as error:
        raise CannotDecrypt("The text was not encrypted with this key, or is damaged.") from error


def _cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def _key(key: str) -> bytes:
    decoded = b64decode(key, validate=True)
    if len(decoded) != KEY_BYTES:
        raise ValueError(f"A key must be base64 of {KEY_BYTES} bytes.")
    return decoded
