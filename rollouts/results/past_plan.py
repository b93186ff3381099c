"""What past rollouts say of a plan: is what it hopes for anything that ever came true?"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from analysis.effect import Undecided
from analysis.meta import Combined
from rollouts.lifecycle.plan import Draft
from rollouts.metrics import service as metrics
from rollouts.results import past_words as words
from rollouts.results.over_rollouts import PastEffects, Wanted, effects_on, list_moved
from rollouts.words import percent

MOST = 24  # metrics of a plan that history is told of


def history_of(session: Session, draft: Draft) -> tuple[dict[str, Any], ...]:
    """A row for each metric of the plan, guardrails first; of the plan's environment."""
    every, wanted = list_moved(session), Wanted(draft.environment)
    rows = (metrics.find_metric(session, key) for key in draft.metric_keys[:MOST])
    hopes = {goal.metric: goal.smallest_worthwhile for goal in draft.goals}
    return tuple(
        _row(effects_on(session, row, every, wanted), hopes.get(row.key))
        for row in rows
        if row is not None
    )


def _row(past: PastEffects, worthwhile: float | None) -> dict[str, Any]:
    hoped = -past.definition.harm_sign * worthwhile if worthwhile else None
    return {
        "metric": past.key,
        "name": past.name,
        "scale": past.scale.value,
        "past_effects": past.n_learnt,
        **_known(past.combined),
        "sentence": words.typical(past),
        "hoped_for": hoped,
        "is_unlike_any": hoped is not None and words.unlike_any(past, hoped),
    }


def _known(found: Combined | Undecided) -> dict[str, float | None]:
    names = ("mean", "low", "high", "next_low", "next_high")
    is_known = not isinstance(found, Undecided)
    return {name: getattr(found, name) if is_known else None for name in names}


def doubts(history: tuple[dict[str, Any], ...]) -> list[str]:
    """What should be thought of again before locking: hopes beyond what any rollout may reach."""
    return [
        f"{item['name']}: the plan calls a change of {percent(item['hoped_for'], signed=True)} "
        f"the smallest that is worth it, further than the next rollout is expected to get. "
        f"{item['sentence']}"
        for item in history
        if item["is_unlike_any"]
    ]
