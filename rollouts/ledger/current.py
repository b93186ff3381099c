"""The catalogue of now, made anew only when some plan has moved on."""

from __future__ import annotations

from operator import is_

from sqlalchemy.orm import Session

from rollouts.ledger.catalogue import Catalogue
from rollouts.lifecycle.measured import Measured, list_measured

_last: tuple[list[Measured], Catalogue] = ([], Catalogue(()))  # replaced whole: safe from threads


def current_catalogue(session: Session) -> Catalogue:
    """All that is counted for now. Nobody changes a catalogue, so one is shared."""
    global _last
    measured = list_measured(session)
    before, held = _last
    if len(before) != len(measured) or not all(map(is_, before, measured)):
        held = Catalogue(measured)
        _last = (measured, held)
    return held
