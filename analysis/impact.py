"""What all shipped changes did together, with the winner's curse taken off.

A change ships because it looked good, and part of looking good is luck. Adding up what shipped
changes showed adds up that luck; it is removed here in two independent ways, shown together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.arguments import Floats, finite_array, open_share, same_length
from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate, columns
from analysis.inputs import UNBOUNDED
from analysis.shrinkage import Scatter, mixture_quantile


@dataclass(frozen=True, slots=True)
class Impact:
    """The total of all shipped effects on one metric.

    total, low, high: after shrinkage. claimed: the plain sum of what they showed, with the interval
    it would have if nobody had chosen. debiased: that sum less the luck that choosing added, by Lee
    and Shen. luck: claimed less total.
    n_shipped, n_rollouts: how many were added up, and learnt from. Relative effects compound:
    0.1 and 0.1 make 0.21.
    """

    total: float
    low: float
    high: float
    claimed: float
    claimed_low: float
    claimed_high: float
    debiased: float
    n_shipped: int
    n_rollouts: int
    scale: Scale
    level: float
    method: str = "sum of shrunken effects, learnt from all rollouts, shipped or not"

    @property
    def luck(self) -> float:
        """What the claims owed to luck, on the effects' scale."""
        return self.claimed - self.total


def cumulative_impact(
    rollouts: Sequence[Estimate],
    shipped: Sequence[bool],
    *,
    alpha: float = 0.05,
    better: int = 1,
    bars: Sequence[float] | None = None,
    level: float = 0.95,
) -> Impact | Undecided:
    """Total effect of the shipped rollouts on one metric.

    rollouts: the estimates of all finished rollouts, those not shipped too, of one scale and
    with the treatment's effect on everybody. shipped: shape (k,), which ones stayed. alpha:
    two-sided level at which an effect was taken to ship, and better: 1 if more is better, -1 if
    less is, both for the second correction only. bars: shape (k,), where rollouts had rules of their
    own: how many errors to the better side of zero each had to lie to stay (below zero for one
    that only had to do no harm); they take alpha's place. level: of the intervals, in (0, 1).

    First correction: each effect is shrunk towards what rollouts usually do, which undoes the
    choice whatever it was, as long as true effects scatter normally; the interval carries what
    is not known of that scatter. Second: Lee and Shen's expected luck, which assumes the
    threshold instead and, where most effects are small, takes off up to half as much again as
    was luck (simulated). Far apart, they say that one of the two beliefs is wrong.
    Undecided below three rollouts or without a shipped one. Raises ValueError for lengths that
    differ or a direction other than 1 and -1. Sources: Efron (2011), JASA 106:1602-1614; Lee &
    Shen (2018), KDD, "Winner's curse: bias estimation for total effects of features in online
    controlled experiments".

    >>> shown = [0.5, 2.5, -0.5, 3.0, 0.1, -1.0]
    >>> past = [Estimate(str(i), value, 1.0) for i, value in enumerate(shown)]
    >>> impact = cumulative_impact(past, [value > 2 for value in shown])
    >>> impact.claimed, impact.total < impact.claimed, impact.debiased < impact.claimed
    (5.5, True, True)
    """
    open_share("level", level)
    open_share("alpha", alpha)
    if better not in (1, -1):
        raise ValueError(f"better must be 1 or -1, not {better}")
    if len(shipped) != len(rollouts):
        raise ValueError(f"shipped has {len(shipped)} entries for {len(rollouts)} rollouts")
    if len(rollouts) < 3:
        return Undecided("fewer than three rollouts to learn from", needs="more finished rollouts")
    if not any(shipped):
        return Undecided("no change has stayed yet", needs="a shipped rollout")
    kept = np.asarray(shipped, dtype=bool)
    values, errors = columns(rollouts)
    claimed = float(values[kept].sum())
    reach = float(np.linalg.norm(errors[kept]) * stats.norm.isf((1 - level) / 2))
    total, low, high = _shrunken_total(Scatter.of(rollouts), kept, level)
    debiased = claimed - better * selection_bias(rollouts, alpha=alpha, better=better, bars=bars)
    is_ratio = rollouts[0].scale is Scale.RELATIVE
    if is_ratio and max(claimed + reach, debiased, high) > 700:
        return UNBOUNDED
    back = np.expm1 if is_ratio else float
    return Impact(
        total=float(back(total)),
        low=float(back(low)),
        high=float(back(high)),
        claimed=float(back(claimed)),
        claimed_low=float(back(claimed - reach)),
        claimed_high=float(back(claimed + reach)),
        debiased=float(back(debiased)),
        n_shipped=int(kept.sum()),
        n_rollouts=len(rollouts),
        scale=rollouts[0].scale,
        level=level,
    )


def _shrunken_total(scatter: Scatter, kept: np.ndarray, level: float) -> tuple[float, float, float]:
    """Posterior mean and limits of the kept effects' sum, over the scatter's grid.

    Given the scatter the effects are independent around a common mean that is itself uncertain,
    so their sum carries that uncertainty once, by all they are drawn to it together.
    """
    pull = scatter.pull[:, kept]
    centre = (1 - pull) @ scatter.values[kept] + pull.sum(axis=1) * scatter.mean
    own = ((1 - pull) * scatter.errors[kept] ** 2).sum(axis=1)
    variance = own + pull.sum(axis=1) ** 2 * scatter.mean_variance
    low, high = (
        float(mixture_quantile(scatter.weight, centre[:, None], variance[:, None], chance)[0])
        for chance in ((1 - level) / 2, (1 + level) / 2)
    )
    return float(scatter.weight @ centre), low, high


def selection_bias(
    rollouts: Sequence[Estimate],
    *,
    alpha: float = 0.05,
    better: int = 1,
    bars: Sequence[float] | None = None,
) -> float:
    """How much luck the sum of significant effects is expected to contain, 0 or more.

    rollouts: all of them, shipped or not; on the relative scale the answer is a logarithm.
    alpha, better, bars: as in `cumulative_impact`. Each rollout adds its error times the normal
    density at its distance from the threshold, in errors, as if its estimate were the truth.
    Source: Lee & Shen (2018), section 3.
    Raises ValueError for an alpha or bars that cannot be.

    >>> round(selection_bias([Estimate("a", 1.959964, 1.0), Estimate("b", 9, 1.0)]), 4)
    0.3989
    """
    open_share("alpha", alpha)
    values, errors = columns(rollouts, at_least=1)
    threshold: Floats | float = float(stats.norm.isf(alpha / 2))
    if bars is not None:
        same_length(rollouts=rollouts, bars=bars)
        threshold = finite_array("bars", bars)
    return float(np.sum(errors * stats.norm.pdf(threshold - better * values / errors)))
