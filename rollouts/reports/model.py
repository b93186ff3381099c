"""What a report page shows, read from one stored snapshot; nothing is computed anew.

Effects turn so that right is always worse for the customer, whichever way the metric runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rollouts.guard.model import is_futile
from rollouts.reports import words
from rollouts.reports.bars import Axis, Drawn, Gauge, Plot
from rollouts.reports.levels import Body as Body
from rollouts.reports.levels import Teller as Teller
from rollouts.reports.levels import base_of
from rollouts.reports.levels import rates as rates
from rollouts.reports.levels import teller as teller
from rollouts.reports.ramp import Step, ramp_of
from rollouts.web import formatting as say

ORDER = {"harm": 0, "nodata": 1, "unknown": 2, "safe": 3}
MANY = 12  # guardrails; above it, those that are safe are folded away


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one variation, in words and as a place on the axis."""

    key: str
    name: str
    note: str
    role: str
    old: str
    new: str
    effect: str
    interval: str
    limit: str
    state: str
    needs: str
    reason: str
    meaning: str
    method: str
    notes: tuple[str, ...]
    n_new: int
    evidence: float | None
    plot: Plot | None
    gauge: Gauge | None
    last_event_at: str | None

    @property
    def word(self) -> str:
        """The finding's name."""
        return words.FINDINGS[self.state]


@dataclass(frozen=True, slots=True)
class Arm:
    """One new version against control."""

    key: str
    name: str
    n: int
    guardrails: tuple[Row, ...]
    goals: tuple[Row, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All metrics, guardrails first."""
        return (*self.guardrails, *self.goals)

    def row(self, key: str) -> Row | None:
        """The row of one metric."""
        return next((row for row in self.rows if row.key == key), None)

    @property
    def shown(self) -> tuple[Row, ...]:
        """What is listed at once: all, or with very many only those that are not safe."""
        if len(self.guardrails) <= MANY:
            return self.rows
        return (*(row for row in self.guardrails if row.state != "safe"), *self.goals)

    @property
    def folded(self) -> tuple[Row, ...]:
        """Safe guardrails that wait behind a fold."""
        if len(self.guardrails) <= MANY:
            return ()
        return tuple(row for row in self.guardrails if row.state == "safe")

    @property
    def worst(self) -> str:
        """The finding that decides for this version."""
        states = [row.state for row in self.guardrails]
        return min(states, key=ORDER.__getitem__, default="nodata")

    @property
    def axis(self) -> Axis:
        """The axis all of this version's bars share."""
        return axis_of(self.rows)

    @property
    def tally(self) -> str:
        """The guardrails counted: "1 harm, 2 safe, 4 not yet known"."""
        names = {
            "harm": "harm",
            "safe": "safe",
            "unknown": "not yet known",
            "nodata": "without data",
        }
        counted = [(state, sum(r.state == state for r in self.guardrails)) for state in names]
        return ", ".join(f"{n} {names[state]}" for state, n in counted if n) or "none"


@dataclass(frozen=True, slots=True)
class Report:
    """One snapshot, ready for the page."""

    body: Body
    arms: tuple[Arm, ...]
    control: str
    n_control: int
    units: tuple[str, str]
    ramp: tuple[Step, ...]

    @property
    def is_judged(self) -> bool:
        """Whether effects may be shown: not while the split is broken."""
        return bool(self.body["srm"]["state"] != "broken")

    @property
    def headline(self) -> str:
        """The small line over the verdict."""
        verdict, decision = self.body["verdict"], self.body["decision"]
        if self.is_futile:
            return "Stopped, not working" if verdict["kind"] == "stopped" else "Not working"
        said = words.headline(verdict["kind"], verdict["finding"])
        if verdict["finding"] == "harm" and not self._shows_harm:
            said = said.replace(words.FINDINGS["harm"], "Harm budget spent")
        is_ours = verdict["kind"] == "withdrawn" and decision["action"] == "withdraw"
        return f"{said} by the stop-loss" if is_ours else said

    @property
    def _shows_harm(self) -> bool:
        return any(row.state == "harm" for arm in self.arms for row in arm.guardrails)

    @property
    def tone(self) -> str:
        """Name of the verdict's colour and border."""
        verdict = self.body["verdict"]
        if self.is_futile:
            return "plain"
        return "nodata" if verdict["kind"] == "unjudged" else str(verdict["finding"])

    @property
    def is_futile(self) -> bool:
        """Whether it is told as not working: nothing was found, so it gets ink and no hue."""
        kind = self.body["verdict"]["kind"]
        return kind == "futile" or (kind == "stopped" and is_futile(dict(self.body)))

    @property
    def leading(self) -> Row | None:
        """The guardrail the first fact is about: the worst, then the one with a budget."""
        rows = [row for arm in self.arms for row in arm.guardrails]
        return min(rows, key=_weight, default=None)

    @property
    def gauges(self) -> tuple[tuple[Arm, Row], ...]:
        """Every harm budget, with whose it is; the most spent first."""
        held = [(arm, row) for arm in self.arms for row in arm.guardrails if row.gauge]
        return tuple(sorted(held, key=lambda pair: _spent(pair[1]), reverse=True))

    @property
    def axis(self) -> Axis:
        """One axis for all versions, so that they can be compared by eye."""
        return axis_of([row for arm in self.arms for row in arm.rows])

    @property
    def counted(self) -> tuple[Row, ...]:
        """Every metric once, for what it counts."""
        return self.arms[0].rows if self.arms else ()

    @property
    def arrived(self) -> tuple[str, str]:
        """What share of the first new version was set, and what share arrived."""
        new = next(v for v in self.body["units"]["by_variation"] if not v["is_control"])
        total = sum(v["n"] for v in self.body["units"]["by_variation"])
        return say.percent(new["share"]), say.exact_share(new["n"] / total if total else None)


def _weight(row: Row) -> tuple[int, bool, float]:
    order = ORDER[row.state]
    if row.gauge is not None and row.gauge.state == "spent":
        order = min(order, ORDER["nodata"])
    return order, row.gauge is None, -(row.evidence or 0.0)


def _spent(row: Row) -> float:
    assert row.gauge is not None
    return (row.gauge.estimate or 0.0) / row.gauge.amount


def report_of(body: Body) -> Report:
    """Read a snapshot's body. Effects are left out while the split is broken."""
    body = body if body["srm"]["state"] != "broken" else without_effects(body)
    variations = body["units"]["by_variation"]
    control = next(v for v in variations if v["is_control"])
    seen = {v["key"]: v["n"] for v in variations}
    units = words.unit_words(body["rollout"]["unit"])
    arms = tuple(
        Arm(
            key=arm["key"],
            name=arm["name"],
            n=seen.get(arm["key"], 0),
            guardrails=_sorted(_rows(arm["metrics"], "guardrail", units)),
            goals=_rows(arm["metrics"], "goal", units),
        )
        for arm in body["arms"]
    )
    return Report(body, arms, control["name"], control["n"], units, ramp_of(body))


HIDDEN = (
    "relative",
    "absolute",
    "shrunken",
    "evidence",
    "settles",
    "matured",
    "so_far",
    "adjusted",
    "adjusted_by",
    "lately",
    "futility",
    "levels",
    "survey",
)


def without_effects(body: Body) -> dict[str, Any]:
    """The body with every effect taken out, for snapshots that cannot be judged."""
    return {
        **body,
        "recommendation": None,  # its reasons may name effects; the verdict says enough
        "arms": [
            {**arm, "metrics": [_blinded(metric) for metric in arm["metrics"]], "segments": []}
            for arm in body["arms"]
        ],
    }


def _blinded(metric: Body) -> dict[str, Any]:
    gone: dict[str, Any] = dict.fromkeys(HIDDEN)
    gone["strata"] = []
    for side in ("control", "treatment"):
        gone[side] = {**metric[side], "total": None, "mean": None}
    if metric["budget"]:
        unknown = {"estimate": None, "low": None, "high": None, "state": "unknown"}
        gone["budget"] = {**metric["budget"], **unknown}
    return {**metric, **gone}


def _sorted(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: ORDER[row.state]))


def _rows(metrics: Sequence[Body], role: str, units: tuple[str, str]) -> tuple[Row, ...]:
    return tuple(row_of(item, units) for item in metrics if item["role"] == role)


def row_of(metric: Body, units: tuple[str, str]) -> Row:
    """One metric's row."""
    old, new, note = rates(metric, units)
    held, is_relative = shown_effect(metric)
    tell = teller(metric, is_relative)
    undecided = metric["undecided"] or {}
    return Row(
        key=metric["key"],
        name=metric["name"],
        note=note,
        role=metric["role"],
        old=old,
        new=new,
        effect=tell(held["estimate"]) if held else "",
        interval=interval_text(held, is_relative, tell) if held else "",
        limit=limit_text(metric),
        state=metric["finding"],
        needs=metric["needs"] or undecided.get("needs", ""),
        reason=metric["reason"] or undecided.get("reason", ""),
        meaning=metric["meaning"],
        method=metric["method"],
        notes=tuple(metric["notes"]),
        n_new=metric["treatment"]["n"],
        evidence=(metric["evidence"] or {}).get("share"),
        plot=plot_of(metric),
        gauge=gauge_of(metric["budget"]),
        last_event_at=metric["last_event_at"],
    )


def gauge_of(budget: Body | None) -> Gauge | None:
    """The metric's harm budget, if it has one."""
    if budget is None:
        return None
    return Gauge(
        amount=budget["amount"],
        unit=budget["unit"],
        hold=budget["amount"] * budget["hold_at"],
        estimate=budget["estimate"],
        low=budget["low"],
        high=budget["high"],
        state=budget["state"],
        reason=budget["reason"],
    )


def shown_effect(metric: Body) -> tuple[Body | None, bool]:
    """The effect in the scale its limit is set in, and whether that is the relative one.

    Without a relative one, as where values may be negative, the absolute one stands in.
    """
    if metric["absolute"] and (metric["limit_scale"] == "absolute" or not metric["relative"]):
        return metric["absolute"], False
    return metric["relative"], True


def interval_text(held: Body, is_relative: bool, tell: Teller) -> str:
    """An effect's interval, beside its estimate."""
    if is_relative:
        return say.span(held["low"], held["high"])
    return say.together(f"({tell(held['low'])} to {tell(held['high'])})")


def limit_text(metric: Body) -> str:
    """The limit with the sign of harm: "+10 %", "−3 %", "goal"."""
    if metric["limit"] is None:
        return "goal" if metric["role"] == "goal" else say.NONE
    is_relative = metric["limit_scale"] != "absolute"
    return teller(metric, is_relative)(metric["limit"] * metric["sign"])


def plot_of(metric: Body) -> Plot | None:
    """Where the effect lies, right being worse; absolute ones are put over control's mean."""
    held, is_relative = shown_effect(metric)
    base = base_of(metric)
    if held is None or (not is_relative and not base):
        return None
    scale = metric["sign"] / (1.0 if is_relative else base)
    low, high = sorted((held["low"] * scale, held["high"] * scale))
    limit = metric["limit"]
    if limit is not None and metric["limit_scale"] == "absolute":
        limit = limit / base if base else None
    return Plot(low, held["estimate"] * scale, high, limit)


def axis_of(rows: Sequence[Drawn]) -> Axis:
    """One axis for these rows: all estimates and limits are inside, wild intervals are cut."""
    plots = [row.plot for row in rows if row.plot is not None]
    core = [abs(p.estimate) for p in plots] + [p.limit or 0.0 for p in plots]
    reach = max(2.2 * max(core, default=0.0), 0.02)
    low = min([0.0, *(max(p.low, -reach) for p in plots)])
    ends = [min(p.high, reach) for p in plots] + [1.25 * (p.limit or 0.0) for p in plots]
    high = max([0.0, *ends])
    pad = 0.04 * (high - low or reach)
    return Axis(low - pad, high + pad)
