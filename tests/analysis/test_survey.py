import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.effect import Undecided
from analysis.quality import State
from analysis.summary import Summary
from analysis.survey import survey_bounds, survey_response

scores = st.lists(st.integers(1, 5), min_size=1, max_size=40)


def test_response_agrees_with_the_two_proportion_test():
    """Pearson's chi-square is the squared pooled z."""
    check = survey_response([1000, 1000], [300, 220])
    pooled = 520 / 2000
    z = 0.08 / (pooled * (1 - pooled) * 2 / 1000) ** 0.5

    assert check.state is State.WARNING
    assert check.p_value == pytest.approx(2 * stats.norm.sf(z))
    assert "30.0% and 22.0%" in check.reason


def test_fishers_tea_is_tested_exactly():
    """Fisher's lady tasting tea: 3 of 4 against 1 of 4 has the two-sided p-value 0.4857."""
    assert survey_response([4, 4], [3, 1]).p_value == pytest.approx(0.4857, abs=5e-5)


def test_millions_are_tested_by_the_binomial_limit():
    """Three answers against none among two million agree with Fisher within a thousandth."""
    ours = survey_response([1_000_000, 500_000], [0, 3]).p_value

    assert ours == pytest.approx(stats.fisher_exact([[0, 3], [10**6, 499_997]]).pvalue, rel=1e-3)


def test_three_variations_are_compared_at_once():
    """One answer for all variations together, not one per pair."""
    check = survey_response([500, 500, 500], [100, 110, 105])
    table = [[100, 110, 105], [400, 390, 395]]

    assert check.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert survey_response([4, 4, 4], [3, 1, 0]).state is State.UNKNOWN


def test_response_that_nobody_was_asked_for_is_unknown():
    """A variation not asked is not one that did not answer."""
    assert survey_response([10, 0], [3, 0]).state is State.UNKNOWN
    assert survey_response([10, 10], [0, 0]).state is State.FINE
    assert survey_response([10, 10], [10, 10]).state is State.FINE
    with pytest.raises(ValueError, match="exceeds asked"):
        survey_response([10, 10], [11, 3])


def test_bounds_are_mansis_worst_and_best_case():
    """By hand: half of ten asked answered 4 in control and 5 in treatment, on 1 to 5."""
    bounds = survey_bounds(Summary.of([4] * 5), Summary.of([5] * 5), asked=(10, 10), scale=(1, 5))

    assert bounds.low == pytest.approx((25 + 5) / 10 - (20 + 25) / 10)
    assert bounds.high == pytest.approx((25 + 25) / 10 - (20 + 5) / 10)
    assert bounds.among_answers == pytest.approx(1)
    assert bounds.tipping_point == pytest.approx(3)


def test_full_response_leaves_no_gap():
    """When everybody answers the bounds meet and the interval is the usual one."""
    control, treatment = [1, 2, 3, 4, 5, 5], [2, 3, 4, 5, 5, 5]
    bounds = survey_bounds(Summary.of(control), Summary.of(treatment), asked=(6, 6), scale=(1, 5))
    error = (np.var(control, ddof=1) / 6 + np.var(treatment, ddof=1) / 6) ** 0.5

    assert bounds.low == pytest.approx(bounds.high)
    assert bounds.outer_high - bounds.high == pytest.approx(stats.norm.isf(0.025) * error)
    assert bounds.tipping_point is None


def test_wide_bounds_need_only_the_one_sided_reach():
    """Imbens and Manski: far apart ends are each covered at the one-sided level."""
    answers = Summary.of([1, 2, 3, 4, 5] * 100)
    bounds = survey_bounds(answers, answers, asked=(1000, 1000), scale=(1, 5))
    filled = answers + Summary(500, 500, 500)
    other = answers + Summary(500, 2500, 12_500)
    error = (filled.variance / 1000 + other.variance / 1000) ** 0.5

    assert bounds.high - bounds.low == pytest.approx(4)
    assert bounds.outer_high - bounds.high == pytest.approx(stats.norm.isf(0.05) * error, rel=1e-6)


@given(scores, scores, st.integers(1, 30), st.integers(1, 30))
def test_swapping_the_arms_flips_the_bounds(control, treatment, more, others):
    """What one calls the best case the other calls the worst."""
    c, t = Summary.of(control), Summary.of(treatment)
    asked = (c.n + more, t.n + others)
    ahead = survey_bounds(c, t, asked=asked, scale=(1, 5))
    behind = survey_bounds(t, c, asked=asked[::-1], scale=(1, 5))

    assert ahead.low == pytest.approx(-behind.high)
    assert ahead.outer_low == pytest.approx(-behind.outer_high)


@given(scores, scores, st.lists(st.integers(1, 5), max_size=20), st.data())
def test_the_truth_about_all_asked_lies_within(control, treatment, silent, data):
    """Whatever the silent would have said."""
    other = data.draw(st.lists(st.integers(1, 5), max_size=20))
    assume(len(control + silent) >= 2 and len(treatment + other) >= 2)
    bounds = survey_bounds(
        Summary.of(control),
        Summary.of(treatment),
        asked=(len(control + silent), len(treatment + other)),
        scale=(1, 5),
    )
    truth = np.mean(treatment + other) - np.mean(control + silent)

    assert bounds.low - 1e-9 <= truth <= bounds.high + 1e-9
    assert bounds.outer_low <= bounds.low + 1e-9
    assert bounds.outer_high >= bounds.high - 1e-9


@pytest.mark.slow
def test_the_outer_interval_covers_under_selective_silence():
    """At nominal 0.95 although the unhappy half of the controls answers less often."""
    rng, hits, rounds = np.random.default_rng(11), 0, 600
    for _ in range(rounds):
        control, treatment = rng.integers(1, 6, 300), rng.integers(2, 6, 300)
        heard = rng.random(300) < np.where(control > 2, 0.97, 0.93)
        listened = rng.random(300) < 0.97
        bounds = survey_bounds(
            Summary.of(control[heard]),
            Summary.of(treatment[listened]),
            asked=(300, 300),
            scale=(1, 5),
        )
        hits += bounds.outer_low <= 0.5 <= bounds.outer_high

    assert hits / rounds >= 0.94


def test_bad_surveys():
    """No answers is undecided; answers off the scale or from nobody are mistakes."""
    some = Summary.of([3, 4])

    assert isinstance(survey_bounds(Summary(), some, asked=(5, 5), scale=(1, 5)), Undecided)
    broken = Summary(2, 7, float("nan"))
    assert isinstance(survey_bounds(broken, some, asked=(5, 5), scale=(1, 5)), Undecided)
    with pytest.raises(ValueError, match="asked is 1"):
        survey_bounds(some, some, asked=(1, 5), scale=(1, 5))
    with pytest.raises(ValueError, match="mean answer"):
        survey_bounds(some, Summary.of([9, 9]), asked=(5, 5), scale=(1, 5))
    with pytest.raises(ValueError, match="scale"):
        survey_bounds(some, some, asked=(5, 5), scale=(5, 1))
