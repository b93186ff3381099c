"""Past effects beside what a plan hopes for and tolerates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.effect import Scale
from rollouts.lifecycle.plan import Draft
from rollouts.reports import past_words as words
from rollouts.web import formatting as say


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One metric of the plan."""

    key: str
    name: str
    n: int
    mean: str
    ahead: str
    why_not: str
    wish: str
    is_unlike: bool


def history_rows(history: Sequence[Mapping[str, Any]], draft: Draft) -> tuple[HistoryRow, ...]:
    """A row for each metric; none at all while no rollout on any of them has ended."""
    if not any(item["past_effects"] for item in history):
        return ()
    wishes = {rail.metric: f"limit {say.percent(rail.margin)} worse" for rail in draft.guardrails
              if rail.scale is Scale.RELATIVE}  # fmt: skip
    wishes |= {
        goal.metric: f"worth it from {say.percent(goal.smallest_worthwhile)} better"
        for goal in draft.goals
        if goal.smallest_worthwhile
    }
    return tuple(_row(item, wishes.get(item["metric"], "")) for item in history)


def _row(item: Mapping[str, Any], wish: str) -> HistoryRow:
    scale, is_unlike = Scale(item["scale"]), item["is_unlike_any"]
    mean = ahead = ""
    if item["mean"] is not None:
        mean = f"{words.told(scale, item['mean'])} {words.span(scale, item['low'], item['high'])}"
    if item["next_low"] is not None:
        low, high = (words.told(scale, item[end]) for end in ("next_low", "next_high"))
        ahead = f"{low} to {high}"
    return HistoryRow(
        key=item["metric"],
        name=item["name"],
        n=item["past_effects"],
        mean=mean,
        ahead=ahead or "not known yet: it takes three",
        why_not="" if mean else item["sentence"],
        wish=wish + (": further than expected of any rollout" if is_unlike else ""),
        is_unlike=is_unlike,
    )
