"""Many comparisons at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from analysis import multiplicity

chances = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=15)  # statsmodels is slow at this
@given(chances)
def test_both_corrections_are_those_of_statsmodels(p_values):
    """Adjusted p-values agree to 1e-12."""
    for ours, theirs in ((multiplicity.holm, "holm"), (multiplicity.benjamini_hochberg, "fdr_bh")):
        _, other, _, _ = multipletests(p_values, method=theirs)
        assert ours(p_values) == pytest.approx(other.tolist(), abs=1e-12)


@given(chances, st.randoms())
def test_the_order_of_comparisons_does_not_matter(p_values, random):
    """Each comparison keeps its adjusted p-value wherever it stands."""
    order = list(range(len(p_values)))
    random.shuffle(order)
    for correct in (multiplicity.holm, multiplicity.benjamini_hochberg):
        adjusted, shuffled = correct(p_values), correct([p_values[i] for i in order])
        assert shuffled == pytest.approx([adjusted[i] for i in order])


@given(chances)
def test_equal_weights_are_plain_holm(p_values):
    """The weighted correction contains the plain one."""
    names = {str(i): p for i, p in enumerate(p_values)}
    weights = dict.fromkeys(names, 1 / len(names))

    assert list(multiplicity.weighted_holm(names, weights).values()) == pytest.approx(
        multiplicity.holm(p_values), abs=1e-9
    )


def test_benjamini_and_hochbergs_own_example():
    """Their fifteen p-values of 1995: four found by their method, three by Bonferroni's."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000,
    ]  # fmt: skip

    assert sum(p <= 0.05 for p in multiplicity.benjamini_hochberg(p_values)) == 4
    assert sum(p <= 0.05 for p in multiplicity.holm(p_values)) == 3


def test_alpha_is_spent_in_full_and_no_more():
    """What the plan gives to each adds up."""
    shares = multiplicity.split_alpha(0.05, {"a": 0.5, "b": 0.3, "c": 0.2})
    assert sum(shares.values()) == pytest.approx(0.05)


def test_nothing_to_correct():
    """No comparisons, no p-values."""
    assert multiplicity.holm([]) == []
    assert multiplicity.benjamini_hochberg([]) == []


@pytest.mark.parametrize(
    "weights", [{"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {"a": float("nan"), "b": 1.0}, {}]
)
def test_weights_that_do_not_sum_to_one_are_refused(weights):
    """A plan that spends more or less than alpha is no plan."""
    with pytest.raises(ValueError, match="weights"):
        multiplicity.split_alpha(0.05, weights)


def test_other_wrong_arguments_are_named():
    """Chances outside [0, 1], unknown names, an alpha of one."""
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="p_values"):
            multiplicity.holm([0.5, bad])
    with pytest.raises(ValueError, match="not one per p-value"):
        multiplicity.weighted_holm({"a": 0.1}, {"b": 1.0})
    with pytest.raises(ValueError, match="alpha"):
        multiplicity.split_alpha(1.0, {"a": 1.0})


@pytest.mark.slow
def test_false_findings_are_held():
    """With every null true, Holm finds anything in at most 0.05 of runs, dependent tests or not."""
    from scipy.stats import norm

    draw = np.random.default_rng(1)
    runs, found = 4000, 0
    for common in draw.normal(size=runs):
        z = 0.6 * common + 0.8 * draw.normal(size=8)
        found += min(multiplicity.holm(2 * norm.sf(abs(z)))) <= 0.05

    assert found / runs <= 0.055
