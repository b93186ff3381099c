"""Far values cut at a quantile that the plan declared: where that lies, and the sums behind it.

The limit is that of all versions together, so it favours none; and it is fixed once enough
customers lie beyond it, so that what is measured is the same thing at every later look.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from analysis.summary import PairSummary
from rollouts.ledger import service as ledger
from rollouts.results.work import Cut, MetricInPlan

STATE = ":cuts"  # no test's name: theirs have a slash
LEAST_BEYOND = 20  # customers beyond the limit from which it moves too little to matter


def cut_metric(
    session: Session,
    rollout_id: int,
    metric: MetricInPlan,
    states: MutableMapping[str, dict[str, Any]],
) -> MetricInPlan:
    """The metric with its quantile as a cap; itself if it declares none."""
    declared = metric.definition.cap_quantile
    if declared is None:
        return metric
    name = str(metric.version_id)
    held = states.get(STATE, {}).get(name)
    if held is None or not held["is_fixed"]:
        found = ledger.cut_limit(
            session, rollout_id, metric.version_id, metric.definition, declared
        )
        if found is None:
            return replace(metric, cut=Cut(declared, None, False))
        limit, n = found
        held = {"limit": limit, "is_fixed": n * (1 - declared) >= LEAST_BEYOND}
        states[STATE] = {**states.get(STATE, {}), name: held}
    cut = Cut(declared, held["limit"], held["is_fixed"])
    return replace(metric, definition=replace(metric.definition, cap=cut.limit), cut=cut)


def cut_sums(
    session: Session, rollout_id: int, metric: MetricInPlan
) -> dict[tuple[int, int], PairSummary]:
    """The sums with far values cut; empty for a metric without a cut, or without any value."""
    if metric.cut is None or metric.cut.limit is None:
        return {}
    return ledger.whole_sums(session, rollout_id, metric.version_id, metric.definition)


def cut_shown(metric: MetricInPlan) -> dict[str, Any] | None:
    """Where values were cut, as a snapshot holds it."""
    if metric.cut is None:
        return None
    held = metric.cut
    return {"quantile": held.quantile, "limit": held.limit, "is_fixed": held.is_fixed}
