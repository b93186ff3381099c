"""Sample ratio mismatch: whether units arrived in the configured shares.

counts: units by variation. shares: as configured, summing to 1. Sources: Pearson (1900);
Lindon & Malek (2022), NeurIPS, for what may be looked at continuously.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, isclose, isfinite, log

from scipy.special import chdtrc, gammaln

from analysis.effect import Undecided
from analysis.multiplicity import holm

LEAST_EXPECTED = 5
TOO_FEW = Undecided(
    "fewer than 5 units expected in a variation", needs="more units before the split can be judged"
)
NO_UNITS = Undecided("no units have been exposed yet", needs="a first exposure")

LARGEST_CONCENTRATION = 1e12  # beyond it the evidence is lost among the digits of its terms
SMALLEST_PRIOR = 1e-300


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
    statistic = _chi_square(Split(tuple(counts), tuple(shares)))
    return float(chdtrc(len(counts) - 1, statistic))


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
        return NO_UNITS
    return _p_value(log_evidence(counts, shares, concentration=concentration))


def log_evidence(
    counts: Sequence[int], shares: Sequence[float], *, concentration: float = 10_000
) -> float:
    """Log of the odds with which the counts speak against the shares (a Bayes factor).

    Evidence of disjoint strata, each with its own shares, adds. Arguments as in
    `anytime_srm_p_value`; all-zero counts are no evidence.
    Raises ValueError as `srm_p_value`.

    >>> log_evidence([0, 0], [0.5, 0.5])
    0.0
    """
    check_split(counts, shares)
    if not 0 < concentration <= LARGEST_CONCENTRATION:
        raise ValueError(f"concentration must be above 0 and at most 1e12, not {concentration}")
    return mixture_evidence(counts, shares, concentration)


def mixture_evidence(
    counts: Sequence[float], shares: Sequence[float], concentration: float
) -> float:
    """Log odds of a Dirichlet mixture about the shares against the shares themselves.

    As `log_evidence`, unchecked, and smooth in counts that need not be whole.

    >>> mixture_evidence([0.0, 0.0], [0.5, 0.5], 10.0)
    0.0
    """
    prior = [max(concentration * share, SMALLEST_PRIOR) for share in shares]
    terms = [
        float(gammaln(a + x) - gammaln(a)) - x * log(share)
        for a, x, share in zip(prior, counts, shares, strict=True)
    ]
    whole = float(gammaln(concentration + sum(counts)) - gammaln(concentration))
    return fsum([*terms, -whole])


def check_split(counts: Sequence[int], shares: Sequence[float]) -> None:
    """Raise ValueError unless there is one positive share per count, summing to 1.

    >>> check_split([10, 12], [0.5, 0.5])
    """
    if len(counts) != len(shares) or len(counts) < 2:
        raise ValueError(f"counts and shares: one of each per variation, not {counts}, {shares}")
    if not all(isfinite(s) and s > 0 for s in shares) or not isclose(fsum(shares), 1):
        raise ValueError(f"shares: not one positive share per count, summing to 1: {shares}")
    if any(count < 0 or count != int(count) for count in counts):
        raise ValueError(f"counts: not whole numbers of units: {counts}")


@dataclass(frozen=True, slots=True)
class Split:
    """Units counted per variation while the shares were these: a stage, a day or a segment.

    counts, shares: as in `srm_p_value`. Splits of disjoint units under the same shares add.

    >>> Split((10, 12), (0.5, 0.5)) + Split((1, 0), (0.5, 0.5))
    Split(counts=(11, 12), shares=(0.5, 0.5))
    """

    counts: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        check_split(self.counts, self.shares)

    def __add__(self, other: "Split") -> "Split":
        if self.shares != other.shares:
            raise ValueError("shares: splits under different shares do not add; keep them apart")
        together = (a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Split(tuple(together), self.shares)


def stages_p_value(stages: Sequence[Split]) -> float | Undecided:
    """As `srm_p_value` over several stages, each judged by its own shares; for one look.

    Chi-squares of the stages with at least 5 expected units per variation add, with their degrees
    of freedom. Undecided if there is none.

    >>> stages_p_value([Split((990, 10), (0.99, 0.01)), Split((500, 500), (0.5, 0.5))])
    1.0
    """
    usable = [s for s in stages if sum(s.counts) * min(s.shares) >= LEAST_EXPECTED]
    if not usable:
        return TOO_FEW
    statistic = fsum(_chi_square(stage) for stage in usable)
    return float(chdtrc(sum(len(stage.counts) - 1 for stage in usable), statistic))


def anytime_stages_p_value(
    stages: Sequence[Split], *, concentration: float = 10_000
) -> float | Undecided:
    """As `anytime_srm_p_value` over several stages, each judged by its own shares.

    The evidence of the stages adds, so the whole may be looked at at any time, ramp or no ramp.

    >>> anytime_stages_p_value([Split((990, 10), (0.99, 0.01)), Split((5000, 5600), (0.5, 0.5))])
    0.00024...
    """
    if not any(sum(stage.counts) for stage in stages):
        return NO_UNITS
    evidence = fsum(
        log_evidence(stage.counts, stage.shares, concentration=concentration) for stage in stages
    )
    return _p_value(evidence)


def by_group(
    groups: Mapping[str, Split], *, anytime: bool = False, concentration: float = 1_000
) -> dict[str, float | Undecided]:
    """P-values per stage, day or segment, corrected by Holm for having looked at all of them.

    anytime: whether each is to be valid at every look, with the given concentration: smaller than
        for a whole rollout, since only larger mismatches can show in a group. A group too small to
        judge is Undecided and costs the others nothing.
    groups: by name, counts and shares.

    >>> found = by_group({"web": Split((5000, 5000), (0.5, 0.5)), "app": Split((1, 2), (0.5, 0.5))})
    >>> found["web"], bool(found["app"])
    (1.0, False)
    """

    def test(counts: Sequence[int], shares: Sequence[float]) -> float | Undecided:
        if anytime:
            return anytime_srm_p_value(counts, shares, concentration=concentration)
        return srm_p_value(counts, shares)

    found = {name: test(group.counts, group.shares) for name, group in groups.items()}
    judged = {name: p for name, p in found.items() if isinstance(p, float)}
    corrected = dict(zip(judged, holm(list(judged.values())), strict=True))
    return {name: corrected.get(name, p) for name, p in found.items()}


def _chi_square(split: Split) -> float:
    n = sum(split.counts)
    return fsum(
        (count - n * share) ** 2 / (n * share)
        for count, share in zip(split.counts, split.shares, strict=True)
    )


def _p_value(evidence: float) -> float:
    """One over the odds, at most 1; odds beyond what a float holds are a p-value of 0."""
    return exp(-max(evidence, 0.0))
