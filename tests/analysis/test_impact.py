import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate
from analysis.impact import cumulative_impact, selection_bias
from analysis.shrinkage import shrink

pairs = st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 20)), min_size=3, max_size=10)


def estimates(held, times=1.0, scale=Scale.ABSOLUTE):
    return [Estimate(str(i), v * times, e * times, scale) for i, (v, e) in enumerate(held)]


def test_the_luck_is_lee_and_shens_expectation():
    """For known effects: the mean of the significant sum's excess, by integration."""
    truth, error = 0.7, 1.3
    held = [Estimate("a", truth, error)]
    threshold = stats.norm.isf(0.025) * error
    expected, _ = integrate.quad(
        lambda x: (x - truth) * stats.norm.pdf(x, truth, error), threshold, 30
    )

    assert selection_bias(held) == pytest.approx(expected)
    turned = [Estimate("a", -truth, error)]
    assert selection_bias(turned, better=-1) == pytest.approx(expected)


def test_all_shipped_adds_up_all_shrunken_effects():
    """Without a choice the total is the sum of what shrinkage leaves."""
    held = estimates([(5, 3), (1, 2), (-4, 5), (8, 4)])
    impact = cumulative_impact(held, [True] * 4)

    assert impact.total == pytest.approx(sum(s.value for s in shrink(held)))
    assert impact.claimed == pytest.approx(10)


def test_one_shipped_is_that_ones_shrunken_effect():
    """With its very interval."""
    held = estimates([(5, 3), (1, 2), (-4, 5), (8, 4)])
    impact, alone = cumulative_impact(held, [False, False, False, True]), shrink(held)[3]

    assert (impact.total, impact.low, impact.high) == pytest.approx(
        (alone.value, alone.low, alone.high)
    )


@given(pairs, st.sampled_from([1e-4, 1.0, 1e5]))
def test_the_unit_carries_through(held, times):
    """Cents or euros, the same impact."""
    shipped = [v > 0 for v, _ in held]
    if not any(shipped):
        assert isinstance(cumulative_impact(estimates(held), shipped), Undecided)
        return
    plain = cumulative_impact(estimates(held), shipped)
    scaled = cumulative_impact(estimates(held, times), shipped)

    assert plain.low <= plain.total <= plain.high
    for name in ("total", "low", "high", "claimed", "debiased"):
        assert getattr(scaled, name) == pytest.approx(
            times * getattr(plain, name), rel=1e-5, abs=1e-5 * times
        )


@given(pairs)
def test_where_less_is_better_all_signs_turn(held):
    """Fewer complaints are as welcome as more orders."""
    shipped = [v > 0 for v, _ in held]
    if any(shipped):
        up = cumulative_impact(estimates(held), shipped)
        down = cumulative_impact(estimates([(-v, e) for v, e in held]), shipped, better=-1)
        assert down.debiased == pytest.approx(-up.debiased)
        assert down.low == pytest.approx(-up.high, abs=1e-6)


def test_relative_effects_compound():
    """Ten per cent and ten per cent make twenty-one, before luck is taken off."""
    step = np.log(1.1)
    held = [Estimate(n, step, 0.001, Scale.RELATIVE) for n in "ab"]
    held.append(Estimate("c", 0.0, 0.001, Scale.RELATIVE))
    impact = cumulative_impact(held, [True, True, False])

    assert impact.claimed == pytest.approx(0.21)
    assert impact.total == pytest.approx(0.21, abs=0.01)


def test_impacts_without_an_answer():
    """Nothing shipped, or too little to learn from; and mistakes by name."""
    held = estimates([(5, 3), (1, 2), (-4, 5)])

    assert isinstance(cumulative_impact(held, [False] * 3), Undecided)
    assert isinstance(cumulative_impact(held[:2], [True] * 2), Undecided)
    with pytest.raises(ValueError, match="shipped"):
        cumulative_impact(held, [True])
    with pytest.raises(ValueError, match="better"):
        cumulative_impact(held, [True] * 3, better=0)
    with pytest.raises(ValueError, match="alpha"):
        cumulative_impact(held, [True] * 3, alpha=0)
    with pytest.raises(ValueError, match="level"):
        cumulative_impact(held, [True] * 3, level=1)


@pytest.mark.slow
def test_the_winners_curse_is_taken_off():
    """Sixty rollouts, the significant shipped: claims far too high, both corrections near.

    Over programmes of work the interval covers what the shipped changes truly did.
    """
    rng, rounds, hits = np.random.default_rng(239), 0, 0
    gaps = np.zeros(3)
    for _ in range(200):
        errors = rng.uniform(0.5, 2, 60)
        truth = rng.normal(0.1, 0.6, 60)
        values = truth + rng.normal(0, errors)
        shipped = values > stats.norm.isf(0.025) * errors
        if not shipped.any():
            continue
        held = [Estimate("", v, e) for v, e in zip(values, errors, strict=True)]
        impact = cumulative_impact(held, shipped.tolist())
        real = truth[shipped].sum()
        rounds += 1
        hits += impact.low <= real <= impact.high
        gaps += np.array([impact.claimed, impact.total, impact.debiased]) - real

    claimed, shrunken, debiased = gaps / rounds
    assert claimed > 4
    assert abs(shrunken) < 0.15 * claimed
    assert abs(debiased) < 0.5 * claimed
    assert hits / rounds >= 0.9


def test_bars_of_their_own_take_alphas_place():
    """At the usual bar the same luck; where harm only had to be absent, hardly any."""
    held = estimates([(5, 3), (1, 2), (-4, 5), (8, 4)])
    usual = stats.norm.isf(0.025)

    assert selection_bias(held, bars=[usual] * 4) == pytest.approx(selection_bias(held))
    assert selection_bias(held, bars=[-9.0] * 4) < 1e-9
    assert cumulative_impact(held, [True] * 4, bars=[-9.0] * 4).debiased == pytest.approx(10)
    with pytest.raises(ValueError, match="bars"):
        selection_bias(held, bars=[1.0])
    with pytest.raises(ValueError, match="bars"):
        selection_bias(held, bars=[np.nan] * 4)


def test_the_claim_has_the_interval_of_a_plain_sum():
    """As if nobody had chosen: independent errors add as squares."""
    held = estimates([(5, 3), (1, 2), (-4, 5), (8, 4)])
    impact = cumulative_impact(held, [True, False, False, True])

    assert impact.claimed_high - impact.claimed == pytest.approx(5 * stats.norm.isf(0.025))
    assert impact.claimed - impact.claimed_low == pytest.approx(5 * stats.norm.isf(0.025))
