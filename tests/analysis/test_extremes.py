"""Whatever comes in: a finite answer, an `Undecided` with a reason, or a named mistake."""

from dataclasses import fields, is_dataclass
from math import inf, isfinite, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import (
    clusters,
    differences,
    feeds,
    heterogeneity,
    history,
    impact,
    interrupted,
    meta,
    pooled,
    power,
    quality,
    shrinkage,
    survey,
    synthetic,
)
from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate
from analysis.summary import PairSummary, Summary

ODD = [0.0, 1.0, -1.0, 1e-300, 1e-30, 1e15, -1e15, 1e59, 1e300, nan, inf, -inf]
numbers = st.sampled_from(ODD) | st.floats(-10, 10)
counted = st.sampled_from([0, 1, 2, 3, 5, 100, 10**9, 10**12])
scales = st.sampled_from(Scale)
tame = st.lists(st.integers(-3, 3).map(float), max_size=12).map(Summary.of)
shares = st.tuples(counted, st.floats(0, 1)).map(
    lambda pair: Summary(pair[0], int(pair[0] * pair[1]), int(pair[0] * pair[1]))
)
summaries = tame | shares | st.builds(Summary, counted, numbers, numbers)
pairs = st.builds(PairSummary, counted, numbers, numbers, numbers, numbers, numbers)
arms = st.lists(summaries, max_size=5)
series = st.lists(numbers, min_size=24, max_size=24) | st.lists(
    st.floats(-3, 3), min_size=24, max_size=24
)


@st.composite
def estimates(draw):
    """Effects of one scale, from usual to absurd."""
    scale, values = draw(scales), draw(st.lists(st.tuples(numbers, numbers), max_size=6))
    held = []
    for value, error in values:
        try:
            held.append(Estimate("e", value, abs(error), scale))
        except ValueError:
            continue
    return held


def histories(value, spread):
    """One history of each kind, as far as these numbers allow."""
    kinds = (
        lambda: history.ProportionHistory(value),
        lambda: history.MeanHistory(value, abs(spread)),
        lambda: history.RatioHistory(value, abs(spread)),
        lambda: history.SurvivalHistory(value),
    )
    for make in kinds:
        try:
            yield make()
        except ValueError:
            continue


def check(answer):
    """Every number in the answer, however deep, is finite; every refusal has its reason."""
    if isinstance(answer, Undecided):
        assert answer.reason
    elif isinstance(answer, float):
        assert isfinite(answer)
    elif is_dataclass(answer):
        for field in fields(answer):
            check(getattr(answer, field.name))
    elif isinstance(answer, list | tuple):
        for part in answer:
            check(part)
    elif isinstance(answer, dict):
        check(list(answer.values()))


def ask(method, *inputs, **options):
    """Call and check; a ValueError must be one of ours, not one of numpy's."""
    try:
        check(method(*inputs, **options))
    except ValueError as mistake:
        frame = mistake.__traceback__
        while frame.tb_next:
            frame = frame.tb_next
        if not frame.tb_frame.f_globals["__name__"].startswith("analysis."):
            raise


@given(arms, arms, scales, st.sampled_from(clusters.Inference))
def test_groups_of_any_kind(control, treatment, scale, inference):
    """Empty, endless, missing or alike."""
    ask(clusters.cluster_randomised, control, treatment, scale=scale, inference=inference)
    ask(clusters.intracluster_correlation, control)
    periods = [clusters.Period(i % 2 == 0, s, "ab"[i % 3 == 0]) for i, s in enumerate(control)]
    ask(clusters.switchback, periods, inference=inference)
    ask(clusters.carryover, periods)


@given(arms, arms, counted, counted, numbers, numbers)
def test_quality_of_any_kind(before, after, asked, other, low, high):
    """Checks state something whatever they are shown."""
    ask(quality.pre_exposure_bias, {"a": before, "b": after})
    ask(quality.crossings, [asked, other], [other, asked])
    ask(feeds.silent_arm, [asked, 0], [other, 10**6])
    ask(feeds.feed_volume, [asked] * 9, [other])
    ask(survey.survey_response, [asked, 10**9], [min(asked, 3), other])
    for control, treatment in zip(before, after, strict=False):
        ask(survey.survey_bounds, control, treatment, asked=(asked, other), scale=(low, high))
        ask(survey.survey_bounds, control, treatment, asked=(10**12, 10**12), scale=(-3, 3))


@given(estimates(), st.integers(0, 63))
def test_effects_of_any_size(held, bits):
    """Combined, pooled, shrunken, by segment and added up."""
    ask(meta.cochran_q, held)
    ask(meta.random_effects, held)
    ask(pooled.inverse_variance, held)
    ask(shrinkage.shrink, held)
    ask(heterogeneity.by_segment, {str(i): e for i, e in enumerate(held)})
    ask(impact.cumulative_impact, held, [bool(bits >> i & 1) for i in range(len(held))])


@given(st.lists(st.tuples(summaries, summaries), max_size=4))
def test_strata_of_any_kind(strata):
    """Sparse, empty or no counts at all."""
    ask(pooled.mantel_haenszel_difference, strata)
    ask(pooled.mantel_haenszel_ratio, strata)
    for control, treatment in strata:
        ask(Estimate.of_means, "all", control, treatment)
        ask(history.ProportionHistory.of, control)
        ask(history.MeanHistory.of, treatment)


@settings(max_examples=60)
@given(numbers, numbers, numbers, numbers, scales, st.sampled_from([0.05, 0.5, 0.999]))
def test_plans_of_any_kind(value, spread, change, units, scale, share):
    """Sizes, powers and detectable effects."""
    plan = power.Plan(share=share)
    for past in histories(value, spread):
        ask(power.sample_size, past, change, plan, scale=scale)
        ask(power.power, past, units, change, plan, scale=scale)
        for sign in (1, -1):
            ask(power.minimum_detectable_effect, past, units, plan, sign=sign, scale=scale)
            ask(power.smallest_margin, past, units, plan, sign=sign, scale=scale)


@given(pairs)
def test_ratios_of_any_kind(past):
    """Missing or endless sums."""
    ask(history.RatioHistory.of, past)


@settings(max_examples=60)
@given(st.lists(series, min_size=5, max_size=5), scales, st.sampled_from([None, 2, 7]))
def test_series_of_any_kind(rows, scale, season):
    """Panels and series, alike, wild or broken."""
    ask(interrupted.interrupted_time_series, rows[0], 16, season=season, scale=scale)
    ask(
        differences.difference_in_differences,
        np.array(rows),
        [True, True, False, False, False],
        16,
    )
    others = {str(i): row for i, row in enumerate(rows[1:])}
    ask(synthetic.synthetic_control, rows[0], others, 16, level=0.7)


@pytest.mark.parametrize("n", [10**9, 10**12])
def test_a_great_many_units_lose_no_digits(n):
    """Sums of a billion units around a large mean still show their small difference."""
    mean, spread, shift = 10**6, 7, 1
    control = Summary(n, n * mean, n * (mean**2 + spread))
    treatment = Summary(n, n * (mean + shift), n * ((mean + shift) ** 2 + spread))
    estimate = Estimate.of_means("all", control, treatment)

    assert estimate.value == pytest.approx(shift)
    assert estimate.error == pytest.approx((2 * spread / n) ** 0.5, rel=1e-6)
