"""How often stop-loss rules stop wrongly, and how soon they stop harm, on the same paths.

    python -m tests.benchmarks.operating_characteristics --replications 2000 --json chart.json

Prints, per situation and rule, the share of rollouts stopped with no harm and with harm exactly
at the tolerance (both false stops), and for twice and four times the tolerated harm the share
caught and the mean number of treated customers until then; where a bound is known, that number
over it, so that 1 cannot be beaten by any rule of that error rate. Then what the intervals of
our own rule miss, each limit by itself, over all looks at once.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.budget import HALF, Totals, harm_limits, totals
from analysis.guardrail import SAFE_LEVEL
from analysis.operating import bounds, is_ready
from analysis.share import Floats, share
from analysis.spending import Pace
from analysis.stoploss import Kind
from tests.benchmarks.bound import fewest_treated
from tests.benchmarks.rivals import Pooled, log_event_share, log_two_by_two, rules_for
from tests.benchmarks.situations import Situation, Sums, all_situations, looks

OURS = "share test"
BY_RECIPE = "share test, recipe's pace"  # the same evidence, alpha spent as the recipe does
NOT_AS_COUNT = "share test, as for money"  # what telling it that values are counts is worth
MULTIPLES = (0.0, 1.0, 2.0, 4.0)
GROUPS = 12


@dataclass(frozen=True)
class Row:
    """One rule in one situation at one truth."""

    situation: str
    rule: str
    multiple: float
    alpha: float
    stopped: float
    error: float  # Monte-Carlo standard error of `stopped`
    treated: float  # mean treated customers until stopped, or until the end
    over_bound: float | None


@dataclass(frozen=True)
class Misses:
    """How often our own limits are ever wrong, over all looks, in one situation at one truth."""

    situation: str
    multiple: float
    alpha: float
    low: float  # relative effect's lower limit above the truth
    high: float
    safe: float | None  # called safe at the tolerance, or beyond it
    budget_low: float
    budget_high: float
    low_at_end: float  # the same at one look only: where it is stopped, or at the last
    high_at_end: float


class Own(NamedTuple):
    """Our statistics over looks, shape (looks, replications)."""

    harm: Floats
    safe: Floats
    information: Floats
    ready: NDArray[np.bool_]
    true_harm: Floats  # evidence against the true ratio, for coverage
    true_safe: Floats
    extra: Floats  # true harm so far
    totals: tuple[Floats, ...]


def run(
    situation: Situation,
    replications: int,
    seed: int,
    groups: int = GROUPS,
    multiples: Sequence[float] = MULTIPLES,
) -> tuple[list[Row], list[Misses]]:
    """All rules in one situation. groups: as in `analysis.operating.bounds`."""
    rows, misses = [], []
    planned = _planned(situation, replications, seed)
    for place, multiple in enumerate(multiples):
        ratio = situation.truth(multiple)
        own, pooled, treated = observe(situation, ratio, replications, seed + 1 + place)
        bound = bounds(
            own.information, own.ready, alpha=situation.alpha, planned=planned, groups=groups
        )
        recipe = bounds(
            own.information,
            own.ready,
            alpha=situation.alpha,
            planned=planned,
            groups=groups,
            pace=Pace.RECIPE,
        )
        rows.append(_row(situation, OURS, multiple, own.harm > bound, treated))
        rows.append(_row(situation, BY_RECIPE, multiple, own.harm > recipe, treated))
        if situation.kind is Kind.COUNT:
            passed = _as_money(situation, ratio, replications, seed + 1 + place, groups)
            rows.append(_row(situation, NOT_AS_COUNT, multiple, passed, treated))
        for name, rule in rules_for(pooled).items():
            rows.append(_row(situation, name, multiple, rule(situation, pooled), treated))
        misses.append(_misses(situation, multiple, own, bound, planned, groups))
    return rows, misses


def _as_money(
    situation: Situation, ratio: float, replications: int, seed: int, groups: int
) -> NDArray[np.bool_]:
    """Where the same paths are stopped when counts are judged like amounts of money."""
    other = replace(situation, kind=Kind.OTHER)
    own, _, _ = observe(other, ratio, replications, seed)
    limit = bounds(
        own.information,
        own.ready,
        alpha=situation.alpha,
        planned=_planned(other, replications, seed),
        groups=groups,
    )
    return own.harm > limit


def observe(
    situation: Situation, ratio: float, replications: int, seed: int
) -> tuple[Own, Pooled, Floats]:
    """Every look's statistics for one truth; and treated customers by each look, shape (looks,)."""
    own: list[tuple[Floats, ...]] = []
    pooled: list[tuple[Floats, ...]] = []
    treated = []
    for sums in looks(situation, ratio, replications, seed):
        own.append(_own(situation, ratio, sums))
        pooled.append(_pooled(situation, sums))
        treated.append(float(sums.units1))
    columns = [np.array(column) for column in zip(*own, strict=True)]
    seen = [np.array(column) for column in zip(*pooled, strict=True)]
    held = Own(*columns[:3], columns[3].astype(bool), *columns[4:7], tuple(columns[7:]))
    units0, units1 = seen[3][:, 0], seen[5][:, 0]
    path = Pooled(
        seen[0], seen[1], units0 + units1, seen[2], units0, seen[4], units1, seen[6],
        log_event_share(situation, seen[4], seen[6]),
        log_two_by_two(situation, units0, seen[4], units1, seen[6]),
    )  # fmt: skip
    return held, path, np.array(treated)


def _own(situation: Situation, ratio: float, sums: Sums) -> tuple[Floats, ...]:
    proportion = situation.kind is Kind.PROPORTION
    arms, sign = sums.arms, situation.sign

    def evidence(against: float, safe: bool) -> Floats:
        return share(arms, kind=situation.kind, sign=sign, ratio=against, safe=safe).r

    found = share(arms, kind=situation.kind, sign=sign, ratio=situation.ratio, safe=False)
    true = max(ratio, 1e-9)
    return (
        found.r,
        evidence(situation.ratio, True),
        found.information,
        is_ready(situation.kind, found),
        evidence(true, False),
        evidence(true, True),
        sums.extra,
        *totals(arms, proportion=proportion),
    )


def _planned(situation: Situation, replications: int, seed: int) -> float:
    """Information at the deadline, as a plan would foresee it (wrong by the situation's pace)."""
    few = min(replications, 200)
    for sums in looks(situation, 1.0, few, seed):
        last = sums
    found = share(
        last.arms,
        kind=situation.kind,
        sign=situation.sign,
        ratio=situation.ratio,
        safe=False,
    )
    return float(found.information.mean()) * situation.pace


def _pooled(situation: Situation, sums: Sums) -> tuple[Floats, ...]:
    c = situation.ratio
    ones = np.ones_like(sums.mean0)
    return (
        situation.sign * (sums.mean1 - c * sums.mean0),
        sums.error1 + c * c * sums.error0,
        sums.events0 + sums.events1,
        sums.units0 * ones,
        sums.events0,
        sums.units1 * ones,
        sums.events1,
    )


def _misses(
    situation: Situation, multiple: float, own: Own, bound: Floats, planned: float, groups: int
) -> Misses:
    """How often each limit is ever on the wrong side of the truth."""
    safe_bound = bounds(
        own.information,
        own.ready,
        alpha=SAFE_LEVEL * situation.alpha,
        planned=planned,
        groups=groups,
    )
    budget_low, budget_high = _budget_misses(situation, own, planned, groups)
    low, high = own.true_harm > bound, -own.true_safe > safe_bound
    passed = own.harm > bound
    end = np.where(passed.any(0), passed.argmax(0), len(passed) - 1)
    each = np.arange(len(end))
    return Misses(
        situation=situation.name,
        multiple=multiple,
        alpha=situation.alpha,
        low=_ever(low),
        high=_ever(high),
        safe=_ever(-own.safe > safe_bound) if multiple >= 1 else None,
        budget_low=budget_low,
        budget_high=budget_high,
        low_at_end=float(low[end, each].mean()),
        high_at_end=float(high[end, each].mean()),
    )


def _budget_misses(
    situation: Situation, own: Own, planned: float, groups: int
) -> tuple[float, float]:
    spent = Totals(*own.totals)
    pace = planned * float((spent.variance[-1] / own.information[-1]).mean())
    z = bounds(spent.variance, own.ready, alpha=HALF * situation.alpha, planned=pace, groups=groups)
    seen = np.isfinite(z)
    low, high = harm_limits(
        spent, np.where(seen, z, 0.0), heavy=situation.kind is not Kind.PROPORTION
    )
    return _ever((low > own.extra) & seen), _ever((high < own.extra) & seen)


def _ever(passed: NDArray[np.bool_]) -> float:
    """Share of replications in which it happened at any look."""
    return float(passed.any(0).mean())


def _row(
    situation: Situation, rule: str, multiple: float, passed: NDArray[np.bool_], treated: Floats
) -> Row:
    is_stopped = passed.any(0)
    at = np.where(is_stopped, passed.argmax(0), len(passed) - 1)
    stopped, mean = float(is_stopped.mean()), float(treated[at].mean())
    least = fewest_treated(situation, multiple, stopped) if multiple > 1 else None
    return Row(
        situation=situation.name,
        rule=rule,
        multiple=multiple,
        alpha=situation.alpha,
        stopped=stopped,
        error=sqrt(stopped * (1 - stopped) / passed.shape[1]),
        treated=mean,
        over_bound=mean / least if least else None,
    )


def show(rows: Sequence[Row], misses: Sequence[Misses]) -> None:
    """Print one situation."""
    print(f"\n{rows[0].situation}   (alpha {rows[0].alpha:g})")
    print(f"  {'rule':<28}{'no harm':>9}{'at limit':>10}   2x: caught treated  /bound"
          "   4x: caught treated  /bound")  # fmt: skip
    for rule in dict.fromkeys(row.rule for row in rows):
        print(_line(rule, {row.multiple: row for row in rows if row.rule == rule}))
    print("  limits ever wrong, at 0x 1x 2x 4x: " + "; ".join(
        f"{name} " + " ".join(f"{getattr(miss, name):.3f}" for miss in misses)
        for name in ("low", "high", "low_at_end", "high_at_end", "budget_low", "budget_high")
    ) + f"; safe at the limit {misses[1].safe:.3f}")  # fmt: skip


def _line(rule: str, at: dict[float, Row]) -> str:
    line = f"  {rule:<28}{at[0.0].stopped:9.4f}{at[1.0].stopped:10.4f}"
    broken = at[1.0].stopped > at[1.0].alpha + 3 * max(at[1.0].error, 1e-3)
    line += " !" if broken else "  "
    for multiple in (2.0, 4.0):
        row = at[multiple]
        over = f"{row.over_bound:8.2f}" if row.over_bound else "       -"
        line += f"{row.stopped:11.3f}{row.treated:9.0f}{over}"
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=2000, help="rollouts per situation")
    parser.add_argument("--only", default="", help="situations whose name contains this")
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--json", type=Path, help="write every figure here, for charts")
    chosen = parser.parse_args(arguments)
    rows: list[Row] = []
    misses: list[Misses] = []
    began = time.perf_counter()
    for place, situation in enumerate(all_situations()):
        if chosen.only in situation.name:
            found = run(situation, chosen.replications, chosen.seed + 100 * place)
            show(*found)
            rows += found[0]
            misses += found[1]
    print(f"\n{chosen.replications} replications, {time.perf_counter() - began:.0f} s."
          "  ! marks a rule that stops at the tolerance more often than alpha allows.")  # fmt: skip
    if chosen.json:
        held = {
            "replications": chosen.replications,
            "rows": [asdict(row) for row in rows],
            "misses": [asdict(miss) for miss in misses],
        }
        chosen.json.write_text(json.dumps(held, indent=1))


if __name__ == "__main__":
    main()
