from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.effect import Undecided
from analysis.robust import ClusterSums, clustered, wild_cluster_bootstrap

RNG = np.random.default_rng(47)
LABELS = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 3, 4])
X = np.column_stack([np.ones(35), LABELS % 2, RNG.normal(size=35)])
Y = X @ [1.0, 0.5, -1.0] + RNG.normal(size=9)[LABELS] + RNG.normal(size=35)


def power_of(matrix, exponent):
    """Symmetric matrix to a power, zero eigenvalues left out (Moore-Penrose)."""
    values, vectors = np.linalg.eigh(matrix)
    held = values > 1e-10
    return (vectors[:, held] * values[held] ** exponent) @ vectors[:, held].T


def dense(y, x, labels, aim):
    """CR2 error and Satterthwaite df from the definitions, with rows by rows matrices."""
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residuals = y - hat @ y
    vectors, meat = [], 0.0
    for name in np.unique(labels):
        rows = labels == name
        adjust = power_of(np.eye(rows.sum()) - hat[np.ix_(rows, rows)], -0.5)
        a = adjust @ x[rows] @ bread @ aim
        meat += (a @ residuals[rows]) ** 2
        vectors.append((np.eye(len(y)) - hat)[:, rows] @ a)
    cross = np.array(vectors) @ np.array(vectors).T
    return meat**0.5, np.trace(cross) ** 2 / np.sum(cross**2)


@pytest.mark.parametrize("aim", [[0, 1, 0], [0, 0, 1], [1, 1, -2]])
def test_error_and_df_meet_their_definitions(aim):
    """Sums per cluster give what the dense matrices give, to 1e-9."""
    fit = clustered(ClusterSums.of(Y, X, LABELS), aim)
    error, df = dense(Y, X, LABELS, np.array(aim, float))

    assert fit.estimate == pytest.approx(np.linalg.lstsq(X, Y, rcond=None)[0] @ aim)
    assert fit.error == pytest.approx(error, rel=1e-9)
    assert fit.df == pytest.approx(df, rel=1e-9)


def test_fixed_effects_of_clusters_are_no_obstacle():
    """A cluster with its own dummy has leverage one in that direction, and is pinned there."""
    x = np.column_stack([RNG.normal(size=35), (LABELS[:, None] == np.arange(9)).astype(float)])
    aim = np.eye(10)[0]
    fit = clustered(ClusterSums.of(Y, x, LABELS), aim)
    error, df = dense(Y, x, LABELS, aim)

    assert fit.error == pytest.approx(error, rel=1e-7)
    assert fit.df == pytest.approx(df, rel=1e-7)


def test_clusters_of_one_row_are_hc2():
    """Agrees with statsmodels."""
    fit = clustered(ClusterSums.of(Y, X, np.arange(35)), [0, 1, 0])
    theirs = sm.OLS(Y, X).fit(cov_type="HC2")

    assert fit.error == pytest.approx(theirs.bse[1], rel=1e-10)


def test_a_mean_of_single_rows_is_students_t():
    """Error and degrees of freedom reduce to the one-sample test."""
    fit = clustered(ClusterSums.of(Y, np.ones((35, 1)), np.arange(35)), [1])

    assert fit.df == pytest.approx(34)
    assert fit.p_value == pytest.approx(stats.ttest_1samp(Y, 0).pvalue)
    assert fit.interval(0.9) == pytest.approx(stats.ttest_1samp(Y, 0).confidence_interval(0.9))


@given(st.integers(-5, 5), st.floats(-3, 3), st.sampled_from([1e-4, 1.0, 1e5]), st.randoms())
def test_shift_scale_and_order(seed, shift, times, random):
    """The unit of measure scales the error, a shift of all moves only the intercept."""
    y = Y + np.random.default_rng(seed + 5).normal(size=35)
    order = random.sample(range(35), 35)
    plain = clustered(ClusterSums.of(y, X, LABELS), [0, 1, 0])
    moved = clustered(ClusterSums.of(times * y[order] + shift, X[order], LABELS[order]), [0, 1, 0])

    assert moved.estimate == pytest.approx(times * plain.estimate, rel=1e-6, abs=1e-7 * times)
    assert moved.error == pytest.approx(times * plain.error, rel=1e-6)
    assert moved.df == pytest.approx(plain.df)


def test_regressions_without_an_answer():
    """Regressors that repeat each other, outcomes without scatter, one cluster."""
    doubled = np.column_stack([X, X[:, 1]])

    assert isinstance(clustered(ClusterSums.of(Y, doubled, LABELS), [0, 1, 0, 0]), Undecided)
    assert isinstance(clustered(ClusterSums.of(X[:, 1] * 2, X, LABELS), [0, 1, 0]), Undecided)
    assert isinstance(clustered(ClusterSums.of(Y, np.ones((35, 1)), [0] * 35), [1]), Undecided)
    assert isinstance(clustered(ClusterSums.of(Y * 0, X * 0, LABELS), [0, 1, 0]), Undecided)


def test_mistakes_are_named():
    """Lengths, missing values, contrasts and levels."""
    with pytest.raises(ValueError, match="not of one length"):
        ClusterSums.of(Y, X, LABELS[:-1])
    with pytest.raises(ValueError, match="outcomes"):
        ClusterSums.of(np.full(35, np.nan), X, LABELS)
    fit = clustered(ClusterSums.of(Y, X, LABELS), [0, 1, 0])
    with pytest.raises(ValueError, match="contrast"):
        clustered(fit.sums, [0, 1])
    with pytest.raises(ValueError, match="level"):
        wild_cluster_bootstrap(fit, level=0)
    with pytest.raises(ValueError, match="draws"):
        wild_cluster_bootstrap(fit, draws=10)


def test_the_bootstrap_enumerates_every_sign():
    """By brute force: residuals of the restricted fit, sign by sign, refitted on all rows."""
    fit = clustered(ClusterSums.of(Y, X, LABELS), [0, 1, 0])
    restricted = X[:, [0, 2]] @ np.linalg.lstsq(X[:, [0, 2]], Y, rcond=None)[0]
    sizes = []
    for signs in product([1, -1], repeat=9):
        y = restricted + np.array(signs)[LABELS] * (Y - restricted)
        again = clustered(ClusterSums.of(y, X, LABELS), [0, 1, 0])
        sizes.append(abs(again.estimate / again.error))
    found = wild_cluster_bootstrap(fit)

    assert found.exact
    assert found.draws == 512
    assert found.p_value == pytest.approx(np.mean(np.array(sizes) >= sizes[0] - 1e-9))


def test_the_bootstrap_interval_inverts_its_test():
    """Values within are not rejected, values beyond are."""
    fit = clustered(ClusterSums.of(Y, X, LABELS), [0, 1, 0])
    found = wild_cluster_bootstrap(fit, level=0.9)
    width = found.high - found.low

    for inside in (found.low + 0.01 * width, found.high - 0.01 * width):
        assert wild_cluster_bootstrap(fit, level=0.9, null=inside).p_value > 0.1
    for outside in (found.low - 0.01 * width, found.high + 0.01 * width):
        assert wild_cluster_bootstrap(fit, level=0.9, null=outside).p_value <= 0.1
    assert found.low < fit.estimate < found.high


def test_many_clusters_draw_signs_by_seed():
    """The same seed gives the same answer, near that of CR2."""
    labels = np.arange(35)
    fit = clustered(ClusterSums.of(Y, X, labels), [0, 1, 0])
    first, again = wild_cluster_bootstrap(fit, seed=3), wild_cluster_bootstrap(fit, seed=3)

    assert first == again
    assert not first.exact
    assert first.p_value == pytest.approx(fit.p_value, abs=0.05)


def test_four_clusters_cannot_reject_at_one_in_twenty():
    """Sixteen patterns in mirror pairs: the least p-value is one in eight."""
    fit = clustered(ClusterSums.of([1, 2, 3, 9], np.ones((4, 1)), range(4)), [1])

    assert isinstance(wild_cluster_bootstrap(fit), Undecided)
    assert wild_cluster_bootstrap(fit, level=0.8).p_value == pytest.approx(1 / 8)


@given(st.lists(st.integers(-20, 20), min_size=6, max_size=6))
def test_a_mean_under_sign_flips_is_fishers_test(values):
    """For one mean of single rows the bootstrap is the exact sign-flip permutation test."""
    y = np.array(values, float)
    assume(np.ptp(y) > 0 and y.sum() != 0)
    fit = clustered(ClusterSums.of(y, np.ones((6, 1)), range(6)), [1])
    found = wild_cluster_bootstrap(fit, level=0.9)
    flips = np.array(list(product([1, -1], repeat=6))) * y
    expected = np.mean(np.abs(flips.sum(axis=1)) >= abs(y.sum()) - 1e-9)

    assert isinstance(found, Undecided) or found.p_value == pytest.approx(expected)


@pytest.mark.slow
def test_few_clusters_are_not_overtrusted():
    """Ten clusters, three treated: plain errors reject far too often, ours about as promised."""
    rng, rounds = np.random.default_rng(53), 400
    labels = np.repeat(np.arange(10), 6)
    x = np.column_stack([np.ones(60), labels < 3])
    plain = cr2 = wild = 0
    for _ in range(rounds):
        y = rng.normal(size=10)[labels] + rng.normal(size=60)
        fit = clustered(ClusterSums.of(y, x, labels), [0, 1])
        naive = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": labels})
        plain += naive.pvalues[1] < 0.05
        cr2 += fit.p_value < 0.05
        wild += wild_cluster_bootstrap(fit).p_value <= 0.05

    assert plain / rounds > 0.1
    assert cr2 / rounds <= 0.075
    assert wild / rounds <= 0.08
