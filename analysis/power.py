"""How many units a question needs, what a given number can show, and with what chance.

One normal approximation serves every kind of metric (its history knows the distance and the
scatter); means in small samples use the noncentral t.

Sources: Chow, Shao, Wang & Lokhnygina (2017), Sample Size Calculations in Clinical Research;
non-inferiority as of Julious (2004), Statistics in Medicine 23:1921.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, isfinite, sqrt

import numpy as np
from scipy import optimize, stats
from scipy.special import ndtr

from analysis.arguments import finite, open_share
from analysis.effect import Scale, Undecided
from analysis.history import History, Spread

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)
_T_BELOW = 2000  # above it t and normal agree to three digits, and the noncentral t grows slow


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a comparison, before it starts.

    alpha: chance of a false alarm; power: of finding the change if it is there; both in (0, 1).
    sides: 2 for any difference, 1 for superiority or non-inferiority in one direction.
    share: part of the units in treatment, in (0, 1).
    explained: part of the variance that pre-exposure data explain (CUPED), in [0, 1).
    inflation: times more units for clustering or for looking continuously, 1 or more.

    >>> Plan().power
    0.8
    """

    alpha: float = 0.05
    power: float = 0.8
    sides: int = 2
    share: float = 0.5
    explained: float = 0.0
    inflation: float = 1.0

    def __post_init__(self) -> None:
        for name in ("alpha", "power", "share"):
            open_share(name, getattr(self, name))
        if self.sides not in (1, 2):
            raise ValueError(f"sides must be 1 or 2, not {self.sides}")
        if self.power <= self.tail:
            raise ValueError(f"power {self.power} must be above the alpha of one side")
        if not 0 <= self.explained < 1:
            raise ValueError(f"explained must be in [0, 1), not {self.explained}")
        if not (isfinite(self.inflation) and self.inflation >= 1):
            raise ValueError(f"inflation must be 1 or more, not {self.inflation}")

    @property
    def tail(self) -> float:
        """The alpha of one side."""
        return self.alpha / self.sides


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Units needed per arm, rounded up, and the method that says so."""

    n_control: int
    n_treatment: int
    method: str

    @property
    def total(self) -> int:
        """Units of both arms."""
        return self.n_control + self.n_treatment


def sample_size(
    history: History,
    change: float,
    plan: Plan | None = None,
    *,
    null: float = 0.0,
    scale: Scale = Scale.RELATIVE,
) -> SampleSize | Undecided:
    """Units per arm that find the change with the plan's power.

    change: the true change to be found. null: the change to be ruled out: 0 for a difference,
    the tolerance for non-inferiority (then change is usually 0 and the plan has one side).
    scale: of both; relative is a share of control (0.1 is ten per cent more), absolute is in
    the metric's unit. Time to event and ordered scales know only relative.

    Undecided if the change cannot happen or equals the null. Raises ValueError for values that
    are not finite. For the two-proportion z-test this is Fleiss' formula without continuity
    correction, for time to event Schoenfeld's, for ordered scales Whitehead's.

    >>> from analysis.history import ProportionHistory
    >>> size = sample_size(ProportionHistory(0.5), 0.1, scale=Scale.ABSOLUTE)
    >>> size.n_control, size.n_treatment
    (388, 388)
    """
    plan = plan or Plan()
    spread = history.spread(finite("change", change), finite("null", null), scale, plan.share)
    if isinstance(spread, Undecided):
        return spread
    units = _units(spread, plan)
    if units == inf:
        return Undecided("the change to be found equals the one to be ruled out", "a wider margin")
    units *= plan.inflation
    return SampleSize(_up((1 - plan.share) * units), _up(plan.share * units), history.method)


def _up(units: float) -> int:
    """Rounded up, but not by the last bit of a float."""
    return max(ceil(units * (1 - 1e-12)), 1)


def _units(spread: Spread, plan: Plan) -> float:
    """Units of both arms, before inflation; infinite where the distance is none."""
    z_alpha, z_beta = float(stats.norm.isf(plan.tail)), float(stats.norm.ppf(plan.power))
    reach = z_alpha * sqrt(spread.null_variance) + z_beta * sqrt(spread.change_variance)
    scaled = max(reach, 0.0) * sqrt(1 - plan.explained)
    if spread.distance == 0 or scaled > abs(spread.distance) * 1e150:
        return inf
    units = max((scaled / abs(spread.distance)) ** 2, 2.0)
    if not spread.uses_t or units > _T_BELOW:
        return units
    low, high = max(units, 3.0), units + 20.0
    if _chance(spread, low, plan) >= plan.power:
        return low
    while _chance(spread, high, plan) < plan.power:
        high *= 2
    return float(optimize.brentq(lambda n: _chance(spread, n, plan) - plan.power, low, high))


def power(
    history: History,
    units: float,
    change: float,
    plan: Plan | None = None,
    *,
    null: float = 0.0,
    scale: Scale = Scale.RELATIVE,
) -> float | Undecided:
    """Chance of finding the change with so many units of both arms together, in (0, 1).

    Arguments as in `sample_size`; the plan's own power is not used. Counts only findings in
    the direction of the change.
    Undecided and ValueErrors as `sample_size`.

    >>> from analysis.history import MeanHistory
    >>> round(power(MeanHistory(10, 4), 128, 1, scale=Scale.ABSOLUTE), 4)
    0.8015
    """
    plan = plan or Plan()
    if finite("units", units) < 3:
        return Undecided("fewer than three customers", needs="more customers")
    spread = history.spread(finite("change", change), finite("null", null), scale, plan.share)
    if isinstance(spread, Undecided):
        return spread
    return _chance(spread, units / plan.inflation, plan)


def _chance(spread: Spread, units: float, plan: Plan) -> float:
    scale = sqrt(units / (1 - plan.explained))
    signal = abs(spread.distance) * scale
    if spread.uses_t and 2 < units <= _T_BELOW:
        return _t_chance(signal / sqrt(spread.change_variance), units - 2, plan.tail)
    z_alpha = float(stats.norm.isf(plan.tail))
    margin = signal - z_alpha * sqrt(spread.null_variance)
    if spread.change_variance == 0:  # a change to exactly none or all leaves no scatter
        return 1.0 if margin > 0 else 0.0
    return float(stats.norm.cdf(margin / sqrt(spread.change_variance)))


def _t_chance(signal: float, df: float, tail: float) -> float:
    """Chance that a noncentral t exceeds its critical value.

    The chance given the estimated deviation, averaged over that deviation's own scatter: holds
    for one degree of freedom and a level of a millionth, where series for the density give up.
    """
    critical = float(stats.t.isf(tail, df))
    deviation = stats.chi2(df)
    low = float(np.sqrt(deviation.ppf(1e-18) / df))
    high = min(float(np.sqrt(deviation.isf(1e-18) / df)), (signal + 9) / max(critical, 1e-9))
    if high <= low:
        return 0.0
    s = low + (high - low) * (_NODES + 1) / 2
    density = 2 * df * s * deviation.pdf(df * s * s)
    held = float(np.sum(_WEIGHTS * density * ndtr(signal - critical * s))) * (high - low) / 2
    return min(max(held, 0.0), 1.0)


def minimum_detectable_effect(
    history: History,
    units: float,
    plan: Plan | None = None,
    *,
    sign: int = 1,
    scale: Scale = Scale.RELATIVE,
) -> float | Undecided:
    """Smallest change that so many units of both arms find with the plan's power.

    sign: 1 for a rise, -1 for a fall (then the answer is negative). scale: as in `sample_size`.
    Undecided if not even the largest possible change would be found.

    >>> from analysis.history import ProportionHistory
    >>> round(minimum_detectable_effect(ProportionHistory(0.05), 100_000), 4)
    0.0787
    """
    plan = plan or Plan()
    return _smallest(history, units, plan, sign, scale, lambda size: (sign * size, 0.0))


def smallest_margin(
    history: History,
    units: float,
    plan: Plan | None = None,
    *,
    sign: int = 1,
    scale: Scale = Scale.RELATIVE,
) -> float | Undecided:
    """Smallest tolerance that so many units can show a harmless change to keep.

    sign: 1 if more is worse, -1 if less is worse (then the answer is negative). The plan should
    have one side. Undecided if even the largest tolerance could not be shown.
    scale: of the margin.

    >>> from analysis.history import ProportionHistory
    >>> round(smallest_margin(ProportionHistory(0.05), 100_000, Plan(sides=1)), 3)
    0.071
    """
    plan = plan or Plan()
    return _smallest(history, units, plan, sign, scale, lambda size: (0.0, sign * size))


def _smallest(
    history: History,
    units: float,
    plan: Plan,
    sign: int,
    scale: Scale,
    question: Callable[[float], tuple[float, float]],
) -> float | Undecided:
    """The smallest size whose (change, null) reaches the plan's power."""
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, not {sign}")
    if finite("units", units) < 3:
        return Undecided("fewer than three customers", needs="more customers")

    def lacking(size: float) -> float:
        change, null = question(size)
        spread = history.spread(change, null, scale, plan.share)
        chance = (
            -1.0 if isinstance(spread, Undecided) else _chance(spread, units / plan.inflation, plan)
        )
        return chance - plan.power

    high = _enough(lacking, history.reach(sign, scale) * (1 - 1e-9))
    if high is None:
        return Undecided("not even the largest possible change would show", needs="more customers")
    low = high / 2  # a tight bracket: the answer may be 1e-20 of what was tried first
    while lacking(low) >= 0:
        high, low = low, low / 2
    return sign * float(optimize.brentq(lacking, low, high, xtol=1e-300, rtol=1e-12, maxiter=2_200))


def _enough(lacking: Callable[[float], float], limit: float) -> float | None:
    """A size that suffices, by doubling up to the limit."""
    size = min(1e-6, limit)
    while size < limit and lacking(size) < 0:
        size *= 2
        if size > 1e15:
            return None
    size = min(size, limit)
    return size if size > 0 and lacking(size) >= 0 else None


def design_effect(mean_size: float, correlation: float, variation: float = 0.0) -> float:
    """Times more units that clusters need: 1 + ((1 + cv^2) m - 1) ICC.

    mean_size: units per cluster, 1 or more. correlation: within clusters, in [0, 1].
    variation: coefficient of variation of the cluster sizes, 0 or more.
    Raises ValueError outside those ranges. Use as `Plan.inflation`.
    Source: Eldridge, Ashby & Kerry (2006), Int. J. Epidemiology 35:1292-1300.

    >>> round(design_effect(20, 0.05), 2)
    1.95
    """
    if not (isfinite(mean_size) and mean_size >= 1):
        raise ValueError(f"mean_size must be 1 or more, not {mean_size}")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must be in [0, 1], not {correlation}")
    if not (isfinite(variation) and variation >= 0):
        raise ValueError(f"variation must be 0 or more, not {variation}")
    return 1 + ((1 + variation * variation) * mean_size - 1) * correlation
