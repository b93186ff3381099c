"""Sums that are read unit by unit, kept for a while: they must not slow the stop-loss down.

What they cost grows with the customers, and so does the time for which they are kept; so they
take the same small part of the time of a small rollout and of a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analysis.summary import PairSummary

STATE = ":sums"  # no test's name: theirs have a slash
FEW = 10_000  # customers up to which asking anew costs nothing
PER_UNIT = timedelta(milliseconds=1)  # of patience: a million customers are read every 17 minutes

Cell = tuple[int, int]  # variation, stratum
Cells = Mapping[Cell, PairSummary]


@dataclass(slots=True)
class Kept:
    """What earlier looks read, and when. `state` is what the next look gets."""

    state: dict[str, Any]
    units: int
    now: datetime
    is_final: bool

    def get(self, name: str, find: Callable[[], Cells]) -> Cells:
        """What is kept under a name, or found now where that is too old."""
        held = self.state.get(name)
        if held is not None and self._is_fresh(held):
            return {(v, s): PairSummary(n, *rest) for v, s, n, *rest in held["cells"]}
        cells = find()
        self.state[name] = {
            "at": self.now.isoformat(),
            "cells": [
                [*cell, sums.n, sums.x_total, sums.y_total, sums.xx, sums.yy, sums.xy]
                for cell, sums in cells.items()
            ],
        }
        return cells

    def _is_fresh(self, held: Mapping[str, Any]) -> bool:
        if self.is_final or self.units <= FEW:
            return False
        age = self.now - datetime.fromisoformat(held["at"])
        return age < self.units * PER_UNIT
