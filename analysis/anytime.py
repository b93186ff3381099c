"""Two-sided effects that may be looked at again and again: the stop-loss tests, inverted.

For goal metrics, and for the scale on which a guardrail is not judged.

Sources: as of `limits` and `gaussian`, whose tests are inverted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from analysis.budget import GAUSSIAN, harm_spent
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.gaussian import difference_effect, gaussian_statistic
from analysis.limits import ASSUMPTIONS, ratio_limits, relative_effect
from analysis.spending import Pace, Spending
from analysis.stoploss import Kind, Stratum, share_statistic, to_arms, usable_strata

State = dict[str, Any]
NO_PERCENTAGE = Undecided(
    "values may be negative, so a percentage of control means nothing",
    "the effect in the metric's own unit",
)


def anytime_effect(
    strata: Sequence[Stratum],
    *,
    kind: Kind | Literal["gaussian"] | str,
    alpha: float,
    state: State | None = None,
    deadline: bool = False,
    planned_information: float | None = None,
) -> tuple[Effect | Undecided, Effect | Undecided, State]:
    """Relative and absolute effect, each with a 1 - alpha interval valid at every look.

    kind: proportion, other, or "gaussian" for values that may be negative. state: of the look
    before, None at the first; the third value returned is handed to the next.
    planned_information: at the deadline, of the share test (gaussian: harmonic units).
    Raises ValueError naming an impossible argument.
    strata: sums of both arms, per stretch of constant allocation.
    Either may be Undecided with its reason.

    >>> relative, absolute, state = anytime_effect(
    ...     [Stratum(1000, 50, 50, 1000, 90, 90)], kind="proportion", alpha=0.05
    ... )
    >>> round(relative.estimate, 2), round(absolute.estimate, 2)
    (0.8, 0.04)
    """
    held = state or {}
    side = alpha / 2
    pace = planned_information
    relative, relative_state = anytime_relative(
        strata, kind, side, held.get("relative"), deadline, pace
    )
    absolute, absolute_state = anytime_absolute(
        strata, kind, side, held.get("absolute"), deadline, pace
    )
    return relative, absolute, {"relative": relative_state, "absolute": absolute_state}


def anytime_relative(
    strata: Sequence[Stratum],
    kind: Kind | Literal["gaussian"] | str,
    alpha: float,
    state: State | None,
    deadline: bool = False,
    planned_information: float | None = None,
) -> tuple[Effect | Undecided, State | None]:
    """The share test's interval with alpha on each side, and the state for the next look.

    strata, kind, deadline: as in `anytime_effect`; Undecided as there.

    >>> sums = [Stratum(1000, 50, 50, 1000, 90, 90)]
    >>> effect, state = anytime_relative(sums, "proportion", 0.025, None, planned_information=50)
    >>> round(effect.low, 2), round(effect.high, 2)
    (0.15, 1.87)
    """
    if kind == GAUSSIAN:
        return NO_PERCENTAGE, state
    kind = Kind(kind)
    found = share_statistic(strata, kind=kind, sign=1, tolerance=0.0)
    if not found.ready:
        return Undecided(found.reason, found.needs), state
    spending = _resumed(state, alpha, planned_information).advance(
        found.information, deadline=deadline
    )
    arms = to_arms(usable_strata(strata, kind), kind)
    limits = ratio_limits(arms, kind, low_bound=spending.bound, high_bound=spending.bound)
    effect = relative_effect(limits, level=1 - 2 * alpha, n0=float(arms.m0), n1=float(arms.m1))
    return effect, spending.to_dict()


def anytime_absolute(
    strata: Sequence[Stratum],
    kind: Kind | Literal["gaussian"] | str,
    alpha: float,
    state: State | None,
    deadline: bool = False,
    planned_information: float | None = None,
) -> tuple[Effect | Undecided, State | None]:
    """The difference per treated unit with alpha on each side, and the state for the next look.

    Harm spent over the treatment's units; for values that may be negative, the Gaussian form.
    strata, kind, deadline: as in `anytime_effect`; Undecided as there.

    >>> sums = [Stratum(1000, 50, 50, 1000, 90, 90)]
    >>> effect, state = anytime_absolute(sums, "proportion", 0.025, None, planned_information=50)
    >>> round(effect.low, 3), round(effect.high, 3)
    (0.007, 0.074)
    """
    if kind == GAUSSIAN:
        return _difference(strata, alpha, state, deadline, planned_information)
    spent = harm_spent(
        strata,
        kind=kind,
        sign=1,
        alpha=alpha,
        state=state,
        deadline=deadline,
        planned_information=planned_information,
    )
    if spent.estimate is None or spent.low is None or spent.high is None:
        return spent.undecided or Undecided("nothing has been counted"), spent.state
    arms = to_arms(usable_strata(strata, Kind(kind)), Kind(kind))
    effect = Effect(
        estimate=spent.estimate / spent.units,
        low=spent.low / spent.units,
        high=spent.high / spent.units,
        scale=Scale.ABSOLUTE,
        validity=Validity.ANYTIME,
        level=1 - 2 * alpha,
        n_control=round(float(arms.m0)),
        n_treatment=round(float(arms.m1)),
        method="score limits of both totals combined, per treated unit, valid at every look",
        assumptions=ASSUMPTIONS,
    )
    return effect, spent.state


def _difference(
    strata: Sequence[Stratum],
    alpha: float,
    state: State | None,
    deadline: bool,
    planned_information: float | None,
) -> tuple[Effect | Undecided, State | None]:
    found = gaussian_statistic(strata, sign=1, tolerance=0.0)
    if not found.ready:
        return Undecided(found.reason, found.needs), state
    spending = _resumed(state, alpha, planned_information).advance(
        found.information, deadline=deadline
    )
    bound = spending.bound
    effect = difference_effect(found, low_bound=bound, high_bound=bound, level=1 - 2 * alpha)
    return effect, spending.to_dict()


def _resumed(state: State | None, alpha: float, planned: float | None) -> Spending:
    if not state:
        return Spending(alpha, planned, pace=Pace.SOONER)
    spending = Spending.from_dict(state)
    if spending.alpha != alpha:
        raise ValueError(f"state was begun at another alpha than {alpha}")
    return spending
