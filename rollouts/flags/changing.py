"""The transactions of views that change flags: served by this process as soon as they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from rollouts.web.context import runtime, transaction


@contextmanager
def changing() -> Iterator[Session]:
    """A write transaction, after which whoever asks this process is served the change."""
    with transaction() as session:
        yield session
    runtime().delivery.refresh()


@contextmanager
def previewing() -> Iterator[Session]:
    """A write transaction that is undone, to see what an edit would do."""
    with transaction() as session:
        yield session
        session.rollback()
