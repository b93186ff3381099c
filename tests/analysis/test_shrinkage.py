import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.effect import Scale
from analysis.estimate import Estimate
from analysis.shrinkage import Scatter, mixture_quantile, shrink, spread

SCHOOLS = [28, 8, -3, 7, -1, 1, 18, 12]
ERRORS = [15, 10, 16, 11, 9, 11, 10, 18]
pairs = st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 20)), min_size=2, max_size=8)


def estimates(held, times=1.0, shift=0.0, scale=Scale.ABSOLUTE):
    return [Estimate(str(i), times * v + shift, times * e, scale) for i, (v, e) in enumerate(held)]


def test_the_eight_schools():
    """Gelman et al., "Bayesian Data Analysis", table 5.3: school A from -2 to 31, 200 draws."""
    held = shrink(estimates(zip(SCHOOLS, ERRORS, strict=True)))

    assert held[0].low == pytest.approx(-2, abs=1)
    assert held[0].high == pytest.approx(31, abs=1)


def test_posterior_means_agree_with_numerical_integration():
    """Over the scatter from none to infinity, by adaptive quadrature."""
    values, errors = np.array(SCHOOLS, float), np.array(ERRORS, float)

    def weight(tau):
        precision = 1 / (errors**2 + tau**2)
        mean = precision @ values / precision.sum()
        fit = stats.norm.logpdf(values, mean, precision**-0.5).sum()
        return np.exp(fit + 25) / precision.sum() ** 0.5, mean

    def centre(tau):
        held, mean = weight(tau)
        pull = errors[0] ** 2 / (errors[0] ** 2 + tau**2)
        return held * ((1 - pull) * values[0] + pull * mean)

    top = integrate.quad(centre, 0, np.inf, limit=200)[0]
    expected = top / integrate.quad(lambda tau: weight(tau)[0], 0, np.inf, limit=200)[0]
    ours = shrink(estimates(zip(SCHOOLS, ERRORS, strict=True)))[0]

    assert ours.value == pytest.approx(expected, abs=1e-4)


@given(pairs)
def test_every_effect_moves_towards_the_others(held):
    """Between the smallest and the largest, inside its interval, keeping a share in [0, 1]."""
    values = [v for v, _ in held]
    for shrunken in shrink(estimates(held)):
        assert min(values) - 1e-9 <= shrunken.value <= max(values) + 1e-9
        assert shrunken.low <= shrunken.value <= shrunken.high
        assert 0 <= shrunken.kept <= 1


@given(pairs, st.sampled_from([1e-6, 0.3, 1e6]), st.floats(-50, 50))
def test_shift_and_scale_carry_through(held, times, shift):
    """The unit of measure is no information."""
    for plain, moved in zip(
        shrink(estimates(held)), shrink(estimates(held, times, shift)), strict=True
    ):
        for name in ("value", "low", "high"):
            expected = times * getattr(plain, name) + shift
            assert getattr(moved, name) == pytest.approx(
                expected, rel=1e-6, abs=1e-5 * times + 1e-8
            )


@given(pairs, st.data())
def test_order_is_no_matter(held, data):
    """A segment's effect does not depend on its place in the list."""
    order = data.draw(st.permutations(range(len(held))))
    plain, turned = shrink(estimates(held)), shrink(estimates([held[i] for i in order]))

    for place, i in enumerate(order):
        assert turned[place].value == pytest.approx(plain[i].value, abs=1e-9)


def test_noisy_effects_move_further():
    """Of two effects equally far out the less certain one keeps less."""
    held = shrink(estimates([(10, 1), (10, 8), (0, 2), (0, 2), (1, 2), (-1, 2)]))

    assert held[1].kept < held[0].kept
    assert held[1].value < held[0].value


def test_relative_effects_shrink_as_logarithms():
    """And come back as ratios."""
    held = [(0.5, 0.2), (0.1, 0.1), (0.0, 0.1)]
    plain, ratio = shrink(estimates(held)), shrink(estimates(held, scale=Scale.RELATIVE))

    assert ratio[0].high == pytest.approx(np.expm1(plain[0].high))


def test_the_mixture_quantile_inverts_the_mixture():
    """Checked against the mixture's own distribution function."""
    weight = np.array([0.3, 0.7])
    centre, variance = np.array([[0.0], [5.0]]), np.array([[1.0], [4.0]])
    q = mixture_quantile(weight, centre, variance, 0.9)[0]

    assert weight @ stats.norm.cdf(q, centre[:, 0], variance[:, 0] ** 0.5) == pytest.approx(0.9)


def test_the_grid_is_fine_enough(monkeypatch):
    """Ten times more points change no limit by more than a thousandth of an error."""
    held = estimates(zip(SCHOOLS, ERRORS, strict=True))
    coarse = shrink(held)
    monkeypatch.setattr("analysis.shrinkage._GRID", 2400)

    for a, b in zip(coarse, shrink(held), strict=True):
        assert a.low == pytest.approx(b.low, abs=0.01)
        assert a.high == pytest.approx(b.high, abs=0.01)


def test_weights_sum_to_one():
    """However far apart the effects."""
    scatter = Scatter.of(estimates([(0, 1), (1000, 1), (-1000, 1)]))

    assert scatter.weight.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="level"):
        shrink(estimates([(0, 1), (1, 1)]), level=0)


@pytest.mark.slow
@pytest.mark.parametrize("scatter", [0.0, 0.5, 3.0])
def test_shrunken_effects_miss_by_less_and_cover(scatter):
    """Mean squared error below the raw one's, and 0.95 intervals that hold, at any scatter."""
    rng, raw, ours, hits = np.random.default_rng(37), 0.0, 0.0, 0
    for _ in range(250):
        errors = rng.uniform(0.5, 1.5, 8)
        truth = rng.normal(1, scatter, 8)
        values = truth + rng.normal(0, errors)
        held = shrink([Estimate("", v, e) for v, e in zip(values, errors, strict=True)])
        raw += np.sum((values - truth) ** 2)
        ours += sum((s.value - t) ** 2 for s, t in zip(held, truth, strict=True))
        hits += sum(s.low <= t <= s.high for s, t in zip(held, truth, strict=True))

    assert ours < raw
    assert hits / 2000 >= 0.935


def test_the_spread_covers_the_truth_as_often_as_it_says():
    """Twelve rollouts, scatter of one error: the interval holds it in about 95 of 100."""
    draw, held = np.random.default_rng(4), 0
    for _ in range(400):
        values = draw.normal(draw.normal(0, 1, 12), 1)
        found = spread([Estimate("", value, 1.0) for value in values])
        held += found.low <= 1 <= found.high

    assert 0.92 <= held / 400 <= 1


@given(pairs, st.sampled_from([1e-4, 1e5]))
def test_the_spread_follows_the_unit(held, times):
    """Scaled with the effects, and never below zero."""
    plain, scaled = spread(estimates(held)), spread(estimates(held, times))

    assert 0 <= plain.low <= plain.value <= plain.high
    assert scaled.value == pytest.approx(times * plain.value, rel=1e-6)
