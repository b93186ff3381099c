"""What would settle it: how many more customers, if what is seen so far is the truth.

The evidence grows with the square root of the information, the boundary hardly; where they
meet, half of all rollouts like this one would have been settled. It is a forecast, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, isfinite, log, log10, sqrt
from typing import Any, Literal

from scipy.special import ndtri

from analysis.effect import Effect, Undecided
from analysis.exact import exact_evidence
from analysis.gaussian import gaussian_statistic
from analysis.guardrail import Rule
from analysis.sequence import half_width, tightest
from analysis.spending import Spending
from analysis.stoploss import LEAST_EFFECTIVE, LEAST_PER_ARM, Kind, Stratum, share_statistic
from rollouts.results.work import Pace
from rollouts.words import count

MOST = 50.0  # times the customers so far; further ahead nothing can be foreseen
STEP = 1.15
TOO_CLOSE = (
    "more customers than can be foreseen: what is seen so far lies too close to {line} to tell"
)

Shown = dict[str, Any]


def growth_needed(evidence: float, spending: Spending) -> float | None:
    """How many times the information it takes until the evidence exceeds its boundary.

    evidence: standardised, in the direction it points. None beyond `MOST` times.

    >>> growth_needed(0.1, Spending(0.05, 60).advance(30)) is None
    True
    """
    if evidence <= 0 or not spending.information:
        return None
    # No boundary lies below that of a single test, so there is no need to look there.
    growth = max((float(ndtri(1 - spending.alpha)) / evidence) ** 2, 1.0)
    while growth < MOST:
        growth *= STEP
        bound = spending.advance(spending.information * growth).bound
        if evidence * sqrt(growth) > bound:
            return growth
    return None


def sequence_growth(effect: Effect, line: float, planned: int) -> float | None:
    """The same for an asymptotic confidence sequence: until its interval leaves `line` out."""
    alpha = 1 - effect.level
    units = effect.n_control + effect.n_treatment
    mixed = units / planned * tightest(alpha)
    limit = effect.low if effect.estimate > line else effect.high
    side = abs(effect.estimate - limit)
    if side == 0:
        return None
    evidence = abs(effect.estimate - line) / side * half_width(alpha, mixed)
    growth = 1.0
    while growth < MOST:
        growth *= STEP
        if evidence * sqrt(growth) > half_width(alpha, mixed * growth):
            return growth
    return None


def rail_settles(evidence: float | None, state: Mapping[str, Any], units: int, pace: Pace) -> Shown:
    """For a guardrail that its test leaves open. evidence: positive towards harm."""
    if evidence is None:
        return _unforeseen("the limit")
    side = "harm" if evidence > 0 else "safe"
    growth = growth_needed(abs(evidence), Spending.from_dict(state[side]))
    return _said(growth, units, pace, side, "the limit")


def goal_settles(
    strata: Sequence[Stratum],
    kind: Kind | Literal["gaussian"],
    state: Mapping[str, Any],
    sign: int,
    units: int,
    pace: Pace,
) -> Shown:
    """For a goal that could still be better or worse. sign: +1 where more is worse."""
    if kind == "gaussian":
        evidence, held = gaussian_statistic(strata, sign=1, tolerance=0.0).r, state["absolute"]
    else:
        found = share_statistic(strata, kind=Kind(kind), sign=1, tolerance=0.0)
        evidence, held = found.r, state["relative"]
    if not held:
        return _unforeseen("no change")
    growth = growth_needed(abs(evidence), Spending.from_dict(held))
    side = "harm" if evidence * sign > 0 else "safe"
    return _said(growth, units, pace, side, "no change")


def other_settles(
    effect: Effect | Undecided, line: float, planned: int, sign: int, units: int, pace: Pace
) -> Shown:
    """For a metric that sums cannot judge. line: the limit on the effect's scale, or 0."""
    name = "the limit" if line else "no change"
    if isinstance(effect, Undecided):
        return _unforeseen(name, effect.needs)
    growth = sequence_growth(effect, line, planned)
    side = "harm" if (effect.estimate - line) * sign > 0 else "safe"
    return _said(growth, units, pace, side, name)


def exact_settles(
    strata: Sequence[Stratum], rule: Rule, share: float, units: int, pace: Pace, needs: str
) -> Shown:
    """For a guardrail that its exact test leaves open, if events go on as they came so far."""
    if not any(item.s0 + item.s1 for item in strata):
        return _unforeseen("", needs)
    ratio, growth = 1 + rule.sign * rule.tolerance, 1.0
    limits = {"harm": (rule.sign, -log(rule.alpha)), "safe": (-rule.sign, -log(rule.false_safe))}
    while growth < MOST:
        growth *= STEP
        ahead = [_grown(item, growth) for item in strata]
        shares = [share] * len(ahead)
        for side, (sign, bound) in limits.items():
            if exact_evidence(ahead, sign=sign, ratio=ratio, shares=shares) >= bound:
                return _said(growth, units, pace, side, "the limit")
    return _unforeseen("the limit")


def _grown(item: Stratum, growth: float) -> Stratum:
    """So many times the customers, and their events."""
    return replace(item, s0=round(item.s0 * growth), s1=round(item.s1 * growth))


def first_settles(
    strata: Sequence[Stratum],
    kind: Kind | Literal["gaussian"],
    sign: int,
    margin: float,
    units: int,
    pace: Pace,
    needs: str,
) -> Shown:
    """Before a first verdict may be taken: until there are events enough for one."""
    if kind == "gaussian" or not units:
        return _unforeseen("", needs)
    found = share_statistic(strata, kind=Kind(kind), sign=sign, tolerance=margin)
    if found.effective <= 0 or found.min_arm <= 0:
        return _unforeseen("", needs)
    growth = max(LEAST_EFFECTIVE / found.effective, LEAST_PER_ARM[Kind(kind)] / found.min_arm)
    if not isfinite(growth) or not 1 < growth <= MOST:
        return _unforeseen("", needs)
    said = _said(growth, units, pace, "", "")
    return said | {"text": f"{said['text']} for a first verdict"}


def _said(growth: float | None, units: int, pace: Pace, side: str, line: str) -> Shown:
    if growth is None:
        return _unforeseen(line)
    more = rounded(max((growth - 1) * units, 1.0))
    per_day = pace.per_day
    return {
        "customers": more,
        "towards": side,
        "days": more / per_day if per_day else None,
        "text": f"about {count(more)} more customers",
        "reason": "If what is seen so far is the truth: a forecast, right about half the time.",
    }


def _unforeseen(line: str, needs: str = "") -> Shown:
    text = needs or TOO_CLOSE.format(line=line)
    return {"customers": None, "towards": "", "days": None, "text": text, "reason": ""}


def rounded(value: float) -> int:
    """To one figure, or two where it begins with a 1; never below 10.

    >>> [rounded(value) for value in (6.2, 5837, 12_345, 96)]
    [10, 6000, 12000, 100]
    """
    if value <= 10:
        return 10
    size = int(10 ** floor(log10(value)))
    step = size // 10 if value < 2 * size else size
    return round(value / step) * step
