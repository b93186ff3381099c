from math import isfinite, log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from analysis.effect import Scale, Undecided
from analysis.history import (
    MeanHistory,
    OrdinalHistory,
    ProportionHistory,
    QuantileHistory,
    RatioHistory,
    SurvivalHistory,
)
from analysis.power import (
    Plan,
    design_effect,
    minimum_detectable_effect,
    power,
    sample_size,
    smallest_margin,
)
from analysis.summary import PairSummary

ABSOLUTE = Scale.ABSOLUTE
KINDS = [
    ProportionHistory(0.05),
    ProportionHistory(0.6),
    MeanHistory(12, 150),
    RatioHistory(0.4, 0.9),
    QuantileHistory(3.0, 4.0),
    SurvivalHistory(0.3),
    OrdinalHistory((0.1, 0.2, 0.7)),
]


def arms(size):
    return size.n_control, size.n_treatment


@pytest.mark.parametrize(
    ("rate", "changed", "wanted", "per_arm"),
    [
        (0.5, 0.6, 0.8, 388),  # 387.34, the textbooks' 387 or 388
        (0.5, 0.75, 0.9, 77),  # R's power.prop.test documentation: 76.65
    ],
)
def test_proportions_need_what_textbooks_say(rate, changed, wanted, per_arm):
    """Fleiss' formula without continuity correction."""
    size = sample_size(ProportionHistory(rate), changed - rate, Plan(power=wanted), scale=ABSOLUTE)

    assert arms(size) == (per_arm, per_arm)


@pytest.mark.parametrize(
    ("delta", "plan", "per_arm"),
    [
        (0.5, Plan(), 64),  # Cohen (1988), table 2.4.1
        (0.2, Plan(), 394),  # 393.41 by the noncentral t
        (1.0, Plan(power=0.9), 23),  # R's power.t.test documentation: 22.02
        (1.0, Plan(power=0.9, sides=1), 18),  # the same, one-sided: 17.85
    ],
)
def test_means_need_what_textbooks_say(delta, plan, per_arm):
    """Standardised differences under the noncentral t."""
    assert arms(sample_size(MeanHistory(0, 1), delta, plan, scale=ABSOLUTE)) == (per_arm, per_arm)


def test_chow_shao_and_wangs_non_inferior_cure():
    """Section 4.2: 65 % against 85 %, margin -10 %, one-sided 5 %, power 80 %: 25 a group."""
    plan = Plan(sides=1)
    size = sample_size(ProportionHistory(0.65), 0.2, plan, null=-0.1, scale=ABSOLUTE)

    assert arms(size) == (25, 25)


def test_halving_the_hazard_needs_66_events():
    """Schoenfeld: 4 (1.96 + 0.84)^2 / log(2)^2 = 65.3 events, here half of all units have one."""
    plan, history = Plan(), SurvivalHistory(0.6)
    size = sample_size(history, -0.5, plan)
    events = size.n_control * 0.6 + size.n_treatment * (1 - 0.4**0.5)

    assert events == pytest.approx(65.3, abs=1)


def test_whiteheads_example_needs_187():
    """Whitehead (1993): answers 20, 50, 20 and 10 %, log odds 0.887, power 90 %: 187 in all."""
    history = OrdinalHistory((0.1, 0.2, 0.5, 0.2))
    size = sample_size(history, float(np.exp(0.887)) - 1, Plan(power=0.9))

    assert size.total == pytest.approx(187, abs=1)


@given(st.floats(0.05, 3), st.integers(4, 999), st.sampled_from([0.01, 0.05, 0.1]))
def test_t_power_agrees_with_statsmodels(delta, units, alpha):
    """One-sided, as statsmodels counts both tails of a two-sided test."""
    ours = power(MeanHistory(0, 1), 2 * units, delta, Plan(alpha, sides=1), scale=ABSOLUTE)
    theirs = TTestIndPower().power(delta, units, alpha, 1.0, alternative="larger")
    assume(isfinite(theirs))  # far out statsmodels has no number

    assert ours == pytest.approx(theirs, abs=1e-8) or (ours == 1 and theirs > 1 - 1e-8)


@given(st.floats(0.01, 0.6), st.floats(0.01, 0.3), st.integers(50, 10**6), st.floats(0.1, 0.9))
def test_proportion_power_agrees_with_statsmodels(rate, change, units, share):
    """Pooled null, unpooled alternative, any split."""
    plan = Plan(sides=1, share=share)
    ours = power(ProportionHistory(rate), units, change, plan, scale=ABSOLUTE)
    theirs = power_proportions_2indep(
        change, rate, share * units, ratio=(1 - share) / share, alternative="larger"
    )

    assert ours == pytest.approx(float(theirs.power), abs=1e-8)


@given(st.floats(0.001, 1), st.integers(1001, 10**9))
def test_large_samples_agree_with_the_normal_test(delta, units):
    """Quantiles and ratios use the plain z-test."""
    ours = power(QuantileHistory(0, 1), 2 * units, delta, Plan(sides=1), scale=ABSOLUTE)
    theirs = NormalIndPower().power(delta, units, 0.05, 1.0, alternative="larger")

    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("history", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("plan", [Plan(), Plan(0.01, 0.9, 1, 0.2, 0.4, 1.5)])
def test_the_detectable_effect_is_the_one_the_size_was_for(history, sign, plan):
    """Sample size, minimum detectable effect and power answer one question three ways."""
    size = sample_size(history, sign * 0.2, plan)
    total = size.total

    assert minimum_detectable_effect(history, total, plan, sign=sign) == pytest.approx(
        sign * 0.2, rel=0.01
    )
    assert power(history, total, sign * 0.2, plan) == pytest.approx(plan.power, abs=0.006)


@pytest.mark.parametrize("history", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_smallest_margin_is_the_one_the_size_was_for(history, sign):
    """A tolerance so shown needs the units it was shown with."""
    plan = Plan(sides=1)
    size = sample_size(history, 0.0, plan, null=sign * 0.1)

    assert smallest_margin(history, size.total, plan, sign=sign) == pytest.approx(
        sign * 0.1, rel=0.01
    )


@given(st.sampled_from(KINDS), st.floats(0.02, 0.6), st.floats(1.05, 3))
def test_larger_changes_need_fewer_units(history, change, times):
    """Both ways: and more units find more."""
    near, far = sample_size(history, change * -0.5), sample_size(history, change * -0.5 * times / 3)
    if times < 3:
        assert far.total >= near.total
    assert power(history, 5000 * times, change) >= power(history, 5000, change) - 1e-12


def test_explained_variance_and_clusters_scale_the_size():
    """Half the variance explained needs half the units, a design effect of two twice as many."""
    history, one = ProportionHistory(0.1), sample_size(ProportionHistory(0.1), 0.05).total

    assert sample_size(history, 0.05, Plan(explained=0.5)).total == pytest.approx(one / 2, abs=2)
    assert sample_size(history, 0.05, Plan(inflation=2)).total == pytest.approx(one * 2, abs=2)
    assert design_effect(1, 0.4) == 1
    assert design_effect(100, 0.01, 0.5) == pytest.approx(1 + (1.25 * 100 - 1) * 0.01)


def test_questions_without_an_answer():
    """Each is told in words rather than by infinity."""
    history = ProportionHistory(0.4)

    assert isinstance(sample_size(history, 0.0), Undecided)
    assert isinstance(sample_size(history, 2.0), Undecided)
    assert isinstance(power(history, 2, 0.1), Undecided)
    assert isinstance(power(history, 200, 5), Undecided)
    assert isinstance(minimum_detectable_effect(history, 4), Undecided)
    assert isinstance(minimum_detectable_effect(history, 2), Undecided)
    assert isinstance(minimum_detectable_effect(MeanHistory(0, 1), 1000), Undecided)
    assert isinstance(smallest_margin(MeanHistory(0, 1), 1000), Undecided)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Plan(alpha=0), "alpha"),
        (lambda: Plan(power=1), "power"),
        (lambda: Plan(share=1), "share"),
        (lambda: Plan(sides=3), "sides"),
        (lambda: Plan(alpha=0.2, power=0.05), "power"),
        (lambda: Plan(explained=1), "explained"),
        (lambda: Plan(inflation=0.5), "inflation"),
        (lambda: sample_size(KINDS[0], float("nan")), "change"),
        (lambda: sample_size(KINDS[0], 0.1, null=float("inf")), "null"),
        (lambda: minimum_detectable_effect(KINDS[0], 100, sign=0), "sign"),
        (lambda: minimum_detectable_effect(KINDS[0], float("nan")), "units"),
        (lambda: design_effect(0, 0.1), "mean_size"),
        (lambda: design_effect(5, 2), "correlation"),
        (lambda: design_effect(5, 0.1, -1), "variation"),
    ],
)
def test_mistakes_name_the_argument(make, name):
    """A plan that cannot be is refused at once."""
    with pytest.raises(ValueError, match=name):
        make()


def test_a_billion_units_are_planned():
    """Small changes of rare events need a great many, and no more than the formula says."""
    size = sample_size(ProportionHistory(0.0005), 0.01)
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)

    assert size.n_control == pytest.approx(z**2 * 2 * 0.0005 / (0.0005 * 0.01) ** 2, rel=0.01)
    assert minimum_detectable_effect(ProportionHistory(0.0005), 1e12) < 0.001


def share_found(p_values):
    return float(np.mean(np.asarray(p_values) < 0.05))


@pytest.mark.slow
def test_a_planned_ratio_is_found_as_often_as_promised():
    """Complaints per contact with customers who differ: power 0.8 within Monte-Carlo error."""
    rng = np.random.default_rng(17)

    def draw(n, level):
        contacts = rng.poisson(2, n) + 1
        return contacts, rng.binomial(contacts, np.minimum(rng.beta(2, 8, n) * level, 1))

    contacts, complaints = draw(200_000, 1)
    past = RatioHistory.of(PairSummary.of(complaints, contacts))
    size = sample_size(past, 0.15)
    p_values = []
    for _ in range(600):
        sides = [draw(size.n_control, 1), draw(size.n_treatment, 1.15)]
        values = [
            (x.sum() / y.sum(), np.var(x - x.sum() / y.sum() * y) / y.mean() ** 2 / len(y))
            for y, x in sides
        ]
        z = (values[1][0] - values[0][0]) / (values[0][1] + values[1][1]) ** 0.5
        p_values.append(2 * stats.norm.sf(abs(z)))

    assert share_found(p_values) == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow
def test_a_planned_survival_is_found_as_often_as_promised():
    """Log-rank test on exponential times cut at the window."""
    rng, history = np.random.default_rng(19), SurvivalHistory(0.4)
    size, rate = sample_size(history, -0.35), -log(0.6)
    p_values = []
    for _ in range(300):
        sides = []
        for n, hazard in ((size.n_control, rate), (size.n_treatment, 0.65 * rate)):
            times = rng.exponential(1 / hazard, n)
            sides.append(stats.CensoredData.right_censored(np.minimum(times, 1), times > 1))
        p_values.append(stats.logrank(*sides).pvalue)

    assert share_found(p_values) == pytest.approx(0.8, abs=0.07)


@pytest.mark.slow
def test_planned_stars_are_found_as_often_as_promised():
    """Mann-Whitney with ties under proportional odds."""
    rng, history = np.random.default_rng(23), OrdinalHistory((0.05, 0.1, 0.15, 0.3, 0.4))
    size = sample_size(history, 0.5)
    below = np.cumsum(history.shares)
    moved = np.diff(below / (below + (1 - below) * 1.5), prepend=0)
    p_values = [
        stats.mannwhitneyu(
            rng.choice(5, size.n_control, p=history.shares),
            rng.choice(5, size.n_treatment, p=moved / moved.sum()),
        ).pvalue
        for _ in range(500)
    ]

    assert share_found(p_values) == pytest.approx(0.8, abs=0.055)
