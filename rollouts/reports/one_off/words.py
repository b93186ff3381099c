"""What the report on a file says, in words: the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollouts.words import MINUS, NBSP, count, figures, percent

SHARES = ("proportion",)
MARKS = {"fine": "●", "broken": "◆", "warning": "○", "unknown": "○"}
FINDINGS = {"harm": "◆ harm shown", "safe": "● safe", "unknown": "○ not yet known"}
GRADES = {
    "strong": "strong",
    "fair": "fair",
    "weak": "weak",
    "none": "none: do not use these effects",
}
PHRASES = ("with the change", "since the change")  # what stands for a version without a name
OUTCOMES = {
    "ship": "Ship",
    "harm": "Do not ship: harm",
    "invalid": "Cannot be judged",
    "not shown": "Not shown",
    "undecided": "Not known yet",
}


def heading(report: dict[str, Any]) -> str:
    """The file, and what is compared in it."""
    if report["design"]["is_randomised"] and report["unit"]:
        by = f"{report['unit']} by {report['variation']}"
        return f"{report['file']}: {by}, {report['control']!r} is the old version"
    return f"{report['file']}: {report['design']['name']}"


def believed(report: dict[str, Any]) -> list[str]:
    """Whether the data can be believed, one line for each check."""
    lines = [f"◆ {report['design']['says']}"] if report["design"]["says"] else []
    grade = report["grade"]["grade"]
    lines.append(f"{'◆' if grade == 'none' else '●'} Evidence: {GRADES[grade]}")
    names = {"SRM": "Split", "crossings": "Crossings", "pre-exposure bias": "Before exposure"}
    for check in report["checks"]:
        name = names.get(check["name"], check["name"][:1].upper() + check["name"][1:])
        lines.append(f"{MARKS[check['state']]} {name}: {check['reason']}")
    if report["split"] and report["split"]["state"] == "broken":
        lines.append("  The split is not what was set: do not trust the effects below.")
    lines += _left_out(report)
    return lines


def _left_out(report: dict[str, Any]) -> Iterator[str]:
    units = report["units"]
    if units["crossed"]:
        yield f"○ {count(units['crossed'])} seen in two versions, left out"
    if units["unnamed"]:
        yield f"○ {count(units['unnamed'])} rows without a unit, variation, time or value, left out"
    for metric in report["metrics"]:
        odd = sum(arm["n_odd"] for arm in metric["arms"])
        missing = sum(arm["n_missing"] for arm in metric["arms"])
        if odd or missing:
            yield (
                f"○ {metric['name']}: {count(missing)} without a value, {count(odd)} with one that "
                "cannot be; left out, never read as zero"
            )


def rests_on(report: dict[str, Any]) -> list[str]:
    """What the effects rest on, and what of that was looked at."""
    held = report["design"]
    lines = [f"Rests on: {'; '.join(held['assumptions'])}."] if held["assumptions"] else []
    if held["checked"] and not held["is_randomised"]:
        lines.append(f"Looked at: {', '.join(held['checked'])}. The rest is belief.")
    if held["not_checked"]:
        lines.append(f"Could not be looked at: {', '.join(held['not_checked'])}.")
    return lines


def notes(report: dict[str, Any], metric: dict[str, Any]) -> list[str]:
    """Under a metric's table: method, tests, what adjustment gained, what could have been shown."""
    lines = []
    for effect in metric["effects"]:
        of = f"{effect['variation']}: " if len(metric["effects"]) > 1 else ""
        lines += [of + line for line in _effect_notes(effect)]
    held = next(
        (
            e["absolute"] or e["relative"]
            for e in metric["effects"]
            if e["absolute"] or e["relative"]
        ),
        None,
    )
    if held:
        methods = dict.fromkeys(
            e[scale]["method"]
            for e in metric["effects"]
            for scale in ("absolute", "relative")
            if e[scale]
        )
        lines.append(f"Method: {'; '.join(methods)}.")
        lines.append(f"Assumes: {'; '.join(held['assumptions'])}.")
    capped = {arm["cap"] for arm in metric["arms"] if arm["cap"] is not None}
    if capped:
        lines.append(f"Values above {figures(max(capped), 4)} were moved to it.")
    if metric["kind"] == "time" and metric["form"] == "usual" and metric["at"]:
        lines.append(f"Mean time without the event, up to {figures(metric['at'], 4)}.")
    return lines


def _effect_notes(effect: dict[str, Any]) -> Iterator[str]:
    finding_ = effect["finding"]
    if finding_:
        needs = f" (needs {finding_['needs']})" if finding_["needs"] else ""
        yield f"{FINDINGS[finding_['state']]}: {finding_['reason']}{needs}."
    if effect["adjusted"]:
        yield _gain(effect["adjusted"])
    if effect["bounds"]:
        yield _bounds(effect["bounds"])
    for test in effect["tests"]:
        yield (
            f"{test['name']}: p {_equals(test['p_value'])}"
            if test["p_value"] is not None
            else f"{test['name']}: {unknown(test['undecided'])}"
        )
    if effect["could_show"]:
        yield could_show(effect["could_show"])


def _bounds(held: dict[str, Any]) -> str:
    return (
        "Whatever those without a value would have had, the difference lies between "
        f"{signed(held['low'])} and {signed(held['high'])} "
        f"({percent(held['level'])} interval {signed(held['outer_low'])} to "
        f"{signed(held['outer_high'])})."
    )


def _gain(adjusted: dict[str, Any]) -> str:
    names = ", ".join(adjusted["columns"])
    if adjusted["gain"] is None:
        return f"Not adjusted by {names}: {adjusted['undecided']['reason']}."
    if adjusted["gain"] <= 0:
        return f"Adjusted by {names}, which tell nothing: no gain."
    more = 1 / (1 - min(adjusted["gain"], 0.999)) - 1
    return (
        f"Adjusted by {names}: {percent(adjusted['gain'])} of the variance is gone, worth "
        f"{percent(more)} more customers. The adjusted effect decides."
    )


def could_show(held: dict[str, Any]) -> str:
    """The smallest change that a file of this size finds."""
    if held["change"] is None:
        return f"What this file could have shown is not known: {held['undecided']['reason']}."
    size = percent(held["change"]) if held["scale"] == "relative" else figures(held["change"], 3)
    of = f" {held['of']}" if held["of"] else ""
    line = (
        f"A file of this size finds a change of {size}{of}, or more, {percent(held['power'])} of the "
        "time"
    )
    if held["smallest_limit"] is not None:
        limit = held["smallest_limit"]
        shown = percent(limit) if held["smallest_limit_scale"] == "relative" else figures(limit, 3)
        line += f", and can show a harmless change to keep a limit of {shown}"
    return f"{line}."


def segment_notes(segment: dict[str, Any]) -> list[str]:
    """Whether segments differ, and which is worst against the limit."""
    lines = []
    for held in segment["differences"]:
        of = f"{held['variation']}: " if len(segment["differences"]) > 1 else ""
        if held["reading"] is None:
            lines.append(f"{of}whether they differ is not known: {held['undecided']['reason']}.")
            continue
        p_value = f"p {_equals(held['p_value_corrected'])} that they do not"
        lines.append(f"{of}{held['reading']} ({p_value}; corrected for all columns).")
        for name, why in held["left_out"].items():
            lines.append(f"{of}{name} left out: {why}.")
    for worst in segment["worst"]:
        of = f"{worst['variation']}: " if len(segment["worst"]) > 1 else ""
        named = [n for n, state in worst["findings"].items() if state == worst["overall"]]
        about = f" in {', '.join(named[:5])}" if worst["overall"] == "harm" else ""
        lines.append(
            f"{of}worst segment against the limit (Holm): {FINDINGS[worst['overall']]}{about}; the "
            f"worst estimate is in {worst['worst'] or 'none'}."
        )
    return lines


def expected_by_segment(segment: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The shrunken effect of each value and version, as text."""
    return {
        (item["value"], held["variation"]): _shrunken(item, held["scale"])
        for held in segment["differences"]
        for item in held["segments"]
    }


def _shrunken(item: dict[str, Any], scale: str) -> str:
    show_one = _percent if scale == "relative" else signed
    low, high = show_one(item["low"]), show_one(item["high"])
    return f"{show_one(item['shrunken'])} ({low} to {high})"


def decision(held: dict[str, Any]) -> str:
    """What the rule over all metrics recommends, as a sentence."""
    caution = f"; but {held['caution']}" if held["caution"] else ""
    return (
        f"{OUTCOMES[held['outcome']]}, {held['variation']}: {'; '.join(held['reasons'])}{caution}."
    )


def finding(held: dict[str, Any] | None) -> str:
    """Harm shown, safe, or not yet known."""
    return FINDINGS[held["state"]] if held else "–"


def interval(effect: dict[str, Any] | None, *, relative: bool) -> str:
    """An effect with its interval: "+31 % (+18 % to +46 %)"."""
    if effect is None:
        return "–"
    show_one = _percent if relative else signed
    low, high = show_one(effect["low"]), show_one(effect["high"])
    return f"{show_one(effect['estimate'])} ({low} to {high})"


def share(value: float) -> str:
    """A share as per cent."""
    return percent(value)


def level(arm: dict[str, Any], metric: dict[str, Any]) -> str:
    """An arm's own level."""
    if arm["mean"] is None:
        return "–"
    is_share = metric["kind"] in SHARES or metric["form"] in ("top", "bottom", "by")
    return percent(arm["mean"]) if is_share else figures(arm["mean"], 4)


def kind(metric: dict[str, Any]) -> str:
    """What a metric is: "p90 over events", "share at 4 or above"."""
    forms = {
        "top": f"share at {metric['at'] or 0:g} or above",
        "bottom": f"share at {metric['at'] or 0:g} or below",
        "nps": "net promoter score",
        "variance": "variance",
        "by": f"share with the event by {metric['at'] or 0:g}",
    }
    if metric["form"] in forms:
        return forms[metric["form"]]
    if metric["q"] is not None:
        name = "median" if metric["q"] == 0.5 else f"{metric['q'] * 100:g}{NBSP}% quantile"
        return f"{name} over events" if metric["per_event"] else name
    names = {"dispersion": "spread", "ordinal": "grade: how much likelier higher than lower"}
    named = names.get(metric["kind"], str(metric["kind"]))
    return f"{named} over {metric['other']}" if metric["kind"] == "ratio" else named


def unknown(why: dict[str, str] | None) -> str:
    """Why there is no number, and what would settle it."""
    if why is None:
        return "–"
    needs = f" (needs {why['needs']})" if why["needs"] else ""
    return f"not known: {why['reason']}{needs}"


def chance(p_value: float | None) -> str:
    """A p-value."""
    return "–" if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _equals(p_value: float) -> str:
    return chance(p_value) if p_value < 0.001 else f"= {chance(p_value)}"


def _percent(value: float) -> str:
    return percent(value, signed=True)


def signed(value: float) -> str:
    """A number with its sign."""
    text = figures(abs(value), 3)
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{text}"


def sentence(text: str) -> str:
    """The text with a capital at its start, and nothing else changed."""
    return text[:1].upper() + text[1:]


def corrected(effect: dict[str, Any]) -> float | None:
    """The p-value to show: the corrected one wherever there is one."""
    if effect["p_value_corrected"] is not None:
        return float(effect["p_value_corrected"])
    held = effect["absolute"] or effect["relative"]
    return None if held is None else held["p_value"]


def plain(value: float) -> str:
    """A number to three figures."""
    return figures(value, 3)
