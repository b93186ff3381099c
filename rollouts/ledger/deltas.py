"""What one transaction changes in the sums: new minus old, gathered and written at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from rollouts.ledger.bulk import table_of, upsert
from rollouts.ledger.catalogue import CountedMetric, Counting
from rollouts.ledger.model import NO_TOTAL, Standing, Total
from rollouts.ledger.store import (
    CountedRolloutRow,
    ExposureRow,
    SumRow,
    TotalRow,
    UnitCountRow,
)

Key = tuple[int, int]  # rollout, unit
SUMMED = ("x", "xx", "y", "yy", "xy")


class Deltas:
    """Changes to standings, totals and sums."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int, int, int], list[float]] = defaultdict(lambda: [0.0] * 5)
        self._counts: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        self._crossed: Counter[int] = Counter()
        self._standings: list[dict[str, Any]] = []
        self._totals: list[dict[str, Any]] = []
        self._dropped: list[Key] = []

    def stand(self, counting: Counting, unit: int, old: Standing | None, new: Standing) -> None:
        """A unit enters a rollout, or its standing changes."""
        self._standings.append(
            {
                "unit": unit,
                "rollout_id": counting.id,
                "variation": new.variation,
                "stratum": new.stratum,
                "first_us": new.first_us,
                "is_crossed": new.is_crossed,
                "is_trusted": new.is_trusted,
            }
        )
        self.count(counting, old, -1)
        self.count(counting, new, +1)

    def count(self, counting: Counting, standing: Standing | None, sign: int) -> None:
        """Put a unit into the counts, or take it out."""
        if standing is None:
            return
        if standing.cell is None:
            self._crossed[counting.id] += sign
            return
        held = self._counts[counting.id, *standing.cell]
        held[0] += sign
        held[1] += 0 if standing.is_trusted else sign

    def move(
        self,
        counting: Counting,
        unit: int,
        old: tuple[Standing | None, Mapping[int, Total]],
        new: tuple[Standing, Mapping[int, Total]],
    ) -> None:
        """A unit's totals, or the cell that they count in, are others now."""
        for metric in counting.metrics:
            before = old[1].get(metric.id)
            after = new[1].get(metric.id)
            if before is None and after is None:
                continue
            if old[0] is not None:
                self.add(counting, metric, old[0], before or NO_TOTAL, -1)
            self.add(counting, metric, new[0], after or NO_TOTAL, +1)
            if before != after and new[0].cell is not None:
                self.keep_total(counting, metric, unit, after or NO_TOTAL)
        if new[0].cell is None and old[1]:
            self._dropped.append((counting.id, unit))

    def keep_total(
        self, counting: Counting, metric: CountedMetric, unit: int, total: Total
    ) -> None:
        """Store a unit's total."""
        self._totals.append(
            {
                "unit": unit,
                "rollout_id": counting.id,
                "metric_version_id": metric.id,
                "x": total[0],
                "y": total[1],
            }
        )

    def add(
        self, counting: Counting, metric: CountedMetric, at: Standing, total: Total, sign: int
    ) -> None:
        """Add a unit's value to the sums of its cell, or take it out."""
        if at.cell is None or total == NO_TOTAL:
            return
        x, y = metric.settle(total)
        held = self._sums[counting.id, metric.id, *at.cell]
        for place, value in enumerate((x, x * x, y, y * y, x * y)):
            held[place] += sign * value

    def write(self, session: Session) -> None:
        """Store all of it."""
        put = ("variation", "stratum", "first_us", "is_crossed", "is_trusted")
        upsert(session, ExposureRow, self._standings, put=put)
        upsert(session, TotalRow, self._totals, put=("x", "y"))
        upsert(session, SumRow, self._sum_rows(), add=SUMMED)
        upsert(session, UnitCountRow, self._count_rows(), add=("n", "n_untrusted"))
        self._write_crossed(session)

    def _write_crossed(self, session: Session) -> None:
        totals = table_of(TotalRow)
        for rollout_id, unit in self._dropped:
            session.execute(
                delete(totals).where(totals.c.unit == unit).where(totals.c.rollout_id == rollout_id)
            )
        counted = table_of(CountedRolloutRow)
        for rollout_id, n in self._crossed.items():
            session.execute(
                update(counted)
                .where(counted.c.rollout_id == rollout_id)
                .values(n_crossed=counted.c.n_crossed + n)
            )

    def _sum_rows(self) -> list[dict[str, Any]]:
        names = ("rollout_id", "metric_version_id", "variation", "stratum", *SUMMED)
        return [
            dict(zip(names, (*key, *held), strict=True))
            for key, held in self._sums.items()
            if any(held)
        ]

    def _count_rows(self) -> list[dict[str, Any]]:
        names = ("rollout_id", "variation", "stratum", "n", "n_untrusted")
        return [
            dict(zip(names, (*key, *held), strict=True))
            for key, held in self._counts.items()
            if any(held)
        ]
