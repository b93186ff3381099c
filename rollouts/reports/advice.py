"""Can it still work, how far to believe it, what the evidence says about shipping: as stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rollouts.reports.model import Body
from rollouts.web import formatting as say

GRADES = {
    "strong": "strong: it may be relied upon",
    "fair": "fair: it may be relied upon with care",
    "weak": "weak: a hint, no proof",
    "none": "none: not to be used",
}

# outcome: (icon, words). No hue: it is advice, and only findings are coloured.
OUTCOMES = {
    "ship": ("ship", "Ship it"),
    "undecided": ("clock", "Too early to say"),
    "not_shown": ("off", "Not shown to be worth shipping"),
    "harm": ("back", "Do not ship it"),
    "invalid": ("warn", "Cannot be said: the comparison cannot be trusted"),
}

TRUTHS = (
    ("at_worthwhile", "just worth having, {goal}"),
    ("at_trend", "what it looks like so far"),
    ("predictive", "anything the data still allow"),
)


@dataclass(frozen=True, slots=True)
class Chances:
    """A goal's chances to be shown better by the plan's end, and what would be worth having."""

    arm: str
    name: str
    goal: str
    by: str | None
    floor: float | None
    is_futile: bool
    is_better: bool  # shown already, so there is nothing left to wait for
    bars: tuple[tuple[str, float], ...]
    saved: str
    reason: str


def chances_of(body: Body) -> tuple[Chances, ...]:
    """Of every goal for which the plan names a smallest worthwhile effect."""
    return tuple(
        _chances(arm["name"], metric)
        for arm in body["arms"]
        for metric in arm["metrics"]
        if metric.get("futility")
    )


def _chances(arm: str, metric: Body) -> Chances:
    held = metric["futility"]
    goal = say.change(-metric["sign"] * held["worthwhile"])
    bars = ((words.format(goal=goal), held[key]) for key, words in TRUTHS)
    return Chances(
        arm=arm,
        name=metric["name"],
        goal=goal,
        by=held["by"],
        floor=held["floor"],
        is_futile=held["is_futile"],
        is_better=metric["finding"] == "safe",
        bars=tuple((words, value) for words, value in bars if value is not None),
        saved=_saved(held),
        reason=held["reason"],
    )


def _saved(held: Body) -> str:
    """ "19 days and 12,000 customers", as far as both are known."""
    days, units = held.get("saved_days"), held.get("saved_units")
    parts = [say.plural(round(days), "day")] if days is not None and days >= 1 else []
    if units:
        parts.append(f"{say.count(units)} customers")
    return " and ".join(parts)


def odds(share: float) -> str:
    """A chance in words that claim no more than it is worth."""
    if share < 0.01:
        return say.together("under 1 %")
    return say.together("over 99 %") if share > 0.99 else say.percent(share)


@dataclass(frozen=True, slots=True)
class Grade:
    """How far to believe a look: what lowered the grade, and what was looked at and is fine."""

    words: str
    reasons: tuple[str, ...]
    fine: tuple[str, ...]


def grade_of(body: Body) -> Grade | None:
    """The grade of the evidence, if this snapshot has one."""
    held = body.get("evidence")
    if not held:
        return None
    sound = {f"{c['name']}: {c['reason']}" for c in held["checks"] if c["state"] == "ok"}
    return Grade(
        words=GRADES.get(held["grade"], held["grade"]),
        reasons=tuple(_sentence(why) for why in held["reasons"] if why not in sound),
        fine=tuple(_sentence(why) for why in held["reasons"] if why in sound),
    )


@dataclass(frozen=True, slots=True)
class Advice:
    """What one rule over all metrics says of shipping one version, with its reasons."""

    arm: str
    icon: str
    words: str
    reasons: tuple[str, ...]


def advice_of(body: Body) -> tuple[Advice, ...]:
    """For each version, the one the rule favours first; nothing in older snapshots."""
    held = body.get("recommendation")
    if not held:
        return ()
    names = {arm["key"]: arm["name"] for arm in body["arms"]}
    ordered = sorted(held["arms"], key=lambda item: item["key"] != held["arm"])
    return tuple(_advice(item, names.get(item["key"], item["key"])) for item in ordered)


def _advice(item: Body, name: str) -> Advice:
    icon, words = OUTCOMES.get(item["outcome"], ("clock", item["outcome"]))
    return Advice(name, icon, words, tuple(_sentence(reason) for reason in item["reasons"]))


def _sentence(reason: Any) -> str:
    text = str(reason)
    return f"{text[:1].upper()}{text[1:]}"
