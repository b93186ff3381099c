"""Whether the evidence can be trusted: checks of the data, and one grade with its reasons.

A check never says more than it saw: what could not be looked at is *unknown*, and unknown
never counts as fine.

Sources: beside each check; Welch (1947), Biometrika 34:28.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from scipy import stats

from analysis.arguments import counts, open_share, same_length
from analysis.effect import Undecided
from analysis.inputs import unusable
from analysis.summary import Summary


class State(StrEnum):
    """What a check found."""

    FINE = "fine"
    WARNING = "warning"  # usable, and to be read with the reason in mind
    BROKEN = "broken"  # the results must not be used
    UNKNOWN = "unknown"  # could not be looked at; never counts as fine


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the quality of the data.

    name: which check. reason: what was seen, in words a product manager understands.
    p_value: chance of something at least as odd if all were well; None where nothing was tested.
    needs: what would settle an unknown; may be empty.
    """

    name: str
    state: State
    reason: str
    p_value: float | None = None
    needs: str = ""


def judged(name: str, p_value: float | Undecided, *, alpha: float, broken: str, fine: str) -> Check:
    """A check from a p-value: broken below alpha, fine above, unknown where undecided.

    alpha: chance of a false alarm one accepts, in (0, 1).
    broken, fine: the reason in either case. Raises ValueError for a value that is no chance.
    name: of the check. p_value: or why there is none.

    >>> judged("SRM", 0.4, alpha=0.001, broken="uneven", fine="as planned").state
    <State.FINE: 'fine'>
    """
    open_share("alpha", alpha)
    if isinstance(p_value, Undecided):
        return Check(name, State.UNKNOWN, p_value.reason, needs=p_value.needs)
    if not 0 <= p_value <= 1:
        raise ValueError(f"p_value must lie between 0 and 1, not {p_value}")
    if p_value < alpha:
        return Check(name, State.BROKEN, broken, p_value)
    return Check(name, State.FINE, fine, p_value)


def crossings(
    crossed: Sequence[int], seen: Sequence[int], *, tolerated: float = 0.01, alpha: float = 0.001
) -> Check:
    """Units seen in more than one variation: how many, and whether evenly.

    crossed: units later seen in another variation, by the variation seen first, shape (k,).
    seen: all units, by the variation seen first, shape (k,), k >= 2.
    tolerated: largest share of crossed units that may be dropped without a remark, in (0, 1).
    alpha: chance of a false alarm, in (0, 1).

    Crossed units belong in no arm: they are quarantined, so few and even crossings cost only
    units, while uneven ones bias the comparison. Unevenness: exact binomial test of each
    variation's part of the crossings against its part of the units, Bonferroni over k.
    Raises ValueError for counts that do not fit. Source: Fabijan et al. (2019), KDD.

    >>> crossings([3, 2], [1000, 1000]).state
    <State.FINE: 'fine'>
    >>> crossings([90, 20], [10_000, 10_000]).reason
    'customers leave one variation for another unevenly (90 and 20): the change may cause it'
    """
    held, units = counts("crossed", crossed, 2), counts("seen", seen, 2)
    same_length(crossed=held, seen=units)
    open_share("tolerated", tolerated)
    open_share("alpha", alpha)
    if any(a > b for a, b in zip(held, units, strict=True)):
        raise ValueError(f"crossed {held} exceeds seen {units}")
    if not sum(units):
        return Check("crossings", State.UNKNOWN, "no customers yet", needs="a first exposure")
    return _judge_crossings(held, units, tolerated, alpha)


def _judge_crossings(held: list[int], units: list[int], tolerated: float, alpha: float) -> Check:
    total, share = sum(held), sum(held) / sum(units)
    uneven = _uneven(held, units)
    listed = " and ".join(str(n) for n in held)
    if uneven < alpha:
        reason = f"customers leave one variation for another unevenly ({listed}): the change may cause it"
        return Check("crossings", State.BROKEN, reason, uneven)
    reason = f"{total} of {sum(units)} customers ({share:.2%}) were seen in more than one variation"
    if share <= tolerated:
        return Check("crossings", State.FINE, reason, uneven)
    excess = float(stats.binom.sf(total - 1, sum(units), tolerated))
    state = State.BROKEN if excess < alpha else State.WARNING
    return Check("crossings", state, f"{reason}, more than the {tolerated:.2%} tolerated", excess)


def _uneven(held: list[int], units: list[int]) -> float:
    """Bonferroni-adjusted p-value that the crossings split as the units do."""
    if not sum(held):
        return 1.0
    tests = [
        float(stats.binomtest(a, sum(held), b / sum(units)).pvalue)
        for a, b in zip(held, units, strict=True)
    ]
    return min(1.0, min(tests) * (1 if len(tests) == 2 else len(tests)))


def pre_exposure_bias(before: Mapping[str, Sequence[Summary]], *, alpha: float = 0.001) -> Check:
    """Whether the arms differed before anybody could have noticed the change (an A/A test).

    before: per metric the pre-exposure sums of each arm, control first, k >= 2 arms.
    alpha: chance of a false alarm over all metrics and arms together, in (0, 1).

    Each arm is compared with control by Welch's t-test, all under Holm's correction. A
    difference means that the assignment, the logging or a former rollout has biased the groups:
    a later difference is then no evidence. Raises ValueError with fewer than two arms.
    Source: Kohavi, Tang & Xu (2020), "Trustworthy Online Controlled Experiments", ch. 19.

    >>> same = Summary.of([1, 2, 3, 4])
    >>> pre_exposure_bias({"orders": [same, same]}).state
    <State.FINE: 'fine'>
    """
    open_share("alpha", alpha)
    name = "pre-exposure bias"
    tests = {
        (metric, arm): p
        for metric, arms in before.items()
        for arm, p in enumerate(_against_control(metric, arms), start=1)
        if p is not None
    }
    if not tests:
        reason = "no metric has two or more customers per variation from before the rollout"
        return Check(name, State.UNKNOWN, reason, needs="data from before the first exposure")
    (metric, _), smallest = min(tests.items(), key=lambda item: item[1])
    p_value = min(1.0, smallest * len(tests))  # the first step of Holm decides whether any fails
    return judged(
        name,
        p_value,
        alpha=alpha,
        broken=f"the variations differed in {metric} before the rollout began",
        fine=f"the variations were alike before the rollout began ({len(tests)} comparisons)",
    )


def _against_control(metric: str, arms: Sequence[Summary]) -> list[float | None]:
    if len(arms) < 2:
        raise ValueError(f"before[{metric!r}] needs control and a treatment, not {len(arms)} arms")
    return [welch_p_value(arms[0], arm) for arm in arms[1:]]


def welch_p_value(control: Summary, treatment: Summary) -> float | None:
    """Two-sided p-value of Welch's t-test from sums, or None where `inputs.unusable` says so.

    Arms without any spread are compared as they stand: 1 if their means agree, else 0.
    control, treatment: sums of one value per unit.

    >>> round(welch_p_value(Summary.of([1, 2, 3]), Summary.of([2, 3, 4])), 4)
    0.2879
    """
    if unusable(control, treatment) is not None:
        return None
    se2 = [arm.variance / arm.n for arm in (control, treatment)]
    difference = treatment.mean - control.mean
    if not sum(se2):
        return 1.0 if difference == 0 else 0.0
    parts = [part / sum(se2) for part in se2]
    df = 1 / sum(b * b / (arm.n - 1) for arm, b in zip((control, treatment), parts, strict=True))
    return float(2 * stats.t.sf(abs(difference) / sqrt(sum(se2)), df))


class Design(StrEnum):
    """How the comparison came about, from the most to the least convincing."""

    RANDOMISED = "randomised"
    CLUSTERED = "cluster-randomised"
    SWITCHBACK = "switchback"
    DIFFERENCES = "difference in differences"
    SYNTHETIC = "synthetic control"
    INTERRUPTED = "interrupted time series"
    BEFORE_AFTER = "before and after"


class Grade(StrEnum):
    """How far a result may be relied upon."""

    STRONG = "strong"
    FAIR = "fair"
    WEAK = "weak"
    NONE = "none"  # not to be used


@dataclass(frozen=True, slots=True)
class Evidence:
    """A grade and every reason that led to it, in the order found."""

    grade: Grade
    reasons: tuple[str, ...]


_ORDER = (Grade.STRONG, Grade.FAIR, Grade.WEAK)

_START = {
    Design.RANDOMISED: Grade.STRONG,
    Design.CLUSTERED: Grade.STRONG,
    Design.SWITCHBACK: Grade.STRONG,
    Design.DIFFERENCES: Grade.FAIR,
    Design.SYNTHETIC: Grade.FAIR,
    Design.INTERRUPTED: Grade.WEAK,
    Design.BEFORE_AFTER: Grade.WEAK,
}


def evidence_grade(
    design: Design,
    checks: Sequence[Check],
    *,
    required: Iterable[str] = ("SRM",),
    locked: bool = True,
) -> Evidence:
    """One grade for the evidence, with its reasons.

    checks: what was looked at. required: names that must be among them, or count as unknown;
    SRM is asked only of randomised designs. locked: whether the plan was fixed before the start.

    The design sets the start (randomised: strong; difference in differences and synthetic
    control: fair; one series before and after: weak). Each warning, unknown or unlocked plan
    takes one step, down to weak; anything broken leaves none. Adding a check never raises it.

    >>> evidence_grade(Design.RANDOMISED, [Check("SRM", State.FINE, "split as planned")])
    Evidence(grade=<Grade.STRONG: 'strong'>, reasons=('randomised design', 'SRM: split as planned'))
    """
    absent = _absent(design, checks, required)
    seen = [*checks, *absent]
    reasons = [f"{design} design", *(f"{check.name}: {check.reason}" for check in seen)]
    if not locked:
        reasons.append("the plan was not locked before the start")
    if any(check.state is State.BROKEN for check in seen):
        return Evidence(Grade.NONE, tuple(reasons))
    doubts = sum(check.state is not State.FINE for check in seen) + (not locked)
    step = min(_ORDER.index(_START[design]) + doubts, len(_ORDER) - 1)
    return Evidence(_ORDER[step], tuple(reasons))


def _absent(design: Design, checks: Sequence[Check], required: Iterable[str]) -> list[Check]:
    randomised = design in (Design.RANDOMISED, Design.CLUSTERED, Design.SWITCHBACK)
    held = {check.name for check in checks}
    return [
        Check(name, State.UNKNOWN, "was not checked")
        for name in required
        if name not in held and (randomised or name != "SRM")
    ]
