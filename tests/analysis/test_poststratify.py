"""Post-stratification: units compared within strata fixed before exposure."""

import numpy as np
import pytest

from analysis import mean, poststratify
from analysis.effect import Effect, Undecided
from analysis.summary import Summary


def test_strata_remove_what_lies_between_them():
    """New and old customers differ; within each the effect is clear."""
    draw = np.random.default_rng(10)
    levels = {"new": 5.0, "old": 50.0}
    before = {k: Summary.of(draw.normal(v, 1, 200)) for k, v in levels.items()}
    after = {k: Summary.of(draw.normal(v + 1, 1, 180)) for k, v in levels.items()}
    found = poststratify.poststratified(before, after)

    assert found.effect.low <= 1 <= found.effect.high
    assert found.gain > 0.99
    assert found.effect.high - found.effect.low < 0.5


def test_one_stratum_is_the_plain_difference():
    """Nothing to stratify by, nothing gained."""
    one, two = Summary.of([1, 2, 3, 4]), Summary.of([3, 4, 5, 9])
    found = poststratify.poststratified({"all": one}, {"all": two})
    plain = mean.difference(one, two)

    assert (found.effect.low, found.effect.high) == pytest.approx((plain.low, plain.high))
    assert found.gain == pytest.approx(0)


def test_the_relative_change_is_of_the_stratified_means():
    """One stratum: the plain ratio; uneven strata: each arm's mean at the common shares."""
    one, two = Summary.of([11, 12, 13, 14]), Summary.of([13, 14, 15, 19])
    found = poststratify.poststratified_relative({"all": one}, {"all": two}).effect
    plain = mean.relative(one, two)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    before = {"a": Summary.of([10, 11] * 30), "b": Summary.of([50, 51] * 10)}
    after = {"a": Summary.of([11, 12] * 10), "b": Summary.of([51, 52] * 30)}
    found = poststratify.poststratified_relative(before, after, scale="delta")
    assert found.effect.estimate == pytest.approx(31.5 / 30.5 - 1)
    assert isinstance(poststratify.poststratified_relative({}, {}), Undecided)


def test_thin_strata_are_put_together():
    """A stratum with one unit in an arm has no variance of its own."""
    before = {"a": Summary.of([1, 2, 3]), "b": Summary.of([9]), "c": Summary.of([8, 9])}
    after = {"a": Summary.of([2, 3, 4]), "b": Summary.of([10, 9]), "d": Summary.of([7])}
    found = poststratify.poststratified(before, after)

    assert isinstance(found.effect, Effect)
    assert (found.effect.n_control, found.effect.n_treatment) == (6, 6)
    assert "no units" in poststratify.poststratified({}, {}).reason
    assert (
        "treatment has only 1 unit"
        in poststratify.poststratified(before, {"a": Summary.of([1])}).reason
    )
    nan = {"a": Summary(3, float("nan"), 1.0)}
    assert "missing or infinite" in poststratify.poststratified(before, nan).reason
