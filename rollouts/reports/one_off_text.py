"""The report on a file, for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from rollouts.words import MINUS, count, figures, percent

SHARES = ("proportion",)
WIDTH = 140


def show(out: Console, report: dict[str, Any]) -> None:
    """Print the report: whether it can be believed, then each metric, then what it cannot tell."""
    if not out.is_terminal:
        out.width = max(out.width, WIDTH)  # into a file or a pipe nothing need be folded
    out.print(f"[bold]{report['file']}[/]: {report['unit']} by {report['variation']}, ", end="")
    out.print(f"{report['control']!r} is the old version")
    for line in believed(report):
        out.print(line)
    for metric in report["metrics"]:
        out.print()
        out.print(_effects(report, metric))
        for segment in metric["segments"]:
            out.print(_segment(report, metric, segment))
    out.print()
    for line in report["cannot_tell"]:
        out.print(f"[dim]Cannot tell: {line}[/]")


def believed(report: dict[str, Any]) -> list[str]:
    """Whether the data can be believed, one line for each check."""
    split, units = report["split"], report["units"]
    marks = {"ok": "●", "broken": "◆", "unknown": "○"}
    lines = [f"{marks[split['state']]} Split: {split['text']}"]
    if split["state"] == "broken":
        lines.append("  The split is not what was set: do not trust the effects below.")
    if units["crossed"]:
        lines.append(f"○ {count(units['crossed'])} seen in two versions, left out")
    if units["unnamed"]:
        lines.append(f"○ {count(units['unnamed'])} rows without a unit or a variation, left out")
    for metric in report["metrics"]:
        odd = sum(arm["n_odd"] for arm in metric["arms"])
        missing = sum(arm["n_missing"] for arm in metric["arms"])
        if odd or missing:
            lines.append(
                f"○ {metric['name']}: {count(missing)} without a value, {count(odd)} with one that "
                "cannot be; left out, never read as zero"
            )
    return lines


def interval(effect: dict[str, Any] | None, *, relative: bool) -> str:
    """An effect with its interval: "+31 % (+18 % to +46 %)"."""
    if effect is None:
        return "–"
    show_one = _percent if relative else _signed
    low, high = show_one(effect["low"]), show_one(effect["high"])
    return f"{show_one(effect['estimate'])} ({low} to {high})"


def share(value: float) -> str:
    """A share as per cent."""
    return percent(value)


def level(arm: dict[str, Any], kind: str) -> str:
    """An arm's own level."""
    if arm["mean"] is None:
        return "–"
    return percent(arm["mean"]) if kind in SHARES else figures(arm["mean"], 4)


def _effects(report: dict[str, Any], metric: dict[str, Any]) -> Table:
    title = f"{metric['name']} ({_kind(metric)})"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    share = percent(report["level"])
    for name in ("Version", "Customers", "Level", f"Change ({share})", "Difference", "p"):
        table.add_column(name)
    arms = {arm["variation"]: arm for arm in metric["arms"]}
    control = arms.get(report["control"])
    if control:
        table.add_row(
            report["control"], count(control["n"]), level(control, metric["kind"]), "–", "–", "–"
        )
    for effect in metric["effects"]:
        arm = arms.get(effect["variation"])
        cells = [count(arm["n"]), level(arm, metric["kind"])] if arm else ["0", "–"]
        table.add_row(effect["variation"], *cells, *_cells(effect))
    return table


def _segment(report: dict[str, Any], metric: dict[str, Any], segment: dict[str, Any]) -> Table:
    title = f"{metric['name']} by {segment['column']}; p corrected for looking at every one (Holm)"
    table = Table(title=title, title_justify="left", title_style="dim", box=None, pad_edge=False)
    for name in (segment["column"], "Version", "Customers", "Change", "Difference", "p"):
        table.add_column(name)
    for item in segment["values"]:
        cells = _cells(item, corrected=True)
        table.add_row(item["value"], item["variation"], count(item["n"]), *cells)
    return table


def _cells(item: dict[str, Any], *, corrected: bool = False) -> list[str]:
    absolute = item["absolute"]
    if absolute is None and item["relative"] is None:
        needs = f" (needs {item['undecided']['needs']})" if item["undecided"]["needs"] else ""
        return [f"not known: {item['undecided']['reason']}{needs}", "", ""]
    p_value = item["p_value_corrected"] if corrected else (absolute or {}).get("p_value")
    return [
        interval(item["relative"], relative=True),
        interval(absolute, relative=False),
        "–" if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}",
    ]


def _kind(metric: dict[str, Any]) -> str:
    if metric["q"] is None:
        return str(metric["kind"])
    return "median" if metric["q"] == 0.5 else f"{metric['q']:.0%} quantile"


def _percent(value: float) -> str:
    return percent(value, signed=True)


def _signed(value: float) -> str:
    text = figures(abs(value), 3)
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{text}"
