"""What every command prints to, and how it reaches the parts of the service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from rollouts.runtime import Runtime

OpenParts = Callable[[], AbstractContextManager[Runtime]]  # what click hands to a command

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line as it is, with nothing in it taken for markup."""
    out.print(text, markup=False, soft_wrap=True)


def write(text: str, file: Path | None) -> None:
    """A whole text to a file, or to standard output where none is named."""
    if file is None:
        say(text.rstrip())
    else:
        file.write_text(text, encoding="utf-8")
