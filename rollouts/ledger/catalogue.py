"""What is counted for now, and how one unit's outcomes become its totals. Pure arithmetic.

A total is kept before its cap, because only so does it add: any order of events, any split
into transactions, gives the same total, and the sums change by new minus old.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rollouts.flags.evaluation.hashing import bucket, bucket_ranges, choose
from rollouts.ingest.model import MICROSECOND, to_us
from rollouts.ledger.model import NO_TOTAL, Sighting, Standing, Total
from rollouts.lifecycle.measured import Measured, MeasuredMetric
from rollouts.metrics.model import Aggregation, Definition, Outcome, Selector

EARLY_US = timedelta(seconds=60) // MICROSECOND  # clocks differ: an exposure may precede the start
HASH_VERSION = 2


@dataclass(frozen=True, slots=True)
class CountedMetric:
    """A locked definition, and the same without what does not add."""

    id: int
    key: str
    definition: Definition
    window_us: int | None

    @classmethod
    def of(cls, metric: MeasuredMetric) -> CountedMetric:
        """Prepare a rollout's metric for counting."""
        held = metric.definition
        window = held.window // MICROSECOND if held.window is not None else None
        return cls(metric.metric_version_id, metric.key, held, window)

    @property
    def is_ratio(self) -> bool:
        """Whether the denominator is something else than the unit itself."""
        return self.definition.aggregation.has_denominator

    def part_of(self, outcome: Outcome) -> Total:
        """What one outcome adds to its unit's total, if it falls into the window."""
        held = self.definition
        if not self.is_ratio:
            how = held.aggregation
            return _part(how, held.numerator, outcome, held.allow_negative), 0.0
        if held.aggregation is Aggregation.AVERAGE:
            number = held.numerator.number(outcome) if held.numerator.takes(outcome) else None
            if number is None or (number < 0 and not held.allow_negative):
                return NO_TOTAL
            return number, 1.0
        assert held.denominator is not None
        return (
            _part(held.numerator_aggregation, held.numerator, outcome, held.allow_negative),
            _part(held.denominator_aggregation, held.denominator, outcome, False),
        )

    def takes(self, at_us: int, is_trusted: bool, first_us: int) -> bool:
        """Whether an outcome counts for a unit first exposed at `first_us`."""
        if at_us < first_us or not (is_trusted or self.definition.allow_untrusted):
            return False
        return self.window_us is None or at_us < first_us + self.window_us

    def settle(self, total: Total) -> Total:
        """The unit's value: capped, and at most 1 where having any is what counts."""
        x, y = total
        if self.definition.aggregation is Aggregation.AVERAGE:
            x, y = (x / y, 1.0) if y > 0 else NO_TOTAL
        if self.definition.aggregation is Aggregation.ANY:
            x = 1.0 if x > 0 else 0.0
        if self.definition.cap is not None:
            x = min(x, self.definition.cap)
        return x, y

    def is_negative(self, outcome: Outcome) -> bool:
        """Whether the outcome carries a number below 0 that this metric does not add."""
        held = self.definition
        if held.allow_negative or held.aggregation in (Aggregation.COUNT, Aggregation.ANY):
            return False
        number = held.numerator.number(outcome) if held.numerator.takes(outcome) else None
        return number is not None and number < 0


def _part(how: Aggregation, selector: Selector, outcome: Outcome, negative: bool) -> float:
    """One outcome's addend, as `Definition.per_unit` would add it."""
    if not selector.takes(outcome):
        return 0.0
    if how is not Aggregation.SUM:
        return 1.0
    number = selector.number(outcome)
    return number if number is not None and (negative or number >= 0) else 0.0


@dataclass(frozen=True, slots=True)
class Counting:
    """A rollout, ready to be counted for."""

    measured: Measured
    metrics: tuple[CountedMetric, ...]
    start_us: int
    end_us: int | None
    cuts_us: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...]
    arms: Mapping[str, int]  # by key, by place, by name

    @classmethod
    def of(cls, measured: Measured) -> Counting:
        """Prepare a rollout."""
        arms: dict[str, int] = {}
        for names in (
            [arm.key for arm in measured.arms],
            [str(arm.index) for arm in measured.arms],
            [arm.name for arm in measured.arms],
        ):
            for arm, name in zip(measured.arms, names, strict=True):
                arms.setdefault(name, arm.index)
        shares = [arm.share for arm in measured.arms]
        return cls(
            measured,
            tuple(CountedMetric.of(metric) for metric in measured.metrics),
            to_us(measured.started_at),
            to_us(measured.ended_at) if measured.ended_at is not None else None,
            tuple(to_us(cut) for cut in measured.cuts),
            tuple(bucket_ranges(len(shares), 1.0, shares)),
            arms,
        )

    @property
    def id(self) -> int:
        """The rollout's id."""
        return self.measured.rollout_id

    def stratum_at(self, at_us: int) -> int:
        """Which allocation was in force."""
        return max(bisect_right(self.cuts_us, at_us) - 1, 0)

    def is_before_start(self, at_us: int) -> bool:
        """Whether an exposure lies before the start by more than clocks differ."""
        return at_us < self.start_us - EARLY_US

    def is_live_at(self, at_us: int) -> bool:
        """Whether it ran then, by clocks that differ a little at its start."""
        return not self.is_before_start(at_us) and (self.end_us is None or at_us < self.end_us)

    def assign(self, value: str) -> int:
        """The variation our own evaluation gives a unit at full coverage; -1 for none."""
        n = bucket(self.measured.seed, value, HASH_VERSION)
        return choose(n, self.ranges) if n is not None else -1

    def counts_in(self, environment_id: int) -> bool:
        """Whether events of an environment are this rollout's; 0 stands for all of them."""
        return environment_id in (0, self.measured.environment_id)

    def stand(self, old: Standing | None, seen: Sighting) -> Standing:
        """The unit's standing after more exposures; the first one decides."""
        first, is_crossed, is_trusted = (
            (seen.first_us, seen.variation),
            seen.is_crossed,
            seen.is_trusted,
        )
        if old is not None:
            is_crossed = is_crossed or old.is_crossed or seen.variation != old.variation
            is_trusted = is_trusted or old.is_trusted
            first = min(first, (old.first_us, old.variation))
        return Standing(first[1], self.stratum_at(first[0]), first[0], is_crossed, is_trusted)


@dataclass(frozen=True, slots=True)
class Weighed:
    """One outcome, and what it adds to each metric that wants it."""

    at_us: int
    environment_id: int
    is_trusted: bool
    parts: Mapping[int, Total]  # by metric version


class Catalogue:
    """All that is counted for now."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        self.countings = {item.rollout_id: Counting.of(item) for item in measured}
        self.by_key = {held.measured.key: held for held in self.countings.values()}
        self._by_flag: dict[str, list[Counting]] = {}
        for held in sorted(self.countings.values(), key=lambda held: held.start_us):
            self._by_flag.setdefault(held.measured.flag, []).append(held)
        # Outcomes are kept under `id` even before the first rollout wants them.
        self.attributes = tuple(
            dict.fromkeys(["id", *(held.measured.unit for held in self.countings.values())])
        )
        self.metrics: dict[int, CountedMetric] = {}
        self.users: dict[int, list[Counting]] = {}
        self.by_event: dict[str, list[CountedMetric]] = {}
        for counting in self.countings.values():
            for metric in counting.metrics:
                self.users.setdefault(metric.id, []).append(counting)
                if metric.id in self.metrics:
                    continue
                self.metrics[metric.id] = metric
                for event in metric.definition.events:
                    self.by_event.setdefault(event, []).append(metric)

    def find_live(self, flag: str, environment_id: int, at_us: int) -> Counting | None:
        """The rollout that ran on a flag then; None if there was none, or there is no telling.

        One environment has one at a time. Around a change of rollouts the older one is meant:
        the newer is only reached over by the allowance for clocks.
        """
        live: dict[int, Counting] = {}
        for held in self._by_flag.get(flag, ()):
            if held.counts_in(environment_id) and held.is_live_at(at_us):
                live.setdefault(held.measured.environment_id, held)
        return next(iter(live.values())) if len(live) == 1 else None

    def weigh(self, outcome: Outcome, at_us: int, environment_id: int) -> Weighed | None:
        """What an outcome adds to the metrics that want it; None if none does."""
        parts = {
            metric.id: part
            for metric in self.by_event.get(outcome.name, ())
            if (part := metric.part_of(outcome)) != NO_TOTAL
        }
        return Weighed(at_us, environment_id, outcome.is_trusted, parts) if parts else None


def total_up(counting: Counting, weighed: Iterable[Weighed], first_us: int) -> dict[int, Total]:
    """What outcomes add to one unit's totals in one rollout, by metric version."""
    totals: dict[int, Total] = {}
    for item in weighed:
        if not counting.counts_in(item.environment_id):
            continue
        for metric in counting.metrics:
            part = item.parts.get(metric.id)
            if part is not None and metric.takes(item.at_us, item.is_trusted, first_us):
                x, y = totals.get(metric.id, NO_TOTAL)
                totals[metric.id] = (x + part[0], y + part[1])
    return totals
