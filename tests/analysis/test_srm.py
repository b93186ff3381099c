"""Whether units arrived in the configured shares."""

from math import lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import srm
from analysis.effect import Undecided
from analysis.srm import Split

counts = st.lists(st.integers(10, 5000), min_size=2, max_size=4)


def even(k):
    return [1 / k] * k


@given(counts)
def test_the_p_value_is_scipys_chi_square(seen):
    """Agreement to 1e-12 where scipy does the same thing."""
    assert srm.srm_p_value(seen, even(len(seen))) == pytest.approx(
        stats.chisquare(seen).pvalue, rel=1e-9, abs=1e-300
    )


def test_microsofts_example():
    """Fabijan et al. (2019): 821,588 against 815,482 has a p-value of 1.8e-6."""
    assert srm.srm_p_value([821_588, 815_482], [0.5, 0.5]) == pytest.approx(1.8e-6, rel=0.02)


@given(counts, st.floats(1, 1e5))
def test_the_evidence_is_a_ratio_of_marginal_likelihoods(seen, concentration):
    """Unit by unit: the product of predictive chances over the configured shares."""
    shares = even(len(seen))
    prior = [concentration * share for share in shares]
    evidence = lgamma(concentration) - lgamma(concentration + sum(seen))
    for a, x, share in zip(prior, seen, shares, strict=True):
        evidence += lgamma(a + x) - lgamma(a) - x * np.log(share)

    assert srm.log_evidence(seen, shares, concentration=concentration) == pytest.approx(
        evidence, rel=1e-8, abs=1e-6
    )


def test_the_evidence_multiplies_unit_by_unit():
    """Lindon and Malek's martingale: each unit multiplies the odds by predicted over configured."""
    order = np.random.default_rng(1).choice(3, 40, p=[0.6, 0.2, 0.2])
    shares, prior = [0.5, 0.3, 0.2], [50.0, 30.0, 20.0]
    odds, seen = 1.0, [0, 0, 0]
    for arm in order:
        odds *= (prior[arm] + seen[arm]) / (100 + sum(seen)) / shares[arm]
        seen[arm] += 1

    assert srm.log_evidence(seen, shares, concentration=100) == pytest.approx(np.log(odds))


@given(st.permutations([(500, 0.2), (700, 0.3), (1200, 0.5)]))
def test_the_order_of_variations_does_not_matter(arms):
    """Nor does which one is called control."""
    seen, shares = zip(*arms, strict=True)
    assert srm.srm_p_value(seen, shares) == pytest.approx(0.49935, abs=1e-5)
    assert srm.anytime_srm_p_value(seen, shares) == pytest.approx(
        srm.anytime_srm_p_value([500, 700, 1200], [0.2, 0.3, 0.5]), rel=1e-6
    )


def test_stages_are_judged_by_their_own_shares():
    """A ramp from 1 to 50 per cent is no mismatch, although the totals look like one."""
    stages = [Split((9_900, 100), (0.99, 0.01)), Split((5_000, 5_000), (0.5, 0.5))]
    assert srm.stages_p_value(stages) == pytest.approx(1)
    assert srm.anytime_stages_p_value(stages) == 1
    assert srm.srm_p_value([14_900, 5_100], [0.5, 0.5]) < 1e-100


def test_one_stage_is_the_plain_test():
    """And stages too small to judge are left out of the sum of chi-squares."""
    stage = Split((500, 560), (0.5, 0.5))
    assert srm.stages_p_value([stage, Split((3, 1), (0.5, 0.5))]) == pytest.approx(
        srm.srm_p_value([500, 560], [0.5, 0.5])
    )
    assert srm.anytime_stages_p_value([stage]) == pytest.approx(
        srm.anytime_srm_p_value([500, 560], [0.5, 0.5])
    )


def test_shards_add_only_under_the_same_shares():
    """Days of one stage may be folded; stages may not."""
    assert Split((1, 2), (0.5, 0.5)) + Split((3, 4), (0.5, 0.5)) == Split((4, 6), (0.5, 0.5))
    with pytest.raises(ValueError, match="shares"):
        _ = Split((1, 2), (0.5, 0.5)) + Split((3, 4), (0.4, 0.6))


def test_a_broken_segment_is_found_among_many():
    """Corrected for having looked at all; small ones are undecided and cost nothing."""
    groups = {f"s{i}": Split((1000 + i, 1000 - i), (0.5, 0.5)) for i in range(8)}
    groups |= {"broken": Split((900, 1100), (0.5, 0.5)), "tiny": Split((1, 2), (0.5, 0.5))}
    for anytime in (False, True):
        found = srm.by_group(groups, anytime=anytime)
        assert found["broken"] < (0.1 if anytime else 1e-3)
        assert all(found[f"s{i}"] == 1 for i in range(8))
    assert isinstance(srm.by_group(groups)["tiny"], Undecided)


def test_too_few_units_are_told():
    """No split can be judged from a handful."""
    assert "fewer than 5" in srm.srm_p_value([4, 5], [0.5, 0.5]).reason
    assert "no units" in srm.anytime_srm_p_value([0, 0], [0.5, 0.5]).reason
    assert "no units" in srm.anytime_stages_p_value([]).reason
    assert "fewer than 5" in srm.stages_p_value([Split((1, 1), (0.5, 0.5))]).reason


@pytest.mark.parametrize(
    ("seen", "shares"),
    [
        ([1, 2], [0.5, 0.4]),
        ([1, 2], [1.0]),
        ([1], [1.0]),
        ([1, 2], [1.2, -0.2]),
        ([1, 2], [float("nan"), 0.5]),
        ([-1, 2], [0.5, 0.5]),
        ([1.5, 2], [0.5, 0.5]),
    ],
)
def test_what_is_no_split_is_refused(seen, shares):
    """Shares that do not sum to one, counts that are no counts."""
    with pytest.raises(ValueError, match=r"counts|shares"):
        srm.srm_p_value(seen, shares)
    with pytest.raises(ValueError, match=r"counts|shares"):
        srm.anytime_srm_p_value(seen, shares)


def test_a_billion_units_neither_overflow_nor_warn():
    """Certain odds are a p-value of 0, none of 1; NaN is neither."""
    assert srm.anytime_srm_p_value([5 * 10**8, 5 * 10**8], [0.5, 0.5]) == 1
    assert srm.anytime_srm_p_value([10**9, 1], [0.5, 0.5]) == 0
    with pytest.raises(ValueError, match="concentration"):
        srm.anytime_srm_p_value([1, 1], [0.5, 0.5], concentration=0)


@pytest.mark.slow
def test_looking_after_every_hundred_units_holds_the_level():
    """The anytime p-value ever falls to 0.05 in at most 0.05 of sound splits; the fixed one cries
    wolf several times as often, and a split of 52 to 48 is found in nearly all runs."""
    draw = np.random.default_rng(3)

    def alarms(share, test, runs=300):
        found = 0
        for _ in range(runs):
            arrived = draw.binomial(100, share, 150).cumsum()
            looks = zip(range(100, 15_001, 100), arrived.tolist(), strict=True)
            found += any(test([n - x, x], [0.5, 0.5]) <= 0.05 for n, x in looks)
        return found / runs

    assert alarms(0.5, srm.anytime_srm_p_value) <= 0.05
    assert alarms(0.5, srm.srm_p_value, 100) > 0.2
    assert alarms(0.52, srm.anytime_srm_p_value, 60) > 0.9
