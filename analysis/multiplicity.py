"""Many comparisons at once: corrected p-values, and alpha shared out by a locked plan.

Sources: beside each method. p_values: by name or in order, each in [0, 1].
"""

from collections.abc import Mapping, Sequence
from math import fsum, isclose, isfinite

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the chance of any false finding.

    p_values: shape (m,), each in [0, 1], in any order. Returns shape (m,), in the same order:
    those at or below alpha are found, with a chance of at most alpha that any is false, however
    the comparisons depend on each other.
    Raises ValueError for a number outside [0, 1].
    Source: Holm (1979), Scandinavian Journal of Statistics 6:65.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _restored(np.minimum(raised, 1.0), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold the expected share of false findings among the found.

    As `holm`, but for a false discovery rate, under independence or positive dependence.
    Source: Benjamini & Hochberg (1995), JRSS B 57:289.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    raised = p[order] * p.size / np.arange(1, p.size + 1)
    return _restored(np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0), order)


def weighted_holm(p_values: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction where a locked plan gives some comparisons more of alpha.

    weights: one per name, each above 0, summing to 1. Equal weights give `holm`.
    Raises ValueError for other weights, other names or a number outside [0, 1].
    Source: Holm (1979), section 4.

    >>> weighted_holm({"a": 0.01, "b": 0.02}, {"a": 0.25, "b": 0.75})
    {'a': 0.0266..., 'b': 0.0266...}
    """
    if set(weights) != set(p_values):
        raise ValueError("weights: not one per p-value")
    check_weights(weights)
    _checked(list(p_values.values()))
    left = dict(weights)
    adjusted: dict[str, float] = {}
    highest = 0.0
    for name in sorted(p_values, key=lambda name: p_values[name] / weights[name]):
        highest = max(highest, p_values[name] * fsum(left.values()) / weights[name])
        adjusted[name] = min(highest, 1.0)
        del left[name]
    return {name: adjusted[name] for name in p_values}


def split_alpha(alpha: float, weights: Mapping[str, float]) -> dict[str, float]:
    """Each test's own alpha, by its weight in the plan; together they spend alpha.

    Raises ValueError for an alpha outside (0, 1) or weights that are not above 0 and sum to 1.
    Source: Bonferroni's inequality.

    >>> split_alpha(0.05, {"refunds": 0.75, "latency": 0.25})
    {'refunds': 0.0375..., 'latency': 0.0125}
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    check_weights(weights)
    return {name: alpha * weight for name, weight in weights.items()}


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise ValueError unless the weights are above 0 and sum to 1.

    >>> check_weights({"refunds": 0.75, "latency": 0.25})
    """
    sound = all(isfinite(weight) and weight > 0 for weight in weights.values())
    if not sound or not isclose(fsum(weights.values()), 1, abs_tol=1e-9):
        raise ValueError(f"weights must be above 0 and sum to 1, not {dict(weights)}")


def _checked(p_values: Sequence[float]) -> Floats:
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():  # False for what is not a number, too
        raise ValueError(f"p_values must lie between 0 and 1, not {list(p_values)}")
    return p


def _restored(
    adjusted: Floats,
    order: npt.NDArray[np.intp],
) -> list[float]:
    restored = np.empty_like(adjusted)
    restored[order] = adjusted
    return [float(p) for p in restored]
