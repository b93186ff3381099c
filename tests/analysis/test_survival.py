"""Time to an event."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

from analysis import survival
from analysis.effect import Undecided
from analysis.rows import Times


def times(durations, happened) -> Times:
    return Times(np.array(durations, dtype=float), np.array(happened, dtype=bool))


# Freireich et al. (1963): weeks of remission in leukaemia, 6-MP against placebo
SIX_MP = times(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
    [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
)
PLACEBO = times([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [1] * 21)

arms = st.lists(
    st.tuples(st.integers(1, 30).map(float), st.booleans()), min_size=4, max_size=40
).map(lambda rows: times(*zip(*rows, strict=True)))


def test_the_textbooks_leukaemia_curve():
    """Kaplan-Meier of 6-MP as printed in every textbook, with Greenwood's error at ten weeks."""
    curve = survival.kaplan_meier(SIX_MP)

    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.surviving.round(4).tolist() == [
        0.8571,
        0.8067,
        0.7529,
        0.6902,
        0.6275,
        0.5378,
        0.4482,
    ]
    assert curve.greenwood(10) ** 0.5 == pytest.approx(0.0963, abs=5e-5)
    assert curve.at(5.9) == 1


def test_the_textbooks_log_rank():
    """Chi-square 16.79 on one degree of freedom."""
    from scipy.stats import chi2

    p_value = survival.log_rank_p_value(PLACEBO, SIX_MP)

    assert chi2.isf(p_value, 1) == pytest.approx(16.79, abs=5e-3)


@given(arms)
def test_curves_are_those_of_lifelines(arm):
    """At every event time, to 1e-8."""
    curve = survival.kaplan_meier(arm)
    other = KaplanMeierFitter().fit(arm.durations, arm.happened)

    theirs = np.atleast_1d(other.predict(curve.times))

    assert curve.surviving == pytest.approx(theirs[: curve.times.size], abs=1e-8)


@given(arms, arms)
def test_the_log_rank_is_that_of_lifelines(control, treatment):
    """To 1e-8, ties and all; and the same with arms swapped."""
    found = survival.log_rank_p_value(control, treatment)
    assume(isinstance(found, float))
    other = logrank_test(
        control.durations, treatment.durations, control.happened, treatment.happened
    )

    assert found == pytest.approx(other.p_value, rel=1e-8)
    assert survival.log_rank_p_value(treatment, control) == pytest.approx(found, rel=1e-8)


@given(arms, st.integers(2, 25))
def test_restricted_means_are_those_of_lifelines(arm, horizon):
    """The area under the curve, and its variance, up to any horizon."""
    area, variance = survival.restricted_mean(survival.kaplan_meier(arm), float(horizon))
    fitted = KaplanMeierFitter().fit(arm.durations, arm.happened)

    assert area == pytest.approx(restricted_mean_survival_time(fitted, t=horizon), abs=1e-8)
    assert variance >= 0


def test_without_censoring_it_is_the_difference_of_capped_means():
    """Everyone watched to the horizon: the means of min(time, horizon), with variance by n."""
    draw = np.random.default_rng(1)
    values = [draw.exponential(5, n) for n in (80, 120)]
    found = survival.restricted_mean_difference(
        *(times(v, np.ones(v.size)) for v in values), horizon=8
    )
    capped = [np.minimum(v, 8) for v in values]
    error = sum(v.var() / v.size for v in capped) ** 0.5

    assert found.estimate == pytest.approx(capped[1].mean() - capped[0].mean())
    assert found.high - found.estimate == pytest.approx(1.959964 * error, rel=1e-6)


@given(arms, arms)
def test_laws(control, treatment):
    """Enclosed estimates, signs that turn with the arms, days that become hours."""
    effect = survival.restricted_mean_difference(control, treatment)
    assume(effect)
    assert effect.low <= effect.estimate <= effect.high
    back = survival.restricted_mean_difference(treatment, control)
    assert (back.low, back.high) == pytest.approx((-effect.high, -effect.low))
    hours = [times(24 * a.durations, a.happened) for a in (control, treatment)]
    longer = survival.restricted_mean_difference(*hours)
    assert (longer.low, longer.high) == pytest.approx((24 * effect.low, 24 * effect.high))
    ratio, same = (survival.restricted_mean_ratio(*pair) for pair in ((control, treatment), hours))
    assert (ratio.low, ratio.high) == pytest.approx((same.low, same.high))


@given(arms, arms, st.integers(1, 20))
def test_the_share_by_a_time_stays_a_share(control, treatment, by):
    """Between minus one and one, whatever the data."""
    effect = survival.event_share_difference(control, treatment, by=by)
    if effect:
        assert -1 <= effect.low <= effect.estimate <= effect.high <= 1


def test_staggered_entry_is_watched_from_each_units_own_start():
    """An event after the data's end is censored there; a unit entering later is left out."""
    watched = survival.watched([0, 2, 9, 20], [4, None, 15, None], data_end=10)

    assert watched.durations.tolist() == [4, 8, 1]
    assert watched.happened.tolist() == [True, False, False]


def test_what_is_not_known_yet_is_told():
    """No units, no events, not watched long enough."""
    quiet = times([3, 4, 5], [0, 0, 0])
    assert "has not happened" in survival.restricted_mean_difference(quiet, quiet).reason
    assert "only 1 unit" in survival.log_rank_p_value(times([1], [1]), quiet).reason
    assert "no units" in survival.restricted_mean_ratio(times([], []), quiet).reason
    answer = survival.restricted_mean_difference(SIX_MP, quiet, horizon=10)
    assert answer.reason == "no unit of treatment has been watched up to 10 yet"
    at_once = times([0, 0], [0, 1])
    assert isinstance(survival.restricted_mean_difference(at_once, at_once), Undecided)


def test_programmers_mistakes_name_their_argument():
    """Times that cannot be."""
    with pytest.raises(ValueError, match="durations"):
        times([-1, 2], [1, 1])
    with pytest.raises(ValueError, match="durations"):
        times([float("nan")], [1])
    with pytest.raises(ValueError, match="event_at"):
        survival.watched([5], [4], data_end=10)
    with pytest.raises(ValueError, match="entered_at and event_at"):
        survival.watched([5], [], data_end=10)
    with pytest.raises(ValueError, match="above 0"):
        survival.event_share_difference(SIX_MP, PLACEBO, by=0)


@pytest.mark.slow
def test_intervals_cover_with_staggered_entry():
    """Units entering over thirty days, censored at the end: 0.95 holds in 0.93 of runs or more."""
    draw = np.random.default_rng(2)
    truth = [mean * (1 - np.exp(-10 / mean)) for mean in (6.0, 9.0)]
    runs = 400
    covered = np.zeros(2)
    for _ in range(runs):
        pair = []
        for mean in (6.0, 9.0):
            entered = draw.uniform(0, 30, 150)
            came = entered + draw.exponential(mean, 150)
            pair.append(survival.watched(entered.tolist(), came.tolist(), data_end=30))
        absolute = survival.restricted_mean_difference(*pair, horizon=10)
        relative = survival.restricted_mean_ratio(*pair, horizon=10)
        covered += [
            absolute.low <= truth[1] - truth[0] <= absolute.high,
            relative.low <= truth[1] / truth[0] - 1 <= relative.high,
        ]

    assert (covered / runs).min() >= 0.93
