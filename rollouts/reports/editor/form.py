"""The form of a flag's rules in one environment: texts as they stand in its fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from rollouts.flags.model import Flag, FlagState, RolloutRule, Rule
from rollouts.flags.rule_json import dump_rules
from rollouts.reports.editor.texts import (
    Row,
    list_text,
    percent_of,
    rows_of,
    scalar_text,
    text_of,
)

LONGEST = 200_000  # characters of one field
MOST_RULES = 100
MOST_ROWS = 60
KINDS = ("force", "percentage", "experiment")
FIELDS = (
    "description",
    "is_enabled",
    "value",
    "share",
    "unit",
    "seed",
    "coverage",
    "key",
    "name",
    "condition",
    "schedule.starts_at",
    "schedule.ends_at",
    "rest",
)
ROWS = {
    "tests": ("attribute", "operator", "value"),
    "saved_groups": ("match", "groups"),
    "prerequisites": ("flag", "value", "is_gate"),
    "variations": ("key", "name", "value", "share", "is_passthrough"),
}
COMMON = ("id", "type", "description", "is_enabled", "condition", "saved_groups")
SHOWN = {
    "force": (*COMMON, "prerequisites", "schedule", "value"),
    "percentage": (*COMMON, "prerequisites", "schedule", "value", "share", "unit", "seed"),
    "experiment": (
        *(*COMMON, "prerequisites", "schedule", "variations"),
        *("key", "name", "unit", "seed", "coverage"),
    ),
    "gate": (*COMMON, "prerequisites", "schedule"),
}


@dataclass(slots=True)
class RuleForm:
    """One rule; of a rollout's only the id, for nobody edits it here."""

    id: str
    type: str
    fields: Row = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in ROWS})

    @property
    def is_locked(self) -> bool:
        """Whether a rollout sets it."""
        return self.type == "rollout"


@dataclass(slots=True)
class Form:
    """All fields of the page, and the revision that the person read."""

    environment: str
    revision: int
    is_enabled: bool
    has_default: bool
    default: str
    rules: list[RuleForm]
    reason: str = ""

    def flat(self) -> list[tuple[str, str]]:
        """Every field by name, so that a page can carry the whole form unseen."""
        found = [("environment", self.environment), ("revision", str(self.revision))]
        found += [("is_enabled", "on")] if self.is_enabled else []
        found += [("has_default", "on")] if self.has_default else []
        found += [("default", self.default)]
        for index, rule in enumerate(self.rules):
            found += [(f"rules.{index}.{name}", text) for name, text in _flat(rule)]
        return found


def _flat(rule: RuleForm) -> list[tuple[str, str]]:
    found = [("id", rule.id), ("type", rule.type), *rule.fields.items()]
    for name, rows in rule.rows.items():
        for place, row in enumerate(rows):
            found += [(f"{name}.{place}.{key}", text) for key, text in row.items()]
    return found


def form_of(flag: Flag, environment: str, state: FlagState) -> Form:
    """The form as it stands before anybody edits."""
    return Form(
        environment=environment,
        revision=flag.revision,
        is_enabled=state.is_enabled,
        has_default=state.default is not None,
        default=text_of(flag.kind, flag.default if state.default is None else state.default.value),
        rules=[rule_form(flag, rule) for rule in state.rules],
    )


def rule_form(flag: Flag, rule: Rule) -> RuleForm:
    """One rule as texts; whatever has no field of its own stands as JSON under `rest`."""
    if isinstance(rule, RolloutRule):
        return RuleForm(rule.id, rule.type)
    held = dump_rules([rule])[0]
    tests, condition = rows_of(held.get("condition"))
    rest = {name: held[name] for name in held if name not in SHOWN[rule.type]}
    fields = {
        "description": rule.description,
        "is_enabled": "on" if rule.is_enabled else "",
        "condition": _json(condition),
        "schedule.starts_at": _moment(rule.schedule and rule.schedule.starts_at),
        "schedule.ends_at": _moment(rule.schedule and rule.schedule.ends_at),
        "rest": _json(rest),
    }
    return RuleForm(
        rule.id,
        rule.type,
        {**fields, **_own(flag, rule.type, held)},
        {
            "tests": tests,
            "saved_groups": [
                {"match": test.match, "groups": list_text(test.groups)}
                for test in rule.saved_groups
            ],
            "prerequisites": [
                {
                    "flag": item.flag,
                    "value": _wanted(item.condition),
                    "is_gate": "on" if item.is_gate else "",
                }
                for item in rule.prerequisites
            ],
            "variations": [_arm(flag, arm) for arm in held.get("variations", ())],
        },
    )


def _own(flag: Flag, kind: str, held: Mapping[str, Any]) -> Row:
    """The fields that only some kinds of rules have."""
    fields: Row = {}
    if "value" in SHOWN[kind]:
        fields["value"] = text_of(flag.kind, held["value"])
    if "share" in SHOWN[kind]:
        fields["share"] = percent_of(held["share"])
    if "coverage" in SHOWN[kind]:
        fields["coverage"] = percent_of(held.get("coverage", 1.0))
    for name in ("unit", "seed", "key", "name"):
        if name in SHOWN[kind]:
            fields[name] = held.get(name, "id" if name == "unit" else "")
    return fields


def _arm(flag: Flag, arm: Mapping[str, Any]) -> Row:
    return {
        "key": arm["key"],
        "name": arm["name"],
        "value": text_of(flag.kind, arm["value"]),
        "share": percent_of(arm["share"]),
        "is_passthrough": "on" if arm.get("is_passthrough") else "",
    }


def _wanted(condition: Mapping[str, Any]) -> str:
    """What another flag's value must be; a condition where plain words do not do."""
    held = condition.get("value")
    if set(condition) == {"value"} and not isinstance(held, dict | list):
        return scalar_text(held)
    return _json(condition)


def _moment(at: Any) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if at else ""


def _json(held: Any) -> str:
    return json.dumps(held, ensure_ascii=False, indent=2) if held else ""


def form_sent(sent: Mapping[str, str]) -> Form:
    """The form as it was sent. Nothing here refuses: what is wrong is named beside its field."""
    text = {name: _kept(value) for name, value in sent.items()}
    number = text.get("revision", "")
    rules: list[RuleForm] = []
    while f"rules.{len(rules)}.id" in text and len(rules) < MOST_RULES:
        rules.append(_rule_sent(text, f"rules.{len(rules)}."))
    return Form(
        environment=text.get("environment", ""),
        revision=int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0,
        is_enabled="is_enabled" in text,
        has_default="has_default" in text,
        default=text.get("default", ""),
        rules=rules,
        reason=text.get("reason", ""),
    )


def _kept(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\0", "")[:LONGEST]


def _rule_sent(text: Mapping[str, str], at: str) -> RuleForm:
    kind = text.get(at + "type", "")
    rule = RuleForm(text[at + "id"][:200], kind if kind in (*SHOWN, "rollout") else "force")
    if rule.is_locked:
        return rule
    rule.fields = {name: text.get(at + name, "") for name in FIELDS}
    for name, keys in ROWS.items():
        rows = rule.rows[name]
        while f"{at}{name}.{len(rows)}.{keys[0]}" in text and len(rows) < MOST_ROWS:
            place = f"{at}{name}.{len(rows)}."
            rows.append({key: text.get(place + key, "") for key in keys})
    return rule
