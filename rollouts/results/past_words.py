"""What rollouts did to a metric, as sentences and as the API shows it."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1
from typing import Any

from analysis.effect import Scale, Undecided
from analysis.meta import Combined
from rollouts.results.in_units import PER, InUnits
from rollouts.results.moved import Moved
from rollouts.results.over_rollouts import Line, PastEffects
from rollouts.words import count, figures, percent

MODEL = (
    "Each effect is drawn towards what rollouts on this metric usually did, by as much as its own "
    "error and their scatter ask; that undoes the luck of having been chosen, however it was chosen."
)
RULE = (
    "The second correction takes for granted that what stayed had met its plan's own rule: its goal "
    "shown to be better, or its guardrail shown to be safe."
)
ALL_COUNT = (
    "Withdrawn and stopped rollouts are learnt from like the others: leaving them out is what makes "
    "a sum of shipped effects too good."
)
ARMS = (
    "Several new versions of one rollout share its old version; here they count as if each had its "
    "own."
)


def amount(value: float, scale: Scale) -> str:
    """An effect in words, with its sign: per cent, or in the metric's unit.

    >>> amount(0.031, Scale.RELATIVE).replace(chr(160), " "), amount(-2.5, Scale.ABSOLUTE)
    ('+3.1 %', '−2.5')
    """
    if scale is Scale.RELATIVE:
        return percent(value, signed=True)
    return ("+" if value > 0 else "") + figures(value)


def between(low: float, high: float, scale: Scale) -> str:
    """Two ends of an interval in words."""
    return f"{amount(low, scale)} to {amount(high, scale)}"


def rollouts_of(n: int) -> str:
    """So many versions that were tried."""
    return "1 past effect" if n == 1 else f"{count(n)} past effects"


def typical(past: PastEffects) -> str:
    """What rollouts usually did, and what the next may do; or why that is not known."""
    found = past.combined
    if isinstance(found, Undecided):
        return f"Not known: {found.reason}. What would help: {found.needs}."
    said = (
        f"{rollouts_of(past.n_learnt).capitalize()}: {amount(found.mean, past.scale)} on average "
        f"({between(found.low, found.high, past.scale)})."
    )
    if found.next_low is None or found.next_high is None:
        return said + " With three or more, what the next may do can be said too."
    ends = between(found.next_low, found.next_high, past.scale)
    return f"{said} The next one's true effect is expected from {ends}."


def unlike_any(past: PastEffects, change: float) -> bool:
    """Whether a true effect like this lies beyond what the next rollout is expected to do.

    change: signed as measured, in per cent of the level; only told of relative effects.
    """
    found = past.combined
    if isinstance(found, Undecided) or found.next_low is None or found.next_high is None:
        return False
    if past.scale is not Scale.RELATIVE:
        return False
    return change > found.next_high if change > 0 else change < found.next_low


def together(past: PastEffects) -> str:
    """What shipped changes did together: claimed, and what is left without luck."""
    found = past.impact
    if isinstance(found, Undecided):
        return f"Not known: {found.reason}. What would help: {found.needs}."
    scale = past.scale
    many = "1 change" if found.n_shipped == 1 else f"{count(found.n_shipped)} changes"
    return (
        f"{many} shipped, together {amount(found.total, scale)} "
        f"({between(found.low, found.high, scale)}). As each was seen they would add up to "
        f"{amount(found.claimed, scale)}."
    )


def notes(past: PastEffects) -> list[str]:
    """What the figures take for granted, in plain words."""
    held = [MODEL, ALL_COUNT]
    if not isinstance(past.impact, Undecided):
        held.append(RULE)
    rollouts = {line.moved.rollout for line in past.lines}
    if len(rollouts) < len(past.lines):
        held.append(ARMS)
    if past.wanted.since or past.wanted.until:
        held.append(
            "The period chooses what is listed and added up; all rollouts of the environment are "
            "learnt from."
        )
    if past.is_cut:
        held.append("Only the newest rollouts are read; older ones are left out.")
    return held


def shown(past: PastEffects) -> dict[str, Any]:
    """All but the list, as the API shows it."""
    wanted = past.wanted
    return {
        "metric": past.key,
        "name": past.name,
        "scale": past.scale.value,
        "good": past.definition.direction.value,
        "harm_unit": past.definition.harm_unit,
        "environment": wanted.environment or None,
        "from": wanted.since.isoformat() if wanted.since else None,
        "to": wanted.until.isoformat() if wanted.until else None,
        "learnt_from": past.n_learnt,
        "left_out": len(past.left_out),
        "typical": _typical(past),
        "notes": notes(past),
    }


def _typical(past: PastEffects) -> dict[str, Any]:
    found, apart = past.combined, past.spread
    if isinstance(found, Undecided) or isinstance(apart, Undecided):
        return {"sentence": typical(past), "undecided": undecided(found)}
    return {
        "sentence": typical(past),
        "undecided": None,
        "mean": _interval(found.mean, found.low, found.high, found.level),
        "next": _next(found),
        "spread": _interval(
            widened(past.scale, apart.value),
            widened(past.scale, apart.low),
            widened(past.scale, apart.high),
            found.level,
        ),
        "differ": {
            "q": found.heterogeneity.q,
            "degrees": found.heterogeneity.df,
            "p_value": found.heterogeneity.p_value,
            "i_squared": found.heterogeneity.i_squared,
        },
        "method": found.method,
    }


def _next(found: Combined) -> dict[str, Any] | None:
    if found.next_low is None or found.next_high is None:
        return None
    return {"low": found.next_low, "high": found.next_high, "level": found.level}


def widened(scale: Scale, spread: float) -> float:
    """A spread of logarithms as the per cent that one step up means."""
    return expm1(min(spread, 50.0)) if scale is Scale.RELATIVE else spread


def _interval(value: float, low: float, high: float, level: float) -> dict[str, float]:
    return {"estimate": value, "low": low, "high": high, "level": level}


def undecided(held: object) -> dict[str, str] | None:
    """Why there is no number, and what would give one."""
    if not isinstance(held, Undecided):
        return None
    return {"reason": held.reason, "needs": held.needs}


def line_shown(moved: Moved, line: Line | None, level: float) -> dict[str, Any]:
    """One past effect: as it was seen, and what is left of it; or why it is left out."""
    shrunken = line.shrunken if line else None
    return {
        "rollout": moved.rollout,
        "name": moved.name,
        "environment": moved.environment,
        "variation": moved.arm or None,
        "state": moved.state,
        "ended_at": moved.ended_at.isoformat(),
        "snapshot": moved.snapshot or None,
        "shipped": moved.is_shipped,
        "role": moved.role or None,
        "units": moved.units,
        "evidence_grade": moved.grade or None,
        "seen": None if line is None else _seen(moved, level),
        "shrunken": None
        if shrunken is None
        else {
            **_interval(shrunken.value, shrunken.low, shrunken.high, level),
            "kept": shrunken.kept,
        },
        "left_out": moved.why_not or None,
    }


def _seen(moved: Moved, level: float) -> dict[str, float] | None:
    ends = seen(moved, level)
    return None if ends is None else _interval(*ends, level)


def seen(moved: Moved, level: float = 0.95) -> tuple[float, float, float] | None:
    """An effect as it was seen, with the interval for one look: estimate, low, high."""
    if moved.estimate is None:
        return None
    from scipy.special import ndtri

    reach = -float(ndtri((1 - level) / 2)) * moved.estimate.error
    ends = (moved.estimate.value, moved.estimate.value - reach, moved.estimate.value + reach)
    if moved.estimate.scale is not Scale.RELATIVE:
        return ends
    value, low, high = (expm1(min(end, 300.0)) for end in ends)
    return value, low, high


def impact_shown(past: PastEffects) -> dict[str, Any]:
    """What shipped changes did together, as the API shows it."""
    found = past.impact
    head = {name: held for name, held in shown(past).items() if name != "typical"}
    if isinstance(found, Undecided):
        return {**head, "sentence": together(past), "undecided": undecided(found)}
    return {
        **head,
        "sentence": together(past),
        "undecided": None,
        "shipped": found.n_shipped,
        "total": _interval(found.total, found.low, found.high, found.level),
        "claimed": _interval(found.claimed, found.claimed_low, found.claimed_high, found.level),
        "luck": found.luck,
        "corrected_by_rule": found.debiased,
        "in_units": units_shown(past.units),
        "in_units_undecided": undecided(past.units),
        "rollouts": [item.rollout for item in past.shipped],
        "method": found.method,
    }


def units_shown(found: InUnits | Undecided) -> dict[str, Any] | None:
    """The total in the customer's units."""
    if isinstance(found, Undecided):
        return None
    return {
        "unit": found.unit,
        "customers": PER,
        "estimate": found.total,
        "low": found.low,
        "high": found.high,
        "claimed": found.claimed,
        "level_before": found.level,
        "level_from": found.level_from,
        "customers_a_day": found.per_day,
        "traffic_from": found.traffic_from,
        "a_day": {
            name: found.a_day(value)
            for name, value in (
                ("estimate", found.total),
                ("low", found.low),
                ("high", found.high),
            )
        },
    }


def in_units_words(past: PastEffects) -> Sequence[str]:
    """The total in the customer's units, as sentences; none where it is not known."""
    found = past.units
    if isinstance(found, Undecided) or isinstance(past.impact, Undecided):
        return ()
    ends = f"{_whole(found.low)} to {_whole(found.high)}"
    said = [f"{_whole(found.total)} {found.unit} per {count(PER)} customers ({ends})."]
    if found.per_day is not None:
        day = [found.a_day(value) or 0.0 for value in (found.total, found.low, found.high)]
        said.append(
            f"{_whole(day[0])} a day ({_whole(day[1])} to {_whole(day[2])}), at "
            f"{count(found.per_day)} customers a day, as in {found.traffic_from}."
        )
    return said


def _whole(value: float) -> str:
    return ("+" if value > 0 else "") + figures(value)
