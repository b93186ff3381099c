"""What every command prints to, and how it reaches the parts of the service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.console import Console

from rollouts.runtime import Runtime

OpenParts = Callable[[], AbstractContextManager[Runtime]]  # what click hands to a command

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line as it is, with nothing in it taken for markup."""
    out.print(text, markup=False, soft_wrap=True)
