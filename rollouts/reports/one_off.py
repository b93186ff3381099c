"""The effectiveness report for a file that somebody already has."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.cohorts import Exposures, exposures, guess_kind, summarise
from analysis.compare import compare
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.multiplicity import holm
from analysis.rows import Kind, MetricColumn, Row
from analysis.srm import srm_p_value
from analysis.summary import PairSummary, Summary
from rollouts.errors import Fault, Invalid
from rollouts.reports import one_off_page, one_off_text
from rollouts.words import count

BROKEN_SPLIT = 0.001


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric that is asked for, and which quantile where it is one."""

    column: MetricColumn
    q: float = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a file."""

    file: Path
    unit: str
    variation: str
    control: str
    metrics: tuple[Asked, ...]
    segments: tuple[str, ...] = ()
    shares: dict[str, float] | None = None  # configured; None: equal
    level: float = 0.95


def read_question(
    *,
    file: Path,
    unit: str,
    variation: str,
    control: str,
    metrics: Sequence[str],
    segments: Sequence[str],
    shares: str | None,
    level: float,
) -> Question:
    """Understand the command line's words. Raises Invalid naming the option."""
    if not 0 < level < 1:
        raise Invalid("--level must lie between 0 and 1, such as 0.95.")
    held = tuple(_metric(file, text) for text in metrics)
    return Question(file, unit, variation, control, held, tuple(segments), _shares(shares), level)


def answer(question: Question) -> dict[str, Any]:
    """The report as plain data: units, split, effects, segments. Raises Invalid."""
    try:
        seen = exposures(question.file, unit=question.unit, variation=question.variation)
        rows = summarise(
            question.file,
            unit=question.unit,
            variation=question.variation,
            metrics=[asked.column for asked in question.metrics],
            segments=question.segments,
        )
    except ValueError as wrong:
        raise Invalid(f"This file does not fit the question: {wrong}.") from None
    if question.control not in seen.counts:
        names = ", ".join(repr(name) for name in sorted(seen.counts)) or "none"
        raise Invalid(
            f"No row has the variation {question.control!r}. The file has: {names}.",
            faults=(Fault("--control", f"{question.control!r} is not in the file"),),
        )
    others = sorted(name for name in seen.counts if name != question.control)
    return {
        "schema": 1,
        "file": question.file.name,
        "unit": question.unit,
        "variation": question.variation,
        "control": question.control,
        "level": question.level,
        "units": _units(question, seen),
        "split": _split(question, seen),
        "metrics": [_metric_report(question, asked, rows, others) for asked in question.metrics],
        "cannot_tell": [
            (
                "Nobody wrote limits down before these data were seen, so nothing here is called safe "
                "or harmful."
            ),
            "The intervals are for one look; looking again as rows are added widens the error.",
            "Whether each customer was followed for equally long after the first exposure.",
        ],
    }


def run(out: Console, *, html: Path | None, as_json: bool, **given: Any) -> int:
    """Answer the command line: tables, JSON, and a page if one is wanted."""
    question = read_question(**given)
    report = answer(question)
    if as_json:
        out.print_json(data=report)
    else:
        one_off_text.show(out, report)
    if html is not None:
        html.write_text(one_off_page.to_html(report, _command(question)), encoding="utf-8")
        if not as_json:
            out.print(f"\nThe page is in [bold]{html}[/].", soft_wrap=True)
    return 0


def _command(question: Question) -> str:
    """The command that gives this report again."""
    words = ["rollouts", "analyze", question.file.name, "--unit", question.unit]
    words += ["--variation", question.variation, "--control", question.control]
    for asked in question.metrics:
        words += ["--metric", _spelt(asked)]
    for column in question.segments:
        words += ["--segment", column]
    if question.shares:
        shares = ",".join(f"{name}={share:g}" for name, share in question.shares.items())
        words += ["--shares", shares]
    if question.level != 0.95:
        words += ["--level", f"{question.level:g}"]
    return shlex.join(words)


def _spelt(asked: Asked) -> str:
    held = asked.column
    if held.kind is Kind.QUANTILE:
        return f"{held.column}:p{round(asked.q * 100)}"
    return f"{held.column}:{held.kind}" + (f"/{held.other}" if held.other else "")


def _metric(file: Path, text: str) -> Asked:
    """COL, COL:KIND, COL:p90, COL:ratio/DENOMINATOR or COL:time/HAPPENED."""
    column, colon, kind = text.rpartition(":")
    if not colon:
        column, kind = text, ""
    kind, _, other = kind.partition("/")
    try:
        q = _quantile(kind)
        if q is not None:
            return Asked(MetricColumn(column, Kind.QUANTILE, column), q)
        held = Kind(kind) if kind else guess_kind(file, column)
        return Asked(MetricColumn(column, held, column, other=other or None))
    except ValueError as wrong:
        kinds = ", ".join(item for item in Kind if item is not Kind.QUANTILE)
        raise Invalid(
            f"--metric {text!r} is not understood: {wrong}. Write COLUMN:KIND, where KIND is one "
            f"of {kinds}, median or p90; a ratio is COLUMN:ratio/DENOMINATOR, a time "
            "COLUMN:time/HAPPENED.",
            faults=(Fault("--metric", str(wrong)),),
        ) from None


def _quantile(kind: str) -> float | None:
    """median, quantile or p1 to p99 as a share."""
    if kind in ("median", "quantile"):
        return 0.5
    if kind[:1] == "p" and kind[1:].isdecimal() and 0 < int(kind[1:]) < 100:
        return int(kind[1:]) / 100
    return None


def _shares(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        pairs = [part.rsplit("=", 1) for part in text.split(",")]
        return {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise Invalid("--shares must look like control=0.5,new=0.5.") from None


def _units(question: Question, seen: Exposures) -> dict[str, Any]:
    return {
        "rows": seen.rows,
        "by_variation": [
            {"key": name, "n": n, "is_control": name == question.control}
            for name, n in sorted(seen.counts.items(), key=lambda pair: pair[0] != question.control)
        ],
        "crossed": seen.crossed,
        "unnamed": seen.unnamed,
    }


def _split(question: Question, seen: Exposures) -> dict[str, Any]:
    names = sorted(seen.counts)
    held = question.shares or {name: 1 / len(names) for name in names}
    if set(held) != set(names):
        raise Invalid(f"--shares must name each variation of the file: {', '.join(names)}.")
    total = sum(held.values())
    shares = [held[name] / total for name in names]
    counts = [seen.counts[name] for name in names]
    text = " to ".join(f"{count(n)} {name}" for name, n in zip(names, counts, strict=True))
    if len(names) < 2:
        return {"state": "unknown", "p_value": None, "text": f"{text}: only one variation"}
    p_value = srm_p_value(counts, shares)
    if isinstance(p_value, Undecided):
        return {"state": "unknown", "p_value": None, "text": f"{text}: {p_value.reason}"}
    state = "broken" if p_value < BROKEN_SPLIT else "ok"
    shown = "p < 0.001" if p_value < BROKEN_SPLIT else f"p = {p_value:.2g}"
    return {"state": state, "p_value": p_value, "text": f"{text}, {shown}"}


def _metric_report(
    question: Question, asked: Asked, rows: list[Row], others: list[str]
) -> dict[str, Any]:
    mine = [row for row in rows if row.metric == asked.column.name]
    whole = {row.variation: row for row in mine if row.segment is None}
    return {
        "name": asked.column.name,
        "kind": asked.column.kind.value,
        "q": asked.q if asked.column.kind is Kind.QUANTILE else None,
        "arms": [_arm(row, asked) for row in whole.values()],
        "effects": [
            _effects(question, asked, whole.get(question.control), whole.get(other), other)
            for other in others
        ],
        "segments": [
            _segment(question, asked, mine, others, column) for column in question.segments
        ],
    }


def _arm(row: Row, asked: Asked) -> dict[str, Any]:
    total, mean = _level(row, asked)
    return {
        "variation": row.variation,
        "n": row.n,
        "total": total,
        "mean": mean,
        "n_missing": row.n_missing,
        "n_odd": row.n_odd,
        "cap": row.cap,
    }


def _level(row: Row, asked: Asked) -> tuple[float | None, float | None]:
    """A version's own total and level, whatever the kind; None where there is no such number."""
    held = row.sums
    if row.n == 0:
        return None, None
    if isinstance(held, Summary):
        return held.total, held.mean
    if isinstance(held, PairSummary):
        return held.x_total, held.x_total / held.y_total if held.y_total else None
    if isinstance(held, Histogram):
        is_quantile = asked.column.kind is Kind.QUANTILE
        return None, held.quantile(asked.q) if is_quantile else held.summary.mean
    return None, None


def _effects(
    question: Question, asked: Asked, control: Row | None, treatment: Row | None, name: str
) -> dict[str, Any]:
    if control is None or treatment is None:
        why = Undecided("one of the two versions has no customers here", needs="customers in both")
        return {"variation": name, **_shown(why, why)}
    absolute, relative = compare(
        asked.column.kind, control, treatment, level=question.level, q=asked.q
    )
    return {"variation": name, **_shown(absolute, relative)}


def _segment(
    question: Question, asked: Asked, rows: list[Row], others: list[str], column: str
) -> dict[str, Any]:
    """Every value of a segment, its p-values corrected for looking at all of them."""
    within = [row for row in rows if row.segment is not None and row.segment[0] == column]
    values = sorted({row.segment[1] for row in within if row.segment is not None})
    held = []
    for value in values:
        here = {row.variation: row for row in within if row.segment == (column, value)}
        for other in others:
            control, treatment = here.get(question.control), here.get(other)
            held.append(
                {
                    "value": value,
                    "n": sum(row.n for row in (control, treatment) if row is not None),
                    **_effects(question, asked, control, treatment, other),
                }
            )
    _correct(held)
    return {"column": column, "values": held}


def _correct(held: list[dict[str, Any]]) -> None:
    known = [item for item in held if item["absolute"] and item["absolute"]["p_value"] is not None]
    if not known:
        return
    corrected = holm([item["absolute"]["p_value"] for item in known])
    for item, p_value in zip(known, corrected, strict=True):
        item["p_value_corrected"] = float(p_value)


def _shown(absolute: Effect | Undecided, relative: Effect | Undecided) -> dict[str, Any]:
    undecided = next((e for e in (absolute, relative) if isinstance(e, Undecided)), None)
    return {
        "absolute": _effect(absolute),
        "relative": _effect(relative),
        "undecided": {"reason": undecided.reason, "needs": undecided.needs}
        if undecided is not None
        else None,
        "p_value_corrected": None,
    }


def _effect(effect: Effect | Undecided) -> dict[str, Any] | None:
    if isinstance(effect, Undecided):
        return None
    return {
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "level": effect.level,
        "p_value": effect.p_value,
        "validity": effect.validity.value,
        "method": effect.method,
        "assumptions": list(effect.assumptions),
    }
