"""`rollouts forecast`: what a plan will do, before it starts, as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape
from rich.table import Table

from rollouts.console import OpenParts, out
from rollouts.errors import Invalid
from rollouts.words import count, percent

if TYPE_CHECKING:
    from rollouts.lifecycle.forecast import Baseline


@click.command()
@click.argument("key")
@click.option(
    "--level",
    "levels",
    multiple=True,
    metavar="METRIC=MEAN[:DISPERSION]",
    help="How a metric is today: contacts=0.08:1.2. Repeat it for others.",
)
@click.option("--per-day", type=float, help="New eligible customers a day.")
@click.pass_obj
def forecast(parts_of: OpenParts, key: str, levels: tuple[str, ...], per_day: float | None) -> None:
    """Simulate a plan: how often it stops wrongly, and what harm costs until it stops."""
    from rollouts.results import forecasting

    asked = forecasting.Asked(dict(_level(text) for text in levels), per_day)
    with parts_of() as parts:
        seconds = parts.settings.look_interval_seconds
        with parts.db.reading() as session:
            prepared = forecasting.prepare(
                session, key, asked, look_seconds=seconds, now=parts.now()
            )
    found = forecasting.forecast(prepared)
    for rail in found["guardrails"]:
        _print(rail)
    for line in found["to_settle"]:
        out.print(f"- {line}", markup=False)


def _level(text: str) -> tuple[str, Baseline]:
    from rollouts.lifecycle.forecast import Baseline

    metric, _, numbers = text.partition("=")
    mean, _, dispersion = numbers.partition(":")
    try:
        return metric, Baseline(float(mean), float(dispersion) if dispersion else None)
    except ValueError as wrong:
        raise Invalid(
            f"{text!r} is no level: write METRIC=MEAN or METRIC=MEAN:DISPERSION."
        ) from wrong


def _print(rail: dict[str, Any]) -> None:
    if rail["undecided"]:
        return
    how = " (exact test)" if rail["method"] == "exact" else ""
    table = Table(title=escape(f"{rail['name']}{how}"), title_justify="left")
    for word in ("If it truly gets worse by", "Withdrawn", "Customers", escape(rail["harm_unit"])):
        table.add_column(word, justify="right")
    for item in rail["truths"]:
        table.add_row(
            percent(item["harm"]),
            percent(item["stopped"]["value"]),
            count(item["exposed"]["value"]),
            count(item["spent"]["value"]),
        )
    out.print(table)
