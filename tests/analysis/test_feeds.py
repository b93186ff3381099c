from datetime import timedelta
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.feeds import feed_lag, feed_volume, silent_arm
from analysis.quality import State

WEEK = [40, 52, 47, 55, 38, 49, 51]


def test_a_dead_feed_is_broken():
    """Silence where dozens are usual is not zero events."""
    check = feed_volume(WEEK, [0])

    assert check.state is State.BROKEN
    assert "looks dead" in check.reason


def test_a_feed_that_lost_half_is_broken():
    """Half the usual events over three days is no chance."""
    assert feed_volume(WEEK, [20, 22, 25]).state is State.BROKEN


def test_a_doubled_feed_warns():
    """Twice the usual number has often been sent twice."""
    check = feed_volume(WEEK, [95, 99, 104])

    assert check.state is State.WARNING
    assert "sent twice" in check.reason


def test_a_usual_day_is_fine():
    """The chance is that of a negative binomial with the stated mean and variance."""
    check = feed_volume(WEEK, [41])
    rate = np.mean(WEEK)
    variance = rate * max(1, np.var(WEEK, ddof=1) / rate) * (1 + 1 / 7)
    law = stats.nbinom(rate**2 / (variance - rate), rate / variance)

    assert check.state is State.FINE
    assert check.p_value == pytest.approx(law.cdf(41))


def test_silence_of_a_quiet_feed_is_unknown():
    """One event a week may well be absent today: neither dead nor fine."""
    assert feed_volume([1, 0, 2, 0, 0, 1, 3], [0]).state is State.UNKNOWN


@pytest.mark.parametrize("history", [[], [5, 6], [0] * 30])
def test_an_unknown_rate_is_unknown(history):
    """Without a usual rate nothing can be called unusual."""
    assert feed_volume(history, [0]).state is State.UNKNOWN


def test_feed_counts_must_be_counts():
    """Negative or missing numbers of events are mistakes."""
    with pytest.raises(ValueError, match="history"):
        feed_volume([-1] * 8, [1])
    with pytest.raises(ValueError, match="recent"):
        feed_volume(WEEK, [])


@given(st.lists(st.integers(0, 10**6), min_size=7, max_size=20), st.integers(0, 10**7))
def test_feed_volume_always_has_an_answer(history, total):
    """Any history and any count give a state and, if tested, a chance."""
    check = feed_volume(history, [total])

    assert check.p_value is None or 0 <= check.p_value <= 1


@pytest.mark.slow
def test_a_healthy_overdispersed_feed_is_seldom_accused():
    """False alarms stay near 2 alpha though the dispersion is estimated from four weeks."""
    draw = np.random.default_rng(7).negative_binomial
    alarms = sum(
        feed_volume(draw(10, 0.1, 28).tolist(), draw(10, 0.1, 1).tolist(), alpha=0.01).state
        in (State.BROKEN, State.WARNING)
        for _ in range(1200)
    )

    assert alarms / 1200 <= 0.033


def minutes(*values):
    return [timedelta(minutes=value) for value in values]


def test_the_latest_of_twenty_looks_is_late():
    """The p-value is the rank: one in twenty."""
    check = feed_lag(timedelta(hours=2), minutes(*range(1, 20)))

    assert check.state is State.WARNING
    assert check.p_value == pytest.approx(1 / 20)


def test_a_usual_lag_is_fine():
    """In the middle of what was seen before."""
    assert feed_lag(timedelta(minutes=10), minutes(*range(1, 40))).state is State.FINE


def test_too_few_looks_say_nothing_of_lateness():
    """Eighteen looks cannot give one in twenty."""
    assert feed_lag(timedelta(hours=2), minutes(*range(1, 19))).state is State.UNKNOWN
    with pytest.raises(ValueError, match="lag"):
        feed_lag(timedelta(seconds=-1), [])


def test_a_variation_without_events_is_looked_at():
    """The chance of no event is exact: all 12 fall on the other half."""
    check = silent_arm([12, 0], [50, 50])

    assert check.state is State.WARNING
    assert check.p_value == pytest.approx(comb(50, 12) / comb(100, 12))


def test_a_silent_half_of_billions_is_bounded():
    """The chance is that of 20 coins, which is never below the exact one."""
    check = silent_arm([20, 0], [10**9, 10**9])

    assert check.p_value == pytest.approx(2**-20)


def test_a_few_events_may_miss_an_arm_by_chance():
    """Three events on one side of a fair split are usual."""
    assert silent_arm([3, 0], [50, 50]).state is State.UNKNOWN


def test_events_everywhere_and_nowhere():
    """Every arm heard from is fine; none is unknown, not zero."""
    assert silent_arm([3, 1, 2], [50, 50, 50]).state is State.FINE
    assert silent_arm([0, 0], [50, 50]).state is State.UNKNOWN
    with pytest.raises(ValueError, match="exceed exposed"):
        silent_arm([3, 0], [2, 50])
    with pytest.raises(ValueError, match="not of one length"):
        silent_arm([3, 0], [5, 5, 5])
