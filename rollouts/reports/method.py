"""What the page "How we measure" says with numbers: all from the benchmark's own output.

The file is package data, written by `python -m tests.benchmarks.for_the_page`; nothing here is
typed in by hand, and a page of another release shows that release's own measurements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rollouts.reports import chances, example_lines, method_charts
from rollouts.reports.svg import SIZES, render
from rollouts.web import formatting as say

FILE = Path(__file__).parent / "data" / "operating.json"
PROMISED = 0.05
TWO_ERRORS = 2.0

# What each rule of the benchmark is called on the page, and who decides by such a rule.
NAMES = {
    "repeated z": ("Ordinary test, repeated", "most dashboards"),
    "flat-prior Bayes": ("Bayesian chance, flat prior", "“safe to peek” Bayesian tools"),
    "asymptotic conf. sequence": ("Asymptotic confidence sequence", "GrowthBook, sequential"),
    "mSPRT": ("Mixture test, mSPRT", "Statsig and Optimizely in style"),
    "GAVI": ("Normal mixture, one-sided", "Eppo in style"),
    "O'Brien-Fleming": ("Group sequential", "clinical trials; Spotify in style"),
    "e-process, event share": ("Exact e-process, event share", "shares and Poisson counts only"),
    "e-process, 2 x 2": ("Exact e-process, two by two", "shares only"),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure's span over situations, in words."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """ "2.8 to 5 %", or one number where both ends read the same."""
        low, high = say.figures_of(self.low), say.percent(self.high)
        return high if high.startswith(f"{low}{say.NBSP}") else f"{low} to {high}"


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule over all situations it is meant for, at the tolerance and beyond it."""

    name: str
    used_by: str
    n_situations: int
    at_limit: Spread
    no_harm: float
    over_bound: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class SituationLine:
    """Our rule in one situation."""

    name: str
    alpha: float
    no_harm: float
    at_limit: float
    caught: tuple[float, float]  # at 2 and 4 times the limit
    treated: tuple[float, float]
    missed: float | None  # worst miss of any limit of the interval


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """The example plans at one true rise: chance to be withdrawn for each, customers for one."""

    harm: float
    chances: tuple[str, ...]
    exposed: float


@dataclass(frozen=True, slots=True)
class CoverageLine:
    """How often one kind's interval for one look held the truth in one situation."""

    method: str
    situation: str
    covered: float
    low: float  # of two Monte-Carlo standard errors about it
    high: float
    is_warning: bool  # a sum that nobody corrected

    @property
    def text(self) -> str:
        """The share in words, to the tenth of a per cent."""
        return say.exact_share(self.covered)


@dataclass(frozen=True, slots=True)
class Measured:
    """All that the page prints of the benchmark."""

    made_on: str
    command: str
    replications: int
    error: float  # two Monte-Carlo standard errors of a false-stop rate near what was promised
    rules: tuple[RuleLine, ...]
    situations: tuple[SituationLine, ...]
    ours: RuleLine
    caught: Spread
    caught_far: Spread
    no_harm: float
    cost: tuple[float, float]
    safe_wrong: float
    missed: float
    drift: Mapping[str, float]
    examples: Mapping[str, Any]
    coverage: tuple[CoverageLine, ...] = ()
    n_coverage: int = 0

    @property
    def example_rows(self) -> tuple[ExampleRow, ...]:
        """The example plans' table."""
        plans = [plan["rows"] for plan in self.examples["plans"]]
        return tuple(
            ExampleRow(
                rows[0]["harm"],
                tuple(chances.chance(row["stopped"]) for row in rows),
                float(f"{rows[0]['exposed']['value']:.3g}"),
            )
            for rows in zip(*plans, strict=True)
        )

    @property
    def n_usual(self) -> int:
        """Situations at the promised level."""
        return sum(1 for item in self.situations if item.alpha == PROMISED)


@cache
def measured() -> Measured:
    """The figures of this release."""
    return measured_of(json.loads(FILE.read_text("utf-8")))


def measured_of(held: Mapping[str, Any]) -> Measured:
    """The figures of a benchmark's output, in the page's terms."""
    ours, all_of_them = held["ours"], held["situations"]
    usual = [item for item in all_of_them if item["alpha"] == PROMISED]
    mine = [item["rules"][ours] for item in usual]
    misses = [miss for item in usual for miss in item["misses"].values()]
    double = [rule["2"] for rule in mine]
    return Measured(
        made_on=held["made_on"],
        command=held["command"],
        replications=held["replications"],
        error=TWO_ERRORS * sqrt(PROMISED * (1 - PROMISED) / held["replications"]),
        rules=_rules(usual, ours),
        situations=tuple(_situation(item, ours) for item in all_of_them),
        ours=_line(ours, usual, "Our share test", "", is_ours=True),
        caught=_span([figures[0] for figures in double]),
        caught_far=_span([rule["4"][0] for rule in mine]),
        no_harm=max(rule["0"][0] for rule in mine),
        cost=_cost(mine),
        safe_wrong=max(miss["safe"] for miss in misses if "safe" in miss),
        missed=max(max(miss["low"], miss["high"]) for miss in misses),
        drift=held["drift"],
        examples=held["examples"],
        coverage=tuple(_covered(item) for item in held.get("coverage", {}).get("rows", ())),
        n_coverage=held.get("coverage", {}).get("replications", 0),
    )


def _covered(item: Mapping[str, Any]) -> CoverageLine:
    error = TWO_ERRORS * sqrt(item["covered"] * (1 - item["covered"]) / max(item["decided"], 1))
    return CoverageLine(
        method=item["method"],
        situation=item["situation"],
        covered=item["covered"],
        low=item["covered"] - error,
        high=min(item["covered"] + error, 1.0),
        is_warning=item["is_warning"],
    )


def _rules(usual: Sequence[Any], ours: str) -> tuple[RuleLine, ...]:
    """Ours in all situations, the others where the level is steady, then where it drifts."""
    steady = [item for item in usual if not item["drifts"]]
    drifting = [item for item in usual if item["drifts"]]
    lines = [_line(ours, usual, "Our share test", "this service", is_ours=True)]
    for name, (shown, used_by) in NAMES.items():
        lines.append(_line(name, steady, shown, used_by))
    pooled = [name for name in NAMES if not name.startswith("e-process")]
    lines.append(_together(pooled, drifting))
    return tuple(lines)


def _line(
    rule: str, situations: Sequence[Any], shown: str, used_by: str, *, is_ours: bool = False
) -> RuleLine:
    met = [item["rules"][rule] for item in situations if rule in item["rules"]]
    cost = _cost(met)
    return RuleLine(
        name=shown,
        used_by=used_by,
        n_situations=len(met),
        at_limit=_span([figures["1"][0] for figures in met]),
        no_harm=max(figures["0"][0] for figures in met),
        over_bound=f"{cost[0]:.2f} to {cost[1]:.2f}" if _holds(met) else say.NONE,
        is_ours=is_ours,
    )


def _holds(rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rule keeps the promise everywhere: what breaks it stops early for nothing."""
    worst: float = max(figures["1"][0] for figures in rules)
    return worst < 1.5 * PROMISED


def _together(names: Sequence[str], situations: Sequence[Any]) -> RuleLine:
    met = [item["rules"][name] for item in situations for name in names]
    return RuleLine(
        name=f"The first {len(names)} of these, on a drift",
        used_by="all stages of a ramp taken together while the level itself rises",
        n_situations=len(situations),
        at_limit=_span([figures["1"][0] for figures in met]),
        no_harm=max(figures["0"][0] for figures in met),
        over_bound=say.NONE,
        is_ours=False,
    )


def _situation(item: Mapping[str, Any], ours: str) -> SituationLine:
    rule = item["rules"][ours]
    misses = item["misses"].values()
    return SituationLine(
        name=item["name"],
        alpha=item["alpha"],
        no_harm=rule["0"][0],
        at_limit=rule["1"][0],
        caught=(rule["2"][0], rule["4"][0]),
        treated=(rule["2"][1], rule["4"][1]),
        missed=max(max(miss["low"], miss["high"]) for miss in misses),
    )


def _span(values: Sequence[float]) -> Spread:
    return Spread(min(values), max(values))


def _cost(rules: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Customers over the fewest that any such rule needs, at 2 and 4 times the limit."""
    over = [rule[m][2] for rule in rules for m in ("2", "4") if rule[m][2] is not None]
    return (min(over), max(over)) if over else (0.0, 0.0)


@cache
def pictures() -> dict[str, dict[str, Markup]]:
    """The page's charts by name and width, drawn once in each process."""
    held = measured()
    rows = [
        {
            "name": line.name,
            "low": line.at_limit.low,
            "high": line.at_limit.high,
            "text": line.at_limit.words,
            "is_ours": line.is_ours,
        }
        for line in held.rules
    ]
    within = [
        {
            "name": line.name,
            "low": max(line.at_limit - held.error, 0.0),
            "high": line.at_limit + held.error,
            "text": say.exact_share(line.at_limit),
            "is_ours": True,
        }
        for line in held.situations
        if line.alpha == PROMISED
    ]
    covered = [
        {
            "name": line.situation,
            "low": line.low,
            "high": line.high,
            "text": line.text,
            "is_ours": not line.is_warning,
        }
        for line in held.coverage
    ]
    drawn: dict[str, dict[str, Any]] = {
        "rules": {size: chances.spans(rows, PROMISED, size) for size in SIZES},
        "situations": {size: chances.spans(within, PROMISED, size) for size in SIZES},
        "coverage": {size: method_charts.coverage(covered, 1 - PROMISED, size) for size in SIZES},
        "examples": {
            size: example_lines.example_lines(held.examples, PROMISED, size) for size in SIZES
        },
    }
    return {
        name: {
            size: Markup(render(item))  # noqa: S704  # ours alone, all text escaped
            for size, item in sizes.items()
            if item is not None
        }
        for name, sizes in drawn.items()
    }
