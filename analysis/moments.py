"""Sums of an outcome with several covariates: what regression adjustment needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.summary import PairSummary, Summary, centred_product

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums and products of k values per unit, the outcome first. Moments of disjoint units add.

    n: units. totals: sums, shape (k,). products: sums of products, shape (k, k), symmetric.

    >>> whole = Moments.of([[1, 2], [2, 3]]) + Moments.of([[3, 5]])
    >>> whole.n, whole.totals.tolist()
    (3, [6.0, 10.0])
    """

    n: int
    totals: Floats
    products: Floats

    def __post_init__(self) -> None:
        k = self.totals.shape[0] if self.totals.ndim == 1 else 0
        if k == 0 or self.products.shape != (k, k):
            raise ValueError("totals and products: k sums and k by k sums of products")

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]]) -> Moments:
        """Summarise units, shape (n, k): the outcome, then its covariates."""
        table = np.asarray(rows, dtype=float)
        return cls(table.shape[0], table.sum(axis=0), table.T @ table)

    @classmethod
    def of_pair(cls, pair: PairSummary) -> Moments:
        """The same sums with one covariate y."""
        products = np.array([[pair.xx, pair.xy], [pair.xy, pair.yy]])
        return cls(pair.n, np.array([pair.x_total, pair.y_total]), products)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.totals + other.totals, self.products + other.products)

    @property
    def outcome(self) -> Summary:
        """The outcome's own summary."""
        return Summary(self.n, float(self.totals[0]), float(self.products[0, 0]))

    @property
    def means(self) -> Floats:
        """Means, shape (k,). Needs a unit."""
        return np.asarray(self.totals / self.n, dtype=float)

    @property
    def centred(self) -> Floats:
        """Sums of products of deviations from the means, shape (k, k). Needs a unit."""
        totals = self.totals.tolist()  # whole numbers stay whole, however large
        roots = np.sqrt(np.diag(self.products).astype(float))
        scales = np.outer(roots, roots)
        centred = [
            [
                centred_product(self.n, a, b, product, float(scale))
                for b, product, scale in zip(totals, products, scales_, strict=True)
            ]
            for a, products, scales_ in zip(totals, self.products.tolist(), scales, strict=True)
        ]
        return np.array(centred)
