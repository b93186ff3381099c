import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.differences import difference_in_differences, parallel_trends
from analysis.effect import Scale, Undecided
from analysis.quality import State

# Card & Krueger (1994), table 3: mean full-time employment per store before and after the
# minimum wage rose in New Jersey and not in Pennsylvania.
JERSEY, PENNSYLVANIA = (20.44, 21.03), (23.33, 21.17)


def panel(rng, groups=12, periods=20, start=12, effect=0.0, drift=0.0, memory=0.6):
    """Groups with levels of their own, shared shocks and deviations that last."""
    treated = np.arange(groups) < groups // 2
    noise = rng.normal(size=(groups, periods))
    for t in range(1, periods):
        noise[:, t] += memory * noise[:, t - 1]
    time = np.arange(periods)
    values = noise + rng.normal(0, 3, groups)[:, None] + rng.normal(0, 2, periods)
    values += treated[:, None] * (effect * (time >= start) + drift * time)
    return values, treated.tolist(), start


def test_card_and_kruegers_employment():
    """Their 2.76 more full-time jobs per store, from group means of table 3."""
    means = np.array([PENNSYLVANIA] * 2 + [JERSEY] * 2)
    rows = np.add(means, [[0.5, 0.1], [-0.5, -0.1], [0.3, -0.2], [-0.3, 0.2]])
    found = difference_in_differences(rows, [False, False, True, True], 1)

    assert found.effect.estimate == pytest.approx(2.75, abs=0.015)


def test_it_is_the_two_way_fixed_effects_estimate():
    """Agrees with a regression on group and period indicators."""
    values, treated, start = panel(np.random.default_rng(79), effect=1.0)
    found = difference_in_differences(values, treated, start)
    rows = pd.DataFrame(
        [
            {"y": values[g, t], "g": g, "t": t, "d": float(treated[g] and t >= start)}
            for g in range(12)
            for t in range(20)
        ]
    )
    theirs = smf.ols("y ~ d + C(g) + C(t)", rows).fit()

    assert found.effect.estimate == pytest.approx(theirs.params["d"], abs=1e-9)


def test_equal_sides_are_students_test_of_changes():
    """CR2 over two equal sides is the two-sample t-test on each group's change."""
    values, treated, start = panel(np.random.default_rng(83), effect=1.0)
    change = values[:, start:].mean(axis=1) - values[:, :start].mean(axis=1)
    found = difference_in_differences(values, treated, start, level=0.9)
    theirs = stats.ttest_ind(change[:6], change[6:])

    assert found.effect.p_value == pytest.approx(theirs.pvalue)
    assert (found.effect.low, found.effect.high) == pytest.approx(theirs.confidence_interval(0.9))
    assert (found.effect.n_control, found.effect.n_treatment) == (6, 6)


def test_weights_make_large_groups_count_more():
    """By hand: weighted mean change of each side."""
    values, treated, start = panel(np.random.default_rng(89))
    sizes = np.arange(1.0, 13)
    change = values[:, start:].mean(axis=1) - values[:, :start].mean(axis=1)
    expected = np.average(change[:6], weights=sizes[:6]) - np.average(change[6:], weights=sizes[6:])

    found = difference_in_differences(values, treated, start, weights=sizes)
    assert found.effect.estimate == pytest.approx(expected)


@given(st.integers(0, 50), st.floats(-5, 5), st.sampled_from([1e-3, 1.0, 1e4]))
def test_common_shifts_cancel_and_swapping_turns_the_sign(seed, shift, times):
    """Whatever came to both sides is no effect; the unit of measure scales it."""
    values, treated, start = panel(np.random.default_rng(seed))
    moved = times * values + shift * np.arange(20)
    first = difference_in_differences(values, treated, start).effect
    scaled = difference_in_differences(moved, treated, start).effect
    turned = difference_in_differences(values, [not t for t in treated], start).effect

    assert scaled.estimate == pytest.approx(times * first.estimate, rel=1e-6, abs=1e-9)
    assert scaled.high == pytest.approx(times * first.high, rel=1e-6, abs=1e-9)
    assert turned.low == pytest.approx(-first.high)


def test_sides_that_drifted_apart_are_found():
    """A drift before the change breaks the comparison; none is told with its reach."""
    rng = np.random.default_rng(97)
    drifting = difference_in_differences(*panel(rng, drift=0.5))
    calm = difference_in_differences(*panel(rng))

    assert drifting.trends.state is State.BROKEN
    assert calm.trends.state is State.FINE
    assert "would have gone unseen" in calm.trends.reason
    assert parallel_trends(*panel(rng, start=2)).state is State.UNKNOWN


def test_the_picture_shows_every_period():
    """Gaps before hover around nothing, gaps since around the effect."""
    values, treated, start = panel(np.random.default_rng(101), groups=40, effect=5.0)
    points = difference_in_differences(values, treated, start).points

    assert [point.period for point in points] == list(range(20))
    assert all(abs(point.estimate) < 2 for point in points[:start])
    assert all(point.low > 0 for point in points[start:])


def test_two_points_in_time_have_one_gap_to_show():
    """With a single period before, it has nothing to be compared with itself."""
    values, treated, _ = panel(np.random.default_rng(103), periods=2, start=1)

    points = difference_in_differences(values, treated, 1).points
    assert [point.period for point in points] == [1]


def test_the_wild_bootstrap_is_at_hand():
    """For few groups, and it names itself."""
    values, treated, start = panel(np.random.default_rng(107), effect=4.0)
    effect = difference_in_differences(values, treated, start, wild=True).effect

    assert effect.method.endswith("wild cluster bootstrap")
    assert effect.low > 0


def test_panels_without_an_answer():
    """One treated region is no difference in differences; nor are sides that never move."""
    values, treated, start = panel(np.random.default_rng(109))
    lone = [True] + [False] * 11

    assert isinstance(difference_in_differences(values, lone, start), Undecided)
    assert isinstance(difference_in_differences(values * 0, treated, start), Undecided)
    few = difference_in_differences(values[4:8], treated[4:8], start, wild=True)
    assert isinstance(few, Undecided)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"start": 0}, "start"),
        ({"start": 20}, "start"),
        ({"treated": [True]}, "treated"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [0.0] * 12}, "weights"),
        ({"level": 1}, "level"),
        ({"outcomes": np.full((12, 20), np.nan)}, "outcomes"),
        ({"outcomes": [1.0]}, "outcomes"),
    ],
)
def test_mistakes_name_the_argument(change, name):
    """What does not fit is refused by name."""
    values, treated, start = panel(np.random.default_rng(113))
    with pytest.raises(ValueError, match=name):
        difference_in_differences(
            **({"outcomes": values, "treated": treated, "start": start} | change)
        )


@pytest.mark.slow
def test_lasting_deviations_do_not_fool_it():
    """Bertrand, Duflo and Mullainathan's placebo laws: row errors reject often, ours 5 %."""
    rng, rounds, ours, rows = np.random.default_rng(127), 150, 0, 0
    for _ in range(rounds):
        values, treated, start = panel(rng, memory=0.8)
        ours += difference_in_differences(values, treated, start).effect.p_value < 0.05
        gaps = values[:6] - values[6:]  # pairs of a treated and a control group, every period
        gaps -= gaps.mean(axis=1, keepdims=True)
        rows += stats.ttest_ind(gaps[:, start:].ravel(), gaps[:, :start].ravel()).pvalue < 0.05

    assert rows / rounds > 0.2
    assert ours / rounds <= 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5


def test_a_relative_effect_is_the_absolute_one_of_logarithms():
    """Both sides are then believed to move by the same share."""
    rng = np.random.default_rng(12)
    panel = np.exp(rng.normal(3, 0.1, (20, 9)))
    treated = [g < 10 for g in range(20)]
    found = difference_in_differences(panel, treated, 5, scale=Scale.RELATIVE)
    logs = difference_in_differences(np.log(panel), treated, 5)
    assert not isinstance(found, Undecided)
    assert not isinstance(logs, Undecided)

    assert found.effect.scale is Scale.RELATIVE
    for end in ("estimate", "low", "high"):
        assert getattr(found.effect, end) == pytest.approx(np.expm1(getattr(logs.effect, end)))
    assert found.points[0].high == pytest.approx(np.expm1(logs.points[0].high))
    refused = difference_in_differences(panel - panel.max(), treated, 5, scale=Scale.RELATIVE)
    assert isinstance(refused, Undecided)
