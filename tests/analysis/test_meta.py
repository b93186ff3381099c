import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate
from analysis.meta import between_variance, cochran_q, random_effects

# Colditz et al. (1994), JAMA 271:698-702: tuberculosis with and without vaccination.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=float,
)
TREATED, CONTROL = BCG[:, 0] + BCG[:, 1], BCG[:, 2] + BCG[:, 3]
LOG_RATIO = np.log(BCG[:, 0] / TREATED) - np.log(BCG[:, 2] / CONTROL)
VARIANCE = 1 / BCG[:, 0] - 1 / TREATED + 1 / BCG[:, 2] - 1 / CONTROL
TRIALS = [
    Estimate(str(i), v, s**0.5, Scale.RELATIVE)
    for i, (v, s) in enumerate(zip(LOG_RATIO, VARIANCE, strict=True))
]

numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 40)), min_size=2, max_size=12)


def estimates(pairs, times=1.0, shift=0.0):
    return [
        Estimate(str(i), times * v / 10 + shift, times * e / 10) for i, (v, e) in enumerate(pairs)
    ]


def test_the_vaccine_trials_differ():
    """Q is 152.23 on 12 degrees and I squared 92.12 %, as published for these trials."""
    found = cochran_q(TRIALS)

    assert found.q == pytest.approx(152.2330, abs=1e-4)
    assert found.i_squared == pytest.approx(0.9212, abs=1e-4)
    assert found.p_value < 1e-25


def test_the_vaccine_trials_agree_with_statsmodels():
    """Paule-Mandel scatter and Hartung-Knapp error to 1e-8."""
    theirs = combine_effects(LOG_RATIO, VARIANCE, method_re="iterated", use_t=True, atol=1e-12)
    ours = random_effects(TRIALS)
    reach = theirs.sd_eff_w_re_hksj * 2.178812829672  # t on 12 degrees

    assert between_variance(TRIALS) == pytest.approx(theirs.tau2, abs=1e-8)
    assert np.log1p(ours.mean) == pytest.approx(theirs.mean_effect_re, abs=1e-8)
    assert np.log1p(ours.high) == pytest.approx(theirs.mean_effect_re + reach, abs=1e-8)


def test_the_mean_vaccine_effect():
    """About half the risk: the random-effects log ratio of the literature is -0.71."""
    ours = random_effects(TRIALS)

    assert np.log1p(ours.mean) == pytest.approx(-0.715, abs=0.002)
    assert ours.next_low < ours.low < ours.mean < ours.high < ours.next_high


@given(numbers)
def test_q_agrees_with_statsmodels(pairs):
    """Any effects."""
    held = estimates(pairs)
    assume(len({v for v, _ in pairs}) > 1)  # theirs divides by Q
    theirs = combine_effects(
        np.array([e.value for e in held]), np.array([e.error**2 for e in held])
    )

    assert cochran_q(held).q == pytest.approx(theirs.q, rel=1e-8, abs=1e-8)


@given(numbers, st.floats(-100, 100), st.sampled_from([1e-6, 0.1, 3, 1e6]))
def test_shift_and_scale_carry_through(pairs, shift, times):
    """Cents or euros, the same picture; one more for everyone, one more on average."""
    plain, moved = random_effects(estimates(pairs)), random_effects(estimates(pairs, times, shift))

    for name in ("mean", "low", "high"):
        expected = times * getattr(plain, name) + shift
        assert getattr(moved, name) == pytest.approx(expected, rel=1e-6, abs=1e-6 * times + 1e-9)


@given(numbers, st.randoms())
def test_order_is_no_matter(pairs, random):
    """The order rollouts ended in changes nothing."""
    held = estimates(pairs)
    turned = random.sample(held, len(held))

    assert random_effects(turned).mean == pytest.approx(random_effects(held).mean, abs=1e-9)


def test_alike_effects_have_no_scatter():
    """Below its degrees of freedom the spread is chance, and the variance none."""
    held = [Estimate(str(i), v, 1.0) for i, v in enumerate([0.1, 0.2, 0.3])]

    assert between_variance(held) == 0
    assert cochran_q(held).i_squared == 0
    assert random_effects(held).between == 0


def test_the_least_that_can_be_combined():
    """One rollout is no average; two have a mean but no prediction."""
    one = [Estimate("a", 1, 1)]

    assert isinstance(random_effects(one), Undecided)
    assert random_effects([*one, Estimate("b", 2, 1)]).next_low is None
    with pytest.raises(ValueError, match="level"):
        random_effects(one, level=1)


@pytest.mark.slow
def test_the_interval_holds_for_few_rollouts():
    """Six effects that truly differ: at least 93 of 100 intervals cover their mean."""
    rng, hits, rounds = np.random.default_rng(31), 0, 1000
    for _ in range(rounds):
        errors = rng.uniform(0.5, 2, 6)
        values = rng.normal(1, 1, 6) + rng.normal(0, errors)
        result = random_effects([Estimate("", v, e) for v, e in zip(values, errors, strict=True)])
        hits += result.low <= 1 <= result.high

    assert hits / rounds >= 0.93


@pytest.mark.parametrize(("n", "scatter"), [(12, 0.01), (12, 0.03), (40, 0.01)])
def test_the_next_true_effect_lies_where_it_was_expected(n, scatter):
    """In about 95 of 100, also where errors outgrow the scatter and it is hardly seen."""
    draw, held = np.random.default_rng(8), 0
    for _ in range(300):
        truth, errors = draw.normal(0, scatter, n + 1), draw.uniform(0.015, 0.05, n)
        seen = draw.normal(truth[:n], errors)
        found = random_effects([Estimate("", v, e) for v, e in zip(seen, errors, strict=True)])
        held += found.next_low <= truth[n] <= found.next_high

    assert held / 300 >= 0.92
