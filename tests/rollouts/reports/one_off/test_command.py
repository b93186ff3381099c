"""The command in a report gives that report again, whatever was asked."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rollouts.cli import cli
from tests.rollouts.reports.one_off.tables import ALL, RANDOMISED, ask, customers, shops, write

EVERYTHING: dict[str, Any] = {
    **RANDOMISED,
    "metrics": [
        "spent:sum,cap=p99",
        "won:proportion",
        "days:time/left,by=7",
        "calls:ratio/contacts",
    ],
    "segments": ["city"],
    "covariates": ["before"],
    "strata": ["city"],
    "before_exposure": True,
    "limits": ["won=-20%", "calls=+0.5"],
    "goals": ["spent=up"],
    "watched": ["days=up"],
    "shares": "old=0.5,new=0.5",
    "level": 0.9,
    "alpha": 0.04,
    "power": 0.9,
    "correction": "bh",
}
SIDES: dict[str, Any] = {
    "design": "differences",
    "time": "week",
    "group": "shop",
    "treated": ["s00", "s01", "s02"],
    "start": "10",
    "metrics": ["orders:sum"],
    "inference": "wild",
    "empty_is_zero": True,
}


@pytest.mark.parametrize(
    ("columns", "rows", "given"),
    [(ALL, customers(), EVERYTHING), (("week", "shop", "new", "orders"), shops(8), SIDES)],
)
def test_the_command_gives_the_same_report(
    tmp_path: Path, columns: tuple[str, ...], rows: list[list[Any]], given: dict[str, Any]
):
    """Every option comes back, quoted as a shell needs it."""
    file = write(tmp_path / "it's a test.csv", columns, rows)
    report = ask(file, **given)
    words = shlex.split(report["command"])
    assert words[:3] == ["rollouts", "analyze", file.name]
    ran = CliRunner().invoke(cli, ["analyze", str(file), *words[3:], "--json"])

    assert ran.exit_code == 0
    assert json.loads(ran.output) == report
