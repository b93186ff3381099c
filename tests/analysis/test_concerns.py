"""What must be refused or said: each condition by itself, in words."""

import pytest

from analysis.concerns import heaviest_in_difference, heaviest_unit, refusals, too_heavy
from analysis.gaussian import gaussian_statistic
from analysis.stoploss import Kind, Stratum


def test_a_plan_that_meets_all_conditions_is_not_refused():
    assert refusals(randomised_units=[10, 40]) == ()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"matured": False, "timing_may_change": True}, "earlier or later"),
        ({"unit_is_randomised": False}, "not what was randomised"),
        ({"strata_cut_at_changes": False}, "different allocation"),
        ({"randomised_units": [9, 50]}, "fewer than 10"),
        ({"randomised_units": []}, "fewer than 10"),
    ],
)
def test_each_unmet_condition_is_refused(condition, words):
    (found,) = refusals(**condition)

    assert words in found.reason
    assert found.needs


def test_immature_looks_are_fine_where_timing_cannot_change():
    assert refusals(matured=False) == ()


def test_a_heavy_customer_is_weighed_within_the_arm():
    """A value of 101 among 100 customers with a spread of 200 besides is nearly all of it."""
    values = [1.0] * 50 + [3.0] * 49 + [101.0]
    sums = Stratum(
        100, 100, 200, 100, sum(values), sum(x * x for x in values), peak0=2.0, peak1=101.0
    )
    mean = sum(values) / 100
    centred = sum((x - mean) ** 2 for x in values)

    assert heaviest_unit([sums], Kind.OTHER) == pytest.approx(
        (101 - mean) ** 2 / (centred * 100 / 99)
    )
    assert "cap values" in too_heavy(heaviest_unit([sums], Kind.OTHER))[0]


def test_a_heavy_customer_is_weighed_in_the_difference():
    """Its squared deviation over the squared units, as a share of the difference's variance."""
    values = [-1.0] * 50 + [1.0] * 49 + [101.0]
    sums = Stratum(
        100, 0, 100, 100, sum(values), sum(x * x for x in values), peak0=1.0, peak1=101.0
    )
    variance = gaussian_statistic([sums], sign=1, tolerance=0.0).variance
    mean = sum(values) / 100

    assert heaviest_in_difference([sums], variance) == pytest.approx(
        (101 - mean) ** 2 / 100**2 / variance
    )


def test_without_peaks_nothing_is_claimed():
    assert heaviest_unit([Stratum(100, 5, 9, 100, 5, 9)], Kind.OTHER) is None
    assert heaviest_in_difference([Stratum(100, 5, 9, 100, 5, 9)], 0.1) is None
    assert too_heavy(None) == ()
