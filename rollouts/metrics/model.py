"""What a metric counts: which events, from whom, added up how, and which way is good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite

from rollouts.errors import Fault, Invalid
from rollouts.metrics.selectors import Filter as Filter
from rollouts.metrics.selectors import Operator as Operator
from rollouts.metrics.selectors import Outcome as Outcome
from rollouts.metrics.selectors import Selector as Selector


class Aggregation(StrEnum):
    """How one unit's outcomes become one number."""

    ANY = "any"  # 1 if there was one, else 0
    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"  # of the unit's own values; units without one are left out
    RATIO = "ratio"  # one sum over another, the unit as cluster

    @property
    def has_denominator(self) -> bool:
        """Whether a unit's number is one thing over another, not one thing per unit."""
        return self in (Aggregation.RATIO, Aggregation.AVERAGE)


class Statistic(StrEnum):
    """How the units' numbers are compared between variations."""

    MEAN = "mean"
    QUANTILE = "quantile"  # the median, the slowest tenth: see `quantile`
    SPREAD = "spread"  # how unequal customers are served: mean distance from the median
    VARIANCE = "variance"  # the same by the variance, which far values decide
    GRADE = "grade"  # chance that a unit of treatment is graded higher (Mann-Whitney)
    TOP_BOX = "top_box"  # share of units graded `top_from` or better
    LOW_BOX = "low_box"  # share of units graded `low_to` or worse
    NPS = "nps"  # promoters (9, 10) less detractors (0 to 6), of all who answered
    TIME = "time"  # until the unit's first event; units still waiting are censored


GRADED = (Statistic.GRADE, Statistic.TOP_BOX, Statistic.LOW_BOX, Statistic.NPS)


class Per(StrEnum):
    """What a quantile is taken over."""

    UNIT = "unit"  # one number of each customer
    EVENT = "event"  # every event's own value, the customer as cluster


@dataclass(frozen=True, slots=True)
class Survey:
    """Whose answers are missing, and between which grades they could have lain.

    asked: the event that says a unit was asked; None where every exposed one was.
    """

    lowest: float
    highest: float
    asked: Selector | None = None


class Direction(StrEnum):
    """Which way is good for the customer."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a metric. Immutable: a change makes a new version."""

    numerator: Selector
    aggregation: Aggregation
    direction: Direction
    denominator: Selector | None = None
    denominator_aggregation: Aggregation = Aggregation.COUNT  # count or sum
    numerator_aggregation: Aggregation = Aggregation.SUM  # of a ratio: count or sum
    window: timedelta | None = None  # after first exposure; None: as long as data come
    cap: float | None = None  # most that one unit may count for
    allow_negative: bool = False
    allow_untrusted: bool = False
    harm_unit: str = "events"  # what one unit of harm is called: contacts, orders, minutes
    statistic: Statistic = Statistic.MEAN
    quantile: float = 0.5  # of QUANTILE
    top_from: float | None = None  # of TOP_BOX
    low_to: float | None = None  # of LOW_BOX
    per: Per = Per.UNIT  # of QUANTILE
    cap_quantile: float | None = None  # the cap as a quantile of all versions' units together
    survey: Survey | None = None  # values are answers, which not everybody gave
    pre_period: timedelta | None = None  # before first exposure, to sharpen the comparison

    def __post_init__(self) -> None:
        faults = tuple(_faults_of(self))
        if faults:
            raise Invalid(
                f"The definition does not fit together: {faults[0].problem}", faults=faults
            )

    @property
    def harm_sign(self) -> int:
        """+1 where more is worse for the customer, -1 where less is."""
        return 1 if self.direction is Direction.DOWN else -1

    @property
    def events(self) -> frozenset[str]:
        """Names of the events that can change this metric."""
        both = (self.numerator, self.denominator)
        return frozenset(item.event for item in both if item is not None)

    def per_unit(self, outcomes: Iterable[Outcome], first_at: datetime) -> tuple[float, float]:
        """One unit's (numerator, denominator) from its own outcomes since its first exposure.

        The denominator is 1 for all but ratios, and 0 for a unit without anything to average.
        Outcomes before the exposure or past the window do not count, nor do untrusted ones unless
        the definition allows them.
        """
        until = first_at + self.window if self.window is not None else None
        held = [
            item
            for item in outcomes
            if item.at >= first_at
            and (until is None or item.at < until)
            and (item.is_trusted or self.allow_untrusted)
        ]
        if self.aggregation is Aggregation.AVERAGE:
            return self._averaged(held)
        if self.aggregation is not Aggregation.RATIO:
            return self._capped(
                _add(self.aggregation, self.numerator, held, self.allow_negative)
            ), 1.0
        assert self.denominator is not None
        top = _add(self.numerator_aggregation, self.numerator, held, self.allow_negative)
        bottom = _add(self.denominator_aggregation, self.denominator, held, False)
        return self._capped(top), bottom

    def _averaged(self, held: list[Outcome]) -> tuple[float, float]:
        """The unit's average and 1, or zeros for a unit that has no value at all."""
        numbers = [self.numerator.number(item) for item in held if self.numerator.takes(item)]
        counted = [n for n in numbers if n is not None and (self.allow_negative or n >= 0)]
        return (self._capped(sum(counted) / len(counted)), 1.0) if counted else (0.0, 0.0)

    def _capped(self, value: float) -> float:
        return min(value, self.cap) if self.cap is not None else value


def _statistic_faults(definition: Definition) -> Iterable[Fault]:
    held = definition.statistic
    if held is not Statistic.MEAN and definition.aggregation is Aggregation.RATIO:
        yield Fault("statistic", "a ratio of two sums is compared by its mean")
    if held in GRADED and definition.aggregation is not Aggregation.AVERAGE:
        yield Fault("aggregation", f"{held} compares answers: aggregate them by average")
    if held is Statistic.TOP_BOX and definition.top_from is None:
        yield Fault("top_from", "say from which grade on an answer counts as good")
    if held is Statistic.LOW_BOX and definition.low_to is None:
        yield Fault("low_to", "say up to which grade an answer counts as bad")
    if held is Statistic.TIME and definition.aggregation is not Aggregation.ANY:
        yield Fault("aggregation", "time to the first event needs the aggregation any")
    is_plain = held is Statistic.MEAN and not definition.aggregation.has_denominator
    if definition.pre_period is not None and not is_plain:
        yield Fault(
            "pre_period_seconds",
            "only a share, a count or a sum compared by its mean is sharpened by the time before",
        )
    if not 0 < definition.quantile < 1:
        yield Fault("quantile", "a quantile lies between 0 and 1, such as 0.9")
    for name in ("top_from", "low_to"):
        if not isfinite(getattr(definition, name) or 0.0):
            yield Fault(name, "a grade is a plain number")


def _event_faults(definition: Definition) -> Iterable[Fault]:
    if definition.per is not Per.EVENT:
        return
    if definition.statistic is not Statistic.QUANTILE:
        yield Fault(
            "per", "only a quantile is taken over events; all else is one number a customer"
        )
    elif definition.aggregation is not Aggregation.AVERAGE:
        yield Fault("aggregation", "events keep their own values: aggregate them by average")
    if definition.cap is not None:
        yield Fault("cap", "a quantile over events needs no cap: far values do not move it")


def _cut_faults(definition: Definition) -> Iterable[Fault]:
    if definition.cap_quantile is None:
        return
    is_sum = definition.aggregation in (Aggregation.COUNT, Aggregation.SUM, Aggregation.AVERAGE)
    if definition.statistic is not Statistic.MEAN or not is_sum:
        yield Fault("cap_quantile", "only counts, sums and averages compared by their mean are cut")
    if not 0.5 < definition.cap_quantile < 1:
        yield Fault("cap_quantile", "it lies between 0.5 and 1, such as 0.99")
    if definition.allow_negative:
        yield Fault("cap_quantile", "values below 0 have a second tail: give a cap instead")


def _survey_faults(definition: Definition) -> Iterable[Fault]:
    held = definition.survey
    if held is None:
        return
    is_graded = definition.statistic in GRADED or definition.statistic is Statistic.MEAN
    if definition.aggregation is not Aggregation.AVERAGE or not is_graded:
        yield Fault(
            "survey", "only answers, aggregated by average and compared as such, are asked for"
        )
    if not (isfinite(held.lowest) and isfinite(held.highest)):
        yield Fault("survey", "the lowest and the highest grade are plain numbers")
    elif held.lowest >= held.highest:
        yield Fault("survey.highest", "the highest grade lies above the lowest")
    elif held.lowest < 0 and not definition.allow_negative:
        yield Fault("survey.lowest", "grades below 0 are not counted: allow negative values")
    elif definition.statistic is Statistic.NPS and (held.lowest, held.highest) != (0, 10):
        yield Fault("survey", "the net promoter question is asked from 0 to 10")
    if held.asked is not None and not held.asked.event:
        yield Fault("survey.asked.event", "name the event that says a customer was asked")


def _add(how: Aggregation, selector: Selector, held: list[Outcome], negative: bool) -> float:
    taken = [item for item in held if selector.takes(item)]
    if how is Aggregation.ANY:
        return 1.0 if taken else 0.0
    if how is Aggregation.COUNT:
        return float(len(taken))
    numbers = (selector.number(item) for item in taken)
    return sum(value for value in numbers if value is not None and (negative or value >= 0))


def _faults_of(definition: Definition) -> Iterable[Fault]:
    if not definition.numerator.event:
        yield Fault("numerator.event", "name the event that is counted")
    if definition.aggregation is Aggregation.RATIO and definition.denominator is None:
        yield Fault("denominator", "a ratio needs a denominator")
    if definition.aggregation is not Aggregation.RATIO and definition.denominator is not None:
        yield Fault("denominator", "only a ratio has a denominator")
    if definition.cap is not None and not (isfinite(definition.cap) and definition.cap > 0):
        yield Fault("cap", "a cap must be above 0")
    if definition.window is not None and definition.window <= timedelta(0):
        yield Fault("window_seconds", "a window must be longer than 0")
    if definition.pre_period is not None and definition.pre_period <= timedelta(0):
        yield Fault("pre_period_seconds", "a time before exposure must be longer than 0")
    for find in (_statistic_faults, _event_faults, _cut_faults, _survey_faults):
        yield from find(definition)
    for name in ("numerator_aggregation", "denominator_aggregation"):
        if getattr(definition, name) not in (Aggregation.COUNT, Aggregation.SUM):
            yield Fault(name, "parts of a ratio are counts or sums")
