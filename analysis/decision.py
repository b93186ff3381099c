"""One decision from many metrics, with the risks of the decision itself under control.

Ship if and only if at least one success metric is shown to be better, every guardrail is shown
to be no worse than its tolerance, nothing is shown to have deteriorated, and no quality test
says that the comparison cannot be trusted.

Shipping wrongly: one of the success tests must lie, so alpha is divided among them; or one
guardrail's test must lie although all of them have to pass, so theirs needs no division.
Failing to ship rightly: any one test may spoil it, so beta is divided among the success tests
and guardrails after the deterioration and quality tests' own false alarms are taken off. The
bounds are unions, so they hold however the metrics depend on each other.

Source: Schultzberg, Ankargren & Frånberg (2024), "Risk-aware product decisions in A/B tests
with multiple metrics", arXiv:2402.11609.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from analysis.arguments import open_share
from analysis.effect import Effect, Undecided
from analysis.noninferiority import p_values
from analysis.power import Plan


class Role(StrEnum):
    """What a metric is for."""

    SUCCESS = "success"  # one of them must be better
    GUARDRAIL = "guardrail"  # each must be shown to stay within its tolerance
    DETERIORATION = "deterioration"  # none may be shown to be worse
    QUALITY = "quality"  # none may say that the comparison is broken


@dataclass(frozen=True, slots=True)
class Risks:
    """The risks a team takes with the decision, and how many metrics bear on it.

    alpha: of shipping without a benefit, or with harm beyond a tolerance; in (0, 1).
    beta: of not shipping what has the planned benefit and no harm; in (0, 1).
    alpha_worse, alpha_quality: of a false alarm among all deterioration tests, and among all
    quality tests; in (0, 1). Success metrics and guardrails are tested for deterioration too.
    n_success, n_guardrail, n_deterioration, n_quality: metrics of each role, 0 or more.

    Raises ValueError for risks outside their range, without success metric and guardrail, or if
    the false alarms of deterioration and quality tests use up beta.

    >>> Risks(n_success=2, n_guardrail=3).metrics
    5
    """

    n_success: int = 1
    n_guardrail: int = 0
    n_deterioration: int = 0
    n_quality: int = 0
    alpha: float = 0.05
    beta: float = 0.2
    alpha_worse: float = 0.01
    alpha_quality: float = 0.01

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "alpha_worse", "alpha_quality"):
            open_share(name, getattr(self, name))
        for name in ("n_success", "n_guardrail", "n_deterioration", "n_quality"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not self.n_success + self.n_guardrail:
            raise ValueError("n_success and n_guardrail are both 0: nothing could justify shipping")
        if self.beta_left <= 0:
            raise ValueError(f"beta {self.beta} is used up by alpha_worse and alpha_quality")

    @property
    def metrics(self) -> int:
        """Metrics tested for deterioration."""
        return self.n_success + self.n_guardrail + self.n_deterioration

    @property
    def beta_left(self) -> float:
        """Beta less what false alarms of deterioration and quality tests may take."""
        return self.beta - self.alpha_worse - (self.alpha_quality if self.n_quality else 0.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """The level of each single test, one-sided, and the beta each is planned with."""

    better: float
    not_worse: float
    worse: float
    broken: float
    beta: float


def corrected_levels(risks: Risks) -> Levels:
    """Levels of the single tests that keep the decision's own risks.

    Success tests alpha / S; guardrails alpha each; deterioration alpha_worse over all metrics;
    quality alpha_quality / Q; every success metric and guardrail planned with
    beta' / (G + 1), where beta' is what the false alarms leave (beta' / G without success
    metrics).

    >>> levels = corrected_levels(Risks(n_success=2, n_guardrail=3, alpha_worse=1e-9))
    >>> levels.better, levels.not_worse, round(levels.beta, 3)
    (0.025, 0.05, 0.05)
    """
    spoilers = risks.n_guardrail + (risks.n_success > 0)
    return Levels(
        better=risks.alpha / max(risks.n_success, 1),
        not_worse=risks.alpha,
        worse=risks.alpha_worse / risks.metrics,
        broken=risks.alpha_quality / max(risks.n_quality, 1),
        beta=risks.beta_left / spoilers,
    )


def sizing_plan(risks: Risks, role: Role, *, share: float = 0.5, inflation: float = 1.0) -> Plan:
    """The `Plan` to size a success metric or a guardrail with; the largest size decides.

    share, inflation: as in `Plan`. Raises ValueError for roles that are not sized.

    >>> sizing_plan(Risks(n_guardrail=1, alpha_worse=0.01), Role.GUARDRAIL).power
    0.905
    """
    levels = corrected_levels(risks)
    if role not in (Role.SUCCESS, Role.GUARDRAIL):
        raise ValueError(f"role must be success or guardrail to be sized, not {role}")
    alpha = levels.better if role is Role.SUCCESS else levels.not_worse
    return Plan(alpha, 1 - levels.beta, 1, share, inflation=inflation)


@dataclass(frozen=True, slots=True)
class MetricEvidence:
    """One metric's one-sided p-values; Undecided where there is no number yet.

    better: against *no better* (success). not_worse: against *worse than the tolerance*
    (guardrail). worse: against *no worse* (success, guardrail, deterioration; valid at any look
    if looked at before the end). broken: of the quality test (quality).
    A p-value the role does not use may be None.

    >>> MetricEvidence("orders", Role.SUCCESS, better=0.01, worse=0.99).broken is None
    True
    """

    name: str
    role: Role
    better: float | Undecided | None = None
    not_worse: float | Undecided | None = None
    worse: float | Undecided | None = None
    broken: float | Undecided | None = None

    @classmethod
    def of_effect(
        cls,
        name: str,
        role: Role,
        effect: Effect | Undecided,
        *,
        higher_is_better: bool,
        margin: float = 0.0,
    ) -> MetricEvidence:
        """One-sided p-values read off an effect's interval, as `noninferiority.p_values` does.

        margin: a guardrail's tolerance on the effect's scale, 0 or more. Raises ValueError for
        the quality role, whose tests have p-values of their own.

        >>> MetricEvidence.of_effect(
        ...     "orders", Role.SUCCESS, Undecided("no orders yet"), higher_is_better=True
        ... ).better
        Undecided(reason='no orders yet', needs='')
        """
        if role is Role.QUALITY:
            raise ValueError("role must not be quality: give that test's own p-value as broken")
        if isinstance(effect, Undecided):
            return cls(name, role, better=effect, not_worse=effect, worse=effect)
        worse, better = p_values(effect, 0.0, higher_is_better=higher_is_better)
        _, not_worse = p_values(effect, margin, higher_is_better=higher_is_better)
        return cls(name, role, better=better, not_worse=not_worse, worse=worse)


class Outcome(StrEnum):
    """What the rule recommends."""

    SHIP = "ship"
    HARM = "harm"  # something has deteriorated
    INVALID = "invalid"  # a quality test says that the comparison cannot be trusted
    NOT_SHOWN = "not shown"  # the end is reached, and a benefit or safety was not shown
    UNDECIDED = "undecided"  # too early, or a number is missing


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule's recommendation with the reasons that decided, in plain words."""

    outcome: Outcome
    reasons: tuple[str, ...]


def decide(evidence: Sequence[MetricEvidence], risks: Risks, *, complete: bool) -> Decision:
    """Apply the rule to all metrics at the corrected levels.

    evidence: one per metric, as many of each role as the risks were planned for.
    complete: whether the planned number of units has matured; before that only harm or a
    broken comparison decide. A missing number never counts as passed.
    Raises ValueError if metrics and plan do not match, or a p-value is none.

    >>> risks = Risks(n_success=1, n_guardrail=1)
    >>> won = MetricEvidence("orders", Role.SUCCESS, better=0.001, worse=0.999)
    >>> kept = MetricEvidence("complaints", Role.GUARDRAIL, not_worse=0.01, worse=0.4)
    >>> decide([won, kept], risks, complete=True).outcome
    <Outcome.SHIP: 'ship'>
    """
    _check_counts(evidence, risks)
    levels = corrected_levels(risks)
    quality = [_Test(m.name, m.broken) for m in evidence if m.role is Role.QUALITY]
    worse = [_Test(m.name, m.worse) for m in evidence if m.role is not Role.QUALITY]
    better = [_Test(m.name, m.better) for m in evidence if m.role is Role.SUCCESS]
    safe = [_Test(m.name, m.not_worse) for m in evidence if m.role is Role.GUARDRAIL]
    if broken := [test.name for test in quality if test.shows(levels.broken)]:
        return _because(Outcome.INVALID, "{}: the comparison cannot be trusted", broken)
    if harmed := [test.name for test in worse if test.shows(levels.worse)]:
        return _because(Outcome.HARM, "{} has become worse", harmed)
    if missing := [test.missing for test in (*quality, *worse, *better, *safe) if test.missing]:
        return Decision(Outcome.UNDECIDED, tuple(dict.fromkeys(missing)))
    if not complete:
        return Decision(Outcome.UNDECIDED, ("the planned number of customers is not reached",))
    return _at_the_end(better, safe, levels)


def _at_the_end(better: list[_Test], safe: list[_Test], levels: Levels) -> Decision:
    won = [test.name for test in better if test.shows(levels.better)]
    open_ = [test.name for test in safe if not test.shows(levels.not_worse)]
    reasons = [f"{name} was not shown to stay within its tolerance" for name in open_]
    if better and not won:
        reasons.insert(0, "no success metric was shown to be better")
    if reasons:
        return Decision(Outcome.NOT_SHOWN, tuple(reasons))
    kept = ("every guardrail stays within its tolerance",) if safe else ()
    return Decision(Outcome.SHIP, (*(f"{name} is better" for name in won), *kept))


@dataclass(frozen=True, slots=True)
class _Test:
    """A p-value with the name of its metric."""

    name: str
    p_value: float | Undecided | None

    def __post_init__(self) -> None:
        if isinstance(self.p_value, float | int) and not 0 <= self.p_value <= 1:
            raise ValueError(f"p_value of {self.name} must lie in [0, 1], not {self.p_value}")

    def shows(self, level: float) -> bool:
        return isinstance(self.p_value, float | int) and self.p_value <= level

    @property
    def missing(self) -> str:
        """Why there is no number; empty if there is one."""
        if self.p_value is None:
            return f"{self.name}: not tested"
        return f"{self.name}: {self.p_value.reason}" if isinstance(self.p_value, Undecided) else ""


def _because(outcome: Outcome, words: str, names: list[str]) -> Decision:
    return Decision(outcome, tuple(words.format(name) for name in names))


def _check_counts(evidence: Sequence[MetricEvidence], risks: Risks) -> None:
    planned = {
        Role.SUCCESS: risks.n_success,
        Role.GUARDRAIL: risks.n_guardrail,
        Role.DETERIORATION: risks.n_deterioration,
        Role.QUALITY: risks.n_quality,
    }
    for role, number in planned.items():
        held = sum(metric.role is role for metric in evidence)
        if held != number:
            raise ValueError(f"evidence has {held} {role} metrics where {number} were planned")
