"""Small made-up files, and how they are asked about."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rollouts.reports.one_off.answer import answer_file

RANDOMISED = {"unit": "who", "variation": "arm", "control": "old"}


def write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """A CSV file."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(rows)
    return path


def ask(path: Path, **given: Any) -> dict[str, Any]:
    """The report; it must be JSON without NaN and infinity."""
    found = answer_file(given, file=path, name=path.name)
    return json.loads(json.dumps(found, allow_nan=False))


def first(report: dict[str, Any]) -> dict[str, Any]:
    """The first effect of the first metric."""
    held: dict[str, Any] = report["metrics"][0]["effects"][0]
    return held


def customers(n: int = 600, seed: int = 5) -> list[list[Any]]:
    """who, arm, spent, before, city, won, days, left, stars, calls, contacts."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        treated, before = i % 2, float(rng.gamma(2, 10))
        spent = max(before * 0.8 + 3 * treated + rng.normal(0, 6) + 10, 0.0)
        rows.append(
            [
                i,
                ("old", "new")[treated],
                round(spent, 4),
                round(before, 4),
                ("Bath", "York", "Hull")[int(rng.integers(3))],
                int(rng.random() < 0.3 + 0.1 * treated),
                round(float(rng.exponential(10 + 2 * treated)), 3),
                int(rng.random() < 0.7),
                int(rng.integers(1, 6)),
                int(rng.poisson(1 + 0.2 * treated)),
                int(rng.integers(1, 5)),
            ]
        )
    return rows


COLUMNS = ("who", "arm", "spent", "before", "city", "won", "days", "left", "stars", "calls")
ALL = (*COLUMNS, "contacts")


def days(n: int = 84, start: int = 60, drop: float = 20.0, seed: int = 2) -> list[list[Any]]:
    """day, calls: a weekly season, a trend, and a fall from the start on."""
    rng = np.random.default_rng(seed)
    week = (8, 4, 0, 0, -2, -15, -20)
    first_day = date(2026, 1, 1)
    return [
        [
            (first_day + timedelta(days=i)).isoformat(),
            round(200 + week[i % 7] + 0.3 * i - drop * (i >= start) + rng.normal(0, 4), 3),
        ]
        for i in range(n)
    ]


def shops(groups: int = 24, weeks: int = 16, start: int = 10, seed: int = 4) -> list[list[Any]]:
    """week, shop, new, orders: half of the shops get 8 more from the start on."""
    rng = np.random.default_rng(seed)
    rows = []
    for g in range(groups):
        base = rng.normal(100, 10)
        for week in range(weeks):
            gain = 8.0 if g < groups // 2 and week >= start else 0.0
            value = base + 1.5 * week + gain + rng.normal(0, 3)
            rows.append([week, f"s{g:02d}", "yes" if g < groups // 2 else "no", round(value, 4)])
    return rows
