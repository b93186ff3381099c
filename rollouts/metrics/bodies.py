"""Metrics as the API takes them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Direction,
    Filter,
    Operator,
    Per,
    Selector,
    Statistic,
    Survey,
)

KEY = r"^[a-zA-Z0-9_.:|-]+$"


class FilterBody(BaseModel):
    """A condition on an outcome's property."""

    model_config = ConfigDict(extra="forbid")

    property: str = Field(min_length=1, max_length=200)
    operator: Operator = Operator.IS
    value: str | bool | int | float | list[str | bool | int | float] | None = None

    def to_domain(self) -> Filter:
        """The filter this body describes."""
        return Filter(self.property, self.operator, self.value)


class SelectorBody(BaseModel):
    """Which outcomes are meant."""

    model_config = ConfigDict(extra="forbid")

    event: str = Field(min_length=1, max_length=200, description="Name of the event.")
    filters: list[FilterBody] = Field(default_factory=list, max_length=20)
    channels: list[str] = Field(
        default_factory=list, max_length=50, description="Empty: any channel."
    )
    value_property: str = Field(
        "",
        max_length=200,
        description="The property that is added up; empty: the event's value. A number beyond "
        "10^15 counts as none.",
    )

    def to_selector(self) -> Selector:
        """The selector this body describes."""
        return Selector(
            self.event,
            tuple(item.to_domain() for item in self.filters),
            tuple(self.channels),
            self.value_property,
        )


class DenominatorBody(SelectorBody):
    """What a ratio is divided by."""

    aggregation: Aggregation = Aggregation.COUNT


class SurveyBody(BaseModel):
    """Who was asked, and between which grades the answers lie."""

    model_config = ConfigDict(extra="forbid")

    lowest: float = Field(allow_inf_nan=False, description="The worst grade of the question.")
    highest: float = Field(allow_inf_nan=False, description="The best grade of the question.")
    asked: SelectorBody | None = Field(
        None, description="The event that says a customer was asked; empty: every exposed one was."
    )

    def to_domain(self) -> Survey:
        """The survey this body describes."""
        return Survey(self.lowest, self.highest, self.asked.to_selector() if self.asked else None)


class MetricBody(SelectorBody):
    """A metric: events, how they add up per unit, and which way is good."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    owner: str = Field("", max_length=200)
    aggregation: Aggregation
    good: Direction = Field(description="`down` where more is worse, as for contacts.")
    numerator_aggregation: Aggregation = Field(
        Aggregation.SUM, description="Of a ratio's upper part: count or sum."
    )
    denominator: DenominatorBody | None = Field(None, description="Only of a ratio.")
    window_seconds: float | None = Field(
        None, gt=0, le=366 * 86_400, description="After first exposure; empty: no end."
    )
    cap: float | None = Field(None, gt=0, description="Most that one unit may count for.")
    cap_quantile: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="The same cap from the data: this quantile of all versions' customers with any "
        "value, together. Fixed once enough of them have come.",
    )
    harm_unit: str = Field("events", min_length=1, max_length=50)
    statistic: Statistic = Field(
        Statistic.MEAN,
        description="How units are compared: by their mean; by a `quantile`; by how far they lie "
        "apart (`spread`, or `variance`, which far values decide); by the chance to be graded higher "
        "(`grade`), the share of good grades (`top_box`) or bad ones (`low_box`), the net promoter "
        "score (`nps`); by the `time` until the first event.",
    )
    quantile: float = Field(0.5, gt=0, lt=1, description="Of `quantile`: 0.9 is the slowest tenth.")
    per: Per = Field(
        Per.UNIT,
        description="What a quantile is taken over: one number of each `unit`, or the own value of "
        "every `event`, the customer as cluster.",
    )
    top_from: float | None = Field(
        None, allow_inf_nan=False, description="Of `top_box`: the least good grade."
    )
    low_to: float | None = Field(
        None, allow_inf_nan=False, description="Of `low_box`: the best of the bad grades."
    )
    survey: SurveyBody | None = Field(
        None,
        description="Where values are answers: tests who answered, and shows what those who did "
        "not could change at most.",
    )
    pre_period_seconds: float | None = Field(
        None,
        gt=0,
        le=366 * 86_400,
        description="Before first exposure: what a customer did then makes the comparison sharper. "
        "Empty: none.",
    )
    allow_negative: bool = False
    allow_untrusted: bool = Field(
        False, description="Also count events sent with keys that browsers hold."
    )

    def to_domain(self) -> Definition:
        """The definition this body describes."""
        return Definition(
            numerator=self.to_selector(),
            aggregation=self.aggregation,
            direction=self.good,
            denominator=self.denominator.to_selector() if self.denominator else None,
            denominator_aggregation=self.denominator.aggregation
            if self.denominator
            else Aggregation.COUNT,
            numerator_aggregation=self.numerator_aggregation,
            window=timedelta(seconds=self.window_seconds) if self.window_seconds else None,
            cap=self.cap,
            allow_negative=self.allow_negative,
            allow_untrusted=self.allow_untrusted,
            harm_unit=self.harm_unit,
            statistic=self.statistic,
            quantile=self.quantile,
            top_from=self.top_from,
            low_to=self.low_to,
            per=self.per,
            cap_quantile=self.cap_quantile,
            survey=self.survey.to_domain() if self.survey else None,
            pre_period=timedelta(seconds=self.pre_period_seconds)
            if self.pre_period_seconds
            else None,
        )


class NewMetricBody(MetricBody):
    """A metric with the key it gets."""

    key: str = Field(pattern=KEY, max_length=200)


class EditMetricBody(MetricBody):
    """A changed metric, and why."""

    reason: str = Field("", max_length=10_000)
