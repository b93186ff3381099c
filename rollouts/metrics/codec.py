"""Definitions as JSON: the form that plans hash and the store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

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


def to_dict(definition: Definition) -> dict[str, Any]:
    """A definition as plain JSON; `from_dict` gives an equal one back."""
    return {
        "numerator": _selector_to_dict(definition.numerator),
        "aggregation": definition.aggregation.value,
        "good": definition.direction.value,
        "denominator": _selector_to_dict(definition.denominator)
        if definition.denominator
        else None,
        "numerator_aggregation": definition.numerator_aggregation.value,
        "denominator_aggregation": definition.denominator_aggregation.value,
        "window_seconds": definition.window.total_seconds() if definition.window else None,
        "cap": definition.cap,
        "allow_negative": definition.allow_negative,
        "allow_untrusted": definition.allow_untrusted,
        "harm_unit": definition.harm_unit,
        "statistic": definition.statistic.value,
        "quantile": definition.quantile,
        "top_from": definition.top_from,
        "low_to": definition.low_to,
        "per": definition.per.value,
        "cap_quantile": definition.cap_quantile,
        "survey": _survey_to_dict(definition.survey) if definition.survey else None,
        "pre_period_seconds": definition.pre_period.total_seconds()
        if definition.pre_period
        else None,
    }


def from_dict(held: Mapping[str, Any]) -> Definition:
    """The definition that `to_dict` wrote."""
    seconds = held["window_seconds"]
    before = held.get("pre_period_seconds")  # older versions have none of what `get` asks for
    survey = held.get("survey")
    return Definition(
        numerator=_selector_from_dict(held["numerator"]),
        aggregation=Aggregation(held["aggregation"]),
        direction=Direction(held["good"]),
        denominator=_selector_from_dict(held["denominator"]) if held["denominator"] else None,
        numerator_aggregation=Aggregation(held["numerator_aggregation"]),
        denominator_aggregation=Aggregation(held["denominator_aggregation"]),
        window=timedelta(seconds=seconds) if seconds else None,
        cap=held["cap"],
        allow_negative=held["allow_negative"],
        allow_untrusted=held["allow_untrusted"],
        harm_unit=held["harm_unit"],
        statistic=Statistic(held["statistic"]),
        quantile=held["quantile"],
        top_from=held["top_from"],
        low_to=held.get("low_to"),
        per=Per(held.get("per", Per.UNIT)),
        cap_quantile=held.get("cap_quantile"),
        survey=_survey_from_dict(survey) if survey else None,
        pre_period=timedelta(seconds=before) if before else None,
    )


def _survey_to_dict(survey: Survey) -> dict[str, Any]:
    return {
        "lowest": survey.lowest,
        "highest": survey.highest,
        "asked": _selector_to_dict(survey.asked) if survey.asked else None,
    }


def _survey_from_dict(held: Mapping[str, Any]) -> Survey:
    asked = held["asked"]
    return Survey(held["lowest"], held["highest"], _selector_from_dict(asked) if asked else None)


def _selector_to_dict(selector: Selector) -> dict[str, Any]:
    return {
        "event": selector.event,
        "filters": [
            {"property": item.property, "operator": item.operator.value, "value": item.value}
            for item in selector.filters
        ],
        "channels": list(selector.channels),
        "value_property": selector.value_property,
    }


def _selector_from_dict(held: Mapping[str, Any]) -> Selector:
    return Selector(
        event=held["event"],
        filters=tuple(
            Filter(item["property"], Operator(item["operator"]), item["value"])
            for item in held["filters"]
        ),
        channels=tuple(held["channels"]),
        value_property=held["value_property"],
    )
