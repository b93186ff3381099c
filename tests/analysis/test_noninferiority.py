"""Three states against a margin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import ttost_ind

from analysis import mean, noninferiority
from analysis.effect import Effect, Finding, Scale, Undecided, Validity
from analysis.summary import Summary


def effect(low: float, estimate: float, high: float) -> Effect:
    return Effect(estimate, low, high, Scale.RELATIVE, Validity.FIXED, 0.95, 100, 100, "test")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "expected"),
    [
        (-0.01, 0.05, True, Finding.SAFE),
        (-0.03, 0.05, True, Finding.UNKNOWN),
        (-0.09, -0.03, True, Finding.HARM),
        (-0.09, -0.02, True, Finding.UNKNOWN),  # the margin itself is tolerated
        (-0.02, 0.05, True, Finding.UNKNOWN),
        (-0.05, 0.01, False, Finding.SAFE),
        (-0.05, 0.03, False, Finding.UNKNOWN),
        (0.03, 0.09, False, Finding.HARM),
    ],
)
def test_the_whole_interval_decides(low, high, higher_is_better, expected):
    """Worse than the margin is harm, better is safe, astride is not yet known."""
    found = noninferiority.finding(
        effect(low, (low + high) / 2, high), 0.02, higher_is_better=higher_is_better
    )

    assert found is expected


def test_no_effect_is_never_safe():
    """An unanswered guardrail is not yet known."""
    assert (
        noninferiority.finding(Undecided("no units yet"), 0.5, higher_is_better=True)
        is Finding.UNKNOWN
    )
    assert noninferiority.equivalent(Undecided("no units yet"), 1).reason == "no units yet"


limits = st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 0.3), st.floats(0.01, 0.3)).map(
    lambda e: effect(e[0] - e[1], e[0], e[0] + e[2])
)


@given(limits, st.floats(0, 0.3), st.booleans())
def test_p_values_and_findings_agree(found, margin, higher_is_better):
    """Harm and safety are shown exactly where their one-sided p-values are below 0.025."""
    harm, safety = noninferiority.p_values(found, margin, higher_is_better=higher_is_better)
    state = noninferiority.finding(found, margin, higher_is_better=higher_is_better)
    if min(abs(harm - 0.025), abs(safety - 0.025)) > 1e-9:
        assert (state is Finding.HARM) == (harm < 0.025)
        assert (state is Finding.SAFE) == (safety < 0.025)
    assert harm + safety == pytest.approx(1)


@given(limits, st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_wider_margin_never_turns_safe_into_harm(found, margin, more):
    """Tolerating more can only make it safer."""
    order = [Finding.HARM, Finding.UNKNOWN, Finding.SAFE]
    strict, lenient = (
        order.index(noninferiority.finding(found, m, higher_is_better=True))
        for m in (margin, margin + more)
    )
    assert strict <= lenient


def test_an_interval_without_width_is_certain():
    """No division by zero, and no doubt."""
    point = effect(0.1, 0.1, 0.1)
    assert noninferiority.p_values(point, 0.0, higher_is_better=True) == (1, 0)
    assert noninferiority.p_values(point, 0.0, higher_is_better=False) == (0, 1)
    assert noninferiority.p_values(point, 0.1, higher_is_better=False) == (0.5, 0.5)


def test_tost_is_that_of_statsmodels():
    """Two one-sided Welch tests, to 1e-8, and the matching interval decides alike."""
    first = [9.9, 10.2, 10.1, 9.7, 10.4, 10.0, 9.8]
    second = [10.1, 10.3, 9.9, 10.2, 10.6]
    arms = Summary.of(first), Summary.of(second)
    found = noninferiority.tost_p_value(*arms, low=-0.5, high=0.6)
    other, _, _ = ttost_ind(second, first, -0.5, 0.6, usevar="unequal")

    assert found == pytest.approx(other, abs=1e-8)
    symmetric = noninferiority.tost_p_value(*arms, low=-0.5, high=0.5)
    inside = noninferiority.equivalent(mean.difference(*arms, level=0.90), 0.5)
    assert inside is (symmetric < 0.05)


def test_too_little_and_wrong_arguments():
    """No spread, no units, margins that cannot be."""
    flat = Summary.of([1.0] * 5)
    assert "same value" in noninferiority.tost_p_value(flat, flat, low=-1, high=1).reason
    assert "no units" in noninferiority.tost_p_value(Summary(), flat, low=-1, high=1).reason
    with pytest.raises(ValueError, match="low must"):
        noninferiority.tost_p_value(flat, flat, low=1, high=1)
    for margin in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="margin"):
            noninferiority.finding(effect(0, 0, 0), margin, higher_is_better=True)
