"""What may be asked of a table of units."""

import numpy as np
import pytest

from analysis.rows import Events, Kind, MetricColumn, Times


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (Kind.RATIO, {}, "other"),
        (Kind.TIME, {}, "other"),
        (Kind.MEAN, {"other": "n"}, "other"),
        (Kind.RATIO, {"other": "n", "covariates": ("before",)}, "covariates"),
        (Kind.PROPORTION, {"cap": 3}, "cap"),
        (Kind.ORDINAL, {"cap_quantile": 0.9}, "cap"),
        (Kind.SUM, {"cap_quantile": 0.3}, "cap_quantile"),
        (Kind.MEAN, {"per_event": True}, "per_event"),
    ],
)
def test_options_that_do_not_fit_the_kind_are_refused(kind, options, named):
    """The error names the option."""
    with pytest.raises(ValueError, match=named):
        MetricColumn("m", kind, "value", **options)


def test_arrays_must_fit_together():
    """One unit per event, one flag per time, in order and finite."""
    with pytest.raises(ValueError, match="values and units"):
        Events(np.array([1.0]), np.array([1, 2]))
    with pytest.raises(ValueError, match="rising"):
        Events(np.array([2.0, 1.0]), np.array([1, 2]))
    with pytest.raises(ValueError, match="durations and happened"):
        Times(np.array([1.0]), np.array([True, False]))
