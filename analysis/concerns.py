"""What must be said beside a verdict, in plain words: the limits of the stop-loss as findings.

The method's guarantees rest on conditions that sums cannot show. Each condition that a plan
does not meet comes back as an `Undecided`: no verdict may be taken until it is met.

Source: the project's stop-loss recipe; the figures are its measured false-stop rates at a
nominal 0.05 when the condition is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from analysis.effect import Undecided
from analysis.stoploss import LEAST_CLUSTERS, Kind, Stratum, to_arms

TOO_HEAVY = 0.25  # of an arm's spread, from one unit

SAFE_IS_AN_AVERAGE = (
    "Safe is about the average since the start, not about today: harm that starts late is"
    " diluted, so read the last days beside it."
)


def refusals(
    *,
    matured: bool = True,
    timing_may_change: bool = False,
    unit_is_randomised: bool = True,
    strata_cut_at_changes: bool = True,
    randomised_units: Iterable[float] | None = None,
) -> tuple[Undecided, ...]:
    """The conditions of the stop-loss that a plan or its data do not meet; empty if all are.

    matured: only units whose outcome window is over are counted. timing_may_change: treatment
    may change when outcomes arrive. unit_is_randomised: the unit analysed is the one that was
    randomised. strata_cut_at_changes: strata end where the allocation changed.
    randomised_units: clusters per arm, where clusters were randomised.

    >>> [refusal.needs for refusal in refusals(matured=False, timing_may_change=True)]
    ['outcomes counted only for customers whose window is over']
    """
    found = []
    if timing_may_change and not matured:
        found.append(
            Undecided(
                "the change may make outcomes arrive earlier or later, which unfinished windows"
                " show as harm that is not there (a third of harmless changes would be stopped)",
                "outcomes counted only for customers whose window is over",
            )
        )
    if not unit_is_randomised:
        found.append(
            Undecided(
                "what is counted is not what was randomised, so values of one customer are"
                " mistaken for independent ones (a fifth of harmless changes would be stopped)",
                "one value per randomised unit, or sums with the randomised unit as cluster",
            )
        )
    if not strata_cut_at_changes:
        found.append(
            Undecided(
                "stretches of different allocation were added together, so a drifting baseline"
                " looks like an effect (a fifth of harmless changes would be stopped)",
                "sums cut at the moment the allocation changed",
            )
        )
    if randomised_units is not None and min(randomised_units, default=0) < LEAST_CLUSTERS:
        found.append(
            Undecided(
                f"an arm has fewer than {LEAST_CLUSTERS} randomised units",
                "more randomised units in each arm",
            )
        )
    return tuple(found)


def heaviest_unit(strata: Sequence[Stratum], kind: Kind) -> float | None:
    """Share of an arm's spread that its most extreme known unit makes up; None if not known.

    strata, kind: as in `stoploss`.

    >>> heaviest_unit([Stratum(101, 100, 10_000, 100, 50, 75, peak0=100)], Kind.OTHER) > 0.25
    True
    """
    arms = to_arms(strata, kind)
    spread = {"0": float(arms.nv0.sum()), "1": float(arms.nv1.sum())}
    return _heaviest((d * d / spread[a] for a, _, d in _peaks(strata) if spread[a] > 0))


def heaviest_in_difference(strata: Sequence[Stratum], variance: float) -> float | None:
    """Share of the Gaussian form's variance that one known unit makes up; None if not known.

    variance: of the difference, as `gaussian.GaussianStatistic` has it, above 0.

    >>> round(heaviest_in_difference([Stratum(100, 0, 100, 100, 0, 500, peak1=10)], 0.06), 3)
    0.167
    """
    whole = sum(x.n0 * x.n1 / (x.n0 + x.n1) for x in strata)
    shares = []
    for arm, x, deviation in _peaks(strata):
        others = x.n0 if arm == "1" else x.n1  # the unit's weight is theirs over both arms'
        shares.append((deviation * others / (x.n0 + x.n1) / whole) ** 2 / variance)
    return _heaviest(shares)


def _peaks(strata: Sequence[Stratum]) -> Iterator[tuple[str, Stratum, float]]:
    """Arm, stratum and deviation from the mean of each known most extreme value."""
    for stratum in strata:
        for arm in ("0", "1"):
            peak = getattr(stratum, f"peak{arm}")
            if peak is not None:
                mean = getattr(stratum, f"s{arm}") / getattr(stratum, f"n{arm}")
                yield arm, stratum, peak - mean


def _heaviest(shares: Iterable[float]) -> float | None:
    largest = max(shares, default=None)
    return None if largest is None else min(largest, 1.0)


def too_heavy(weight: float | None) -> tuple[str, ...]:
    """What is to be said of a unit that makes up this share of the spread; empty if little.

    >>> too_heavy(0.1), len(too_heavy(0.4))
    ((), 1)
    """
    if weight is None or weight <= TOO_HEAVY:
        return ()
    advice = "cap values in the plan, or expect the stop-loss to need far more customers"
    return (f"One customer makes up {weight:.0%} of the spread: {advice}.",)
