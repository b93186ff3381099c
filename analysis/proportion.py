"""Proportions: the share of units with at least one qualifying event.

A unit's value is 1 or 0, so its sum and its sum of squares are both the number of events. The
variance of a proportion is p(1 - p) / n, not the sample variance with n - 1.

Sources: beside each method; Wilson (1927), JASA 22:209. level: two-sided confidence, in (0, 1).
"""

from math import sqrt

from analysis import melded, score
from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import check_level, fixed_effect, unusable, z_quantile
from analysis.mover import Limits
from analysis.mover import difference_limits as join
from analysis.summary import Summary

FEW_EVENTS = 20
SCORE = "score interval (Miettinen-Nurminen)"
EXACT = "exact interval (melded, with Fisher's test)"
INDEPENDENT = "units are independent of each other"
NOT_SHARES = Undecided(
    "some units have a value other than 0 and 1, so there is no proportion",
    needs="one yes or no per unit, or another kind of metric",
)
NO_EVENTS = Undecided(
    "no unit in control has an event, so a relative change means nothing yet",
    needs="events in control, or the absolute difference",
)


def difference(control: Summary, treatment: Summary, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's proportion minus control's.

    control, treatment: sums of one 0 or 1 per unit. level: two-sided confidence, in (0, 1).
    Returns an absolute Effect in [-1, 1]: a score interval, and an exact one where events (or
    non-events) are so few that the normal curve misleads, see `needs_exact`. Undecided without
    units, with broken sums or with values other than 0 and 1.
    Raises ValueError for a level or a number of units that cannot be.
    Source: Miettinen & Nurminen (1985), Statistics in Medicine 4:213; Fay, Proschan & Brittain
    (2015), Biometrics 71:146.

    >>> effect = difference(Summary(80, 48, 48), Summary(70, 56, 56))
    >>> round(effect.estimate, 4), round(effect.low, 4), round(effect.high, 4)
    (0.2, 0.0528, 0.3382)
    """
    if (refused := _refused(control, treatment, level)) is not None:
        return refused
    counts = _counts(control, treatment)
    exact = needs_exact(*counts)
    limits = (melded if exact else score).difference_limits(*counts, level=level)
    return _effect(treatment.mean - control.mean, limits, counts, exact, level, Scale.ABSOLUTE)


def relative(control: Summary, treatment: Summary, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's proportion over control's, minus one: 0.1 is ten per cent more events.

    As `difference`, with the score interval of the ratio (or the exact one, where events are
    few). Undecided also while control has no event.
    Source: Koopman (1984), Biometrics 40:513; Miettinen & Nurminen (1985).

    >>> effect = relative(Summary(80, 48, 48), Summary(70, 56, 56))
    >>> round(effect.estimate, 4), round(effect.low, 4), round(effect.high, 4)
    (0.3333, 0.079, 0.6721)
    """
    if (refused := _refused(control, treatment, level)) is not None:
        return refused
    if control.total == 0:
        return NO_EVENTS
    counts = _counts(control, treatment)
    exact = needs_exact(*counts)
    low, high = (melded if exact else score).ratio_limits(*counts, level=level)
    ratio = treatment.mean / control.mean
    return _effect(ratio - 1, (low - 1, high - 1), counts, exact, level, Scale.RELATIVE)


def newcombe(control: Summary, treatment: Summary, *, level: float = 0.95) -> Effect | Undecided:
    """Treatment's proportion minus control's, by Newcombe's hybrid of two Wilson intervals.

    Closed form, for many comparisons at once; arguments and refusals as in `difference`.
    Source: Newcombe (1998), Statistics in Medicine 17:873, method 10.

    >>> effect = newcombe(Summary(80, 48, 48), Summary(70, 56, 56))
    >>> round(effect.low, 4), round(effect.high, 4)
    (0.0524, 0.3339)
    """
    if (refused := _refused(control, treatment, level)) is not None:
        return refused
    counts = _counts(control, treatment)
    arms = [wilson(int(arm.total), arm.n, level=level) for arm in (control, treatment)]
    return fixed_effect(
        treatment.mean - control.mean,
        *join(*arms),
        scale=Scale.ABSOLUTE,
        level=level,
        units=(control.n, treatment.n),
        method="Newcombe's hybrid score interval",
        p_value=score.p_value(*counts),
        assumptions=(INDEPENDENT,),
    )


def wilson(events: int, n: int, *, level: float = 0.95) -> Limits:
    """One arm's proportion with its Wilson score interval.

    >>> [round(limit, 4) for limit in wilson(56, 70)]
    [0.6918, 0.8, 0.877]
    """
    z2 = z_quantile(level) ** 2
    share = events / n
    middle = (events + z2 / 2) / (n + z2)
    half = sqrt(z2 * (events * (n - events) / n + z2 / 4)) / (n + z2)
    return Limits(min(max(middle - half, 0.0), share), share, max(min(middle + half, 1.0), share))


def needs_exact(x0: int, n0: int, x1: int, n1: int) -> bool:
    """Whether events or non-events are too few for a score interval.

    They are where both arms together have fewer than 20, or where one arm's count is as skewed as
    that of fewer than 20 rare events.
    x0, n0: control's events and units. x1, n1: treatment's.

    >>> needs_exact(48, 80, 56, 70), needs_exact(3, 10_000, 400, 1_000_000)
    (False, True)
    """
    events, units = x0 + x1, n0 + n1
    if min(events, units - events) < FEW_EVENTS:
        return True
    return min(_effective(x0, n0), _effective(x1, n1)) < FEW_EVENTS


def _effective(events: int, n: int) -> float:
    """The number of rare events whose count would be as skewed: np(1-p) / (1-2p)^2; at most n."""
    share = events / n
    skew = (1 - 2 * share) ** 2
    return min(events * (1 - share) / skew, n) if skew else n


def _refused(control: Summary, treatment: Summary, level: float) -> Undecided | None:
    check_level(level)
    if (refused := unusable(control, treatment, least=1)) is not None:
        return refused
    sound = all(
        arm.total == arm.squares and arm.total == int(arm.total) and 0 <= arm.total <= arm.n
        for arm in (control, treatment)
    )
    return None if sound else NOT_SHARES


def _counts(control: Summary, treatment: Summary) -> tuple[int, int, int, int]:
    return int(control.total), control.n, int(treatment.total), treatment.n


def _effect(
    estimate: float,
    limits: tuple[float, float],
    counts: tuple[int, int, int, int],
    exact: bool,
    level: float,
    scale: Scale,
) -> Effect | Undecided:
    return fixed_effect(
        estimate,
        *limits,
        scale=scale,
        level=level,
        units=(counts[1], counts[3]),
        method=EXACT if exact else SCORE,
        p_value=(melded if exact else score).p_value(*counts),
        assumptions=(INDEPENDENT,),
    )
