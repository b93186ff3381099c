"""Least squares whose errors may be anything within a cluster: CR2 and the wild bootstrap.

Everything is computed from sums per cluster, so millions of rows cost no more than their
clusters. With many clusters all cluster-robust errors agree; with few the plain one is far too
small, and these two are the remedies that have held up.

Sources: Bell & McCaffrey (2002), Survey Methodology 28:169-181; Pustejovsky & Tipton (2018),
JBES 36:672-683; Cameron, Gelbach & Miller (2008), REStat 90:414-427; Cameron & Miller (2015),
J. Human Resources 50:317-372.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.arguments import Floats, finite_array, open_share, same_length
from analysis.effect import Undecided

_DEGENERATE = Undecided("too few groups, or all of them alike", needs="more groups")
_TINY = 1e-10  # leverage this close to 1 means that a cluster alone decides a coefficient


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sums of a regression per cluster.

    gram: shape (g, p, p), of the products of the regressors. moment: shape (g, p), of the
    products of regressors and outcome. n: rows in all.
    """

    gram: Floats
    moment: Floats
    n: int

    @classmethod
    def of(cls, outcomes: ArrayLike, design: ArrayLike, clusters: ArrayLike) -> ClusterSums:
        """From rows: outcomes (n,), design (n, p), cluster labels (n,).

        Raises ValueError for missing values or lengths that differ.

        >>> ClusterSums.of([1, 2, 4], [[1], [1], [1]], ["a", "a", "b"]).moment.tolist()
        [[3.0], [4.0]]
        """
        y, x = finite_array("outcomes", outcomes), finite_array("design", design, 2)
        labels = np.asarray(clusters)
        same_length(outcomes=y, design=x, clusters=labels)
        names, place = np.unique(labels, return_inverse=True)
        gram = np.zeros((len(names), x.shape[1], x.shape[1]))
        moment = np.zeros((len(names), x.shape[1]))
        np.add.at(gram, place, x[:, :, None] * x[:, None, :])
        np.add.at(moment, place, x * y[:, None])
        return cls(gram, moment, len(y))


@dataclass(frozen=True)
class ClusteredContrast:
    """A linear combination of coefficients, with all that its errors need.

    sums: of the regression. contrast: shape (p,). Build with `clustered`.
    """

    sums: ClusterSums
    contrast: Floats
    bread: Floats  # inverse of the summed gram matrix
    coefficients: Floats

    @property
    def estimate(self) -> float:
        """The combination of coefficients."""
        return float(self.contrast @ self.coefficients)

    @property
    def n_clusters(self) -> int:
        """Clusters, informative or not."""
        return len(self.sums.gram)

    @cached_property
    def _adjusted(self) -> tuple[Floats, Floats, Floats]:
        """Per cluster: weights of its residual sums (g, p), B (g, p), and squared lengths (g,).

        The adjustment (I - H)^(-1/2) acts only within the span of the cluster's regressors, so
        an eigen-decomposition of p by p matrices replaces one of rows by rows.
        """
        values, vectors = np.linalg.eigh(self.sums.gram)
        top = np.maximum(values.max(axis=1, keepdims=True), 0.0)
        held = values > 1e-12 * top
        root = np.sqrt(np.where(held, values, 0.0))
        inverse = np.where(held, 1 / np.where(held, root, 1.0), 0.0)
        within = root[:, :, None] * np.swapaxes(vectors, 1, 2)  # R of the cluster's thin QR
        leverage, axes = np.linalg.eigh(within @ self.bread @ np.swapaxes(within, 1, 2))
        open_ = leverage < 1 - _TINY
        scale = np.where(open_, 1 / np.sqrt(np.where(open_, 1 - leverage, 1.0)), 0.0)
        aimed = within @ (self.bread @ self.contrast)
        turned = np.einsum("gji,gj->gi", axes, aimed) * scale
        aimed = np.einsum("gij,gj->gi", axes, turned)
        weights = np.einsum("gpk,gk->gp", vectors, inverse * aimed)
        back = np.einsum("gkp,gk->gp", within, aimed)
        return weights, back, np.sum(aimed**2, axis=1)

    @cached_property
    def residual_sums(self) -> Floats:
        """Products of regressors and residuals per cluster, shape (g, p)."""
        return self.sums.moment - self.sums.gram @ self.coefficients

    @cached_property
    def error(self) -> float:
        """CR2 standard error: unbiased if rows were independent with one variance."""
        weights, _, _ = self._adjusted
        return float(np.sqrt(np.sum(np.sum(weights * self.residual_sums, axis=1) ** 2)))

    @cached_property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom for the CR2 error, as Bell and McCaffrey have it."""
        _, back, lengths = self._adjusted
        cross = np.diag(lengths) - back @ self.bread @ back.T
        return float(np.trace(cross) ** 2 / np.sum(cross**2))

    def of_moment(self, moment: Floats) -> ClusteredContrast | Undecided:
        """The same regression of another outcome, from its products (g, p); Undecided as before.

        Only the outcome is new, so the adjustment is carried over rather than computed again.
        """
        sums = ClusterSums(self.sums.gram, moment, self.sums.n)
        fit = ClusteredContrast(sums, self.contrast, self.bread, self.bread @ moment.sum(axis=0))
        fit.__dict__["_adjusted"] = self._adjusted
        return _DEGENERATE if _is_degenerate(fit) else fit

    def interval(self, level: float) -> tuple[float, float]:
        """Limits from t with the contrast's own degrees of freedom."""
        reach = self.error * float(stats.t.isf((1 - level) / 2, self.df))
        return self.estimate - reach, self.estimate + reach

    @property
    def p_value(self) -> float:
        """Two-sided, against a combination of 0."""
        return self.p_value_against(0.0)

    def p_value_against(self, null: float) -> float:
        """Two-sided, against a combination of this value."""
        return float(2 * stats.t.sf(abs(self.estimate - null) / self.error, self.df))


def clustered(sums: ClusterSums, contrast: ArrayLike) -> ClusteredContrast | Undecided:
    """Least squares from sums per cluster, and one combination of its coefficients.

    contrast: shape (p,). Undecided if the regressors cannot be told apart, if there is no
    scatter, or if single clusters decide the contrast. Raises ValueError for shapes that differ.

    >>> rows = ClusterSums.of([1, 2, 4, 5], [[1], [1], [1], [1]], [0, 1, 2, 3])
    >>> fit = clustered(rows, [1])
    >>> fit.estimate, round(fit.error, 4), round(fit.df, 6)
    (3.0, 0.9129, 3.0)
    """
    aim = finite_array("contrast", contrast)
    if len(aim) != sums.moment.shape[1]:
        raise ValueError(f"contrast has {len(aim)} entries for {sums.moment.shape[1]} regressors")
    total = sums.gram.sum(axis=0)
    scale = np.sqrt(np.diag(total))
    if not scale.all() or np.linalg.cond(total / np.outer(scale, scale)) > 1e12:
        return Undecided("the groups and their conditions cannot be told apart", "other periods")
    bread = np.linalg.inv(total / np.outer(scale, scale)) / np.outer(scale, scale)
    fit = ClusteredContrast(sums, aim, bread, bread @ sums.moment.sum(axis=0))
    return _DEGENERATE if _is_degenerate(fit) else fit


def _is_degenerate(fit: ClusteredContrast) -> bool:
    """Whether the error is none but for rounding, or has no degrees of freedom."""
    weights, back, lengths = fit._adjusted
    scale = float(np.sqrt(np.sum(np.sum(np.abs(weights * fit.sums.moment), axis=1) ** 2)))
    spare = np.trace(np.diag(lengths) - back @ fit.bread @ back.T)
    return spare <= 1e-9 * lengths.sum() or not fit.error > 1e-12 * scale


@dataclass(frozen=True, slots=True)
class WildBootstrap:
    """Result of the wild cluster bootstrap. draws: sign patterns used; exact: whether all."""

    p_value: float
    low: float
    high: float
    draws: int
    exact: bool


def wild_cluster_bootstrap(
    fit: ClusteredContrast,
    *,
    level: float = 0.95,
    draws: int = 1999,
    seed: int = 0,
    null: float = 0.0,
) -> WildBootstrap | Undecided:
    """Test and interval from flipping the signs of whole clusters' residuals.

    The null is imposed, t is studentised by CR2, signs are Rademacher's: all patterns where
    there are no more than `draws` (then exact), else random ones from the seed. The p-value is
    against `null`; the interval holds every value whose test does not reject. Undecided if too few clusters bear on the
    contrast for any pattern to reject at the level. Raises ValueError for a level outside (0, 1)
    or fewer than 99 draws. Source: Roodman, MacKinnon, Nielsen & Webb (2019), Stata J. 19:4-60.
    fit: the contrast with its clusters.

    >>> rows = ClusterSums.of([1, 2, 4, 5, 3, 6], np.ones((6, 1)), range(6))
    >>> wild_cluster_bootstrap(clustered(rows, [1])).p_value
    0.03125
    """
    open_share("level", level)
    if draws < 99:
        raise ValueError(f"draws must be 99 or more, not {draws}")
    signs, exact = _signs(fit.n_clusters, draws, seed)
    chance = _bootstrap_p_value(fit, signs)
    low, high = (_limit(fit, chance, 1 - level, sign) for sign in (-1, 1))
    if low is None or high is None:
        return Undecided(
            f"{fit.n_clusters} groups are too few for an interval at this level", "more groups"
        )
    return WildBootstrap(chance(null), low, high, len(signs), exact)


def _signs(n_clusters: int, draws: int, seed: int) -> tuple[Floats, bool]:
    """Sign patterns, shape (b, g), the first of them all plus; and whether they are all."""
    if n_clusters < 60 and 2**n_clusters <= draws + 1:
        numbers = np.arange(2**n_clusters)[:, None]
        bits = numbers >> np.arange(n_clusters) & 1
        return np.asarray(1.0 - 2.0 * bits, dtype=np.float64), True
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws + 1, n_clusters))
    signs[0] = 1.0  # the data themselves count as one draw, so that the test is never too small
    return signs, False


def _bootstrap_p_value(fit: ClusteredContrast, signs: Floats) -> Callable[[float], float]:
    """The p-value as a function of the value tested."""
    weights, _, _ = fit._adjusted
    gram, bread = fit.sums.gram, fit.bread
    aim = bread @ fit.contrast
    reach = np.einsum("gp,gpq,qr->gr", weights, gram, bread)
    step = aim / float(fit.contrast @ aim)

    def chance(null: float) -> float:
        restricted = fit.coefficients - step * (fit.estimate - null)
        scores = fit.sums.moment - gram @ restricted
        shift = signs @ scores
        gaps = shift @ aim
        residuals = signs * np.sum(weights * scores, axis=1) - shift @ reach.T
        errors = np.sqrt(np.sum(residuals**2, axis=1))
        # A pattern without scatter is as extreme as can be; ties with the data count against it.
        sizes = np.abs(gaps) / np.maximum(errors, 1e-300)
        return float(np.mean(sizes >= sizes[0] * (1 - 1e-9)))

    return chance


def _limit(
    fit: ClusteredContrast, chance: Callable[[float], float], alpha: float, sign: int
) -> float | None:
    """The farthest value on one side that is not rejected, by doubling and bisection."""
    inside, step = fit.estimate, fit.error
    for _ in range(40):
        outside = fit.estimate + sign * step
        if chance(outside) <= alpha:
            break
        inside, step = outside, 2 * step
    else:
        return None
    while abs(outside - inside) > 1e-4 * fit.error:
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if chance(middle) <= alpha else (middle, outside)
    return outside  # the rejected side: the interval is never too short
