"""The demo's moving picture in the terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rollouts.demo.crowd import Seen
from rollouts.words import count, percent

MARKS = {
    "harm": ("◆", "red"),
    "safe": ("●", "blue"),
    "unknown": ("○", "dim"),
    "nodata": ("∅", "dim"),
}
WORDS = {
    "harm": "harm shown",
    "safe": "safe within limit",
    "unknown": "not yet known",
    "nodata": "no data",
}


class Picture:
    """What the service says so far; where there is no terminal, a line now and then."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._live = Live(console=out, refresh_per_second=4, transient=True)
        self._last_line = ""

    def __enter__(self) -> Picture:
        if self._out.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        wrong: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._out.is_terminal:
            self._live.stop()

    def update(self, held: dict[str, Any], seen: Seen) -> None:
        """Show the newest results."""
        if self._out.is_terminal:
            self._live.update(_picture(held, seen))
            return
        line = _line(held, seen)
        if line != self._last_line:
            self._last_line = line
            self._out.print(line)


def _picture(held: dict[str, Any], seen: Seen) -> Group:
    results = held["results"]
    head = Text.assemble(
        (f"{count(seen.customers)} customers", "bold"),
        f" · {count(seen.on_new)} met the new page · {count(seen.outcomes)} outcomes sent · ",
        _stage(held["rollout"]),
    )
    if results is None:
        return Group(head, Text("The first look is being counted ...", style="dim"))
    table = Table(box=None, pad_edge=False)
    for title in ("Measure", "Old", "New", "Change (95 %)", "Finding"):
        table.add_column(title)
    for metric in results["arms"][0]["metrics"]:
        table.add_row(*_row(metric))
    return Group(
        head, Text(), table, Text(), *_budget(results), Text(results["verdict"]["sentence"])
    )


def _row(metric: dict[str, Any]) -> list[Text | str]:
    mark, style = MARKS[metric["finding"]]
    word = WORDS[metric["finding"]]
    if metric["role"] == "goal":
        word = {"harm": "worse", "safe": "better"}.get(metric["finding"], word) + " (goal)"
    effect = metric["relative"]
    change = "–"
    if effect:
        ends = f"{percent(effect['low'], signed=True)} to {percent(effect['high'], signed=True)}"
        change = f"{percent(effect['estimate'], signed=True)} ({ends})"
    levels = [_per_thousand(metric[arm]["mean"]) for arm in ("control", "treatment")]
    return [metric["name"], *levels, change, Text(f"{mark} {word}", style=style)]


def _per_thousand(mean: float | None) -> str:
    return "–" if mean is None else f"{mean * 1000:.0f} per 1,000"


def _budget(results: dict[str, Any]) -> list[Any]:
    budget = next(m["budget"] for m in results["arms"][0]["metrics"] if m["budget"])
    spent = max(budget["estimate"] or 0.0, 0.0)
    said = f"Harm budget  {count(spent)} of {count(budget['amount'])} extra {budget['unit']}"
    bar = ProgressBar(total=budget["amount"], completed=min(spent, budget["amount"]), width=50)
    return [Text(said), bar, Text()]


def _stage(rollout: dict[str, Any]) -> str:
    share = percent(rollout["ramp"][rollout["stage"]]["share"])
    return f"ramp at {share}" if rollout["state"] == "running" else str(rollout["state"])


def _line(held: dict[str, Any], seen: Seen) -> str:
    results = held["results"]
    if results is None:
        return "The first look is being counted ..."
    number = results["look"]["number"]
    return (
        f"look {number:>2} · {_stage(held['rollout'])} · {count(results['units']['total'])} exposed"
        f" · {results['verdict']['sentence']}"
    )
