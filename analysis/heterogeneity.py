"""Do segments differ? Tested first, corrected for all that was looked at, and never a ranking.

The largest of twenty segments is nearly always a lucky one. So segments keep the order they
came in; each shows its shrunken effect beside the raw one; and one is said to differ only if
the dimension as a whole shows differences and the segment still stands out after correction.

Sources: beside `by_dimension`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

from scipy import stats

from analysis.arguments import open_share
from analysis.effect import Effect, Undecided
from analysis.estimate import Estimate, columns
from analysis.meta import Heterogeneous, cochran_q
from analysis.multiplicity import holm
from analysis.pooled import inverse_variance
from analysis.shrinkage import Shrunken, shrink

_FEWEST = 30  # units an arm needs before its standard error may be taken as known


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment's effect, raw and shrunken.

    raw: as measured, for those who ask. shrunken: what to expect there. p_value: that it equals
    the other segments together, Holm over all. differs: whether it may be called different.
    """

    name: str
    raw: Effect
    shrunken: Shrunken
    p_value: float
    differs: bool


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """What one dimension (country, device, plan) shows.

    interaction: the test that all segments share one effect; p_value: the same after Holm over
    all dimensions looked at. overall: the common effect. segments: in the order given.
    left_out: segments without a usable effect, with the reason.
    """

    interaction: Heterogeneous
    p_value: float
    overall: Effect
    segments: tuple[Segment, ...]
    left_out: Mapping[str, str]
    differs: bool
    reading: str


Segments = Mapping[str, Estimate | Undecided]


def by_segment(
    segments: Segments, *, alpha: float = 0.05, level: float = 0.95
) -> Heterogeneity | Undecided:
    """What the segments of one dimension show. See `by_dimension`.

    alpha, level: of its test and its intervals; Undecided as there.

    >>> found = by_segment({n: Estimate(n, v, 0.1) for n, v in [("new", 0.9), ("old", 0.1)]})
    >>> found.differs, found.reading
    (True, 'the effect differs between segments: new, old stand out')
    """
    return by_dimension({"segments": segments}, alpha=alpha, level=level)["segments"]


def by_dimension(
    dimensions: Mapping[str, Segments], *, alpha: float = 0.05, level: float = 0.95
) -> dict[str, Heterogeneity | Undecided]:
    """What the segments of each dimension show, corrected for all dimensions together.

    dimensions: by name, its disjoint segments' estimates, all of one scale, in the order to be
    shown. alpha: chance of any false claim of difference over all dimensions, in (0, 1).
    level: of the intervals, which are each segment's own, in (0, 1).

    Cochran's Q per dimension, Holm over dimensions; within a dimension that differs each
    segment against the others' pooled effect, Holm over segments. Undecided with fewer than two
    usable segments; those under 30 units in an arm, where known, are left out and named.
    Raises ValueError for mixed scales.
    Sources: Gail & Simon (1985), Biometrics 41:361-372; Wang, Lagakos, Ware, Hunter & Drazen
    (2007), NEJM 357:2189-2194.

    >>> by_dimension({"device": {"phone": Undecided("no customers")}})["device"].reason
    'fewer than two segments with enough customers'
    """
    open_share("alpha", alpha)
    open_share("level", level)
    usable = {name: _usable(segments) for name, segments in dimensions.items()}
    tests = {name: cochran_q(held) for name, held in usable.items() if len(held) >= 2}
    adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
    return {
        name: _reading(usable[name], tests[name], adjusted[name], _left_out(segments), alpha, level)
        if name in tests
        else Undecided("fewer than two segments with enough customers", needs="more customers")
        for name, segments in dimensions.items()
    }


def _is_small(estimate: Estimate) -> bool:
    arms = (estimate.n_control, estimate.n_treatment)
    return any(n is not None and n < _FEWEST for n in arms)


def _usable(segments: Segments) -> list[Estimate]:
    return [e for e in segments.values() if isinstance(e, Estimate) and not _is_small(e)]


def _left_out(segments: Segments) -> dict[str, str]:
    reasons = {}
    for name, estimate in segments.items():
        if isinstance(estimate, Undecided):
            reasons[name] = estimate.reason
        elif _is_small(estimate):
            reasons[name] = f"fewer than {_FEWEST} customers in a variation"
    return reasons


def _reading(
    held: list[Estimate],
    test: Heterogeneous,
    p_value: float,
    left_out: dict[str, str],
    alpha: float,
    level: float,
) -> Heterogeneity:
    differs = p_value < alpha
    chances = holm(_against_the_rest(held))
    segments = tuple(
        Segment(e.name, _raw(e, level), shrunken, p, differs and p < alpha)
        for e, shrunken, p in zip(held, shrink(held, level=level), chances, strict=True)
    )
    return Heterogeneity(
        interaction=test,
        p_value=p_value,
        overall=inverse_variance(held, level=level),
        segments=segments,
        left_out=left_out,
        differs=differs,
        reading=_words(differs, [segment.name for segment in segments if segment.differs]),
    )


def _words(differs: bool, names: list[str]) -> str:
    if not differs:
        return "no evidence that segments differ: expect the overall effect in each"
    if not names:
        return "the effect differs between segments, but no single one can be named"
    stand = "stands" if len(names) == 1 else "stand"
    return f"the effect differs between segments: {', '.join(names)} {stand} out"


def _against_the_rest(held: list[Estimate]) -> list[float]:
    """Two-sided p-values of each segment against the inverse-variance mean of the others."""
    values, errors = columns(held)
    weights = (errors.min() / errors) ** 2
    chances = []
    for i, (value, error) in enumerate(zip(values, errors, strict=True)):
        rest = weights.copy()
        rest[i] = 0.0
        gap = value - rest @ values / rest.sum()
        scatter = sqrt(error * error + errors.min() ** 2 / rest.sum())
        chances.append(float(2 * stats.norm.sf(abs(gap) / scatter)))
    return chances


def _raw(estimate: Estimate, level: float) -> Effect:
    """The segment's own effect with its normal interval, back on the metric's scale."""
    effect = inverse_variance([estimate], level=level)
    return replace(effect, method="this segment alone", assumptions=())
