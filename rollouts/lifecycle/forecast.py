"""What a plan will do, before it starts: how often it stops wrongly, and what harm costs first.

Pure translation: a draft, definitions and baselines in, the statistics' own plans out and back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, sqrt

from analysis import operating, populations
from analysis.effect import Scale, Undecided
from analysis.operating import Simulated
from analysis.populations import Population
from analysis.stoploss import Kind
from rollouts.errors import Fault, Invalid
from rollouts.lifecycle.course import Course
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Aggregation, Definition, Statistic
from rollouts.tolerances.model import Guardrail, Method, split_alpha

MULTIPLES = (0.0, 1.0, 1.5, 2.0, 4.0)  # of the limit
LARGEST_COUNT = 60.0  # of a customer, above which single counts need not be told apart
RAREST_COUNT = 1e-3  # mean below which a count that scatters by chance is once or never
TAIL = 21.0  # a count hardly ever passes its mean by so many times its dispersion
FEWEST_PER_LOOK = 2  # one in each arm
MOST_PER_LOOK = 10**12
MOST_VARIED = 1.1  # variance over mean of a count that may still be by chance alone
WIDEST_MARGIN = 1000.0  # times today's level


@dataclass(frozen=True, slots=True)
class Baseline:
    """How customers are today, without the change.

    mean: per customer, or per one of the denominator. dispersion: variance over mean, of the
    same; None: not known. per_unit: how many of the denominator a customer brings, 1 unless a
    ratio. source: where it was measured, in words. units: customers it was measured on.
    """

    mean: float
    dispersion: float | None = None
    per_unit: float = 1.0
    source: str = "given"
    units: int | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "dispersion", "per_unit"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise Invalid(
                    f"A baseline's {name} must be above 0, not {value}.",
                    faults=(Fault(f"baselines.{name}", "must be above 0"),),
                )


@dataclass(frozen=True, slots=True)
class Truth:
    """What the plan does if the change truly harms so much.

    multiple: of the limit. harm: as a share of control, positive is worse. stopped: chance to
    be withdrawn. exposed: customers who get the new version until then, or until the end.
    spent: harm done until then, in the metric's unit.
    """

    multiple: float
    harm: float
    stopped: Simulated
    exposed: Simulated
    spent: Simulated


@dataclass(frozen=True, slots=True)
class RailForecast:
    """One guardrail of one new version (or of several with the same share)."""

    metric: str
    arms: tuple[str, ...]
    alpha: float
    truths: tuple[Truth, ...]
    undecided: Undecided | None = None

    def at(self, multiple: float) -> Truth | None:
        """What happens at so many times the limit."""
        return next((item for item in self.truths if item.multiple == multiple), None)


def forecast_rail(
    draft: Draft,
    rail: Guardrail,
    definition: Definition,
    baseline: Baseline | None,
    course: Course,
    *,
    replications: int,
    kind: Kind | None = None,
    seed: int = 0,
) -> list[RailForecast]:
    """How the stop-loss of one guardrail will behave, once for each share of a new version.

    kind: the form of the stop-loss that will judge it; None: the usual one for its aggregation.
    """
    alpha = split_alpha(draft.alpha, draft.guardrails, len(draft.treatments))[rail.metric]
    found = []
    for share, arms in _arms_by_share(draft).items():
        plan = stop_loss_plan(draft, rail, definition, baseline, course, alpha, share, kind)
        if isinstance(plan, Undecided):
            found.append(RailForecast(rail.metric, arms, alpha, (), plan))
            continue
        held = _simulated(plan, baseline, replications, seed)
        if isinstance(held, Undecided):
            found.append(RailForecast(rail.metric, arms, alpha, (), held))
        else:
            found.append(RailForecast(rail.metric, arms, alpha, held))
    return found


def stop_loss_plan(
    draft: Draft,
    rail: Guardrail,
    definition: Definition,
    baseline: Baseline | None,
    course: Course,
    alpha: float,
    share: float,
    kind: Kind | None = None,
) -> operating.Plan | Undecided:
    """The plan as the simulation takes it, or why there is none and what to give."""
    if not course.stretches:
        return Undecided("the plan's deadline has passed", "a later deadline")
    if definition.statistic is not Statistic.MEAN:
        return Undecided(
            f"a {definition.statistic.value.replace('_', ' ')} is judged by a widened interval, "
            "which is not simulated",
            "a guardrail on a share, a count or a sum, for what must be caught for certain",
        )
    if definition.allow_negative:
        return Undecided(
            "it can be negative, and the stop-loss for such values is not simulated",
            "a guardrail on a count beside it",
        )
    if rail.method is Method.EXACT:
        found = _by_chance_alone(definition, baseline)
        if isinstance(found, Undecided):
            return found
        baseline = found
    population = population_of(definition, baseline)
    if isinstance(population, Undecided):
        return population
    margin = rail.margin if rail.scale is Scale.RELATIVE else rail.margin / population.mean
    if margin > WIDEST_MARGIN:
        return Undecided("the limit is so wide that no harm passes it", "a smaller limit")
    if definition.harm_sign < 0 and margin >= 1:
        return Undecided("it cannot fall by as much as the limit allows", "a smaller limit")
    is_share = definition.aggregation is Aggregation.ANY
    if is_share and definition.harm_sign > 0 and population.mean * (1 + margin) >= 1:
        return Undecided("it cannot rise by as much as the limit allows", "a smaller limit")
    per_unit = baseline.per_unit if baseline is not None else 1.0
    return operating.Plan(
        population,
        definition.harm_sign,
        margin,
        stages_of(draft, course, share, per_unit),
        alpha=alpha,
        kind=kind or (Kind.PROPORTION if is_share else Kind.OTHER),
        exact=rail.method is Method.EXACT,
    )


def _by_chance_alone(
    definition: Definition, baseline: Baseline | None
) -> Baseline | Undecided | None:
    """Customers as the exact test needs them; of counts that vary more nothing is promised."""
    if baseline is None or definition.aggregation is not Aggregation.COUNT:
        return baseline
    if baseline.dispersion is not None and baseline.dispersion > MOST_VARIED:
        return Undecided(
            f"customers differ more in it than chance alone explains (variance over mean "
            f"{baseline.dispersion:.2g}), so the share test would soon judge it in place of the "
            "exact one",
            "the share test for this guardrail, which can be forecast",
        )
    return replace(baseline, dispersion=1.0)


def population_of(definition: Definition, baseline: Baseline | None) -> Population | Undecided:
    """Simulated customers with this level and scatter, of the metric's kind."""
    if baseline is None:
        return Undecided(
            "nobody knows its level today: no earlier rollout has measured it",
            "its mean per customer as a baseline"
            + ("" if definition.aggregation is Aggregation.ANY else ", and variance over mean"),
        )
    mean, dispersion = baseline.mean, baseline.dispersion
    if definition.aggregation is Aggregation.ANY:
        if mean >= 1:
            return Undecided("a share of customers lies below 1", "a mean between 0 and 1")
        return populations.proportion(mean)
    if definition.aggregation is Aggregation.COUNT:
        spread = max(dispersion or 1.0, 1.0)
        if mean < RAREST_COUNT and spread == 1:
            return populations.proportion(mean)
        if mean >= RAREST_COUNT and mean + TAIL * spread <= LARGEST_COUNT:
            return populations.counts(mean, spread)
        return _continuous(mean, spread)
    if dispersion is None:
        return Undecided(
            "how much it scatters between customers is not known", "its variance over its mean"
        )
    return _continuous(mean, dispersion)


def _continuous(mean: float, dispersion: float) -> Population:
    """Amounts with these two moments: the more they scatter, the fewer customers have any."""
    squared = dispersion / mean
    if squared <= 1:
        return populations.money(mean, 1.0, sqrt(squared))
    return populations.money(mean, 2 / (1 + squared), 1.0)


def stages_of(
    draft: Draft, course: Course, share: float, per_unit: float
) -> tuple[operating.Stage, ...]:
    """The course as one new version and control meet it."""
    control = next(item.share for item in draft.variations if item.key == draft.control)
    pair = control + share
    return tuple(
        operating.Stage(
            item.looks,
            _between(FEWEST_PER_LOOK, round(item.units * pair * per_unit / item.looks)),
            share / pair,
        )
        for item in course.stretches
    )


def _between(least: int, units: int) -> int:
    return min(max(units, least), MOST_PER_LOOK)


def _arms_by_share(draft: Draft) -> dict[float, tuple[str, ...]]:
    held: dict[float, tuple[str, ...]] = {}
    for item in draft.treatments:
        held[item.share] = (*held.get(item.share, ()), item.key)
    return held


def _simulated(
    plan: operating.Plan, baseline: Baseline | None, replications: int, seed: int
) -> tuple[Truth, ...] | Undecided:
    multiples = [m for m in MULTIPLES if _is_possible(plan, m * plan.tolerance)]
    found = operating.operating_characteristics(
        plan,
        harms=[multiple * plan.tolerance for multiple in multiples],
        replications=replications,
        seed=seed,
    )
    if isinstance(found, Undecided):
        return found
    per_unit = baseline.per_unit if baseline is not None else 1.0
    return tuple(
        Truth(
            multiple,
            row.harm,
            row.stopped,
            Simulated(*(value / per_unit for value in row.exposed)),
            row.spent,
        )
        for multiple, row in zip(multiples, found, strict=True)
    )


def _is_possible(plan: operating.Plan, harm: float) -> bool:
    """Whether customers can be so much worse: nothing falls below none, no share passes all."""
    if plan.sign < 0:
        return harm < 1
    is_share = plan.judged_as is Kind.PROPORTION
    return not is_share or plan.population.mean * (1 + harm) < operating.LARGEST_RATE
