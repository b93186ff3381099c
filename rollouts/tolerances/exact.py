"""Which metrics an exact test can judge: shares of customers, and plain counts."""

from __future__ import annotations

from rollouts.metrics.model import Aggregation, Definition, Statistic

KINDS = {
    Aggregation.SUM: "it is an amount, such as money",
    Aggregation.AVERAGE: "it is an average of each customer's own values",
    Aggregation.RATIO: "it is a ratio of two sums",
}
ONLY = (
    "The exact test is for shares of customers and for plain counts; the share test judges the rest"
)


def why_not_exact(definition: Definition) -> str:
    """Why the exact test would not be exact for a metric, in words; empty where it is.

    That counts vary only as much as chance makes them cannot be seen before there are any: it is
    asked at every look.
    """
    if definition.statistic is not Statistic.MEAN:
        kind = definition.statistic.value.replace("_", " ")
        return f"it is compared by its {kind}, not by how often it happens"
    if definition.allow_negative:
        return "its values may be negative"
    if definition.aggregation in KINDS:
        return KINDS[definition.aggregation]
    is_cut = definition.cap is not None or definition.cap_quantile is not None
    if definition.aggregation is Aggregation.COUNT and is_cut:
        return "its counts are capped, and capped counts do not vary as chance alone makes them"
    return ""
