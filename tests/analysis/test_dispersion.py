"""Consistency: spread, variance, worst segment."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import dispersion
from analysis.effect import Effect, Finding, Scale, Undecided, Validity
from analysis.histogram import Histogram

units = st.lists(st.integers(0, 60).map(float), min_size=6, max_size=60)


@given(units, units)
def test_brown_forsythe_is_scipys(control, treatment):
    """Levene's test about the medians, to 1e-8."""
    assume(len(set(control)) > 1 and len(set(treatment)) > 1)
    found = dispersion.brown_forsythe_p_value(Histogram.of(control), Histogram.of(treatment))
    assume(found)

    assert found == pytest.approx(
        stats.levene(control, treatment, center="median").pvalue, rel=1e-8
    )


def test_the_gear_data():
    """NIST's gear diameters, batches 1 and 10: another middle, but the same spread (p = 0.97)."""
    one = [1.006, 0.996, 0.998, 1.000, 0.992, 0.993, 1.002, 0.999, 0.994, 1.000]
    ten = [0.991, 0.995, 0.984, 0.994, 0.997, 0.997, 0.991, 0.998, 1.004, 0.997]
    found = dispersion.brown_forsythe_p_value(Histogram.of(one), Histogram.of(ten))

    assert found == pytest.approx(stats.levene(one, ten).pvalue, rel=1e-8)
    assert found > 0.5


@given(units, units)
def test_laws(control, treatment):
    """Spread ignores where the middle is and the unit used; swapping inverts the ratio."""
    assume(len(set(control)) > 1 and len(set(treatment)) > 1)
    arms = Histogram.of(control), Histogram.of(treatment)
    for compare in (dispersion.spread, dispersion.variance_ratio):
        effect = compare(*arms)
        if not effect:
            continue
        assert effect.low <= effect.estimate <= effect.high
        moved = compare(*(Histogram.of(4 * v - 9 for v in a) for a in (control, treatment)))
        assert (moved.low, moved.high) == pytest.approx(
            (effect.low, effect.high), rel=1e-6, abs=1e-9
        )
        back = compare(*arms[::-1])
        if back and "log" in back.method and "log" in effect.method:
            assert 1 + back.low == pytest.approx(1 / (1 + effect.high), rel=1e-6)


def test_no_spread_and_too_few_units_are_told():
    """A ratio of nothing is no number."""
    flat, good = Histogram.counted([(3, 50)]), Histogram.of(range(20))
    for compare in (
        dispersion.spread,
        dispersion.variance_ratio,
        dispersion.brown_forsythe_p_value,
    ):
        assert "no spread" in compare(good, flat).reason
        assert "only 3 units" in compare(Histogram.of([1, 2, 3]), good).reason


@given(units, units)
def test_spread_in_the_metrics_own_unit(control, treatment):
    """Doubling every value doubles the difference; swapping turns it round."""
    effect = dispersion.spread_difference(Histogram.of(control), Histogram.of(treatment))
    assume(effect)
    double = dispersion.spread_difference(
        *(Histogram.of(2 * v + 1 for v in a) for a in (control, treatment))
    )
    assert (double.low, double.high) == pytest.approx((2 * effect.low, 2 * effect.high), abs=1e-9)
    back = dispersion.spread_difference(Histogram.of(treatment), Histogram.of(control))
    assert (back.low, back.high) == pytest.approx((-effect.high, -effect.low), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["normal", "exponential", "uniform"])
def test_intervals_cover_whatever_the_shape(family):
    """Where the F test breaks (exponential: it covers 0.72), these hold 0.92 or more at 0.95."""
    draw = np.random.default_rng(12)
    runs = 500
    covered = np.zeros(2)
    for _ in range(runs):
        values = [getattr(draw, family)(size=400) * k for k in (1, 1.3)]
        arms = [Histogram.of(v) for v in values]
        spread, variance = dispersion.spread(*arms), dispersion.variance_ratio(*arms)
        covered += [spread.low <= 0.3 <= spread.high, variance.low <= 0.69 <= variance.high]

    assert (covered / runs).min() >= 0.92


def effect(estimate: float, half: float) -> Effect:
    return Effect(
        estimate,
        estimate - half,
        estimate + half,
        Scale.RELATIVE,
        Validity.FIXED,
        0.95,
        9,
        9,
        "test",
    )


def judged(effects, **changed):
    asked = {"margin": 0.02, "higher_is_better": True, **changed}
    return dispersion.worst_segment(effects, **asked)


def test_every_segment_must_be_safe_for_the_whole_to_be():
    """One segment not yet known keeps the whole unknown."""
    safe = {"a": effect(0.01, 0.01), "b": effect(0.0, 0.015)}
    assert judged(safe).overall is Finding.SAFE
    assert judged({**safe, "c": effect(0.0, 0.2)}).overall is Finding.UNKNOWN
    assert judged({**safe, "c": Undecided("no units yet")}).overall is Finding.UNKNOWN
    assert judged(safe).worst == "b"
    assert judged(safe, higher_is_better=False).worst == "a"


def test_one_harmed_segment_harms_the_whole():
    """However well the others do, the worst decides."""
    found = judged({"a": effect(0.3, 0.01), "b": effect(-0.2, 0.05)})

    assert found.overall is Finding.HARM
    assert (found.worst, found.findings) == ("b", {"a": Finding.SAFE, "b": Finding.HARM})


def test_many_segments_are_corrected_for():
    """What would be harm in one segment alone is not, when it is the worst of forty."""
    borderline = effect(-0.075, 0.05)
    assert judged({"a": borderline}).overall is Finding.HARM
    crowd = {str(i): effect(0.0, 0.1) for i in range(39)}
    assert judged({"a": borderline, **crowd}).overall is Finding.UNKNOWN


def test_wrong_arguments_are_named():
    """Effects of two scales, a negative margin, an alpha of one half."""
    absolute = Effect(0, -1, 1, Scale.ABSOLUTE, Validity.FIXED, 0.95, 9, 9, "test")
    with pytest.raises(ValueError, match="effects"):
        judged({"a": effect(0, 1), "b": absolute})
    with pytest.raises(ValueError, match="margin"):
        judged({"a": effect(0, 1)}, margin=-0.1)
    with pytest.raises(ValueError, match="alpha"):
        judged({}, alpha=0.5)
