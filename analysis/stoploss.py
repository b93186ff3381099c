"""The share test: is the treatment worse than its control by more than the tolerance?

Stratum by stratum it asks on which arm the events fell, so that ramps and a drifting baseline
do not mislead it. It needs sums only, and serves proportions, counts, money, ratios and
customers who come back. It is calibrated and asymptotic: never call it exact.

The parts: this statistic; `spending`, the boundary it must cross; `limits`, the same test
inverted into an interval; `guardrail`, all of them together at one look.

strata: stretches of constant allocation. kind: proportion, count or other. Source: this project's
recipe; the quasi-likelihood is McCullagh & Nelder's (1989), Generalized Linear Models, 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf, isfinite
from numbers import Integral
from typing import Literal

import numpy as np

from analysis.share import Arms, Floats, Kind, Share, log_tilt, share

__all__ = ["Kind", "ShareStatistic", "Stratum", "share_statistic"]

Side = Literal["harm", "safe"]

LEAST_EFFECTIVE = 20.0  # events of variance-to-mean one, over both arms
LEAST_PER_ARM = {Kind.PROPORTION: 5.0, Kind.COUNT: 10.0, Kind.OTHER: 10.0}
LEAST_NON_EVENTS = 5.0
LEAST_CLUSTERS = 10
LARGEST = 1e100  # of a sum; the third power must still be a number
SMALLEST = 1e-100  # of a sum; below it nothing was summed
SQUARES_SLACK = 1e-9  # rounding that sums of floats are forgiven, as a share of the squares


@dataclass(frozen=True, slots=True)
class Stratum:
    """One stretch of constant allocation, two arms: 0 is the control, 1 the treatment.

    n: units. s: sum of their values. q: sum of squares. Ratio and cluster metrics: n is the
    denominators' sum, and the variances come ready: nv is n times the variance, that is
    sum((x - R y)^2) m / (m - 1) over the m randomised units, with R the arm's ratio.
    peak: the largest value of one unit, where known; lets one unit's weight be reported.
    """

    n0: float
    s0: float
    q0: float
    n1: float
    s1: float
    q1: float
    nv0: float | None = None
    nv1: float | None = None
    m0: float | None = None
    m1: float | None = None
    peak0: float | None = None
    peak1: float | None = None


@dataclass(frozen=True, slots=True)
class ShareStatistic:
    """The share test's evidence at one look, for one side.

    r: signed evidence, positive towards harm, standard normal where the harm equals the
    tolerance. phi: variance per event. information: what the boundary is spent on.
    effective: independent events, over both arms. min_arm: the same expected in the poorer arm.
    min_non_events: units without the event expected in the poorer arm (proportions).
    ready: whether a verdict may be taken; if not, `reason` says why and `needs` what would help.
    """

    r: float
    phi: float
    information: float
    effective: float
    min_arm: float
    min_non_events: float
    ready: bool
    reason: str = ""
    needs: str = ""


def share_statistic(
    strata: Sequence[Stratum],
    *,
    kind: Kind | str,
    sign: int,
    tolerance: float,
    side: Side = "harm",
) -> ShareStatistic:
    """The evidence that treatment is worse than control by more than the tolerance.

    sign: +1 where more of the metric is worse, -1 where less is. tolerance: relative, 0.1 lets
    the treatment be ten per cent worse; must leave a tolerated ratio above 0.
    side: the verdict sought, harm or safe; they differ by half an event for proportions.
    Too little data comes back with `ready` false and a reason; ValueError names an argument
    that is impossible.

    >>> look = share_statistic(
    ...     [Stratum(1000, 50, 50, 1000, 90, 90)], kind="proportion", sign=1, tolerance=0.1
    ... )
    >>> round(look.r, 3), round(look.information, 2), look.ready
    (2.903, 37.54, True)
    """
    kind = Kind(kind)
    ratio = tolerated_ratio(sign, tolerance)
    if side not in ("harm", "safe"):
        raise ValueError(f"side must be 'harm' or 'safe', not {side!r}")
    kept = usable_strata(strata, kind)
    if not kept:
        return _unready(*why_no_units(strata))
    found = share(to_arms(kept, kind), kind=kind, sign=sign, ratio=ratio, safe=side == "safe")
    reason, needs = why_not_ready(kept, kind, found)
    return _statistic(found, reason, needs)


def tolerated_ratio(sign: int, tolerance: float) -> float:
    """The treatment-to-control ratio at which harm begins. ValueError unless it is above 0.

    sign: +1 where more is worse, -1 where less is.

    >>> tolerated_ratio(-1, 0.2)
    0.8
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, not {sign}")
    if not isfinite(tolerance):
        raise ValueError(f"tolerance must be finite, not {tolerance}")
    ratio = 1 + sign * tolerance
    if ratio <= 0:
        raise ValueError(f"tolerance {tolerance} leaves no positive ratio to test against")
    return ratio


def usable_strata(strata: Sequence[Stratum], kind: Kind | None) -> list[Stratum]:
    """The strata in which both arms have units. ValueError names a sum that cannot be.

    >>> len(usable_strata([Stratum(9, 1, 1, 9, 1, 1), Stratum(9, 1, 1, 0, 0, 0)], None))
    1
    """
    for stratum in strata:
        _check(stratum, kind)
    return [_cleared(stratum) for stratum in strata if stratum.n0 > 0 and stratum.n1 > 0]


def _cleared(stratum: Stratum) -> Stratum:
    """The same with sums so small that they cannot be computed with counted as nothing."""
    small = {
        name: 0.0
        for name in ("s0", "q0", "s1", "q1", "nv0", "nv1")
        if (value := getattr(stratum, name)) and abs(value) < SMALLEST
    }
    return replace(stratum, **small) if small else stratum


def _check(stratum: Stratum, kind: Kind | None) -> None:
    for name in Stratum.__slots__:
        value = getattr(stratum, name)
        if value is not None and not isfinite(value):
            raise ValueError(f"{name} must be finite, not {value}")
        if value is not None and abs(value) > LARGEST:
            raise ValueError(f"{name} is too large to be computed with: {value}")
    for name in ("n0", "n1", "q0", "q1", "nv0", "nv1", "m0", "m1"):
        value = getattr(stratum, name)
        if value is not None and value < 0:
            raise ValueError(f"{name} must not be negative, not {value}")
    if (stratum.nv0 is None) != (stratum.nv1 is None):
        raise ValueError("nv0 and nv1 belong together: a ready variance for each arm")
    if stratum.nv0 is not None and (stratum.m0 is None or stratum.m1 is None):
        raise ValueError("m0 and m1 must count the randomised units where variances come ready")
    if kind is Kind.PROPORTION:
        _check_proportion(stratum)


def _check_proportion(stratum: Stratum) -> None:
    for arm, n, s in (("0", stratum.n0, stratum.s0), ("1", stratum.n1, stratum.s1)):
        if not 0 <= s <= n:
            raise ValueError(f"s{arm} must lie between 0 and n{arm} for a proportion, not {s}")


def to_arms(strata: Sequence[Stratum], kind: Kind | None) -> Arms:
    """The strata's sums as arrays of shape (J,); variances are taken in exact arithmetic.

    A proportion's squares are its sums, whatever the strata say.

    >>> to_arms([Stratum(4, 4, 10, 4, 8, 20)], Kind.OTHER).nv0.tolist()  # 4 times 6 / 3
    [8.0]
    """
    proportion = kind is Kind.PROPORTION
    columns = [
        np.array([float(value) for value in column])
        for column in zip(*(_row(stratum, proportion) for stratum in strata), strict=True)
    ]
    n0, s0, nv0, n1, s1, nv1, m0, m1 = columns
    return Arms(n0, s0, nv0, n1, s1, nv1, m0.sum(), m1.sum())


def _row(stratum: Stratum, proportion: bool) -> tuple[float, ...]:
    q0, q1 = (stratum.s0, stratum.s1) if proportion else (stratum.q0, stratum.q1)
    return (
        stratum.n0,
        stratum.s0,
        _scaled_variance("0", stratum.n0, stratum.s0, q0, stratum.nv0),
        stratum.n1,
        stratum.s1,
        _scaled_variance("1", stratum.n1, stratum.s1, q1, stratum.nv1),
        stratum.n0 if stratum.m0 is None else stratum.m0,
        stratum.n1 if stratum.m1 is None else stratum.m1,
    )


def _scaled_variance(arm: str, n: float, s: float, q: float, ready: float | None) -> float:
    """n times the sample variance with n - 1; 0 for a single unit, whose variance is not known."""
    if ready is not None:
        return ready
    if n <= 1:
        return 0.0
    centred = centred_squares(n, s, q)
    if centred < -SQUARES_SLACK * q:
        raise ValueError(f"q{arm} is below s{arm} squared over n{arm}: no values have such sums")
    return max(centred, 0.0) * n / (n - 1)


def centred_squares(n: float, s: float, q: float) -> float:
    """Squared deviations from the mean, from sums, without loss of digits; n above 0.

    n, s, q: units, sum, sum of squares.

    >>> centred_squares(10**9, 10**12, 10**15 + 5)
    5.0
    """
    count, total, squares = (
        Fraction(int(x)) if isinstance(x, Integral) else Fraction(float(x)) for x in (n, s, q)
    )
    return float(squares - total * total / count)


def why_no_units(strata: Sequence[Stratum]) -> tuple[str, str]:
    """Why nothing can be compared when no stratum has units in both arms.

    >>> why_no_units([Stratum(5, 1, 1, 0, 0, 0)])[0]
    'nobody is in the treatment yet'
    """
    units0, units1 = sum(x.n0 for x in strata), sum(x.n1 for x in strata)
    if units0 and units1:
        return (
            "control and treatment never had customers at the same time",
            "a stretch of time in which both arms have customers",
        )
    if units0 or units1:
        missing = "treatment" if units0 else "control"
        return f"nobody is in the {missing} yet", f"first customers in the {missing}"
    return "nobody has been counted yet", "first customers in both arms"


def why_not_ready(strata: Sequence[Stratum], kind: Kind, found: Share) -> tuple[str, str]:
    """Reason and need for waiting, or two empty texts when a verdict may be taken.

    >>> strata = [Stratum(90, 9, 9, 90, 8, 8)]
    >>> found = share(
    ...     to_arms(strata, Kind.PROPORTION), kind=Kind.PROPORTION, sign=1, ratio=1.0, safe=False
    ... )
    >>> why_not_ready(strata, Kind.PROPORTION, found)[0]
    '18 of the 20 events a verdict needs'
    """
    blocked = _no_evidence(strata, found)
    if blocked != ("", ""):
        return blocked
    least = LEAST_PER_ARM[kind]
    if found.effective < LEAST_EFFECTIVE:
        return _short(found.effective, LEAST_EFFECTIVE, kind, "a verdict needs")
    if found.min_arm < least:
        return _short(found.min_arm, least, kind, "that the smaller arm must expect")
    if kind is Kind.PROPORTION and found.min_non_events < LEAST_NON_EVENTS:
        few = _count(float(found.min_non_events))
        return f"{few} of the 5 customers without the event that an arm needs", "more customers"
    return "", ""


def _no_evidence(strata: Sequence[Stratum], found: Share) -> tuple[str, str]:
    few = _few_randomised(strata)
    if few:
        return few
    total = sum(x.s0 + x.s1 for x in strata)
    if min(min(x.s0, x.s1) for x in strata) < 0:
        return (
            "a total is below zero, so the treatment cannot be a percentage of control",
            "a tolerance in the metric's own unit",
        )
    if total <= 0:
        return "nothing has happened yet: no events in either arm", "first events"
    if found.phi <= 0:
        return "every customer has the same value, so its spread is unknown", "values that differ"
    return "", ""


def _few_randomised(strata: Sequence[Stratum]) -> tuple[str, str] | None:
    clustered = any(x.m0 is not None for x in strata)
    m0 = sum(x.n0 if x.m0 is None else x.m0 for x in strata)
    m1 = sum(x.n1 if x.m1 is None else x.m1 for x in strata)
    if min(m0, m1) < 2:
        return "an arm has only one customer, so its spread is unknown", "more customers"
    if clustered and min(m0, m1) < LEAST_CLUSTERS:
        return (
            f"only {_count(min(m0, m1))} of the {LEAST_CLUSTERS} randomised units an arm needs",
            "more randomised units in each arm",
        )
    return None


def _short(have: Floats, least: float, kind: Kind, tail: str) -> tuple[str, str]:
    what = "events" if kind is Kind.PROPORTION else "independent events"
    return f"{_count(float(have))} of the {least:.0f} {what} {tail}", "more customers or more days"


def _count(value: float) -> str:
    """A count rounded down, so that "20 of the 20" is never said while waiting."""
    return str(int(value))


def _statistic(found: Share, reason: str, needs: str) -> ShareStatistic:
    r, phi, information, effective, min_arm, min_non_events = (float(value) for value in found)
    return ShareStatistic(
        r,
        phi,
        information,
        effective,
        min_arm,
        min_non_events,
        ready=not reason,
        reason=reason,
        needs=needs,
    )


def _unready(reason: str, needs: str) -> ShareStatistic:
    return ShareStatistic(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ready=False, reason=reason, needs=needs)


def observed_ratio(arms: Arms) -> float:
    """Treatment over control with each stratum weighed by its events: the root's own estimate.

    0 where only the control had events, infinite where only the treatment had.
    Raises ValueError with no events at all.
    arms: of both versions, by stratum.

    >>> round(observed_ratio(to_arms([Stratum(100, 10, 10, 100, 15, 15)], None)), 6)
    1.5
    """
    seen, total = float(arms.s1.sum()), float(arms.events.sum())
    if total <= 0:
        raise ValueError("arms have no events, so there is no ratio")
    if seen <= 0:
        return 0.0
    if seen >= total:
        return inf
    q = arms.n1 / (arms.n0 + arms.n1)
    return float(np.exp(log_tilt(arms.events, q, np.asarray(seen))))
