"""Units by value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.histogram import Histogram
from analysis.summary import Summary

values = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60)


@given(values, values)
def test_histograms_of_disjoint_units_add(left, right):
    """Days and shards may be folded in any grouping."""
    merged, whole = Histogram.of(left) + Histogram.of(right), Histogram.of(left + right)

    assert merged.values.tolist() == whole.values.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()
    assert whole.summary == Summary.of(left + right)


@given(values, st.floats(0.01, 0.99))
def test_quantiles_are_numpys(units, q):
    """The averaged inverse of the distribution function, as NumPy names it."""
    other = np.quantile(units, q, method="averaged_inverted_cdf")

    assert Histogram.of(units).quantile(q) == pytest.approx(other)


@given(values, st.integers(-50, 50))
def test_shares_count_units_on_either_side(units, at):
    """At or above, at or below, and clipped in between."""
    arm = Histogram.of(units)
    assert arm.share(above=at) == Summary(
        len(units), sum(v >= at for v in units), sum(v >= at for v in units)
    )
    assert arm.share(below=at).total == sum(v <= at for v in units)
    clipped = arm.clipped(-10, 10)
    assert (clipped.n, clipped.summary) == (
        len(units),
        Summary.of(min(max(v, -10), 10) for v in units),
    )


def test_what_is_no_histogram_is_refused():
    """Missing values, unordered ones, counts of nothing or less."""
    with pytest.raises(ValueError, match="finite"):
        Histogram.of([1.0, float("nan")])
    with pytest.raises(ValueError, match="rising"):
        Histogram(np.array([2.0, 1.0]), np.array([1, 1]))
    with pytest.raises(ValueError, match="counts must be above 0"):
        Histogram(np.array([1.0]), np.array([0]))
    with pytest.raises(ValueError, match="one count per value"):
        Histogram(np.array([1.0]), np.array([1, 2]))
    with pytest.raises(ValueError, match="counts must not be negative"):
        Histogram.counted([(1, -1)])
    with pytest.raises(ValueError, match="q must lie"):
        Histogram.of([1]).quantile(0)
    with pytest.raises(IndexError):
        Histogram.of([1]).at_rank(2)
