"""Whether every segment is within the limit: the worst one with its interval, never a ranking.

A whole that is safe may hide customers who are not. Each segment is held against the limit that
was locked for the whole, corrected for looking at all of them, at this one look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.dispersion import Segments, worst_segment
from analysis.effect import Effect, Finding, Scale, Undecided
from rollouts.metrics.model import Definition, Direction, Statistic
from rollouts.metrics.words import absolute_form
from rollouts.results.comparing import Answer
from rollouts.results.shown import effect_shown
from rollouts.tolerances.model import Guardrail
from rollouts.words import absolute, count, percent

ALPHA = 0.025  # of calling any unharmed segment harmed, and of calling any unsafe one safe
FEWEST = 30  # customers in either version, from which a segment's interval may be read
FEW = Undecided(f"fewer than {FEWEST} customers in a version", "more customers")
NAMED = 3

Teller = Callable[[float], str]

NO_PERCENTAGE = (Statistic.GRADE, Statistic.NPS)


@dataclass(frozen=True, slots=True)
class Part:
    """One segment: customers in its smaller version, and its (absolute, relative) effect.

    at: the effect with intervals of the level asked for.
    """

    n: int
    at: Callable[[float], tuple[Answer, Answer]]


def worst_shown(
    definition: Definition, parts: Mapping[str, Part], rail: Guardrail | None
) -> dict[str, Any] | None:
    """The worst segment of a metric against its limit; None where there is nothing to compare.

    rail: the metric's guardrail; a goal is held against no change.
    """
    if len(parts) < 2:
        return None
    has_none = definition.allow_negative or definition.statistic in NO_PERCENTAGE
    scale = Scale.ABSOLUTE if has_none else Scale.RELATIVE
    margin, scale = (rail.margin, rail.scale) if rail is not None else (0.0, scale)
    level = 1 - 2 * ALPHA / len(parts)  # every interval holds at once
    effects = {name: _effect(part, scale, level) for name, part in parts.items()}
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
        "text": _text(found, effects, definition.harm_sign, margin, _teller(definition, scale)),
    }


def _effect(part: Part, scale: Scale, level: float) -> Answer:
    if part.n < FEWEST:
        return FEW
    absolute, relative = part.at(level)
    return relative if scale is Scale.RELATIVE else absolute


def _text(
    found: Segments, effects: Mapping[str, Answer], sign: int, margin: float, tell: Teller
) -> str:
    worst = effects[found.worst] if found.worst is not None else None
    if found.worst is None or not isinstance(worst, Effect):
        return "No segment has enough customers to be judged by itself."
    limit = f"the limit of {tell(margin)}" if margin else "before"
    between, most = _interval(worst, sign, tell)
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


def _interval(effect: Effect, sign: int, tell: Teller) -> tuple[str, str]:
    """The interval in words, and its worse end."""
    best, worst = sorted((effect.low * sign, effect.high * sign))
    first = _leaning(best, tell) if best * worst < 0 else tell(abs(best))
    told = f"between {first} and {_leaning(worst, tell)}"
    return told, f"up to {_leaning(worst, tell)}" if worst > 0 else f"{_leaning(worst, tell)}"


def _leaning(harm: float, tell: Teller) -> str:
    """ "4 % better", "31 % worse"."""
    return f"{tell(abs(harm))} {'worse' if harm > 0 else 'better'}"


def _teller(definition: Definition, scale: Scale) -> Teller:
    if scale is Scale.RELATIVE:
        return percent
    form = absolute_form(definition)
    return lambda size: absolute(size, form)
