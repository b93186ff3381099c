"""Long tails cut at a limit common to all variations."""

import numpy as np
import pytest
from scipy.stats.mstats import winsorize

from analysis import winsor
from analysis.histogram import Histogram


def test_one_limit_for_all_variations():
    """The limit comes from all units together, so a whale in one arm cannot move only that arm's."""
    control, treatment = Histogram.of(range(99)), Histogram.of([*range(99), 10_000, 10_000])
    cut = winsor.winsorised([control, treatment], 0.98)

    assert [float(arm.values[-1]) for arm in cut] == [97.5, 97.5]
    assert [arm.n for arm in cut] == [99, 101]


def test_values_below_zero_are_cut_below_too():
    """As scipy's winsorize on both sides."""
    units = list(range(-50, 50))
    cut = winsor.winsorised([Histogram.of(units)], 0.905)[0]
    other = winsorize(np.array(units), limits=(0.09, 0.09))

    assert sorted(set(other.tolist())) == cut.values.tolist()


def test_nothing_to_cut_is_refused():
    """A quantile in the lower half, or no units."""
    with pytest.raises(ValueError, match="quantile"):
        winsor.limits([Histogram.of([1])], 0.4)
    with pytest.raises(ValueError, match="no units"):
        winsor.limits([Histogram.of([])], 0.9)
