"""The sums by plain Python from all events at once: what folding must equal, however it is done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.summary import PairSummary
from rollouts.metrics.model import Definition, Outcome

ARMS = {"control": 0, "treatment": 1}


@dataclass(frozen=True, slots=True)
class Expected:
    """Units, crossed units and sums of one rollout."""

    units: Mapping[tuple[int, int], int]
    crossed: int
    by_metric: Mapping[tuple[int, int, int], PairSummary]


def reckon(
    events: Iterable[dict[str, Any]],
    metrics: Mapping[int, Definition],
    cuts: Iterable[datetime],
    rollout: str = "new-checkout",
) -> Expected:
    """Count Segment calls of `make.exposure` and `make.outcome`, repeats by messageId once."""
    seen: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    messages: set[str] = set()
    for event in events:
        at, told = datetime.fromisoformat(event["timestamp"]), event["properties"]
        if event["event"] == "Experiment Viewed":
            if told["experiment_id"] == rollout:
                seen[event["userId"]].append((at, ARMS[told["variation_id"]]))
        elif event["messageId"] not in messages:
            messages.add(event["messageId"])
            outcomes[event["userId"]].append(
                Outcome(event["event"], at, told.get("value"), told.get("channel", ""), told)
            )
    return _sum_up(seen, outcomes, metrics, sorted(cuts))


def _sum_up(
    seen: Mapping[str, list[tuple[datetime, int]]],
    outcomes: Mapping[str, list[Outcome]],
    metrics: Mapping[int, Definition],
    cuts: list[datetime],
) -> Expected:
    units: Counter[tuple[int, int]] = Counter()
    crossed = 0
    pairs: dict[tuple[int, int, int], list[tuple[float, float]]] = defaultdict(list)
    for unit, sightings in seen.items():
        if len({variation for _, variation in sightings}) > 1:
            crossed += 1
            continue
        first_at, variation = min(sightings)
        stratum = max(sum(cut <= first_at for cut in cuts) - 1, 0)
        units[variation, stratum] += 1
        for number, definition in metrics.items():
            pair = definition.per_unit(outcomes[unit], first_at)
            pairs[number, variation, stratum].append(pair)
    sums = {
        key: PairSummary.of([x for x, _ in held], [y for _, y in held])
        for key, held in pairs.items()
    }
    return Expected(dict(units), crossed, sums)
