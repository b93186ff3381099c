"""One guardrail of one treatment at one look: harm shown, safe, or not yet known.

The tests, their boundaries and the intervals meet here. What has been spent travels from look
to look in `state`, so that nothing but sums and this small record is needed.

Source: this project's recipe for a stop-loss; its parts name theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, isfinite, log
from typing import Any, Literal

from analysis.anytime import anytime_absolute, anytime_effect, anytime_relative
from analysis.budget import GAUSSIAN
from analysis.concerns import (
    SAFE_IS_AN_AVERAGE,
    heaviest_in_difference,
    heaviest_unit,
    too_heavy,
)
from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.gaussian import difference_effect, gaussian_statistic
from analysis.limits import RatioLimits, ratio_limits, relative_effect
from analysis.spending import GROWTH, Pace, Spending
from analysis.stoploss import (
    Kind,
    Stratum,
    share_statistic,
    to_arms,
    tolerated_ratio,
    usable_strata,
)

__all__ = ["Look", "Rule", "anytime_effect", "look"]

MORE = "more customers or more days"
SAFE_LEVEL = 0.9  # of beta: the safe side is measured to be a little too eager
SHRINKAGE = 3.0  # information that the estimate shown after a stop is pulled back by


@dataclass(frozen=True, slots=True)
class Rule:
    """What a guardrail was locked to.

    kind: proportion, other (counts, money, ratios), or "gaussian" for values that may be
    negative. sign: +1 where more is worse, -1 where less is. tolerance: how much worse is let
    pass, relative (0.1 is ten per cent of control) or absolute (the metric's unit; judged in
    the Gaussian form). alpha: chance of a false stop, already divided over guardrails and arms.
    beta: chance of a false *safe*; alpha if None. planned_information: expected at the
    deadline, which paces the boundary; None where no deadline is known. pace: of a test that
    begins; one that is under way keeps its own.
    """

    kind: Kind | Literal["gaussian"]
    sign: int
    tolerance: float
    tolerance_scale: Scale = Scale.RELATIVE
    alpha: float = 0.05
    beta: float | None = None
    planned_information: float | None = None
    pace: Pace = Pace.SOONER

    def __post_init__(self) -> None:
        if self.kind != GAUSSIAN:
            Kind(self.kind)
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, not {self.sign}")
        if not isfinite(self.tolerance):
            raise ValueError(f"tolerance must be finite, not {self.tolerance}")
        for name, value in (("alpha", self.alpha), ("beta", self.false_safe)):
            if not 0 < value < 0.5:
                raise ValueError(f"{name} must be in (0, 0.5), not {value}")
        if self.tolerance_scale is Scale.RELATIVE:
            if self.kind == GAUSSIAN:
                raise ValueError(
                    "tolerance_scale must be absolute for a metric that may be negative"
                )
            tolerated_ratio(self.sign, self.tolerance)

    @property
    def false_safe(self) -> float:
        return self.alpha if self.beta is None else self.beta

    @property
    def side(self) -> float:
        """Error on each side of the interval on the scale that is not judged."""
        return min(self.alpha, self.false_safe)

    @property
    def level(self) -> float:
        """Two-sided level of the interval that is the test inverted."""
        return 1 - (self.alpha + self.false_safe)

    @property
    def share_kind(self) -> Kind | None:
        """The kind the share test knows; None for values that may be negative."""
        return None if self.kind == GAUSSIAN else Kind(self.kind)


@dataclass(frozen=True)
class Look:
    """What one look says about one guardrail.

    finding, reason, needs: the state, why, and what would settle it, in plain words.
    evidence: signed, positive towards harm; boundary, reserve: what it must exceed, by the plan
    and at any time (boundary is None where only the reserve applies). share_of_boundary:
    evidence over the lower of the two, 1 is a stop. relative, absolute: the effect with an
    interval valid at every look; the one on the tolerance's scale is the test inverted.
    shrunken: the relative estimate pulled back for display after a stop. information: reached.
    notes: what must be said beside the verdict. state: for the next look, JSON-able.
    """

    finding: Finding
    reason: str
    needs: str
    evidence: float | None
    boundary: float | None
    reserve: float | None
    share_of_boundary: float | None
    relative: Effect | Undecided
    absolute: Effect | Undecided
    shrunken: float | None
    information: float | None
    notes: tuple[str, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)


def look(
    strata: Sequence[Stratum],
    rule: Rule,
    state: dict[str, Any] | None = None,
    *,
    deadline: bool = False,
) -> Look:
    """Judge one guardrail on all sums so far.

    state: of the look before; None at the first. deadline: whether this is the locked plan's
    last look, at which all that is left of alpha is spent. Looks that bring nothing new are
    harmless. Raises ValueError naming an impossible sum, or a state of another rule.
    strata: sums of both arms so far, per stretch of constant allocation.

    >>> rule = Rule(Kind.PROPORTION, 1, 0.1, planned_information=100)
    >>> first = look([Stratum(200, 9, 9, 200, 12, 12)], rule)
    >>> first.finding.value, round(first.share_of_boundary, 2)
    ('unknown', 0.12)
    >>> then = look([Stratum(1000, 50, 50, 1000, 90, 90)], rule, first.state)
    >>> then.finding.value, round(then.relative.low, 2), round(then.relative.estimate, 2)
    ('harm', 0.28, 0.8)
    """
    if rule.tolerance_scale is Scale.RELATIVE and rule.share_kind is not None:
        return _share_look(strata, rule, rule.share_kind, state or {}, deadline)
    return _gaussian_look(strata, rule, state or {}, deadline)


def _share_look(
    strata: Sequence[Stratum], rule: Rule, kind: Kind, state: dict[str, Any], deadline: bool
) -> Look:
    harm = share_statistic(strata, kind=kind, sign=rule.sign, tolerance=rule.tolerance)
    if not harm.ready:
        return waiting(Undecided(harm.reason, harm.needs), state)
    safe = share_statistic(strata, kind=kind, sign=rule.sign, tolerance=rule.tolerance, side="safe")
    test = _Test.resumed(rule, state).advance(harm.information, deadline)
    limits = _share_limits(strata, rule, kind, test)
    finding = _finding(harm.r, -safe.r, test)
    absolute, budget = anytime_absolute(
        strata, kind, rule.side, state.get("absolute"), deadline, rule.planned_information
    )
    n0, n1 = _units(strata)
    return Look(
        finding=finding,
        **_told(finding, harm.r, test),
        relative=relative_effect(limits, level=rule.level, n0=n0, n1=n1),
        absolute=absolute,
        shrunken=_shrunken(limits, rule, harm.information),
        information=harm.information,
        notes=(
            *too_heavy(heaviest_unit(usable_strata(strata, kind), kind)),
            *_notes(finding, test, harm.information),
        ),
        state={**test.to_dict(), "absolute": budget},
    )


def _gaussian_look(
    strata: Sequence[Stratum], rule: Rule, state: dict[str, Any], deadline: bool
) -> Look:
    found = gaussian_statistic(
        strata, sign=rule.sign, tolerance=rule.tolerance, kind=rule.share_kind
    )
    if not found.ready:
        return waiting(Undecided(found.reason, found.needs), state)
    test = _Test.resumed(rule, state).advance(found.information, deadline)
    finding = _finding(found.r, -found.r, test)
    low, high = test.bounds(rule.sign)
    kind = rule.share_kind
    relative, held = anytime_relative(
        strata, kind or GAUSSIAN, rule.side, state.get("relative"), deadline
    )
    return Look(
        finding=finding,
        **_told(finding, found.r, test),
        relative=relative,
        absolute=difference_effect(found, low_bound=low, high_bound=high, level=rule.level),
        shrunken=None,
        information=found.information,
        notes=(
            *too_heavy(heaviest_in_difference(usable_strata(strata, kind), found.variance)),
            *_notes(finding, test, found.information),
        ),
        state={**test.to_dict(), "relative": held},
    )


@dataclass(frozen=True, slots=True)
class _Test:
    """Both sides' boundaries."""

    harm: Spending
    safe: Spending

    @classmethod
    def resumed(cls, rule: Rule, state: dict[str, Any]) -> _Test:
        fresh = cls(
            Spending(rule.alpha, rule.planned_information, pace=rule.pace),
            Spending(SAFE_LEVEL * rule.false_safe, rule.planned_information, pace=rule.pace),
        )
        if "harm" not in state:
            return fresh
        held = cls(Spending.from_dict(state["harm"]), Spending.from_dict(state["safe"]))
        if not (_same_plan(held.harm, fresh.harm) and _same_plan(held.safe, fresh.safe)):
            raise ValueError("state belongs to a rule with another alpha, beta or plan")
        return held

    def advance(self, information: float, deadline: bool) -> _Test:
        return _Test(
            self.harm.advance(information, deadline=deadline),
            self.safe.advance(information, deadline=deadline),
        )

    def bounds(self, sign: int) -> tuple[float, float]:
        """What must be exceeded to rule out a lower and a higher effect."""
        harm, safe = self.harm.bound, self.safe.bound
        return (harm, safe) if sign > 0 else (safe, harm)

    def to_dict(self) -> dict[str, Any]:
        return {"harm": self.harm.to_dict(), "safe": self.safe.to_dict()}


def _same_plan(left: Spending, right: Spending) -> bool:
    return left.alpha == right.alpha and left.planned == right.planned


def _finding(harm: float, safe: float, test: _Test) -> Finding:
    """The worst finding decides: harm is asked first."""
    if harm > test.harm.bound:
        return Finding.HARM
    return Finding.SAFE if safe > test.safe.bound else Finding.UNKNOWN


def _told(finding: Finding, evidence: float, test: _Test) -> dict[str, Any]:
    share = max(evidence, 0.0) / test.harm.bound
    return {
        "reason": in_words(finding, share),
        "needs": MORE if finding is Finding.UNKNOWN else "",
        "evidence": evidence,
        "boundary": test.harm.boundary if isfinite(test.harm.boundary) else None,
        "reserve": test.harm.reserve,
        "share_of_boundary": share,
    }


def in_words(finding: Finding, share: float) -> str:
    """A finding for a reader. share: of the evidence that would stop the change.

    >>> in_words(Finding.UNKNOWN, 0.4)
    'the evidence is at 40% of what would stop the change'
    """
    return {
        Finding.HARM: "the harm is larger than tolerated",
        Finding.SAFE: "any harm has been shown to stay within the tolerance",
        Finding.UNKNOWN: f"the evidence is at {share:.0%} of what would stop the change",
    }[finding]


def waiting(why: Undecided, state: dict[str, Any]) -> Look:
    """Before a verdict may be taken nothing is spent, and nothing is claimed.

    why: the reason and what is needed.

    >>> waiting(Undecided("nobody has been counted yet"), {}).finding.value
    'unknown'
    """
    return Look(
        finding=Finding.UNKNOWN,
        reason=why.reason,
        needs=why.needs,
        evidence=None,
        boundary=None,
        reserve=None,
        share_of_boundary=None,
        relative=why,
        absolute=why,
        shrunken=None,
        information=None,
        state=state,
    )


def _share_limits(strata: Sequence[Stratum], rule: Rule, kind: Kind, test: _Test) -> RatioLimits:
    low, high = test.bounds(rule.sign)
    return ratio_limits(
        to_arms(usable_strata(strata, kind), kind),
        kind,
        low_bound=low,
        high_bound=high,
        pinned=tolerated_ratio(rule.sign, rule.tolerance),
    )


def _shrunken(limits: RatioLimits, rule: Rule, information: float) -> float | None:
    """The relative estimate after a stop, which by itself would be too large."""
    if limits.estimate <= 0 or not isfinite(limits.estimate):
        return None
    tolerated = log(tolerated_ratio(rule.sign, rule.tolerance))
    kept = information / (information + SHRINKAGE)
    return exp(tolerated + (log(limits.estimate) - tolerated) * kept) - 1


def _units(strata: Sequence[Stratum]) -> tuple[float, float]:
    kept = usable_strata(strata, None)
    return (
        sum(x.n0 if x.m0 is None else x.m0 for x in kept),
        sum(x.n1 if x.m1 is None else x.m1 for x in kept),
    )


def _notes(finding: Finding, test: _Test, information: float) -> tuple[str, ...]:
    notes = []
    if finding is Finding.SAFE:
        notes.append(SAFE_IS_AN_AVERAGE)
    if information < test.harm.information * (1 - GROWTH):
        notes.append(
            "There is less to go by than at an earlier look (customers were removed, or values"
            " spread more): until that is regained, only the bound that never ends decides."
        )
    elif test.harm.closed and not isfinite(test.harm.boundary):
        notes.append("The planned deadline is over: only the bound that never ends decides.")
    return tuple(notes)
