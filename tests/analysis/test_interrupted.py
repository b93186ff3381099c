import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.sandwich_covariance import cov_hac

from analysis.effect import Scale, Undecided
from analysis.interrupted import interrupted_time_series, newey_west


def series(rng, n=90, start=60, effect=0.0, memory=0.0, slope=0.0):
    """A week's swing, a trend, deviations that last, and a change."""
    noise = rng.normal(size=n + 50)
    for t in range(1, n + 50):
        noise[t] += memory * noise[t - 1]
    time = np.arange(n)
    since = time >= start
    week = 3 * np.sin(2 * np.pi * time / 7)
    return 50 + week + 0.05 * time + noise[50:] + since * (effect + slope * (time - start))


def regressors(n, start):
    """Constant, trend, six weekdays, step and change of slope, written out."""
    time = np.arange(n)
    days = [(time % 7 == d) * 1.0 for d in range(1, 7)]
    since = (time >= start) * 1.0
    return np.column_stack([np.ones(n), time, *days, since, since * (time - start)])


def test_step_and_slope_are_those_of_least_squares():
    """Agrees with statsmodels on the segmented regression."""
    values = series(np.random.default_rng(131), effect=4, slope=0.1)
    found = interrupted_time_series(values, 60)
    theirs = sm.OLS(values, regressors(90, 60)).fit().params

    assert found.step == pytest.approx(theirs[-2])
    assert found.slope == pytest.approx(theirs[-1])
    assert found.effect.estimate == pytest.approx(theirs[-2] + theirs[-1] * 14.5)
    assert values[60:].mean() - np.mean(found.expected) == pytest.approx(found.effect.estimate)


def test_the_raw_variance_is_newey_and_wests():
    """Agrees with statsmodels before the correction, which is undone here."""
    values, x = series(np.random.default_rng(137), memory=0.4), regressors(90, 60)
    fit = sm.OLS(values, x).fit()
    aim = np.zeros(10)
    aim[8], aim[9] = 1, 14.5
    theirs = aim @ cov_hac(fit, nlags=5, use_correction=False) @ aim
    ours, _ = newey_west(fit.resid, x, aim, 5)
    weights = x @ np.linalg.inv(x.T @ x) @ aim
    near = np.maximum(1 - np.abs(np.subtract.outer(range(90), range(90))) / 6, 0)
    kernel = near * np.outer(weights, weights)
    rest = np.eye(90) - x @ np.linalg.inv(x.T @ x) @ x.T

    assert ours * np.trace(rest @ kernel @ rest) / (weights @ weights) == pytest.approx(theirs)


def test_without_lags_a_mean_has_its_textbook_variance():
    """White noise, no window: s squared over n on n - 1 degrees."""
    values = np.random.default_rng(139).normal(size=30)
    variance, df = newey_west(values - values.mean(), np.ones((30, 1)), np.ones(1), 0)

    assert variance == pytest.approx(np.var(values, ddof=1) / 30)
    assert df == pytest.approx(29)


@given(st.integers(0, 40), st.sampled_from([1e-3, 1.0, 1e4]), st.floats(-2, 2))
def test_level_trend_and_unit_are_no_effect(seed, times, trend):
    """Scaling scales all, a trend through both parts changes nothing."""
    values = series(np.random.default_rng(seed), effect=2)
    moved = times * (values + trend * np.arange(90) + 7)
    plain, other = (interrupted_time_series(v, 60) for v in (values, moved))

    assert other.effect.estimate == pytest.approx(times * plain.effect.estimate, rel=1e-6)
    assert other.effect.high == pytest.approx(times * plain.effect.high, rel=1e-6)
    assert other.memory == pytest.approx(plain.memory, abs=1e-7)


@given(st.integers(0, 40))
def test_turning_the_series_turns_the_effect(seed):
    """Minus the values has minus the effect and the same p-value."""
    values = series(np.random.default_rng(seed), memory=0.3)
    plain, turned = (interrupted_time_series(v, 60).effect for v in (values, -values))

    assert turned.low == pytest.approx(-plain.high)
    assert turned.p_value == pytest.approx(plain.p_value)


def test_relative_effects_work_on_logarithms():
    """A level that doubles has the effect one, whatever the season's size."""
    rng = np.random.default_rng(149)
    values = np.exp(series(rng, effect=0) / 50 + np.log(2) * (np.arange(90) >= 60))
    effect = interrupted_time_series(values, 60, slope=False, scale=Scale.RELATIVE).effect

    assert effect.estimate == pytest.approx(1.0, abs=0.1)
    assert effect.low > 0.8
    negative = interrupted_time_series(values - 5, 60, scale=Scale.RELATIVE)
    assert isinstance(negative, Undecided)


def test_a_year_may_be_told_by_waves():
    """Two harmonics of 365 days stand in for 364 indicators."""
    rng = np.random.default_rng(151)
    time = np.arange(900)
    values = 5 * np.sin(2 * np.pi * time / 365) + 3 * np.cos(4 * np.pi * time / 365)
    values = values + rng.normal(size=900) + 2 * (time >= 700)
    effect = interrupted_time_series(values, 700, season=365, harmonics=2, slope=False).effect

    assert effect.low < 2 < effect.high
    assert effect.high - effect.low < 1.5


def test_half_a_season_of_harmonics_is_every_indicator():
    """All waves of an even season span the same as its indicators."""
    values = np.random.default_rng(157).normal(size=90)
    waves = interrupted_time_series(values, 60, season=4, harmonics=2)
    days = interrupted_time_series(values, 60, season=4)

    assert waves.effect.estimate == pytest.approx(days.effect.estimate)


def test_longer_memory_widens_the_interval():
    """Deviations that last leave fewer independent periods."""
    noise = np.random.default_rng(163).normal(size=200)
    lasting = noise.copy()
    for t in range(1, 200):
        lasting[t] += 0.8 * lasting[t - 1]
    lasting /= lasting.std() / noise.std()
    short, long = (interrupted_time_series(v, 140, season=None) for v in (noise, lasting))

    assert long.memory > 0.5 > short.memory
    assert long.effect.high - long.effect.low > 1.5 * (short.effect.high - short.effect.low)


def test_series_without_an_answer():
    """Too short before or since, no scatter, or wandering without end."""
    values = series(np.random.default_rng(167))

    assert isinstance(interrupted_time_series(values[:30], 10), Undecided)
    assert isinstance(interrupted_time_series(values[:62], 60), Undecided)
    assert isinstance(interrupted_time_series(np.arange(90.0), 60), Undecided)
    assert isinstance(interrupted_time_series(np.zeros(90), 60), Undecided)
    walk = np.cumsum(np.cumsum(np.random.default_rng(173).normal(size=400)))
    assert isinstance(interrupted_time_series(walk, 300, season=None), Undecided)
    short = interrupted_time_series(values[:40], 25, season=14)
    assert isinstance(short, Undecided)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"start": 0}, "start"),
        ({"start": 90}, "start"),
        ({"season": 1}, "season"),
        ({"harmonics": 4}, "harmonics"),
        ({"season": None, "harmonics": 1}, "harmonics"),
        ({"lags": -1}, "lags"),
        ({"level": 0}, "level"),
        ({"values": [1.0, float("nan")]}, "values"),
        ({"values": np.zeros(2001)}, "values"),
    ],
)
def test_mistakes_name_the_argument(change, name):
    """What does not fit is refused by name."""
    values = series(np.random.default_rng(179))
    with pytest.raises(ValueError, match=name):
        interrupted_time_series(**({"values": values, "start": 60} | change))


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_the_interval_holds_under_memory(memory):
    """Nominal 0.95 over six weeks before and two since, where plain errors fail."""
    rng, rounds, hits, plain = np.random.default_rng(181), 200, 0, 0
    for _ in range(rounds):
        values = series(rng, n=56, start=42, memory=memory)
        effect = interrupted_time_series(values, 42).effect
        hits += effect.low <= 0 <= effect.high
        theirs = sm.OLS(values, regressors(56, 42)).fit()
        aim = np.zeros(10)
        aim[8], aim[9] = 1, 6.5
        low, high = theirs.t_test(aim).conf_int()[0]
        plain += low <= 0 <= high

    assert hits / rounds >= 0.9
    if memory == 0.8:
        assert plain / rounds < 0.75
