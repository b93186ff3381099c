"""Whether every segment is within the limit: the worst one with its interval, never a ranking.

A whole that is safe may hide customers who are not. Each segment is held against the limit that
was locked for the whole, corrected for looking at all of them, at this one look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.dispersion import Segments, worst_segment
from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.summary import PairSummary
from rollouts.metrics.model import Definition, Direction, Statistic
from rollouts.results.comparing import Answer, compare
from rollouts.results.shown import effect_shown
from rollouts.tolerances.model import Guardrail
from rollouts.words import count, figures, percent

ALPHA = 0.025  # of calling any unharmed segment harmed, and of calling any unsafe one safe
FEWEST = 30  # customers in either version, from which a segment's interval may be read
FEW = Undecided(f"fewer than {FEWEST} customers in a version", "more customers")
NAMED = 3

Pair = tuple[PairSummary, PairSummary]


def worst_shown(
    definition: Definition, pairs: Mapping[str, Pair], rail: Guardrail | None
) -> dict[str, Any] | None:
    """The worst segment of a metric against its limit; None where there is nothing to compare.

    pairs: control's and treatment's sums by segment. rail: the metric's guardrail; a goal is
    held against no change.
    """
    if definition.statistic is not Statistic.MEAN or len(pairs) < 2:
        return None
    scale = Scale.ABSOLUTE if definition.allow_negative else Scale.RELATIVE
    margin, scale = (rail.margin, rail.scale) if rail is not None else (0.0, scale)
    level = 1 - 2 * ALPHA / len(pairs)  # every interval holds at once
    effects = {name: _effect(definition, pair, scale, level) for name, pair in pairs.items()}
    found = worst_segment(
        effects, margin, higher_is_better=definition.direction is Direction.UP, alpha=ALPHA
    )
    worst = effects[found.worst] if found.worst is not None else None
    return {
        "finding": found.overall.value,
        "segment": found.worst,
        "effect": effect_shown(worst) if isinstance(worst, Effect) else None,
        "scale": scale.value,
        "margin": margin,
        "harmed": [name for name, held in found.findings.items() if held is Finding.HARM],
        "unknown": sum(isinstance(held, Undecided) for held in effects.values()),
        "text": _text(found, effects, definition.harm_sign, margin, scale),
    }


def _effect(definition: Definition, pair: Pair, scale: Scale, level: float) -> Answer:
    if min(arm.n for arm in pair) < FEWEST:
        return FEW
    absolute, relative = compare(definition, *pair, level=level)
    return relative if scale is Scale.RELATIVE else absolute


def _text(
    found: Segments, effects: Mapping[str, Answer], sign: int, margin: float, scale: Scale
) -> str:
    worst = effects[found.worst] if found.worst is not None else None
    if found.worst is None or not isinstance(worst, Effect):
        return "No segment has enough customers to be judged by itself."
    limit = f"the limit of {_size(margin, scale)}" if margin else "before"
    between, most = _interval(worst, sign, scale)
    few = sum(isinstance(held, Undecided) for held in effects.values())
    tail = f" {count(few)} of {count(len(effects))} have too few customers to tell." if few else ""
    if found.overall is Finding.HARM:
        names = [name for name, held in found.findings.items() if held is Finding.HARM]
        if names == [found.worst]:
            return f"Shown worse than {limit}: {found.worst}, {between}.{tail}"
        said = _names(names, len(effects))
        return f"Shown worse than {limit}: {said}. Worst: {found.worst}, {between}.{tail}"
    if found.overall is Finding.SAFE:
        return f"Every segment is shown better than {limit}, the worst too: {found.worst}, {most}."
    return (
        f"Worst segment: {found.worst}, could be {most} ({between}); none is shown worse than "
        f"{limit}, and not all are shown to be within it.{tail}"
    )


def _names(names: list[str], of: int) -> str:
    """Few by name; of many only how many, since any few of them would look like a ranking."""
    return ", ".join(names) if len(names) <= NAMED else f"{count(len(names))} of {count(of)}"


def _interval(effect: Effect, sign: int, scale: Scale) -> tuple[str, str]:
    """The interval in words, and its worse end."""
    best, worst = sorted((effect.low * sign, effect.high * sign))
    first = _leaning(best, scale) if best * worst < 0 else _size(abs(best), scale)
    told = f"between {first} and {_leaning(worst, scale)}"
    return told, f"up to {_leaning(worst, scale)}" if worst > 0 else f"{_leaning(worst, scale)}"


def _leaning(harm: float, scale: Scale) -> str:
    """ "4 % better", "31 % worse"."""
    size = _size(abs(harm), scale)
    return f"{size} {'worse' if harm > 0 else 'better'}"


def _size(size: float, scale: Scale) -> str:
    return percent(size) if scale is Scale.RELATIVE else figures(size)
