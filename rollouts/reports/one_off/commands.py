"""`rollouts analyze`: options in; tables, JSON or a page out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import rich_click as click

from rollouts.console import out

GROUPS: Any = [
    {
        "name": "Who and what",
        "options": ["--unit", "--variation", "--control", "--metric", "--segment", "--shares"],
    },
    {
        "name": "Limits and goals",
        "options": [
            "--limit",
            "--goal",
            "--watch",
            "--correction",
            "--alpha",
            "--power",
            "--level",
        ],
    },
    {"name": "Sharper", "options": ["--covariate", "--stratify", "--before-exposure"]},
    {
        "name": "Not one customer at a time, or not randomised",
        "options": [
            "--design",
            "--time",
            "--every",
            "--start",
            "--group",
            "--treated",
            "--season",
            "--empty-is-zero",
            "--inference",
        ],
    },
    {"name": "What comes out", "options": ["--html", "--json", "--help"]},
]
click.rich_click.OPTION_GROUPS = {**click.rich_click.OPTION_GROUPS, "rollouts analyze": GROUPS}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--unit", help="Column that names the customer.")
@click.option("--variation", help="Column that names the variation.")
@click.option("--control", help="The variation that is the old experience.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    required=True,
    metavar="COL[:KIND]",
    help="Column to compare; KIND is proportion, mean, count, sum, ratio/DENOMINATOR, median, p90, "
    "time/HAPPENED, ordinal, top4, bottom2, nps, spread or variance; options follow by commas: "
    "cap=500, cap=p99, events, horizon=30, by=7.  '*' counts rows.  Repeatable.",
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="COL",
    help="Also compare within each value of this column, and test whether they differ. Repeatable.",
)
@click.option(
    "--shares",
    metavar="A=0.5,B=0.5",
    help="Configured shares, for the split check.  [default: equal]",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="METRIC=+5%",
    help="Worsening tolerated: +5% at most 5 % more, -2% at most 2 % less, +0.1 or +2pp absolute.  "
    "Repeatable.",
)
@click.option(
    "--goal",
    "goals",
    multiple=True,
    metavar="METRIC=up|down",
    help="A metric that should become better, and which way is good.  Repeatable.",
)
@click.option(
    "--watch",
    "watched",
    multiple=True,
    metavar="METRIC=up|down",
    help="A metric that must not become worse, without a limit of its own.  Repeatable.",
)
@click.option(
    "--correction",
    type=click.Choice(["holm", "bh", "none"]),
    default="holm",
    show_default=True,
    help="Correction of p for all metrics and variations; bh: Benjamini-Hochberg.",
)
@click.option("--level", type=float, help="Confidence of the intervals.  [default: 0.95]")
@click.option(
    "--alpha", type=float, help="Risk of a wrong decision, one-sided.  [default: (1 - level) / 2]"
)
@click.option("--power", type=float, help="Power of what the file could show.  [default: 0.8]")
@click.option(
    "--covariate",
    "covariates",
    multiple=True,
    metavar="COL",
    help="Column from before exposure to adjust means by (CUPED); words become indicators.  "
    "Repeatable.",
)
@click.option(
    "--stratify",
    "strata",
    multiple=True,
    metavar="COL",
    help="Column from before exposure to compare means within (post-stratification).  Repeatable.",
)
@click.option(
    "--before-exposure",
    is_flag=True,
    help="Declare that covariates and strata were fixed before exposure.",
)
@click.option(
    "--design",
    type=click.Choice(
        ["randomised", "cluster", "switchback", "differences", "synthetic", "interrupted"]
    ),
    default="randomised",
    show_default=True,
    help="How the comparison came about.",
)
@click.option("--time", metavar="COL", help="Column of dates, times or whole numbers.")
@click.option(
    "--every",
    type=click.Choice(["hour", "day", "week", "month"]),
    help="Periods to put times into.  [default: days, or dates as they are]",
)
@click.option("--start", metavar="DATE", help="First period with the change.")
@click.option("--group", metavar="COL", help="Column of regions, shops or teams.")
@click.option(
    "--treated", multiple=True, metavar="GROUP", help="A group that got the change.  Repeatable."
)
@click.option(
    "--season", type=int, help="Periods per cycle, 0 for none.  [default: 7 for days, 24 for hours]"
)
@click.option("--empty-is-zero", is_flag=True, help="Periods without rows are zero, not unknown.")
@click.option(
    "--inference",
    type=click.Choice(["cr2", "wild"]),
    default="cr2",
    show_default=True,
    help="Errors over groups: CR2, or the wild cluster bootstrap for few groups.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def analyze(file: Path, html: Path | None, as_json: bool, **given: Any) -> None:
    """Report the effects in a CSV or Parquet file that you already have."""
    from rollouts.reports.one_off import page, text
    from rollouts.reports.one_off.answer import answer_file

    report = answer_file(given, file=file, name=file.name)
    if as_json:
        out.print_json(data=report)
    else:
        text.show(out, report)
    if html is not None:
        html.write_text(page.to_html(report), encoding="utf-8")
        if not as_json:
            out.print(f"\nThe page is in [bold]{html}[/].", soft_wrap=True)
    sys.exit(0)
