"""What the tests of the ledger share: a journal and a store to fold it into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollouts.db import Database
from rollouts.ingest.journal import Journal
from rollouts.ledger import service
from rollouts.ledger.model import Folded, Sums
from tests.rollouts.ingest.make import open_journal
from tests.rollouts.ledger.make import UNIT_KEY, at, frame


@dataclass(frozen=True, slots=True)
class Books:
    """A store, its journal, and short ways to use both."""

    db: Database
    journal: Journal

    def take(self, *events: dict[str, Any], **more: Any) -> None:
        """Put one frame of events into the journal."""
        self.journal.append(frame(events, **more))

    def fold(self, limit_events: int = 1_000_000) -> Folded:
        """Fold once."""
        return service.fold_once(
            self.db, self.journal, unit_key=UNIT_KEY, limit_events=limit_events, now=at(3600)
        )

    def sums(self, rollout_id: int = 1) -> Sums:
        """Fold all there is, check it against a recount, and read a rollout's sums."""
        service.catch_up(self.db, self.journal, unit_key=UNIT_KEY, now=at(3600))
        with self.db.reading() as session:
            assert service.verify(session) == []
            return service.sums(session, rollout_id)

    def means(self, metric: int, rollout_id: int = 1) -> dict[int, tuple[int, float]]:
        """Units and total of a metric by variation, all strata together."""
        held: dict[int, tuple[int, float]] = {}
        for (number, variation, _), pair in self.sums(rollout_id).by_metric.items():
            if number == metric:
                n, total = held.get(variation, (0, 0.0))
                held[variation] = (n + pair.n, total + pair.x_total)
        return held


@pytest.fixture
def books(db: Database, tmp_path: Path) -> Iterator[Books]:
    """Empty books."""
    journal = open_journal(db, tmp_path)
    yield Books(db, journal)
    journal.close()
