"""How often the interval of every kind of measure and design holds the truth, for one look.

    python -m tests.benchmarks.coverage --replications 1000 --json coverage.json

Nominal is 0.95 everywhere. Situations are of middling difficulty, not the ones a method likes best.
Last stand sums of shipped effects: as they were seen, and with the luck of choosing taken off.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from analysis import (
    cuped,
    dispersion,
    mean,
    ordinal,
    poststratify,
    proportion,
    quantile,
    ratio,
    survival,
)
from analysis.clusters import Period, cluster_randomised, switchback
from analysis.differences import difference_in_differences
from analysis.effect import Effect, Undecided
from analysis.estimate import Estimate
from analysis.histogram import Histogram
from analysis.impact import cumulative_impact
from analysis.interrupted import interrupted_time_series
from analysis.meta import random_effects
from analysis.rows import Events, Times
from analysis.summary import PairSummary, Summary
from analysis.synthetic import synthetic_control

UNCORRECTED = "the same as each was seen"  # stands on the page to warn

Draw = np.random.Generator
Ends = tuple[float, float, float]  # low, high, truth


@dataclass(frozen=True)
class Covered:
    """One situation: the method's anchor on the page, and how often its interval held the truth."""

    method: str
    situation: str
    covered: float
    decided: int  # answers that gave an interval
    nominal: float = 0.95


def of(answer: Any, truth: float) -> Ends | None:
    """The interval with the truth; None where there was no honest number."""
    effect = getattr(answer, "effect", answer)
    return (effect.low, effect.high, truth) if isinstance(effect, Effect) else None


def shares(draw: Draw, n: int, rate: float) -> Ends | None:
    a, b = draw.binomial(n, rate), draw.binomial(n, rate * 1.1)
    return of(proportion.relative(Summary(n, a, a), Summary(n, b, b)), 0.1)


def counts(draw: Draw) -> Ends | None:
    a, b = (draw.poisson(0.2 * m * draw.gamma(0.5, 2.0, 4000)) for m in (1.0, 1.1))
    return of(mean.relative(Summary.of(a), Summary.of(b)), 0.1)


def money(draw: Draw) -> Ends | None:
    a, b = (draw.binomial(1, 0.03, 20_000) * draw.lognormal(3, 1, 20_000) * m for m in (1, 1.1))
    return of(mean.relative(Summary.of(a), Summary.of(b)), 0.1)


def ratios(draw: Draw) -> Ends | None:
    def arm(rate: float) -> PairSummary:
        visits = 1 + draw.poisson(2.0, 2000)
        return PairSummary.of(
            draw.binomial(visits, draw.beta(2 * rate, 2 - 2 * rate, 2000)), visits
        )

    return of(ratio.relative(arm(0.2), arm(0.22)), 0.1)


def quantiles(draw: Draw, q: float) -> Ends | None:
    a, b = (Histogram.of(draw.lognormal(log(m), 1, 1500)) for m in (1, 1.1))
    return of(quantile.relative(a, b, q), 0.1)


def events(draw: Draw) -> Ends | None:
    def arm(m: float) -> Events:
        units = np.repeat(np.arange(600), 1 + draw.poisson(3, 600))
        values = m * draw.lognormal(0, 0.5, len(units)) * draw.lognormal(0, 0.5, 600)[units]
        order = np.argsort(values)
        return Events(values[order], units[order])

    return of(quantile.event_relative(arm(1), arm(1.1), 0.9), 0.1)


def times(draw: Draw) -> Ends | None:
    def arm(scale: float) -> Times:
        waits, seen = draw.exponential(scale, 1000), draw.uniform(2, 30, 1000)
        return Times(np.minimum(waits, seen), waits <= seen)

    truth = 11 * (1 - exp(-20 / 11)) - 10 * (1 - exp(-20 / 10))
    return of(survival.restricted_mean_difference(arm(10), arm(11), horizon=20), truth)


SCORES = np.array([0.02, 0.02, 0.03, 0.05, 0.05, 0.08, 0.1, 0.15, 0.2, 0.15, 0.15])


def promoters(draw: Draw) -> Ends | None:
    a, b = (Histogram.of(draw.choice(11, 400, p=SCORES)) for _ in range(2))
    return of(ordinal.nps(a, b), 0.0)


def graded(draw: Draw) -> Ends | None:
    base = np.array([0.1, 0.1, 0.2, 0.3, 0.3])
    other = np.array([0.08, 0.08, 0.18, 0.3, 0.36])
    below = [sum(base[:i]) - sum(base[i + 1 :]) for i in range(5)]
    a, b = Histogram.of(draw.choice(5, 400, p=base)), Histogram.of(draw.choice(5, 500, p=other))
    return of(ordinal.mann_whitney(a, b), float(other @ below))


def spreads(draw: Draw) -> Ends | None:
    a, b = (Histogram.of(draw.gamma(2, m, 800)) for m in (1, 1.1))
    return of(dispersion.spread(a, b), 0.1)


def adjusted(draw: Draw) -> Ends | None:
    def arm(shift: float) -> PairSummary:
        before = draw.gamma(2, 1, 800)
        return PairSummary.of(shift + before + draw.exponential(1, 800), before)

    return of(cuped.difference(arm(0), arm(0.2), before_exposure=True), 0.2)


def stratified(draw: Draw) -> Ends | None:
    def arm(shift: float) -> dict[str, Summary]:
        new = draw.random(600) < 0.3
        values = np.where(new, 4.0, 1.0) + shift + draw.exponential(1, 600)
        return {"new": Summary.of(values[new]), "old": Summary.of(values[~new])}

    return of(poststratify.poststratified(arm(0), arm(0.2)), 0.2)


def groups(draw: Draw) -> Ends | None:
    def arm(shift: float) -> list[Summary]:
        return [
            Summary.of(draw.normal(shift + draw.normal(0, 0.3), 1, draw.integers(20, 80)))
            for _ in range(8)
        ]

    return of(cluster_randomised(arm(0), arm(0.2)), 0.2)


def turns(draw: Draw) -> Ends | None:
    periods = [
        Period(
            bool(on),
            Summary.of(draw.normal(0.2 * on + draw.normal(0, 0.2), 1, 40)),
            f"day {i // 4}",
        )
        for i, on in enumerate(np.concatenate([draw.permutation([0, 0, 1, 1]) for _ in range(7)]))
    ]
    return of(switchback(periods), 0.2)


def waves(draw: Draw, rows: int, length: int, memory: float) -> np.ndarray:
    steps = draw.normal(0, 1, (rows, length))
    for t in range(1, length):
        steps[:, t] += memory * steps[:, t - 1]
    return steps


def places(draw: Draw) -> Ends | None:
    panel = waves(draw, 14, 24, 0.6) + draw.normal(0, 2, (14, 1)) + np.linspace(0, 3, 24)
    panel[:6, 14:] += 0.8
    return of(difference_in_differences(panel, [i < 6 for i in range(14)], 14), 0.8)


def blended(draw: Draw) -> Ends | None:
    common = np.cumsum(draw.normal(0, 0.5, 40))
    panel = common + draw.normal(0, 1, (25, 40))
    panel[0, 28:] += 1.0
    others = {str(i): row for i, row in enumerate(panel[1:])}
    return of(synthetic_control(panel[0], others, 28), 1.0)


def before_and_after(draw: Draw) -> Ends | None:
    series = waves(draw, 1, 90, 0.5)[0] + np.linspace(0, 2, 90)
    series[60:] += 1.5
    return of(interrupted_time_series(series, 60, season=7), 1.5)


def history(draw: Draw, n: int) -> tuple[np.ndarray, list[Estimate]]:
    truth, errors = draw.normal(0, 0.03, n), draw.uniform(0.015, 0.05, n)
    seen = draw.normal(truth, errors)
    return truth, [Estimate("", v, e) for v, e in zip(seen, errors, strict=True)]


def next_one(draw: Draw) -> Ends | None:
    truth, past = history(draw, 13)
    found = random_effects(past[:12])
    if isinstance(found, Undecided) or found.next_low is None or found.next_high is None:
        return None
    return found.next_low, found.next_high, float(truth[12])


def shipped(draw: Draw, *, corrected: bool) -> Ends | None:
    truth, past = history(draw, 30)
    stays = [item.value > 1.96 * item.error for item in past]
    found = cumulative_impact(past, stays)
    if isinstance(found, Undecided):
        return None
    total = float(truth[np.array(stays)].sum())
    if corrected:
        return found.low, found.high, total
    return found.claimed_low, found.claimed_high, total


Case = tuple[str, str, Callable[[Draw], Ends | None]]
CASES: Sequence[Case] = (
    ("shares", "7 % of 3,000 customers a version", lambda d: shares(d, 3000, 0.07)),
    ("shares", "8 events a version: exact limits", lambda d: shares(d, 4000, 0.002)),
    ("means", "counts, a few customers bring most", counts),
    ("means", "money, 3 % pay, long tail", money),
    ("ratios", "complaints per contact", ratios),
    ("quantiles", "median over customers", lambda d: quantiles(d, 0.5)),
    ("quantiles", "slowest tenth of customers", lambda d: quantiles(d, 0.9)),
    ("quantiles", "slowest tenth of events, customer as cluster", events),
    ("times", "waiting time to day 20, many still waiting", times),
    ("grades", "promoters less detractors, 400 answers", promoters),
    ("grades", "five grades, chance to be graded higher", graded),
    ("spread", "distance from the middle, skewed", spreads),
    ("adjusted", "adjusted for the time before", adjusted),
    ("post-stratified", "new and old customers", stratified),
    ("groups", "8 shops a side, CR2", groups),
    ("groups", "7 days in turns", turns),
    ("differences", "6 of 14 places, memory over time", places),
    ("synthetic", "one place, 24 others", blended),
    ("interrupted", "90 days, memory from day to day", before_and_after),
    ("over-rollouts", "where the next rollout will lie, from 12", next_one),
    (
        "over-rollouts",
        "sum of shipped effects, luck taken off",
        lambda d: shipped(d, corrected=True),
    ),
    ("over-rollouts", UNCORRECTED, lambda d: shipped(d, corrected=False)),
)


def measure(case: Case, replications: int, seed: int = 7) -> Covered:
    """One situation, so many times."""
    method, situation, once = case
    draw = np.random.default_rng([seed, *situation.encode()])
    found = [ends for _ in range(replications) if (ends := once(draw)) is not None]
    held = sum(low <= truth <= high for low, high, truth in found)
    return Covered(method, situation, held / max(len(found), 1), len(found))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args(arguments)
    rows = []
    for case in CASES:
        started = time.process_time()
        row = measure(case, chosen.replications)
        rows.append(row)
        took = time.process_time() - started
        print(
            f"{row.method:16} {row.situation:48} {row.covered:.3f} of {row.decided} ({took:.1f} s)"
        )
    if chosen.json:
        held = {"replications": chosen.replications, "rows": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(held))


if __name__ == "__main__":
    main()
