import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.effect import Scale, Undecided
from analysis.history import (
    MeanHistory,
    OrdinalHistory,
    ProportionHistory,
    QuantileHistory,
    RatioHistory,
    SurvivalHistory,
)
from analysis.summary import PairSummary, Summary

ALIKE = [
    ProportionHistory.of(Summary(100, 0, 0)),
    ProportionHistory.of(Summary(100, 100, 100)),
    ProportionHistory.of(Summary()),
    MeanHistory.of(Summary.of([3, 3, 3])),
    MeanHistory.of(Summary.of([3])),
    RatioHistory.of(PairSummary.of([1, 1], [0, 0])),
    RatioHistory.of(PairSummary.of([1, 2, 3], [2, 4, 6])),
    QuantileHistory.of([1.0] * 100, 0.9),
    QuantileHistory.of([1, 2, 3], 0.5),
    MeanHistory.of(Summary(9, float("nan"), 4.0)),
    MeanHistory.of(Summary(9, 4.0, float("inf"))),
    RatioHistory.of(PairSummary(9, float("nan"), 4.0, 1.0, 1.0, 1.0)),
    OrdinalHistory.of([0, 0]),
    OrdinalHistory.of([0, 7, 0]),
]


@pytest.mark.parametrize("history", ALIKE)
def test_a_past_without_spread_plans_nothing(history):
    """No event, one customer or one value tell nothing of what is to come."""
    assert isinstance(history, Undecided)
    assert history.reason


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ProportionHistory(1.0), "rate"),
        (lambda: MeanHistory(1.0, 0.0), "variance"),
        (lambda: RatioHistory(float("nan"), 1.0), "value"),
        (lambda: SurvivalHistory(0.0), "event_share"),
        (lambda: OrdinalHistory((0.5, 0.4)), "shares"),
        (lambda: OrdinalHistory((1.0, 0.0)), "shares"),
        (lambda: SurvivalHistory(0.3).spread(0.1, 0, Scale.ABSOLUTE, 0.5), "scale"),
        (lambda: OrdinalHistory((0.3, 0.7)).spread(0.1, 0, Scale.ABSOLUTE, 0.5), "scale"),
    ],
)
def test_impossible_histories_name_the_argument(make, name):
    """A rate of one or a variance of none is a programmer's mistake."""
    with pytest.raises(ValueError, match=name):
        make()


def test_impossible_changes_are_undecided():
    """A rate of 60 % cannot double, a hazard cannot fall below none."""
    assert isinstance(ProportionHistory(0.6).spread(1, 0, Scale.RELATIVE, 0.5), Undecided)
    assert isinstance(SurvivalHistory(0.6).spread(-1, 0, Scale.RELATIVE, 0.5), Undecided)
    assert isinstance(OrdinalHistory((0.5, 0.5)).spread(-2, 0, Scale.RELATIVE, 0.5), Undecided)


def test_the_ratio_variance_is_that_of_the_linearised_value():
    """Delta method by hand on every unit."""
    rng = np.random.default_rng(3)
    y = rng.poisson(3, 400) + 1
    x = rng.binomial(y, 0.3)
    past = RatioHistory.of(PairSummary.of(x, y))
    ratio = x.sum() / y.sum()
    linear = (x - ratio * y) / y.mean()

    assert past.ratio == pytest.approx(ratio)
    assert past.variance == pytest.approx(np.var(linear, ddof=1))


@pytest.mark.parametrize(("q", "density"), [(0.5, 0.5), (0.9, 0.1)])
def test_the_quantile_variance_meets_its_asymptote(q, density):
    """For exponential waits the density at a quantile is 1 - q."""
    past = QuantileHistory.of(np.random.default_rng(5).exponential(size=100_000), q)

    assert past.value == pytest.approx(-np.log(1 - q), rel=0.02)
    assert past.variance == pytest.approx(q * (1 - q) / density**2, rel=0.1)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=7), st.floats(-0.9, 3))
def test_an_ordered_scale_read_backwards_turns_the_odds(answers, change):
    """Counting from the best answer inverts the odds ratio and nothing else."""
    forwards = OrdinalHistory.of(answers).spread(change, 0, Scale.RELATIVE, 0.5)
    backwards = OrdinalHistory.of(answers[::-1]).spread(
        1 / (1 + change) - 1, 0, Scale.RELATIVE, 0.5
    )

    assert backwards.distance == pytest.approx(-forwards.distance, abs=1e-12)
    assert backwards.change_variance == pytest.approx(forwards.change_variance)
