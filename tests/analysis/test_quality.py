import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.effect import Undecided
from analysis.quality import (
    Check,
    Design,
    Grade,
    State,
    crossings,
    evidence_grade,
    judged,
    pre_exposure_bias,
    welch_p_value,
)
from analysis.summary import Summary

values = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=30)
checks = st.builds(Check, st.sampled_from("abc"), st.sampled_from(State), st.just("seen"))


def test_a_p_value_is_judged_in_three_ways():
    """Broken below alpha, fine above, and unknown where there is no number."""
    words = {"alpha": 0.01, "broken": "odd", "fine": "well"}

    assert judged("SRM", 0.001, **words).reason == "odd"
    assert judged("SRM", 0.5, **words).state is State.FINE
    unknown = judged("SRM", Undecided("too few", needs="more"), **words)
    assert (unknown.state, unknown.reason, unknown.needs) == (State.UNKNOWN, "too few", "more")
    with pytest.raises(ValueError, match="p_value"):
        judged("SRM", 1.5, **words)


def test_few_even_crossings_are_fine():
    """A handful of customers on two devices cost only themselves."""
    check = crossings([40, 44], [10_000, 10_000])

    assert check.state is State.FINE
    assert check.reason.startswith("84 of 20000 customers (0.42%)")


def test_many_even_crossings_break_the_result():
    """When a twentieth of the customers saw both, assignment does not work."""
    check = crossings([500, 520], [10_000, 10_000])

    assert check.state is State.BROKEN
    assert check.p_value == pytest.approx(stats.binomtest(1020, 20_000, 0.01, "greater").pvalue)


def test_slightly_too_many_crossings_warn():
    """Two of a hundred is above one per cent, yet may be chance."""
    assert crossings([1, 1], [50, 50]).state is State.WARNING


def test_uneven_crossings_break_however_few():
    """If the change makes people switch, those who stay no longer compare."""
    check = crossings([60, 10], [10_000, 10_000])

    assert check.state is State.BROKEN
    assert check.p_value == pytest.approx(stats.binomtest(60, 70, 0.5).pvalue)


def test_unequal_allocation_is_not_uneven_crossing():
    """Nine tenths of the crossings are expected from nine tenths of the units."""
    assert crossings([90, 10], [90_000, 10_000]).state is State.FINE


def test_crossings_of_nobody_are_unknown():
    """No exposure yet is not a clean bill."""
    assert crossings([0, 0], [0, 0]).state is State.UNKNOWN
    with pytest.raises(ValueError, match="exceeds seen"):
        crossings([2, 0], [1, 5])
    with pytest.raises(ValueError, match="not of one length"):
        crossings([2, 0, 1], [5, 5])


def test_a_billion_units_are_judged():
    """Size costs neither precision nor time."""
    assert crossings([5_000_000, 5_000_000], [10**9, 10**9]).state is State.FINE
    assert crossings([5_100_000, 5_000_000], [10**9, 10**9]).state is State.BROKEN


@given(values, values)
def test_welch_agrees_with_scipy(left, right):
    """From sums as from values, within what sums can carry."""
    p_value = welch_p_value(Summary.of(left), Summary.of(right))

    if len(set(left)) == len(set(right)) == 1:
        assert p_value == (1.0 if left[0] == right[0] else 0.0)
        return
    moments = [
        f(side) for side in (left, right) for f in (np.mean, lambda x: np.std(x, ddof=1), len)
    ]
    expected = stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue
    assert p_value == pytest.approx(expected, abs=1e-12)


def test_welch_of_a_single_unit_has_no_answer():
    """One unit has no spread."""
    assert welch_p_value(Summary.of([1]), Summary.of([1, 2])) is None


def test_groups_that_differed_before_are_found():
    """An A/A difference of a tenth of a deviation in 10,000 units is no chance."""
    control, treatment = Summary(10_000, 0, 10_000), Summary(10_000, 1_000, 10_000)
    check = pre_exposure_bias({"spend": [control, treatment], "visits": [control, control]})

    assert check.state is State.BROKEN
    assert "spend" in check.reason


def test_the_bias_check_pays_for_its_comparisons():
    """A p-value of 0.02 among forty comparisons is nothing."""
    control, off = Summary(10_000, 0, 10_000), Summary(10_000, 330, 10_000)
    quiet = {f"metric {i}": [control, control] for i in range(39)}
    alone = pre_exposure_bias({"spend": [control, off]}, alpha=0.05)

    assert alone.state is State.BROKEN
    assert pre_exposure_bias({"spend": [control, off], **quiet}, alpha=0.05).state is State.FINE


def test_no_history_is_unknown():
    """Missing history is never read as no bias."""
    assert pre_exposure_bias({}).state is State.UNKNOWN
    assert pre_exposure_bias({"spend": [Summary(), Summary()]}).state is State.UNKNOWN
    broken = Summary(5, float("nan"), 1.0)
    assert pre_exposure_bias({"spend": [broken, broken]}).state is State.UNKNOWN
    with pytest.raises(ValueError, match="spend"):
        pre_exposure_bias({"spend": [Summary()]})


@pytest.mark.slow
def test_an_even_split_is_seldom_called_biased():
    """At most alpha of true A/A comparisons of two skewed metrics and three arms are called off."""
    draw = np.random.default_rng(20_261_121).exponential
    alarms = sum(
        pre_exposure_bias(
            {m: [Summary.of(draw(size=80)) for _ in range(3)] for m in ("a", "b")}, alpha=0.05
        ).state
        is State.BROKEN
        for _ in range(800)
    )

    assert alarms / 800 <= 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5


def test_a_clean_randomised_plan_is_strong():
    """Randomised, locked, and everything looked at."""
    seen = [Check("SRM", State.FINE, "as planned"), Check("crossings", State.FINE, "few")]
    evidence = evidence_grade(Design.RANDOMISED, seen)

    assert evidence.grade is Grade.STRONG
    assert evidence.reasons == ("randomised design", "SRM: as planned", "crossings: few")


def test_an_srm_nobody_looked_at_counts_as_unknown():
    """Absence of a check is a doubt, and says so."""
    evidence = evidence_grade(Design.RANDOMISED, [])

    assert evidence.grade is Grade.FAIR
    assert evidence.reasons[-1] == "SRM: was not checked"
    assert evidence_grade(Design.DIFFERENCES, []).grade is Grade.FAIR


def test_anything_broken_leaves_no_evidence():
    """One broken check outweighs any number of fine ones."""
    seen = [Check("SRM", State.BROKEN, "uneven"), Check("crossings", State.FINE, "few")]

    assert evidence_grade(Design.RANDOMISED, seen).grade is Grade.NONE


def test_an_unlocked_plan_costs_a_step():
    """Choosing the metric afterwards weakens what it shows."""
    seen = [Check("SRM", State.FINE, "as planned")]

    assert evidence_grade(Design.RANDOMISED, seen, locked=False).grade is Grade.FAIR


RANK = [Grade.STRONG, Grade.FAIR, Grade.WEAK, Grade.NONE]


@given(st.sampled_from(Design), st.lists(checks, max_size=5), checks, st.booleans())
def test_looking_further_never_raises_the_grade(design, seen, more, locked):
    """Evidence is as strong as its weakest part, in whatever order it was found."""
    before = evidence_grade(design, seen, required=(), locked=locked).grade
    after = evidence_grade(design, [*seen, more], required=(), locked=locked).grade
    turned = evidence_grade(design, [more, *seen], required=(), locked=locked).grade

    assert RANK.index(after) >= RANK.index(before)
    assert turned is after
