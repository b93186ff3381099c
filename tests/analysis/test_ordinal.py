"""Grades: top box, NPS, Mann-Whitney."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import ordinal, proportion
from analysis.effect import Undecided
from analysis.histogram import Histogram
from analysis.summary import Summary

grades = st.lists(st.integers(1, 5).map(float), min_size=3, max_size=60)

# Brunner & Munzel (2000): pain scores on the third day after surgery, two treatments
PAIN_Y = [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1]
PAIN_N = [3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4]


def test_brunner_and_munzels_pain_scores():
    """Published: P(Y < N) + P(Y = N) / 2 is 0.788961."""
    effect = ordinal.mann_whitney(Histogram.of(PAIN_Y), Histogram.of(PAIN_N))

    assert (effect.estimate + 1) / 2 == pytest.approx(0.788961, abs=1e-6)
    assert 0 < effect.low < effect.high < 1
    assert effect.p_value < 0.05


@given(grades, grades)
def test_the_chance_and_its_error_are_scipys(control, treatment):
    """On the plain scale, Brunner and Munzel's statistic is (chance - 1/2) / error."""
    arms = Histogram.of(control), Histogram.of(treatment)
    chance, variances = ordinal._placements(*arms)
    assume(sum(variances) > 1e-12)
    other = stats.brunnermunzel(control, treatment)

    assert (chance - 0.5) / sum(variances) ** 0.5 == pytest.approx(
        other.statistic, rel=1e-8, abs=1e-8
    )


@given(grades, grades)
def test_the_p_value_of_the_rank_sum_is_scipys(control, treatment):
    """Ties corrected, no continuity correction: agreement to 1e-8."""
    assume(len({*control, *treatment}) > 1)
    other = stats.mannwhitneyu(treatment, control, use_continuity=False, method="asymptotic")

    assert ordinal.mann_whitney_p_value(
        Histogram.of(control), Histogram.of(treatment)
    ) == pytest.approx(other.pvalue, rel=1e-8)


@given(grades, grades)
def test_only_the_order_of_grades_matters(control, treatment):
    """Stars or their cubes: the same answer; swapped arms, the same with the other sign."""
    arms = Histogram.of(control), Histogram.of(treatment)
    effect = ordinal.mann_whitney(*arms)
    assume(effect)
    assert -1 <= effect.low <= effect.estimate <= effect.high <= 1
    cubed = ordinal.mann_whitney(*(Histogram.of(v**3 for v in a) for a in (control, treatment)))
    assert cubed == effect
    back = ordinal.mann_whitney(*arms[::-1])
    assert (back.low, back.high) == pytest.approx((-effect.high, -effect.low), abs=1e-9)


def test_complete_separation_has_an_exact_bound():
    """Every treated unit above every control unit: disjoint pairs bound the chance."""
    effect = ordinal.mann_whitney(Histogram.of([1] * 8 + [2]), Histogram.of([4] * 9 + [5] * 3))

    assert effect.estimate == 1
    assert effect.low == pytest.approx(2 * 0.025 ** (1 / 9) - 1)
    assert effect.p_value == pytest.approx(2 * 0.5**9)


def test_one_grade_everywhere_and_too_few_units_are_told():
    """Nothing to rank."""
    same = Histogram.counted([(5, 100)])
    assert "same value" in ordinal.mann_whitney(same, same).reason
    assert "same value" in ordinal.mann_whitney_p_value(same, same).reason
    assert "no units" in ordinal.mann_whitney_p_value(same, Histogram.of([])).reason
    assert "only 1 unit" in ordinal.mann_whitney(Histogram.of([3]), same).reason
    assert "same value" in ordinal.nps(same, same).reason


def test_top_box_and_lower_tail_are_proportions():
    """The share at or above, and at or below, by the proportion's own methods."""
    before = Histogram.counted([(1, 100), (2, 50), (3, 200), (4, 300), (5, 350)])
    after = Histogram.counted([(1, 60), (2, 40), (3, 200), (4, 300), (5, 400)])
    top = ordinal.top_box(before, after, least=4)
    tail = ordinal.lower_tail(before, after, most=2, relative=True)

    assert top == proportion.difference(Summary(1000, 650, 650), Summary(1000, 700, 700))
    assert tail == proportion.relative(Summary(1000, 150, 150), Summary(1000, 100, 100))


def test_nps_has_the_multinomial_variance():
    """The error is that of three shares that sum to one, but for n - 1 in place of n."""
    arm = Histogram.counted([(3, 20), (6, 10), (8, 30), (9, 15), (10, 25)])
    promoters, detractors = 0.4, 0.3
    score = ordinal.net_promoters(arm)
    variance = promoters + detractors - (promoters - detractors) ** 2

    assert score.mean == pytest.approx(promoters - detractors)
    assert score.variance * 99 / 100 == pytest.approx(variance)
    effect = ordinal.nps(arm, arm)
    half = stats.t.ppf(0.975, 198) * (2 * variance / 99) ** 0.5
    assert (effect.low, effect.high) == pytest.approx((-half, half))


@pytest.mark.parametrize("grade", [-1, 11])
def test_answers_outside_0_to_10_are_no_nps(grade):
    """A question asked on another scale."""
    arm = Histogram.of([9, 10, 3])
    assert isinstance(ordinal.nps(arm, Histogram.of([9, grade, 3])), Undecided)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_mann_whitney_covers_with_unequal_spread(shift):
    """Level 0.95 encloses the true chance in 0.935 of runs although the spreads differ."""
    draw = np.random.default_rng(10)
    truth = 2 * stats.norm.cdf(shift / np.sqrt(1 + 9)) - 1
    runs = 600
    covered = 0
    for _ in range(runs):
        arms = Histogram.of(draw.normal(0, 1, 60)), Histogram.of(draw.normal(shift, 3, 25))
        effect = ordinal.mann_whitney(*arms)
        covered += effect.low <= truth <= effect.high

    assert covered / runs >= 0.93
