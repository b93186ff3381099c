"""The report on a file, for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from rollouts.reports.one_off import words
from rollouts.reports.one_off.words import interval, level
from rollouts.words import count, percent

WIDTH = 150


def show(out: Console, report: dict[str, Any]) -> None:
    """Print the report: whether it can be believed, then each metric, then what it cannot tell."""
    if not out.is_terminal:
        out.width = max(out.width, WIDTH)  # into a file or a pipe nothing need be folded
    out.print(words.heading(report), markup=False, style="bold")
    for line in words.believed(report):
        out.print(line, markup=False)
    for decision in report["decisions"]:
        out.print(f"● {words.decision(decision)}", markup=False, style="bold")
    for metric in report["metrics"]:
        out.print()
        _metric(out, report, metric)
    out.print()
    for line in words.rests_on(report):
        out.print(line, markup=False)
    for line in report["cannot_tell"]:
        out.print(f"Cannot tell: {line}", markup=False, style="dim")


def _metric(out: Console, report: dict[str, Any], metric: dict[str, Any]) -> None:
    out.print(_effects(report, metric))
    for line in words.notes(report, metric):
        out.print(f"  {line}", markup=False)
    for segment in metric["segments"]:
        out.print(_segment(metric, segment))
        for line in words.segment_notes(segment):
            out.print(f"  {line}", markup=False)
    series = metric.get("series") or {}
    if series.get("placebos"):
        out.print(_placebos(series))


def _table(title: str, style: str, names: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style=style, box=None, pad_edge=False)
    for name in names:
        table.add_column(name)
    return table


def _effects(report: dict[str, Any], metric: dict[str, Any]) -> Table:
    share = percent(report["level"])
    many = any(e["p_value_corrected"] is not None for e in metric["effects"])
    counted = ["Customers", "Level"] if metric["arms"] else ["Counted"]
    names = ["Version", *counted, f"Change ({share})", "Difference", "p"]
    if metric["limit"]:
        names.append(f"Limit {metric['limit']['text']}")
    table = _table(f"{metric['name']} ({words.kind(metric)})", "bold", tuple(names))
    arms = {arm["variation"]: arm for arm in metric["arms"]}
    control = arms.get(report["control"])
    if control:
        table.add_row(report["control"], count(control["n"]), level(control, metric), "–", "–", "–")
    for effect in metric["effects"]:
        sizes = _sizes(metric, arms.get(effect["variation"]), effect)
        limit = [words.finding(effect["finding"])] if metric["limit"] else []
        table.add_row(effect["variation"], *sizes, *_cells(effect, corrected=many), *limit)
        if effect["adjusted"]:
            table.add_row(
                "  adjusted", *[""] * len(counted), *_cells(effect["adjusted"], corrected=False)
            )
    return table


def _sizes(metric: dict[str, Any], arm: dict[str, Any] | None, effect: dict[str, Any]) -> list[str]:
    if not metric["arms"]:
        return [effect["counted"] or "–"]
    return [count(arm["n"]), level(arm, metric)] if arm else ["0", "–"]


def _segment(metric: dict[str, Any], segment: dict[str, Any]) -> Table:
    title = f"{metric['name']} by {segment['column']}; p corrected for looking at every one (Holm)"
    names = (
        segment["column"],
        "Version",
        "Customers",
        "Change",
        "Difference",
        "p",
        "To expect there",
    )
    table = _table(title, "dim", names)
    expected = words.expected_by_segment(segment)
    for item in segment["values"]:
        shown = expected.get((item["value"], item["variation"]), "")
        cells = _cells(item, corrected=True)
        table.add_row(item["value"], item["variation"], count(item["n"]), *cells, shown)
    return table


def _placebos(series: dict[str, Any]) -> Table:
    table = _table(
        "Placebos: the same in groups without the change", "dim", ("Group", "Gap", "Miss before")
    )
    largest = sorted(series["placebos"], key=lambda p: -p["ratio"])[:10]
    for placebo in largest:
        table.add_row(placebo["name"], words.signed(placebo["gap"]), words.plain(placebo["miss"]))
    return table


def _cells(item: dict[str, Any], *, corrected: bool) -> list[str]:
    absolute, relative = item["absolute"], item["relative"]
    if absolute is None and relative is None:
        return [words.unknown(item["undecided"]), "", ""]
    plain = (absolute or relative)["p_value"]
    p_value = item["p_value_corrected"] if corrected else plain
    return [
        interval(relative, relative=True),
        interval(absolute, relative=False),
        words.chance(p_value),
    ]
