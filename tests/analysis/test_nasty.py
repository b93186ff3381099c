"""What is thrown at every other public function: zeros, negatives, tiny and huge, broken and odd.

A finite answer, an `Undecided` with its reason, or a ValueError of ours; never NaN or a warning
(warnings are errors in this suite).
"""

from __future__ import annotations

from datetime import timedelta
from math import isfinite

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import (
    anytime,
    budget,
    cuped,
    decision,
    dispersion,
    duration,
    exact,
    feeds,
    futility,
    gaussian,
    guardrail,
    mean,
    melded,
    meta,
    multiplicity,
    noninferiority,
    ordinal,
    planning,
    poststratify,
    proportion,
    quantile,
    ratio,
    score,
    sequence,
    shrinkage,
    srm,
    stoploss,
    survival,
    winsor,
)
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.eprocess import EventShare, TwoByTwo
from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.planning import Plan, Stage
from analysis.populations import Population
from analysis.rows import Events, Times
from analysis.spending import Spending
from analysis.stoploss import Stratum
from tests.analysis.test_extremes import ask, check, counted, estimates, numbers, pairs, summaries

chances = st.sampled_from([0.0, 1e-300, 1e-9, 0.05, 0.5, 1.0]) | st.floats(0, 1)
levels = st.sampled_from([0.5, 0.9, 0.95, 0.999])
kinds = st.sampled_from(["proportion", "count", "other", "gaussian"])
signs = st.sampled_from([1, -1])
units = st.sampled_from([0, 1, 2, 3, 7, 100, 10**6, 10**9])
MANY = 10**5
tame = st.sampled_from([-3.0, -1.0, 0.0, 1e-300, 0.5, 1.0, 2.0, 1e6, 1e12])


@st.composite
def tables(draw):
    """Events and units of both arms, from none to all of a billion."""
    n0, n1 = draw(units.filter(bool)), draw(units.filter(bool))
    some = st.floats(0, 1)
    x0 = min(int(n0 * draw(some)), draw(st.sampled_from([0, 1, 5, 10**9])))
    return x0, n0, int(n1 * draw(some)), n1


@st.composite
def counted_strata(draw):
    """Sums that values could have: events, amounts, or values that may be negative."""
    held = []
    for _ in range(draw(st.integers(0, 3))):
        sums = []
        for _ in range(2):
            n = draw(st.sampled_from([0, 1, 2, 30, 1000, 10**9]))
            middle, spread = draw(tame), abs(draw(tame))
            sums += [n, n * middle, n * (middle * middle + spread)]
        held.append(Stratum(*sums))
    return held


wild_strata = st.lists(
    st.builds(Stratum, numbers, numbers, numbers, numbers, numbers, numbers), max_size=3
)
strata = counted_strata() | wild_strata
values = st.lists(numbers.filter(isfinite) | st.integers(0, 10), max_size=12)
histograms = st.lists(tame | st.integers(0, 10).map(float), max_size=14).map(Histogram.of)


@st.composite
def effects(draw):
    """An effect of any width, on either scale."""
    ends = sorted(draw(st.lists(tame | st.floats(-0.999, 9), min_size=3, max_size=3)))
    scale = draw(st.sampled_from(Scale))
    n0, n1 = draw(units), draw(units)
    validity = draw(st.sampled_from(Validity))
    return Effect(ends[1], ends[0], ends[2], scale, validity, draw(levels), n0, n1, "any")


@settings(max_examples=60)
@given(tables(), levels)
def test_tables_of_any_kind(table, level):
    """Exact and score limits, from no event to nothing but events; an infinite ratio is told."""
    for module in (melded, score):
        low, high = module.difference_limits(*table, level=level)
        assert -1 <= low <= high <= 1
        low, high = module.ratio_limits(*table, level=level)
        assert 0 <= low <= high
        assert 0 <= module.p_value(*table) <= 1
    x0, n0, x1, n1 = table
    for x, n in ((x0, n0), (x1, n1)):
        check(proportion.wilson(x, n, level=level))


@settings(max_examples=60)
@given(strata, kinds, signs, tame, st.sampled_from([None, 1e-9, 60.0, 1e12]), st.booleans())
def test_looks_of_any_kind(held, kind, sign, tolerance, planned, deadline):
    """The stop-loss with its interval and its budget, whatever sums arrive."""
    for side in ("harm", "safe"):
        if kind != "gaussian":
            ask(
                stoploss.share_statistic, held, kind=kind, sign=sign, tolerance=tolerance, side=side
            )
    ask(gaussian.gaussian_statistic, held, sign=sign, tolerance=tolerance)
    ask(
        anytime.anytime_effect,
        held,
        kind=kind,
        alpha=0.05,
        deadline=deadline,
        planned_information=planned,
    )
    ask(looked, held, kind, sign, tolerance, planned, deadline)
    ask(spent, held, kind, sign, planned, deadline)


def looked(held, kind, sign, tolerance, planned, deadline):
    """All that a look says but its state, in which a boundary not yet reached is infinite."""
    rule = guardrail.Rule(kind, sign, tolerance, planned_information=planned)
    seen = guardrail.look(held, rule, deadline=deadline)
    for found in (seen.relative, seen.absolute):
        check(found)
    assert seen.reason or seen.finding.value != "unknown"
    return seen.evidence


def spent(held, kind, sign, planned, deadline):
    found = budget.harm_spent(
        held, kind=kind, sign=sign, alpha=0.05, deadline=deadline, planned_information=planned
    )
    if found.undecided is not None:
        assert found.undecided.reason
    return [end for end in (found.estimate, found.low, found.high) if end is not None]


@settings(max_examples=60)
@given(strata, st.sampled_from(["proportion", "count"]), signs, tame, st.floats(0.01, 0.99))
def test_exact_looks_of_any_kind(held, kind, sign, tolerance, share):
    """The named option, and its two e-processes step by step."""

    def once(method):
        rule = guardrail.Rule(kind, sign, tolerance)
        seen = exact.exact_look(held, rule, shares=[share] * len(held), method=method)
        for found in (seen.relative, seen.absolute):
            check(found)
        return seen.evidence

    for method in exact.Method:
        ask(once, method)

    def stepped(n0, x0, n1, x1):
        shared = EventShare(sign, tolerance, 0.05).advance(events0=x0, events1=x1, share=share)
        check(list(shared.gains))
        by_two = TwoByTwo(sign, tolerance, 0.05)
        return by_two.advance(units0=n0, events0=x0, units1=n1, events1=x1).log_evidence

    for row in held:
        ask(stepped, row.n0, row.s0, row.n1, row.s1)


@given(st.lists(counted | st.integers(-2, 5), min_size=0, max_size=4), chances, numbers)
def test_splits_of_any_kind(seen, share, concentration):
    """Nobody, a few or a trillion, in shares that may be none."""
    shares = [share, *([(1 - share) / max(len(seen) - 1, 1)] * (len(seen) - 1))]
    ask(srm.srm_p_value, seen, shares)
    ask(srm.anytime_srm_p_value, seen, shares)
    ask(srm.anytime_srm_p_value, seen, shares, concentration=concentration)

    def by_stage():
        stages = [srm.Split(tuple(seen), tuple(shares))] * 2
        check(srm.anytime_stages_p_value(stages))
        check(srm.by_group({"a": stages[0], "b": stages[1]}, anytime=share > 0.5))
        return srm.stages_p_value(stages)

    ask(by_stage)


@given(st.lists(chances | numbers, max_size=6), st.lists(numbers, max_size=6))
def test_many_p_values_of_any_kind(p_values, weights):
    """Chances and what is none."""
    ask(multiplicity.holm, p_values)
    ask(multiplicity.benjamini_hochberg, p_values)
    names = [str(i) for i in range(len(p_values))]
    ask(
        multiplicity.weighted_holm,
        dict(zip(names, p_values, strict=True)),
        dict(zip(names, weights, strict=False)),
    )
    ask(multiplicity.split_alpha, 0.05, dict(zip(names, weights, strict=False)))


@given(effects(), numbers, st.booleans(), st.sampled_from([0, 1, 100, 10**12]))
def test_effects_judged_of_any_kind(effect, margin, up, planned):
    """Against a margin, widened, taken back, and as evidence of a decision."""
    ask(noninferiority.finding, effect, margin, higher_is_better=up)
    ask(noninferiority.p_values, effect, margin, higher_is_better=up)
    ask(noninferiority.equivalent, effect, margin)
    ask(sequence.always_valid, effect, planned=planned)
    ask(sequence.error_behind, effect, planned=planned)
    ask(dispersion.worst_segment, {"a": effect, "b": effect}, margin, higher_is_better=up)


@given(numbers, numbers, chances, numbers, numbers)
def test_futility_of_any_kind(estimate, error, fraction, truth, critical):
    """Chances stay chances."""
    ask(futility.conditional_power, estimate, error, fraction, truth, critical)
    ask(futility.predictive_power, estimate, error, fraction, critical, prior_deviation=truth)
    ask(futility.futility, estimate, error, fraction=fraction, worthwhile=truth)


@given(
    st.lists(numbers, max_size=5), st.floats(0.001, 0.499), st.sampled_from([None, 1e-3, 50.0, 1e9])
)
def test_spending_of_any_kind(informations, alpha, planned):
    """Information that stands still, falls back or is none: never more spent than alpha."""
    spending = Spending(alpha, planned=planned)
    for information in informations:
        try:
            spending = spending.advance(information)
        except ValueError:
            continue
        assert 0 <= spending.spent <= alpha * (1 + 1e-9)
        assert spending.bound > 0


@given(histograms, histograms, st.sampled_from([0.01, 0.1, 0.5, 0.9, 0.99]), levels)
def test_histograms_of_any_kind(control, treatment, q, level):
    """Quantiles, grades and spreads; cut tails."""
    for method in (quantile.difference, quantile.relative):
        ask(method, control, treatment, q, level=level)
    for method in (
        ordinal.mann_whitney,
        ordinal.nps,
        dispersion.spread,
        dispersion.spread_difference,
        dispersion.variance_ratio,
    ):
        ask(method, control, treatment, level=level)
    ask(ordinal.mann_whitney_p_value, control, treatment)
    ask(dispersion.brown_forsythe_p_value, control, treatment)
    ask(ordinal.top_box, control, treatment, least=q)
    ask(ordinal.lower_tail, control, treatment, most=q)
    ask(quantile.order_limits, control, q, level=level)
    ask(quantile.anytime_limits, control, q, level=level)
    ask(winsor.limits, [control, treatment], q)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.booleans()), max_size=12), tame)
def test_times_of_any_kind(waits, horizon):
    """Everybody waiting, nobody waiting, at once or never."""
    half = len(waits) // 2
    arms = [
        Times(np.array([t for t, _ in part]), np.array([d for _, d in part], bool))
        for part in (waits[:half], waits[half:])
    ]
    ask(survival.restricted_mean_difference, *arms)
    ask(survival.restricted_mean_difference, *arms, horizon=horizon)
    ask(survival.restricted_mean_ratio, *arms)
    ask(survival.log_rank_p_value, *arms)
    ask(survival.event_share_difference, *arms, by=horizon)


@given(st.lists(st.tuples(tame, st.integers(0, 4)), max_size=14), st.sampled_from([0.5, 0.9]))
def test_events_of_any_kind(rows, q):
    """Many of one customer, one of many, all alike."""
    half = len(rows) // 2
    arms = [
        Events(np.array([v for v, _ in part], float), np.array([u for _, u in part], int))
        for part in (sorted(rows[:half]), sorted(rows[half:]))
    ]
    ask(quantile.event_difference, *arms, q)
    ask(quantile.event_relative, *arms, q)


@given(pairs, pairs, levels)
def test_pairs_of_any_kind(control, treatment, level):
    """Ratios, and comparisons adjusted for the time before."""
    ask(ratio.difference, control, treatment, level=level)
    ask(ratio.relative, control, treatment, level=level)
    for method in (cuped.difference, cuped.relative):
        ask(method, control, treatment, before_exposure=True, level=level)
        moments = Moments.of_pair(control), Moments.of_pair(treatment)
        ask(method, *moments, before_exposure=True, level=level)
    ask(cuped.balance_p_value, control, treatment)


@given(
    st.dictionaries(st.sampled_from("abc"), summaries),
    st.dictionaries(st.sampled_from("abc"), summaries),
)
def test_strata_fixed_beforehand_of_any_kind(control, treatment):
    """Missing on one side, empty or broken."""
    ask(poststratify.poststratified, control, treatment)
    ask(poststratify.poststratified_relative, control, treatment)
    for one, other in zip(control.values(), treatment.values(), strict=False):
        ask(mean.difference, one, other)
        ask(mean.relative, one, other)
        if max(one.n, other.n) <= MANY:  # Fisher's tails are added term by term
            ask(proportion.difference, one, other)
            ask(proportion.relative, one, other)


@given(estimates())
def test_history_of_any_kind(held):
    """How far apart, and where the next may lie."""
    ask(shrinkage.spread, held)
    ask(meta.between_variance, held)
    ask(meta.random_effects, held)


@settings(max_examples=40)
@given(st.lists(numbers, max_size=9), numbers, st.lists(st.tuples(tame, chances), max_size=3))
def test_arrivals_of_any_kind(arrivals, wanted, ramp):
    """Days without anybody, a ramp of nothing, more wanted than will ever come."""
    steps = [(timedelta(days=min(abs(days), 1e4)), share) for days, share in ramp]
    ask(duration.duration, wanted, arrivals, ramp=steps)
    ask(feeds.feed_lag, timedelta(hours=1), [step for step, _ in steps])


@settings(max_examples=30)
@given(
    st.lists(tame.filter(lambda v: v >= 0), min_size=1, max_size=4),
    signs,
    tame,
    units,
    st.floats(0.001, 0.999),
)
def test_plans_judged_before_they_start(points, sign, tolerance, n, share):
    """Whether a verdict can ever be reached, for any customers and any ramp."""

    def once():
        population = Population(tuple(points), tuple([1 / len(points)] * len(points)))
        plan = Plan(population, sign, tolerance, (Stage(3, n, share),))
        found = planning.never_ready(plan)
        check(planning.planned_information(plan))
        return found or 0.0

    ask(once)


def test_two_hundred_metrics_and_segments_at_once():
    """What grows with their number stays a chance, keeps its order and is decided."""
    draw = np.random.default_rng(2)
    p_values = list(draw.uniform(0, 1, 200) ** 3)
    for adjust in (multiplicity.holm, multiplicity.benjamini_hochberg):
        adjusted = adjust(p_values)
        assert all(0 <= p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
        assert np.argsort(p_values, kind="stable")[0] == int(np.argmin(adjusted))
    shares = multiplicity.split_alpha(0.05, {str(i): 1 / 200 for i in range(200)})
    assert sum(shares.values()) <= 0.05 * (1 + 1e-12)
    risks = decision.Risks(n_success=5, n_guardrail=195)
    assert decision.corrected_levels(risks).better == 0.05 / 5
    assert not isinstance(shrinkage.shrink(made(draw, 200)), Undecided)
    assert isfinite(meta.cochran_q(made(draw, 200)).q)


def made(draw, n):
    from analysis.estimate import Estimate

    return [Estimate(str(i), draw.normal(0, 0.1), draw.uniform(0.01, 0.1)) for i in range(n)]
