"""Verdicts as sentences that can be forwarded without the page.

Date + deed + fact + interval + limit + count + goal, and no adjective.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rollouts.guard.model import (
    Judgement,
    guardrails,
    is_all_safe,
    is_futile,
    nearest_goal,
)
from rollouts.tolerances.model import Action
from rollouts.words import MINUS, NBSP, absolute, count, figures, moment, percent, plural


def verdict(
    body: dict[str, Any], judgement: Judgement, *, deed: str = "", at: datetime
) -> dict[str, Any]:
    """The verdict of a look: kind, finding, a sentence in two parts, and what to do next.

    deed: what is being done with this look: withdrawn, shipped, stopped, or nothing yet.
    """
    if deed == "withdrawn":
        return _withdrawn(body, judgement, at)
    if deed in ("shipped", "stopped"):
        return _ended(body, deed, at)
    if body["srm"]["state"] == "broken":
        return _unjudged(body)
    worst = judgement.worst
    if worst is not None and worst.kind == "futile" and not _has_harm(body):
        return _futile(body)
    if judgement.action is Action.HOLD:
        return _held(body, judgement)
    if _has_harm(body):
        return _harm(body)
    if is_all_safe(body):
        return _safe(body)
    return _early(body)


def change(metric: dict[str, Any]) -> str:
    """What a metric did: "contacts rose 31 % (between 18 % and 46 %)"."""
    name = lower_first(metric["name"])
    effect = metric["relative"]
    show = percent if effect else _absolute(metric)
    effect = effect or metric["absolute"]
    if effect is None:
        why = metric["undecided"]["reason"] if metric["undecided"] else metric["reason"]
        return f"{name}: {lower_first(why).rstrip('.')}"
    low, high, estimate = effect["low"], effect["high"], effect["estimate"]
    if low <= 0 <= high:
        return f"{name} changed by {_signed(low, show)} to {_signed(high, show)}"
    verb = "rose" if estimate > 0 else "fell"
    ends = sorted((abs(low), abs(high)))
    between = f"(between {show(ends[0])} and {show(ends[1])})"
    return f"{name} {verb} {show(abs(estimate))} {between}"


def limit(metric: dict[str, Any]) -> str:
    """The limit of a guardrail, in words."""
    if metric["limit_scale"] == "relative":
        return percent(metric["limit"])
    form = metric.get("form", "number")  # snapshots of earlier releases tell none
    if form == "number" and metric.get("statistic", "mean") == "mean":
        return f"{figures(metric['limit'])} per customer"
    return absolute(metric["limit"], form)


def _absolute(metric: dict[str, Any]) -> Callable[[float], str]:
    return lambda value: absolute(value, metric.get("form", "number"))


def lower_first(text: str) -> str:
    """For use inside a sentence; acronyms stay."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def goals(body: dict[str, Any]) -> str:
    """One sentence for each goal of each arm."""
    said = []
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            if metric["role"] == "goal":
                of = f" in {arm['name']}" if len(body["arms"]) > 1 else ""
                said.append(_goal(metric, of))
    return " ".join(said)


def _goal(metric: dict[str, Any], of: str) -> str:
    text = change(metric)
    tail = "" if metric["finding"] in ("safe", "harm") else ", not enough to be known"
    if metric["relative"] is None and metric["absolute"] is None:
        tail = ""
    return f"{text[:1].upper()}{text[1:]}{of}{tail}."


def _withdrawn(body: dict[str, Any], judgement: Judgement, at: datetime) -> dict[str, Any]:
    worst = judgement.worst
    found = [
        (arm, metric)
        for arm, metric in guardrails(body)
        if worst is not None and (arm["key"], metric["key"]) == (worst.arm, worst.metric)
    ]
    when = moment(at)
    if not found or worst is None or worst.action is not Action.WITHDRAW:
        lead, rest = f"Withdrawn on {when} by hand.", " " + _summary(body)
        return _said("withdrawn", "unknown", lead, rest, "Read why on the timeline.")
    arm, metric = found[0]
    text = change(metric)
    head, _, tail = text.partition(" (")
    head += _within(body, arm)
    tail = f" ({tail}" if tail else ""
    parts = [f"{tail}, more than the {limit(metric)} we said we would tolerate."]
    if worst.kind == "budget":
        parts = [f"{tail}; the limit was {limit(metric)}."]
    if metric["budget"] and metric["budget"]["estimate"] is not None:
        parts.append(
            f"That is {_harm_count(metric)}, of a budget of {count(metric['budget']['amount'])}."
        )
    parts += [_all_arms(body, arm), goals(body)]
    everyone, new = _treated(body), versions(body)
    following = (
        f"All {everyone} customers on {new} are back on the old version; nothing needs switching. "
        "Find out why before trying again."
    )
    lead = f"Withdrawn on {when}: {head}"
    return _said("withdrawn", "harm", lead, " ".join(part for part in parts if part), following)


def versions(body: dict[str, Any]) -> str:
    """The new versions, as part of a sentence: "the new version", "both new versions"."""
    n = len(body["arms"])
    return (
        "the new version" if n == 1 else "both new versions" if n == 2 else f"all {n} new versions"
    )


def _within(body: dict[str, Any], arm: dict[str, Any]) -> str:
    """In which version, where there are several."""
    return f" in {arm['name']}" if len(body["arms"]) > 1 else ""


def _all_arms(body: dict[str, Any], arm: dict[str, Any]) -> str:
    """That the other versions went with the one that harmed; empty where there is no other."""
    if len(body["arms"]) == 1:
        return ""
    others = [item["name"] for item in body["arms"] if item["key"] != arm["key"]]
    listed = others[0] if len(others) == 1 else f"{', '.join(others[:-1])} and {others[-1]}"
    return f"{listed} {'was' if len(others) == 1 else 'were'} withdrawn with it."


def _ended(body: dict[str, Any], deed: str, at: datetime) -> dict[str, Any]:
    lead = f"{deed.capitalize()} on {moment(at)}."
    if deed == "stopped" and is_futile(body):
        return _stopped_as_futile(body, at)
    finding = "safe" if deed == "shipped" and is_all_safe(body) else "unknown"
    following = (
        "Remove the old path and the flag from the code."
        if deed == "shipped"
        else "Everybody is back on the old version."
    )
    return _said(deed, finding, lead, " " + _summary(body), following)


def _futile(body: dict[str, Any]) -> dict[str, Any]:
    """Advice: nothing is stopped yet, so the sentence does not say that it was."""
    saved = _saved(body)
    rest = (
        f" {_slim_chance(body)}. No harm shown.{f' Stopping now saves {saved}.' if saved else ''}"
    )
    following = (
        "Stop it, or let it run with this in mind; the plan withdraws nothing for want of success."
    )
    return _said("futile", "unknown", "Not working:", rest, following)


def _stopped_as_futile(body: dict[str, Any], at: datetime) -> dict[str, Any]:
    saved = _saved(body)
    harm = "" if _has_harm(body) else " No harm shown."
    rest = f" {_slim_chance(body)}.{harm}{f' {saved.capitalize()} saved.' if saved else ''}"
    lead = f"Stopped on {moment(at)}, not working:"
    following = "Everybody is back on the old version. Take the new path and the flag out."
    return _said("stopped", "unknown", lead, rest, following)


def _slim_chance(body: dict[str, Any]) -> str:
    """ "a 4 % chance to be shown better by 29 May if the truth is +2 % in orders".

    Of the goal that is nearest to it. What the data still allow may be more hopeful: said beside.
    """
    metric = nearest_goal(body)
    held = metric["futility"]
    wanted = percent(-metric["sign"] * held["worthwhile"], signed=True)
    by = f"with {count(held['units_left'])} more customers"
    if held["by"]:
        end = datetime.fromisoformat(held["by"])
        by = f"by {end.day} {end:%B}"
    goal = f"to be shown better {by} if the truth is {wanted} in {lower_first(metric['name'])}"
    more = ""
    if held["predictive"] > max(held["at_worthwhile"], 0.01):
        more = f", {percent(held['predictive'])} going by the data so far"
    return f"{_odds(held['at_worthwhile'])} {goal}{more}"


def _odds(share: float) -> str:
    if share < 0.01:
        return f"a chance of under 1{NBSP}%"
    text = percent(share)
    return f"{'an' if text.startswith(('8', '11', '18')) else 'a'} {text} chance"


def _saved(body: dict[str, Any]) -> str:
    """ "19 days", or customers where less than a day or no time is known."""
    held = nearest_goal(body)["futility"]
    days = held["saved_days"]
    if days is not None and days >= 1:
        return plural(days, "day")
    return f"{count(held['saved_units'])} customers" if held["saved_units"] else ""


def _unjudged(body: dict[str, Any]) -> dict[str, Any]:
    arrived = body["units"]["by_variation"]
    total = max(body["units"]["total"], 1)
    odd = max(arrived, key=lambda item: abs(item["n"] / total - item["share"]))
    p_value = body["srm"]["p_value"]
    shown = "p < 0.001" if p_value is None or p_value < 0.001 else f"p = {p_value:.2g}"
    lead = "Cannot be judged:"
    rest = (
        f" {percent(odd['share'])} was set for {odd['name']}, {percent(odd['n'] / total)} arrived "
        f"({shown}). The effects are not to be trusted, and the ramp is frozen."
    )
    return _said("unjudged", "unknown", lead, rest, "Find where customers get lost or doubled.")


def _held(body: dict[str, Any], judgement: Judgement) -> dict[str, Any]:
    reasons = [cause.reason for cause in judgement.causes if cause.action is Action.HOLD]
    lead = f"Held at {percent(body['stage']['share'])}:"
    tail = "" if _has_harm(body) else " No harm is shown."
    return _said(
        "held",
        "hold",
        lead,
        f" {lower_first(reasons[0])}.{tail}",
        "The ramp goes on by itself once this no longer holds, or decide with a reason.",
    )


def _harm(body: dict[str, Any]) -> dict[str, Any]:
    arm, metric = next(pair for pair in guardrails(body) if pair[1]["finding"] == "harm")
    text = change(metric)
    lead = f"Harm shown: {text.partition(' (')[0]}{_within(body, arm)}"
    tail = text[len(text.partition(" (")[0]) :]
    rest = f"{tail}, more than the {limit(metric)} we said we would tolerate. {goals(body)}"
    return _said("harm", "harm", lead, rest, f"The plan says: {metric['action']}. Decide.")


def _safe(body: dict[str, Any]) -> dict[str, Any]:
    n = sum(1 for _ in guardrails(body))
    several = "both guardrails are" if n == 2 else f"all {n} guardrails are"
    lead = f"Safe so far: {'the guardrail is' if n == 1 else several} within the limit."
    following = "Ship it, or let the ramp go on."
    return _said("safe", "safe", lead, " " + goals(body), following)


def _early(body: dict[str, Any]) -> dict[str, Any]:
    open_ones = [item for _, item in guardrails(body) if item["finding"] in ("unknown", "nodata")]
    metric = open_ones[0]
    rest = f" {change(metric)}, and the limit is {limit(metric)}."
    if metric["finding"] == "nodata":
        rest = f" {lower_first(metric['reason'])}"
    rest += _settling(body, metric)
    finding = "nodata" if metric["finding"] == "nodata" else "unknown"
    following = "Nothing to do: the guard looks again by itself."
    return _said("early", finding, "Too early to say:", rest, following)


def _settling(body: dict[str, Any], metric: dict[str, Any]) -> str:
    """ "About 6,000 more customers would settle it, 2 days at 25 %." """
    held = metric.get("settles")
    if not held or held["customers"] is None:
        return f" What would settle it: {metric['needs'].rstrip('.')}." if metric["needs"] else ""
    if not held["towards"]:
        return f" What would settle it: {held['text']}."
    text = held["text"]
    when = _duration(held["days"])
    tail = f", {when} at {percent(body['stage']['share'])}" if when else ""
    return f" {text[:1].upper()}{text[1:]} would settle it{tail}."


def _duration(days: float | None) -> str:
    if days is None:
        return ""
    return plural(days, "day") if days >= 1 else f"{plural(max(days * 24, 1), 'hour')}"


def _summary(body: dict[str, Any]) -> str:
    names = {"harm": "harm", "safe": "safe", "unknown": "not yet known", "nodata": "without data"}
    found = [metric["finding"] for _, metric in guardrails(body)]
    parts = [f"{found.count(key)} {word}" for key, word in names.items() if key in found]
    return f"Guardrails: {', '.join(parts)}. {goals(body)}".strip()


def _harm_count(metric: dict[str, Any]) -> str:
    budget = metric["budget"]
    n, unit = count(budget["estimate"]), budget["unit"]
    return f"{n} extra {unit}" if metric["sign"] > 0 else f"{n} {unit} lost"


def _treated(body: dict[str, Any]) -> str:
    return count(sum(v["n"] for v in body["units"]["by_variation"] if not v["is_control"]))


def _has_harm(body: dict[str, Any]) -> bool:
    return any(metric["finding"] == "harm" for _, metric in guardrails(body))


def _signed(value: float, show: Any) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{show(abs(value))}"


def _said(kind: str, finding: str, lead: str, rest: str, following: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "finding": finding,
        "sentence": f"{lead}{rest}".strip(),
        "lead": lead,
        "rest": rest,
        "next": following,
    }
