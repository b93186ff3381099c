"""The figures of the page "How we measure", from the benchmark's output.

    python -m tests.benchmarks.operating_characteristics --replications 1000 --json raw.json
    python -m tests.benchmarks.coverage --replications 1000 --json coverage.json
    python -m tests.benchmarks.for_the_page raw.json --coverage coverage.json

Either may be left out; what it measured then stays as the page has it. Writes rollouts/reports/data/operating.json: every rule in every situation, shortened to what the
page prints, and two example plans simulated as every plan page simulates its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.effect import Scale, Undecided
from analysis.operating import Characteristic, Plan, Simulated, Stage, operating_characteristics
from analysis.populations import proportion
from analysis.stoploss import Kind
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.results.pacing import form_of
from tests.benchmarks.coverage import UNCORRECTED
from tests.benchmarks.operating_characteristics import BY_RECIPE, NOT_AS_COUNT, OURS
from tests.benchmarks.situations import RAMP as BENCHMARK_RAMP
from tests.benchmarks.situations import RISING, all_situations

PAGE = Path(__file__).resolve().parents[2] / "rollouts" / "reports" / "data" / "operating.json"
COMMAND = "python -m tests.benchmarks.operating_characteristics --replications {}"
EXAMPLES = {"common, 7 %": 0.07, "rare, 0.5 %": 0.005}
LIMIT = 0.1
RAMP = ((10, 600), (10, 600), (10, 1500), (10, 9300))  # looks, customers a look: 120,000 in all
HARMS = (0.0, 0.1, 0.12, 0.15, 0.2, 0.3, 0.4)
EXAMPLE_REPLICATIONS = 2000


def shortened(raw: dict[str, Any], made_on: str) -> dict[str, Any]:
    """What the page prints: per situation and rule the chances and costs, and what ours misses."""
    drifting = {item.name for item in all_situations() if (item.drift != 1).any()}
    situations: dict[str, Any] = {}
    for row in raw["rows"]:
        name = row["situation"]
        blank = {"alpha": row["alpha"], "drifts": name in drifting, "rules": {}}
        place = situations.setdefault(name, blank)
        rule = place["rules"].setdefault(row["rule"], {})
        rule[f"{row['multiple']:g}"] = [
            round(row["stopped"], 4),
            round(row["treated"]),
            round(row["over_bound"], 3) if row["over_bound"] else None,
        ]
    for miss in raw["misses"]:
        held = situations[miss["situation"]].setdefault("misses", {})
        held[f"{miss['multiple']:g}"] = {
            name: round(miss[name], 4)
            for name in ("low", "high", "safe", "budget_low", "budget_high")
            if miss[name] is not None
        }
    return {
        "made_on": made_on,
        "command": COMMAND.format(raw["replications"]),
        "replications": raw["replications"],
        "ours": OURS,
        "drift": {
            "from": float(BENCHMARK_RAMP[0]),
            "to": float(BENCHMARK_RAMP[-1]),
            "rise": float(RISING[-1]),
        },
        "situations": [
            {"name": name, **held, "rules": _as_the_service(held["rules"])}
            for name, held in situations.items()
        ],
        "examples": examples(),
    }


def _as_the_service(rules: dict[str, Any]) -> dict[str, Any]:
    """Our rule as the service would judge: the benchmark also tries the other form for counts."""
    rules.pop(BY_RECIPE, None)
    other = rules.pop(NOT_AS_COUNT, None)
    return rules if other is None or not _judges_counts_as_money() else {**rules, OURS: other}


def _judges_counts_as_money() -> bool:
    counted = Definition(Selector("event"), Aggregation.COUNT, Direction.DOWN)
    return form_of(counted, Scale.RELATIVE) is not Kind.COUNT


def examples() -> dict[str, Any]:
    """Two plans as every plan page simulates its own: one measure is common, one is rare."""
    stages = tuple(Stage(looks, units) for looks, units in RAMP)
    return {
        "limit": LIMIT,
        "replications": EXAMPLE_REPLICATIONS,
        "looks": sum(stage.looks for stage in stages),
        "customers": sum(stage.looks * stage.units_per_look for stage in stages),
        "plans": [
            {"name": name, "rows": [_row(item) for item in _simulated(rate, stages)]}
            for name, rate in EXAMPLES.items()
        ],
    }


def _simulated(rate: float, stages: tuple[Stage, ...]) -> list[Characteristic]:
    found = operating_characteristics(
        Plan(proportion(rate), 1, LIMIT, stages),
        harms=HARMS,
        replications=EXAMPLE_REPLICATIONS,
        seed=1,
    )
    if isinstance(found, Undecided):
        raise SystemExit(found.reason)
    return found


def _row(item: Characteristic) -> dict[str, Any]:
    def of(held: Simulated, digits: int) -> dict[str, float]:
        return {name: round(getattr(held, name), digits) for name in ("value", "low", "high")}

    return {
        "harm": item.harm,
        "stopped": of(item.stopped, 4),
        "exposed": of(item.exposed, 0),
        "spent": of(item.spent, 0),
    }


def covered(raw: dict[str, Any]) -> dict[str, Any]:
    """What the page prints of the benchmark of intervals, with what stands there to warn marked."""
    rows = [{**row, "covered": round(row["covered"], 4)} for row in raw["rows"]]
    return {
        "replications": raw["replications"],
        "rows": [{**row, "is_warning": row["situation"] == UNCORRECTED} for row in rows],
    }


def _made_on(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, nargs="?", help="what the benchmark wrote with --json")
    parser.add_argument("--coverage", type=Path, help="what the benchmark of intervals wrote")
    parser.add_argument("--to", type=Path, default=PAGE, help="the page's file")
    chosen = parser.parse_args(arguments)
    before = json.loads(chosen.to.read_text()) if chosen.to.exists() else {}
    held = before
    if chosen.raw:
        held = shortened(json.loads(chosen.raw.read_text()), _made_on(chosen.raw))
        held |= {"coverage": before["coverage"]} if "coverage" in before else {}
    if chosen.coverage:
        held["coverage"] = covered(json.loads(chosen.coverage.read_text()))
    chosen.to.parent.mkdir(exist_ok=True)
    chosen.to.write_text(json.dumps(held, separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"{chosen.to}: {chosen.to.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
