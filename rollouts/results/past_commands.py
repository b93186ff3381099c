"""`rollouts impact`: what shipped changes did to a metric together, in the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import rich_click as click
from rich.markup import escape
from rich.table import Table

from rollouts.console import OpenParts, out, say

if TYPE_CHECKING:
    from rollouts.results.over_rollouts import PastEffects

DAY = click.DateTime(["%Y-%m-%d"])
MOST_LINES = 40


@click.command()
@click.argument("metric")
@click.option("--from", "since", type=DAY, help="Ended on this day or later.")
@click.option("--to", "until", type=DAY, help="Ended on this day or earlier.")
@click.option("--environment", default="", help="Of one environment only.")
@click.pass_obj
def impact(
    parts_of: OpenParts,
    metric: str,
    since: datetime | None,
    until: datetime | None,
    environment: str,
) -> None:
    """Add up what shipped changes did to METRIC, with the luck of choosing them taken off."""
    from rollouts.results import past_words as words
    from rollouts.results.over_rollouts import Wanted, past_effects

    wanted = Wanted(environment, since and since.date(), until and until.date())
    with parts_of() as parts, parts.db.reading() as session:
        past = past_effects(session, metric, wanted)
    say(words.together(past))
    for line in words.in_units_words(past):
        say(line)
    say(words.typical(past))
    if past.lines:
        out.print(_table(past))
    for item in past.left_out[:MOST_LINES]:
        say(f"Left out: {item.rollout}: {item.why_not}.")


def _table(past: PastEffects) -> Table:
    from rollouts.results import past_words as words

    table = Table(title=escape(past.name), title_justify="left")
    for word in ("Rollout", "Ended", "State", "As seen", "Once all are known"):
        table.add_column(word)
    for line in past.lines[:MOST_LINES]:
        ends, pulled = words.seen(line.moved), line.shrunken
        table.add_row(
            escape(line.moved.rollout),
            line.moved.ended_at.date().isoformat(),
            line.moved.state,
            _told(past, *ends) if ends else "",
            _told(past, pulled.value, pulled.low, pulled.high) if pulled else "not known yet",
        )
    return table


def _told(past: PastEffects, value: float, low: float, high: float) -> str:
    from rollouts.results.past_words import amount, between

    return f"{amount(value, past.scale)} ({between(low, high, past.scale)})"
