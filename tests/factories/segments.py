"""Segments of a snapshot's arm, made by the same code as the results room's."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.summary import PairSummary
from rollouts.ledger.segments import SegmentSums
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.results import segments
from rollouts.results.work import MetricInPlan
from rollouts.tolerances.model import Guardrail
from tests.factories.snapshots import Body

COUNTS = Definition(Selector("contacts"), Aggregation.ANY, Direction.DOWN)
Arms = tuple[tuple[int, int], tuple[int, int]]  # (units, units with the event): old, new


def make_segment(
    values: Mapping[str, Arms], *, attribute: str = "channel", key: str = "contacts"
) -> Body:
    """One attribute with one metric: whether a customer contacted us at all."""
    sums = SegmentSums(
        {
            (value, arm): _summed(*counted)
            for value, arms in values.items()
            for arm, counted in enumerate(arms)
        }
    )
    metric = MetricInPlan(key, "Contacts per customer", 1, COUNTS)
    found = segments._metric(metric, segments.Within(sums, None), 0, 1, Guardrail(key, 0.1))
    return {"attribute": attribute, "metrics": [found]}


def _summed(n: int, hits: int) -> PairSummary:
    return PairSummary(n=n, x_total=hits, xx=hits, y_total=n, yy=n, xy=hits)


ALIKE = {
    "e-mail": ((4000, 300), (4000, 330)),
    "phone": ((9000, 700), (9000, 760)),
    "chat": ((6000, 430), (6000, 470)),
}
APART = {**ALIKE, "phone": ((9000, 700), (9000, 1500))}
FEW = {"phone": ((9000, 700), (9000, 760)), "letter": ((3, 0), (0, 0))}


def with_segments(body: Body, *held: Body) -> Body:
    """The snapshot with these segments in its first new version."""
    first, *others = body["arms"]
    return {**body, "arms": [{**first, "segments": list(held)}, *others]}
