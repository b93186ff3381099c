"""A definition as a sentence that a product manager can check."""

from __future__ import annotations

from datetime import timedelta

from rollouts.metrics.model import (
    Aggregation,
    Definition,
    Filter,
    Operator,
    Per,
    Selector,
    Statistic,
    Survey,
)

_KINDS = {
    Statistic.QUANTILE: "quantile over customers",
    Statistic.SPREAD: "spread between customers",
    Statistic.VARIANCE: "variance between customers",
    Statistic.GRADE: "grade",
    Statistic.TOP_BOX: "share of good grades",
    Statistic.LOW_BOX: "share of bad grades",
    Statistic.NPS: "net promoter score",
    Statistic.TIME: "time to event",
}
_COMPARED = {
    Operator.IS: "is",
    Operator.IS_NOT: "is not",
    Operator.IN: "is one of",
    Operator.AT_LEAST: "is at least",
    Operator.AT_MOST: "is at most",
}


def meaning(definition: Definition) -> str:
    """What is counted, of whom and for how long.

    >>> from rollouts.metrics.model import Direction, Selector
    >>> meaning(Definition(Selector("order"), Aggregation.ANY, Direction.UP))
    'Share of customers with at least one "order" event after first exposure.'
    """
    what = _what(definition)
    when = f"within {_span(definition.window)} of" if definition.window else "after"
    text = f"{what} {when} first exposure{_compared(definition)}"
    if definition.cap is not None:
        text += f", at most {definition.cap:g} per customer"
    if definition.cap_quantile is not None:
        text += f", cut at the {definition.cap_quantile * 100:g} % quantile of those who have any"
    if definition.survey is not None:
        text += f"; {_asked(definition.survey)}"
    if definition.pre_period is not None:
        text += f"; also shown adjusted for the {_span(definition.pre_period)} before it"
    return text + "."


def kind(definition: Definition) -> str:
    """The kind of number, in two or three words."""
    if definition.per is Per.EVENT:
        return "quantile over events"
    if definition.statistic is not Statistic.MEAN:
        return _KINDS[definition.statistic]
    return {
        Aggregation.ANY: "share of customers",
        Aggregation.COUNT: "count per customer",
        Aggregation.SUM: "amount per customer",
        Aggregation.AVERAGE: "average of those who have a value",
        Aggregation.RATIO: "ratio of two sums",
    }[definition.aggregation]


def level_note(definition: Definition) -> str:
    """What a version's own level is, where it is no mean per customer.

    >>> from rollouts.metrics.model import Direction, Selector
    >>> stars = Definition(
    ...     Selector("csat"),
    ...     Aggregation.AVERAGE,
    ...     Direction.UP,
    ...     statistic=Statistic.TOP_BOX,
    ...     top_from=4,
    ... )
    >>> level_note(stars)
    'graded 4 or better'
    """
    match definition.statistic:
        case Statistic.QUANTILE:
            whom = "events" if definition.per is Per.EVENT else "customers"
            return f"{definition.quantile * 100:g} % quantile of {whom}"
        case Statistic.SPREAD:
            return "mean distance from the median"
        case Statistic.VARIANCE:
            return "variance"
        case Statistic.GRADE:
            return "mean grade"
        case Statistic.TOP_BOX:
            return f"graded {definition.top_from:g} or better"
        case Statistic.LOW_BOX:
            return f"graded {definition.low_to:g} or worse"
        case Statistic.NPS:
            return "promoters less detractors"
        case Statistic.TIME:
            return "mean time without it"
    return ""


def absolute_form(definition: Definition) -> str:
    """How a difference is told that is no percentage: a share in points, seconds, or a number."""
    shares = (Statistic.TOP_BOX, Statistic.LOW_BOX, Statistic.GRADE, Statistic.NPS)
    if definition.statistic in shares:
        return "share"
    if definition.statistic is Statistic.TIME:
        return "seconds"
    is_share = definition.aggregation is Aggregation.ANY
    return "share" if is_share and definition.statistic is Statistic.MEAN else "number"


def _what(definition: Definition) -> str:
    top = _selected(definition.numerator)
    if definition.per is Per.EVENT:
        return f"{_number(definition.numerator).capitalize()} of each {top} event"
    if definition.statistic is Statistic.TIME:
        return f"Time until the first {top} event"
    match definition.aggregation:
        case Aggregation.ANY:
            return f"Share of customers with at least one {top} event"
        case Aggregation.COUNT:
            return f"Number of {top} events per customer"
        case Aggregation.AVERAGE:
            return f"Average of {_number(definition.numerator)} of {top} events, per customer,"
        case Aggregation.SUM:
            return f"Sum of {_number(definition.numerator)} of {top} events per customer"
    assert definition.denominator is not None
    upper = _part(definition.numerator, definition.numerator_aggregation)
    lower = _part(definition.denominator, definition.denominator_aggregation)
    return f"{upper} over {lower.lower()}, the customer as cluster,"


def _compared(definition: Definition) -> str:
    """How units are compared, where it is not by their mean."""
    match definition.statistic:
        case Statistic.QUANTILE if definition.per is Per.EVENT:
            share = f"{definition.quantile * 100:g} %"
            return f", compared at the {share} quantile of all of them, the customer as cluster"
        case Statistic.QUANTILE:
            return f", compared at the {definition.quantile * 100:g} % quantile of customers"
        case Statistic.SPREAD:
            return ", compared by how far customers lie apart"
        case Statistic.VARIANCE:
            return ", compared by the variance between customers"
        case Statistic.GRADE:
            return ", compared by the chance to be graded higher"
        case Statistic.TOP_BOX:
            return f", compared by the share of {definition.top_from:g} or better"
        case Statistic.LOW_BOX:
            return f", compared by the share of {definition.low_to:g} or worse"
        case Statistic.NPS:
            return ", promoters (9 and 10) less detractors (0 to 6)"
        case Statistic.TIME:
            return ", those still waiting counted as such"
    return ""


def _asked(survey: Survey) -> str:
    whom = f"customers with {_selected(survey.asked)}" if survey.asked else "everybody exposed"
    return f"asked for a grade from {survey.lowest:g} to {survey.highest:g}: {whom}"


def _part(selector: Selector, how: Aggregation) -> str:
    if how is Aggregation.COUNT:
        return f"Number of {_selected(selector)} events"
    return f"Sum of {_number(selector)} of {_selected(selector)} events"


def _number(selector: Selector) -> str:
    return f'"{selector.value_property}"' if selector.value_property else "the value"


def _selected(selector: Selector) -> str:
    text = f'"{selector.event}"'
    if selector.channels:
        text += f" ({', '.join(selector.channels)})"
    if selector.filters:
        text += f" where {' and '.join(_filter(item) for item in selector.filters)}"
    return text


def _filter(item: Filter) -> str:
    if item.operator is Operator.EXISTS:
        return f"{item.property} is given"
    return f"{item.property} {_COMPARED[item.operator]} {item.value!r}"


def _span(window: timedelta) -> str:
    seconds = window.total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            count = round(seconds / size)
            return f"{count} {name}" + ("" if count == 1 else "s")
    return f"{seconds:g} seconds"
