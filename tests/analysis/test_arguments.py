from datetime import timedelta
from math import inf, nan

import pytest

from analysis import arguments


@pytest.mark.parametrize("value", [0, 1, -0.1, nan, inf])
def test_a_share_out_of_range_names_its_argument(value):
    """A programmer's mistake is told by the name of the argument."""
    with pytest.raises(ValueError, match="alpha must lie"):
        arguments.open_share("alpha", value)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_missing_and_infinite_numbers_are_refused(value):
    """No later formula has to fear a NaN."""
    with pytest.raises(ValueError, match="margin must be a finite"):
        arguments.finite("margin", value)
    with pytest.raises(ValueError, match="outcomes must be finite"):
        arguments.finite_array("outcomes", [1.0, value])


def test_an_array_of_the_wrong_shape_is_refused():
    """A table passed for a column is a mistake, not data."""
    with pytest.raises(ValueError, match="outcomes must have 1 axes"):
        arguments.finite_array("outcomes", [[1.0]])


@pytest.mark.parametrize("values", [[1], [1, -1], [1, 2.5]])
def test_counts_are_whole_and_enough(values):
    """Half a customer, a negative one, or too few variations are refused."""
    with pytest.raises(ValueError, match="seen"):
        arguments.counts("seen", values, at_least=2)


def test_sequences_that_do_not_match_are_named():
    """The message says which sequence has which length."""
    with pytest.raises(ValueError, match="'a': 1, 'b': 2"):
        arguments.same_length(a=[1], b=[1, 2])


def test_a_negative_duration_is_refused():
    """An event cannot be younger than now."""
    with pytest.raises(ValueError, match="lag must not be negative"):
        arguments.positive("lag", timedelta(seconds=-1))
