"""The form in which a metric is made or changed: its fields, and what they say to the API's body.

Every kind and option is a field with one line that says what it does; what does not go together
comes back beside its field, with all that was typed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rollouts.errors import Fault, Invalid
from rollouts.metrics.codec import to_dict
from rollouts.metrics.model import Definition, Operator

DAY = 86_400
AGGREGATIONS = (
    ("any", "any: 1 for a customer with at least one event, else 0"),
    ("count", "count: how many events a customer has"),
    ("sum", "sum: a customer's values added up"),
    ("average", "average: of a customer's own values; who has none is left out, as with surveys"),
    ("ratio", "ratio: one sum over another, the customer as cluster"),
)
STATISTICS = (
    ("mean", "mean: the average over customers"),
    ("quantile", "quantile: the median, the slowest tenth"),
    ("spread", "spread: mean distance from the median, how unequally customers are served"),
    ("variance", "variance: the same, decided by far values"),
    ("grade", "grade: the chance to be graded higher (Mann-Whitney)"),
    ("top_box", "top_box: the share of good grades"),
    ("low_box", "low_box: the share of bad grades"),
    ("nps", "nps: promoters (9 and 10) less detractors (0 to 6)"),
    ("time", "time: until the first event, those still waiting counted as such"),
)
PER = (
    ("unit", "customers: one number each"),
    ("event", "events: every event's own value, the customer as cluster"),
)
PARTS = (("count", "count: number of events"), ("sum", "sum: their values"))
GOOD = (
    ("down", "down: more is worse, as for contacts"),
    ("up", "up: more is better, as for orders"),
)
COMPARED = {
    "is": Operator.IS,
    "is not": Operator.IS_NOT,
    "is one of": Operator.IN,
    "at least": Operator.AT_LEAST,
    "at most": Operator.AT_MOST,
}
# The API's name of a field, where the form has another one.
NAMES = {
    "window_seconds": "window_days",
    "pre_period_seconds": "pre_period_days",
    "denominator.event": "denominator_event",
    "denominator": "denominator_event",
    "survey.lowest": "survey_lowest",
    "survey.highest": "survey_highest",
    "survey": "survey_lowest",
    "survey.asked.event": "survey_asked",
    "numerator.event": "event",
}


def body_of(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form says, as the API takes it. Raises Invalid naming fields of the form."""
    faults: list[Fault] = []

    def number(name: str, times: float = 1.0) -> float | None:
        text = form.get(name, "").strip()
        if not text:
            return None
        try:
            return float(text.replace(",", ".")) * times
        except ValueError:
            faults.append(Fault(name, "a number, such as 0.9"))
            return None

    def filters(name: str) -> list[dict[str, Any]]:
        try:
            return [_filter(line) for line in form.get(name, "").splitlines() if line.strip()]
        except ValueError as wrong:
            faults.append(Fault(name, str(wrong)))
            return []

    quantile = number("quantile")
    held: dict[str, Any] = {
        **{name: form.get(name, "").strip() for name in ("name", "description", "owner", "event")},
        **{name: form.get(name, "") for name in ("aggregation", "good", "statistic", "per")},
        "value_property": form.get("value_property", "").strip(),
        "harm_unit": form.get("harm_unit", "").strip() or "events",
        "channels": _listed(form.get("channels", "")),
        "filters": filters("filters"),
        "numerator_aggregation": form.get("numerator_aggregation") or "sum",
        "quantile": 0.5 if quantile is None else quantile,
        "window_seconds": number("window_days", DAY),
        "pre_period_seconds": number("pre_period_days", DAY),
        **{name: number(name) for name in ("cap", "cap_quantile", "top_from", "low_to")},
        "allow_negative": "allow_negative" in form,
        "allow_untrusted": "allow_untrusted" in form,
    }
    if form.get("denominator_event", "").strip():
        held["denominator"] = {
            "event": form["denominator_event"].strip(),
            "aggregation": form.get("denominator_aggregation") or "count",
            "value_property": form.get("denominator_value_property", "").strip(),
            "channels": _listed(form.get("denominator_channels", "")),
            "filters": filters("denominator_filters"),
        }
    lowest, highest = number("survey_lowest"), number("survey_highest")
    asked = form.get("survey_asked", "").strip()
    if lowest is not None or highest is not None or asked:
        for name, value in (("survey_lowest", lowest), ("survey_highest", highest)):
            if value is None and not any(fault.where == name for fault in faults):
                faults.append(Fault(name, "a survey has a lowest and a highest grade"))
        held["survey"] = {
            "lowest": lowest,
            "highest": highest,
            "asked": {"event": asked, "filters": filters("survey_filters")} if asked else None,
        }
    if faults:
        raise Invalid(f"{faults[0].where}: {faults[0].problem}", faults=tuple(faults))
    return held


def named(faults: tuple[Fault, ...]) -> dict[str, str]:
    """Problems by the field of the form that they stand beside."""
    return {NAMES.get(fault.where, fault.where.split(".")[0]): fault.problem for fault in faults}


def fields_of(definition: Definition) -> dict[str, str]:
    """A definition as the form's fields; `body_of` gives the same back."""
    held = to_dict(definition)
    top, bottom, survey = held["numerator"], held["denominator"] or {}, held["survey"] or {}
    asked = survey.get("asked") or {}
    shown: dict[str, Any] = {
        **{name: held[name] for name in ("aggregation", "good", "statistic", "per", "harm_unit")},
        **{name: held[name] for name in ("quantile", "cap", "cap_quantile", "top_from", "low_to")},
        "event": top["event"],
        "channels": ", ".join(top["channels"]),
        "value_property": top["value_property"],
        "filters": _lines(top["filters"]),
        "numerator_aggregation": held["numerator_aggregation"],
        "denominator_event": bottom.get("event"),
        "denominator_aggregation": held["denominator_aggregation"],
        "denominator_value_property": bottom.get("value_property"),
        "denominator_channels": ", ".join(bottom.get("channels", ())),
        "denominator_filters": _lines(bottom.get("filters", ())),
        "window_days": _days(held["window_seconds"]),
        "pre_period_days": _days(held["pre_period_seconds"]),
        "survey_lowest": survey.get("lowest"),
        "survey_highest": survey.get("highest"),
        "survey_asked": asked.get("event"),
        "survey_filters": _lines(asked.get("filters", ())),
    }
    ticks = {name: "on" for name in ("allow_negative", "allow_untrusted") if held[name]}
    return {name: _typed(value) for name, value in shown.items()} | ticks


def _typed(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _days(seconds: float | None) -> float | None:
    return seconds / DAY if seconds else None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _filter(line: str) -> dict[str, Any]:
    """ "reason is not praise", "minutes at least 5", "order_id exists"."""
    text = line.strip()
    if text.endswith(" exists"):
        return {"property": text.removesuffix(" exists").strip(), "operator": "exists"}
    for spelt in sorted(COMPARED, key=len, reverse=True):
        name, found, value = text.partition(f" {spelt} ")
        if found and name and value.strip():
            operator = COMPARED[spelt]
            read = [_value(part) for part in value.split(",")] if spelt == "is one of" else None
            return {
                "property": name.strip(),
                "operator": operator.value,
                "value": _value(value) if read is None else read,
            }
    raise ValueError(f"“{text[:80]}”: write PROPERTY is VALUE, or one of the others named above")


def _value(text: str) -> Any:
    """A number, true or false as such; everything else, and whatever stands in quotes, as text."""
    held = text.strip()
    try:
        read = json.loads(held)
    except ValueError:
        return held
    return read if isinstance(read, str | int | float | bool) else held


def _lines(filters: Any) -> str:
    words = {operator.value: spelt for spelt, operator in COMPARED.items()}
    return "\n".join(
        f"{item['property']} exists"
        if item["operator"] == "exists"
        else f"{item['property']} {words[item['operator']]} {_spelt(item['value'])}"
        for item in filters
    )


def _spelt(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_spelt(item) for item in value)
    if isinstance(value, str) and _value(value) == value and "," not in value:
        return value
    return json.dumps(value, ensure_ascii=False)
