"""Regular expressions in conditions, run by RE2: linear time, bounded memory, no look-around.

Patterns are typed by people and subjects come from anybody, so a backtracking engine would
let one attribute value stall the service.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

LONGEST_PATTERN: Final = 500  # characters
LONGEST_SUBJECT: Final = 10_000  # bytes of UTF-8
MAX_MEMORY: Final = 1 << 20  # bytes

Matcher = Callable[[bytes], bool]

_UNICODE_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LOOK_AROUND: Final = re.compile(r"\(\?<?[=!]")
_BACK_REFERENCE: Final = re.compile(r"\\[1-9]|\\k<")


class BadPattern(ValueError):
    """A pattern that RE2 cannot or may not run; the text says why."""


def pattern_problem(pattern: str) -> str | None:
    """Why a pattern is refused on save, or None if it can be run.

    >>> pattern_problem("^(Mobile|Tablet)$")
    >>> pattern_problem("(?=x)")
    'Look-around is not supported: RE2 runs in linear time and has none.'
    """
    try:
        compile_pattern(pattern, ignore_case=False)
    except BadPattern as refusal:
        return str(refusal)
    return None


@lru_cache(maxsize=1_000)
def compile_pattern(pattern: str, *, ignore_case: bool) -> Matcher:
    """A function that says whether a UTF-8 subject holds a match. Raises BadPattern."""
    if len(pattern) > LONGEST_PATTERN:
        raise BadPattern(f"A pattern may have at most {LONGEST_PATTERN} characters.")
    try:
        search = re2.compile(_in_re2_syntax(pattern), _options(ignore_case)).search
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(_reason(pattern, error)) from error
    return lambda subject: search(subject) is not None


def _options(ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not ignore_case
    return options


def _in_re2_syntax(pattern: str) -> str:
    """JavaScript's four-digit escapes rewritten; all else that both know is spelt alike."""
    return _UNICODE_ESCAPE.sub(
        lambda found: f"\\x{{{found[1]}}}" if found[1] else found[0], pattern
    )


def _reason(pattern: str, error: Exception) -> str:
    if _LOOK_AROUND.search(pattern):
        return "Look-around is not supported: RE2 runs in linear time and has none."
    if _BACK_REFERENCE.search(pattern):
        return "Back-references are not supported: RE2 runs in linear time and has none."
    if isinstance(error, UnicodeEncodeError):
        return "The pattern holds half of a surrogate pair."
    detail = error.args[0] if error.args else "unknown"
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return f"The pattern is invalid: {text}."


def subject_of(text: str) -> bytes | None:
    """A subject as RE2 reads it, or None if it is too long to be searched."""
    if len(text) > LONGEST_SUBJECT:
        return None
    subject = text.encode(errors="replace")
    return subject if len(subject) <= LONGEST_SUBJECT else None
