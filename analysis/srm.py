"""Sample ratio mismatch: whether units arrived in the configured shares."""

from collections.abc import Sequence
from math import exp, fsum, isclose, isfinite, log

from scipy.special import gammaln
from scipy.stats import chisquare

from analysis.effect import Undecided

LEAST_EXPECTED = 5
TOO_FEW = Undecided(
    "fewer than 5 units expected in a variation", needs="more units before the split can be judged"
)


def srm_p_value(counts: Sequence[int], shares: Sequence[float]) -> float | Undecided:
    """Chance of a split at least this uneven if assignment works as configured; for one look.

    counts: exposed units, one per variation, shape (k,), k >= 2.
    shares: configured shares in the same order, shape (k,), each above 0, sum 1.
    Returns a p-value in [0, 1], or Undecided while a variation expects under 5 units.
    Raises ValueError if the shapes differ, the shares are no such split or a count is negative.
    Source: Fabijan et al. (2019), "Diagnosing Sample Ratio Mismatch", KDD.

    >>> srm_p_value([821588, 815482], [0.5, 0.5]) < 1e-5
    True
    """
    check_split(counts, shares)
    expected = [sum(counts) * share for share in shares]
    if min(expected) < LEAST_EXPECTED:
        return TOO_FEW
    return float(chisquare(counts, expected, sum_check=False).pvalue)


def anytime_srm_p_value(
    counts: Sequence[int], shares: Sequence[float], *, concentration: float = 10_000
) -> float | Undecided:
    """As `srm_p_value`, but valid however often one looks: it depends on the totals so far only.

    concentration: how near the configured shares a mismatch is sought, as if that many units had
        been seen before; 10,000 is tuned to mismatches of about one per cent.
    The chance that it ever falls to alpha or below, over all looks, is at most alpha.
    Raises ValueError as `srm_p_value` does, and for a concentration that is not above 0.
    Source: Lindon & Malek (2022), "Anytime-Valid Inference for Multinomial Count Data", NeurIPS.

    >>> anytime_srm_p_value([821588, 815482], [0.5, 0.5]) < 0.01
    True
    """
    check_split(counts, shares)
    if sum(counts) == 0:
        return Undecided("no units have been exposed yet", needs="a first exposure")
    return min(1.0, exp(-log_evidence(counts, shares, concentration=concentration)))


def log_evidence(
    counts: Sequence[int], shares: Sequence[float], *, concentration: float = 10_000
) -> float:
    """Log of the odds with which the counts speak against the shares (a Bayes factor).

    Evidence of disjoint strata, each with its own shares, adds. Arguments as in
    `anytime_srm_p_value`; all-zero counts are no evidence.

    >>> log_evidence([0, 0], [0.5, 0.5])
    0.0
    """
    check_split(counts, shares)
    if not 0 < concentration < float("inf"):
        raise ValueError(f"concentration must be above 0, not {concentration}")
    return mixture_evidence(counts, shares, concentration)


def mixture_evidence(
    counts: Sequence[float], shares: Sequence[float], concentration: float
) -> float:
    """Log odds of a Dirichlet mixture about the shares against the shares themselves.

    As `log_evidence`, unchecked, and smooth in counts that need not be whole.

    >>> mixture_evidence([0.0, 0.0], [0.5, 0.5], 10.0)
    0.0
    """
    prior = [concentration * share for share in shares]
    terms = [
        float(gammaln(a + x) - gammaln(a)) - x * log(share)
        for a, x, share in zip(prior, counts, shares, strict=True)
    ]
    whole = float(gammaln(concentration + sum(counts)) - gammaln(concentration))
    return fsum([*terms, -whole])


def check_split(counts: Sequence[int], shares: Sequence[float]) -> None:
    """Raise ValueError unless there is one positive share per count, summing to 1."""
    if len(counts) != len(shares) or len(counts) < 2:
        raise ValueError(f"counts and shares: one of each per variation, not {counts}, {shares}")
    if not all(isfinite(s) and s > 0 for s in shares) or not isclose(fsum(shares), 1):
        raise ValueError(f"shares: not one positive share per count, summing to 1: {shares}")
    if any(count < 0 or count != int(count) for count in counts):
        raise ValueError(f"counts: not whole numbers of units: {counts}")
