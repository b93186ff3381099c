"""The words of a metric, a limit or a list of shares, understood and written again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from analysis.cohorts import guess_kind
from analysis.compare import Ask, Form
from analysis.effect import Scale
from analysis.rows import MEANS, Kind, MetricColumn
from analysis.tables import ALL_ROWS
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off.question import Asked, Limit

HELP = (
    "Write COLUMN:KIND, where KIND is one of proportion, mean, count, sum, median, p90 (any p), "
    "ordinal, top4, bottom2, nps, spread or variance; a ratio is COLUMN:ratio/DENOMINATOR, a time "
    "COLUMN:time/HAPPENED. Options follow by commas: cap=500, cap=p99, events, horizon=30, by=7"
)
_OPTION = re.compile(r",(events|(?:cap|horizon|by)=[^,]+)$")
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_BOX = re.compile(r"(top|bottom)(-?\d+(?:\.\d+)?)")
_LIMIT = re.compile(r"([+\-−])\s*(\d+(?:\.\d+)?)\s*(%|pp)?")
_OTHER_NAMES = {
    "spread": Kind.DISPERSION,
    "nps": Kind.ORDINAL,
    "variance": Kind.DISPERSION,
    "median": Kind.QUANTILE,
}
GOOD = {"up": True, "down": False}


@dataclass(frozen=True, slots=True)
class _Words:
    """A metric's words, taken apart."""

    column: str
    kind: str
    other: str | None
    options: dict[str, str]


def metric(table: Any, text: str) -> Asked:
    """COL, COL:KIND, COL:p90, COL:ratio/DENOMINATOR or COL:time/HAPPENED, then options."""
    words = _taken_apart(text, set(table.columns))
    try:
        return _asked(table, words, text)
    except ValueError as wrong:
        raise Invalid(
            f"--metric {text!r} is not understood: {wrong}. {HELP}.",
            faults=(Fault("--metric", str(wrong)),),
        ) from None


def _taken_apart(text: str, columns: set[str]) -> _Words:
    if text in columns and text != ALL_ROWS:
        return _Words(text, "", None, {})
    column, colon, rest = text.rpartition(":")
    if not colon:
        column, rest = text, ""
    options: dict[str, str] = {}
    while (found := _OPTION.search(rest)) is not None:
        name, _, value = found[1].partition("=")
        options[name], rest = value, rest[: found.start()]
    kind, _, other = rest.partition("/")
    return _Words(column, kind, other or None, options)


def _asked(table: Any, words: _Words, text: str) -> Asked:
    ask = _ask(table, words)
    cap, cap_quantile = _cap(words.options.get("cap"))
    column = MetricColumn(
        words.column,
        ask.kind,
        words.column,
        other=words.other,
        cap=cap,
        cap_quantile=cap_quantile,
        per_event="events" in words.options,
    )
    return Asked(column, ask, text)


def _ask(table: Any, words: _Words) -> Ask:
    kind, at = words.kind, None
    quantile, box = _QUANTILE.fullmatch(kind), _BOX.fullmatch(kind)
    if quantile and 0 < float(quantile[1]) < 100:
        return Ask(Kind.QUANTILE, float(quantile[1]) / 100)
    if box:
        return Ask(Kind.ORDINAL, form=Form(box[1]), at=float(box[2]))
    held = _OTHER_NAMES.get(kind) or (Kind(kind) if kind else _guessed(table, words.column))
    form = {"nps": Form.NPS, "variance": Form.VARIANCE}.get(kind, Form.USUAL)
    if held is Kind.TIME:
        form = Form.BY if "by" in words.options else Form.USUAL
        given = words.options.get("by") or words.options.get("horizon")
        at = _positive(given) if given else None
    elif {"by", "horizon"} & words.options.keys():
        raise ValueError("horizon and by are for a time")
    return Ask(held, form=form, at=at)


def _guessed(table: Any, column: str) -> Kind:
    return Kind.COUNT if column == ALL_ROWS else guess_kind(table, column)


def _cap(text: str | None) -> tuple[float | None, float | None]:
    """A cap in the metric's unit, or as a quantile of all units."""
    if text is None:
        return None, None
    quantile = _QUANTILE.fullmatch(text)
    return (None, float(quantile[1]) / 100) if quantile else (_positive(text), None)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(f"{text} must be above 0")
    return value


def named(metrics: list[Asked]) -> tuple[Asked, ...]:
    """Each metric with a name of its own: its column, or all that was spelt where columns repeat."""
    columns = [asked.column.column for asked in metrics]
    held = [
        asked
        if columns.count(asked.column.column) == 1 and asked.column.column != ALL_ROWS
        else replace(asked, column=replace(asked.column, name=_own_name(asked)))
        for asked in metrics
    ]
    if len({asked.name for asked in held}) < len(held):
        raise Invalid("--metric: the same metric is asked for twice.")
    return tuple(held)


def _own_name(asked: Asked) -> str:
    return "rows" if asked.column.column == ALL_ROWS else asked.text


def with_covariates(metrics: tuple[Asked, ...], covariates: tuple[str, ...]) -> tuple[Asked, ...]:
    """The metrics that are compared by their mean, with covariates beside them."""
    return tuple(
        replace(asked, column=replace(asked.column, covariates=covariates))
        if asked.column.kind in MEANS
        else asked
        for asked in metrics
    )


def find(metrics: tuple[Asked, ...], option: str, text: str) -> tuple[Asked, str]:
    """The metric that "METRIC=VALUE" is about, and the value."""
    name, equals, value = text.rpartition("=")
    for asked in metrics:
        if equals and name.strip() in (asked.name, asked.text):
            return asked, value.strip()
    names = ", ".join(asked.name for asked in metrics)
    problem = f"{text!r} names none of the metrics: {names}" if equals else f"{text!r} has no ="
    raise Invalid(f"{option} {problem}.", faults=(Fault(option, problem),))


def limit(option: str, value: str) -> Limit:
    """+5% (at most so much more), -2% (at most so much less), +0.1 or +2pp (absolute)."""
    found = _LIMIT.fullmatch(value)
    if found is None:
        problem = (
            f"{value!r} is no limit: write +5% for at most 5 % more, -2% for at most 2 % less, +0.1 "
            "or +2pp for an absolute one"
        )
        raise Invalid(f"{option} {problem}.", faults=(Fault(option, problem),))
    sign, size, unit = found.groups()
    margin = float(size) / (100 if unit else 1)
    scale = Scale.RELATIVE if unit == "%" else Scale.ABSOLUTE
    return Limit(margin, scale, higher_is_better=sign != "+", text=value)


def good(option: str, value: str) -> bool:
    """up or down: which way is good."""
    if value not in GOOD:
        problem = f"{value!r} is neither up nor down"
        raise Invalid(f"{option} {problem}.", faults=(Fault(option, problem),))
    return GOOD[value]


def shares(text: str | None) -> dict[str, float] | None:
    """A=0.5,B=0.5 as shares by variation."""
    if text is None:
        return None
    try:
        pairs = [part.rsplit("=", 1) for part in text.split(",")]
        held = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        held = {}
    if not held or not all(0 < share < float("inf") for share in held.values()):
        raise Invalid(
            "--shares must look like control=0.5,new=0.5.",
            faults=(Fault("--shares", "must look like control=0.5,new=0.5"),),
        )
    return held
