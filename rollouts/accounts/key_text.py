"""How a key is written: `rlk_<kind>_<id>_<secret><crc32>`.

Found by its id, compared by its hash. The checksum lets a typing error, or a scanner that looks
for leaked keys, be told from a key without asking the store.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

from rollouts.accounts.model import KeyKind

LONGEST = 512
_FORM = re.compile(r"rlk_(api|wk|ww)_([0-9a-f]{12})_([0-9a-f]{64})([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment its text is known."""

    id: str
    text: str
    secret_hash: str


def make(kind: KeyKind) -> NewKey:
    """A new key with 256 random bits."""
    key_id = secrets.token_hex(6)
    body = f"rlk_{kind}_{key_id}_{secrets.token_hex(32)}"
    text = body + _checksum(body)
    return NewKey(key_id, text, digest(text))


def find_id(text: str) -> str | None:
    """The id within a well-formed key, or None."""
    match = _FORM.fullmatch(text)
    if match is None or _checksum(text[:-8]) != match[4]:
        return None
    return match[2]


def digest(text: str) -> str:
    """SHA-256, as 64 hex digits. Fast on purpose: the secret cannot be guessed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def matches(text: str, secret_hash: str) -> bool:
    """Whether a presented secret has this hash, in time that does not tell how nearly."""
    return hmac.compare_digest(digest(text), secret_hash)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
