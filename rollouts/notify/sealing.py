"""Secrets that must be used again are sealed: AES-256-GCM, a data key for each value.

The data key is wrapped by the service's secret, so a new secret means wrapping the small keys
anew, not every value. What a value is about (its row) is authenticated with it: a sealed value
copied to another row does not open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rollouts.config import Settings
from rollouts.errors import SettingWrong

FORM = b"\x01"
ID_BYTES, NONCE_BYTES, WRAPPED_BYTES = 8, 12, 32 + 16
KEY_FILE = "secret.key"


class SealBroken(SettingWrong):
    """A sealed value does not open: another secret, another row, or changed bytes."""


class Seal:
    """Seals and opens with one secret; all keys are derived from it and never stored."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._wrapping = AESGCM(self.derive("wrap data keys"))
        self._id = self.derive("name of the secret")[:ID_BYTES]
        self.unit_key = self.derive("hash units")

    @classmethod
    def from_settings(cls, settings: Settings) -> Seal:
        """Use the secret that is set; an embedded store keeps its own in a file."""
        if settings.secret_key:
            return cls(settings.secret_key)
        if not settings.is_embedded:
            raise SettingWrong(
                "ROLLOUTS_SECRET_KEY must be set with PostgreSQL: all processes share it. "
                "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        return cls(_kept_secret(settings.var_dir / KEY_FILE))

    def derive(self, label: str) -> bytes:
        """A key of 32 bytes for one purpose, the same at every start."""
        info = b"rollouts:" + label.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret)

    def seal(self, value: str, *, about: str) -> bytes:
        """Encrypt a value for the row that `about` names."""
        data_key = AESGCM.generate_key(bit_length=256)
        nonce = secrets.token_bytes(NONCE_BYTES)
        hidden = AESGCM(data_key).encrypt(nonce, value.encode(), about.encode())
        return self._wrap(data_key, about) + nonce + hidden

    def open(self, sealed: bytes, *, about: str) -> str:
        """Decrypt. Raises SealBroken with the likely cause."""
        data_key, rest = self._unwrap(sealed, about)
        try:
            opened = AESGCM(data_key).decrypt(
                rest[:NONCE_BYTES], rest[NONCE_BYTES:], about.encode()
            )
        except (InvalidTag, ValueError):
            raise SealBroken(f"the sealed value of {about} was changed") from None
        return opened.decode()

    def rewrap(self, sealed: bytes, *, about: str, former: Seal) -> bytes:
        """The same sealed value under this secret; the value itself is not opened."""
        data_key, rest = former._unwrap(sealed, about)
        return self._wrap(data_key, about) + rest

    def has_sealed(self, sealed: bytes) -> bool:
        """Whether this secret wrapped it."""
        return sealed[1 : 1 + ID_BYTES] == self._id

    def _wrap(self, data_key: bytes, about: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        wrapped = self._wrapping.encrypt(nonce, data_key, b"key:" + about.encode())
        return FORM + self._id + nonce + wrapped

    def _unwrap(self, sealed: bytes, about: str) -> tuple[bytes, bytes]:
        start = 1 + ID_BYTES
        middle, end = start + NONCE_BYTES, start + NONCE_BYTES + WRAPPED_BYTES
        if sealed[:1] != FORM or not self.has_sealed(sealed):
            raise SealBroken(f"{about} was sealed with another ROLLOUTS_SECRET_KEY")
        try:
            data_key = self._wrapping.decrypt(
                sealed[start:middle], sealed[middle:end], b"key:" + about.encode()
            )
        except (InvalidTag, ValueError):
            raise SealBroken(f"the sealed value of {about} was changed or moved") from None
        return data_key, sealed[end:]


def _kept_secret(path: Path) -> str:
    """The secret in the file, made by whoever comes first and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make_secret(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) < 32:
        raise SettingWrong(f"{path} holds no secret. Restore it from a backup, or remove it.")
    return secret


def _make_secret(path: Path) -> None:
    """Written whole under another name, then linked: no process ever reads half a secret."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first; its secret counts
            os.link(draft, path)
    finally:
        draft.unlink()
