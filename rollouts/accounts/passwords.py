"""Passwords: which are taken, how they are kept, and what a guess costs.

No rule of composition: length, and not being what everybody tries first.
`common_passwords.txt.gz` holds the 3,000 most common passwords and all known ones of 12 or more
characters from the ranking that zxcvbn ships (MIT).
"""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rollouts.errors import Fault, Invalid, Unavailable

SHORTEST, LONGEST = 12, 128
HASHES_AT_ONCE = 2  # each takes 64 MiB and a tenth of a second
WAIT_SECONDS = 5.0

_hasher = PasswordHasher()  # argon2id, 64 MiB, 3 passes, 4 lanes
_turns = threading.BoundedSemaphore(HASHES_AT_ONCE)
_LIST = Path(__file__).with_name("common_passwords.txt.gz")


def check(password: str, *, names: Iterable[str] = ()) -> None:
    """Refuse a password that is short, long, or among the first that anybody would try.

    names: words that stand for this person or place; no better than a common password.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        _refuse(f"Take {SHORTEST} to {LONGEST} characters; a few words in a row do well.")
    guesses = common() | {part.casefold() for part in names if len(part) >= 3}
    if any(len(kernel) < 4 or kernel in guesses for kernel in _kernels(password.casefold())):
        _refuse("This is among the first passwords that anybody would try. Take another.")


def hash_password(password: str) -> str:
    """The form that is kept."""
    with _Turn():
        return _hasher.hash(password)


def is_right(password: str, kept: str | None) -> bool:
    """Whether the password fits. Without one to compare with it takes just as long."""
    with _Turn():
        try:
            _hasher.verify(kept or _stand_in(), password[: LONGEST * 4])
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def needs_rehash(kept: str) -> bool:
    """Whether it was kept with weaker parameters than are used now."""
    return _hasher.check_needs_rehash(kept)


@cache
def common() -> frozenset[str]:
    """What everybody tries first, in lower case."""
    return frozenset(gzip.decompress(_LIST.read_bytes()).decode().split())


def _kernels(password: str) -> set[str]:
    """What is left of a password without the padding that guessers add themselves."""
    whole = "".join(password.split())
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", whole)
    return {_unrepeated(text) for text in (whole, bare) if text} | {bare or whole}


def _unrepeated(text: str) -> str:
    """The part that the text repeats, or the text: "abcabc" is "abc".

    >>> _unrepeated("abcabc"), _unrepeated("abcab")
    ('abc', 'abcab')
    """
    return text[: (text + text).index(text, 1)]


def _refuse(why: str) -> None:
    raise Invalid(why, faults=(Fault("new", why),))


@cache
def _stand_in() -> str:
    return _hasher.hash("nobody has this password")


class _Turn:
    """One of the few hashes that may run at once in this process."""

    def __enter__(self) -> None:
        if not _turns.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("Too many people are signing in at once. Try again in a moment.")

    def __exit__(self, *_: object) -> None:
        _turns.release()
