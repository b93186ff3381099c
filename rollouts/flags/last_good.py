"""The last good state on disk: what a process serves whose store is gone when it starts.

One file, replaced as a whole: a line that says its form and checksum, then the state.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from rollouts.flags.sources import Source

log = structlog.get_logger()

NAME: Final = "last-good.json"
FORM: Final = 1


class _Head(msgspec.Struct):
    form: int
    sha256: str


def write(folder: Path, sources: list[Source]) -> None:
    """Replace the file in one step, so that no reader ever meets half of it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = msgspec.json.encode(sources)
    head = msgspec.json.encode(_Head(FORM, hashlib.sha256(state).hexdigest()))
    handle, name = tempfile.mkstemp(dir=folder, prefix=NAME)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head + b"\n" + state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, folder / NAME)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise


def read(folder: Path) -> list[Source] | None:
    """The state last written; None if there is none, or it is damaged or of another form."""
    try:
        first, _, state = (folder / NAME).read_bytes().partition(b"\n")
        head = msgspec.json.decode(first, type=_Head)
        if head.form != FORM or head.sha256 != hashlib.sha256(state).hexdigest():
            raise ValueError("the form or the checksum differs")
        return msgspec.json.decode(state, type=list[Source])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as wrong:
        log.warning("last_good_unusable", reason=str(wrong))
        return None
