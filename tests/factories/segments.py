"""Segments of a snapshot's arm, made by the same code as the results room's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.effect import Effect
from analysis.estimate import Estimate
from analysis.summary import PairSummary
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.results import segments
from tests.factories.snapshots import Body

COUNTS = Definition(Selector("contacts"), Aggregation.ANY, Direction.DOWN)
Arms = tuple[tuple[int, int], tuple[int, int]]  # (units, units with the event): old, new


def make_segment(
    values: Mapping[str, Arms], *, attribute: str = "channel", key: str = "contacts"
) -> Body:
    """One attribute with one metric: whether a customer contacted us at all."""
    held: list[dict[str, Any]] = []
    estimates: dict[str, Any] = {}
    for value, arms in values.items():
        old, new = (_summed(n, hits) for n, hits in arms)
        absolute, relative = segments._compare(COUNTS, old, new)
        estimates[value] = (
            Estimate.of_effect(value, absolute) if isinstance(absolute, Effect) else absolute
        )
        held.append(segments._shown(COUNTS, value, [old, new], absolute, relative, None))
    segments._correct(held)
    metric = {
        "key": key,
        "name": "Contacts per customer",
        "values": held,
        "interaction": segments._interaction(estimates),
    }
    return {"attribute": attribute, "metrics": [metric]}


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
