"""What stands beside a measure's effect: what would settle it, matured, adjusted, its chances.

Read from the snapshot alone. Snapshots of earlier releases have none of this; then nothing shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollouts.reports import model
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.model import Body
from rollouts.web import formatting as say

LEANINGS = {
    ("guardrail", "harm"): "harm",
    ("guardrail", "safe"): "safe",
    ("goal", "harm"): "worse",
    ("goal", "safe"): "better",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An effect on some of the customers, or why there is none."""

    effect: str
    interval: str
    why: str
    n: int
    plot: Plot | None


@dataclass(frozen=True, slots=True)
class Matured:
    """Everybody so far, and those whose window is complete; one of them decides."""

    key: str
    name: str
    role: str
    limit: str
    text: str
    so_far: Told
    matured: Told
    is_decided_by_matured: bool
    state: str

    @property
    def deciding(self) -> Told:
        """The effect that is held against the limit."""
        return self.matured if self.is_decided_by_matured else self.so_far

    @property
    def plot(self) -> Plot | None:
        """Where the deciding effect lies."""
        return self.deciding.plot

    @property
    def complete(self) -> str:
        """The share of customers whose window is complete."""
        return say.percent(self.matured.n / self.so_far.n) if self.so_far.n else say.NONE


@dataclass(frozen=True, slots=True)
class Beside:
    """One metric's additions, as sentences or as what a table's row shows."""

    settles: str
    forecast: str  # what the sentence above rests on
    adjusted: str
    alike: str  # the effect among customers who are alike
    lately: str  # the effect on the customers who came last
    matured: Matured | None
    is_on_matured: bool

    @property
    def said(self) -> tuple[str, ...]:
        """All that stands under an effect, as sentences without their stops."""
        return tuple(text for text in (self.adjusted, self.alike, self.lately) if text)


def beside_of(body: Body, arm: str) -> Mapping[str, Beside]:
    """What stands beside each metric of one version, by the metric's key."""
    metrics = next(held["metrics"] for held in body["arms"] if held["key"] == arm)
    return {metric["key"]: _beside(metric) for metric in metrics}


def _beside(metric: Body) -> Beside:
    held = (metric.get("settles") or {}) if metric["finding"] == "unknown" else {}
    return Beside(
        settles=settles_text(metric),
        forecast=held.get("reason", ""),
        adjusted=adjusted_text(metric),
        alike=alike_text(metric),
        lately=lately_text(metric),
        matured=matured_of(metric),
        is_on_matured=bool(metric.get("matured_only")),
    )


def settles_text(metric: Body) -> str:
    """ "About 6,000 more customers would settle it, in about 2 days; it leans towards harm." """
    held = metric.get("settles")
    if not held or metric["finding"] != "unknown":
        return ""
    text = f"{held['text'][:1].upper()}{held['text'][1:]}"
    if held["customers"] is None:
        return f"Needs {held['text']}"
    leaning = LEANINGS.get((metric["role"], held["towards"]), "")
    would = " would settle it" if leaning else ""
    days = f", in {_about_days(held['days'])}" if held["days"] is not None else ""
    towards = f"; so far it leans towards {leaning}" if leaning else ""
    return f"{text}{would}{days}{towards}"


def _about_days(days: float) -> str:
    return "under a day" if days < 1 else f"about {say.plural(round(days), 'day')}"


def adjusted_text(metric: Body) -> str:
    """The effect adjusted for the time before, with what that gained; or why there is none."""
    held = metric.get("adjusted")
    if not held:
        return ""
    before = f"djusted for the {say.duration(held['pre_period_seconds'])} before"
    told = _told({**metric, "undecided": None, **held}, 0)
    if not told.effect:
        needs = f"; needs {held['needs']}" if held["needs"] else ""
        return f"Not a{before}: {told.why}{needs}"
    return f"A{before}: {told.effect} {told.interval}{_gain(held['gain'])}"


def alike_text(metric: Body) -> str:
    """The effect adjusted by kinds of customers, with what that gained; or why there is none."""
    held = metric.get("adjusted_by")
    if not held:
        return ""
    what = f"djusted by {' and '.join(held['attributes'])}"
    if held["with_before"]:
        what += " and the time before"
    told = _told({**metric, "undecided": None, **held}, 0)
    if not told.effect:
        needs = f"; needs {held['needs']}" if held["needs"] else ""
        return f"Not a{what}: {told.why}{needs}"
    return f"A{what}: {told.effect} {told.interval}{_gain(held['gain'])}"


def lately_text(metric: Body) -> str:
    """ "Of customers who came in the last 3 days: +12 % (3 % to 22 %), at this look alone"."""
    held = metric.get("lately")
    if not held:
        return ""
    days = say.plural(round(held["days"]), "day")
    told = _told({**metric, **held}, _n(held))
    who = f"Of the {say.count(told.n)} who came in the last {days}"
    if not told.effect:
        return f"{who}: {told.why}"
    return f"{who}: {told.effect} {told.interval}, at this look alone"


def _gain(gain: float | None) -> str:
    """A share of the variance removed is worth as many more customers as it takes away."""
    if gain is None or gain >= 1:
        return ""
    more = 1 / (1 - gain) - 1
    if more < 0.005:
        return ", no sharper than the raw one"
    return f", as sharp as with {say.percent(more)} more customers"


def matured_of(metric: Body) -> Matured | None:
    """So far beside matured, of a metric whose window lets customers mature."""
    part = metric.get("matured")
    if not part:
        return None
    is_deciding = bool(metric.get("matured_only"))
    n_all = metric["control"]["n"] + metric["treatment"]["n"]
    if is_deciding and metric.get("so_far"):
        early = metric["so_far"]
        so_far = _told({**metric, **early}, _n(early))
    else:
        so_far = _told(metric, n_all)
    return Matured(
        key=metric["key"],
        name=metric["name"],
        role=metric["role"],
        limit=model.limit_text(metric),
        text=part["text"],
        so_far=so_far,
        matured=_told({**metric, **part}, _n(part)),
        is_decided_by_matured=is_deciding,
        state=metric["finding"],
    )


def _n(part: Body) -> int:
    return int(part["n_control"] + part["n_treatment"])


def _told(metric: Body, n: int) -> Told:
    held, is_relative = model.shown_effect(metric)
    if held is None:
        undecided = metric.get("undecided") or {}
        why = undecided.get("reason") or metric.get("reason") or "not yet known"
        return Told("", "", why.rstrip("."), n, None)
    tell = model.teller(metric, is_relative)
    interval = model.interval_text(held, is_relative, tell)
    return Told(tell(held["estimate"]), interval, "", n, model.plot_of(metric))


def matured_axis(rows: list[Matured]) -> Axis:
    """The axis that the bars of so far beside matured share."""
    return model.axis_of(rows)
