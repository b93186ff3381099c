"""From the form's texts to a state, or to what is wrong and beside which field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from rollouts.errors import Fault
from rollouts.flags.model import Flag, FlagState, Given, RolloutRule, Rule
from rollouts.flags.rule_json import load_rules
from rollouts.reports.editor.form import SHOWN, Form, RuleForm
from rollouts.reports.editor.texts import (
    condition_of,
    json_of,
    list_of,
    scalar_of,
    share_of,
    value_of,
)


class _Reader:
    """Reads fields one by one and keeps what is wrong with each."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, where: str, how: Callable[[str], Any], text: str) -> Any:
        """The field's value, or None beside a fault."""
        try:
            return how(text)
        except ValueError as wrong:
            self.faults.append(Fault(where, str(wrong)))
            return None


def state_of(form: Form, flag: Flag) -> tuple[FlagState | None, list[Fault]]:
    """The state the form asks for; without it, what is wrong by the names of fields.

    Rules of rollouts are taken as they are now: their place may change, nothing else.
    """
    reader = _Reader()
    held = {
        rule.id: rule
        for rule in flag.state(form.environment).rules
        if isinstance(rule, RolloutRule)
    }
    rules = [
        held.get(item.id) if item.is_locked else _rule(reader, item, f"rules.{index}", flag)
        for index, item in enumerate(form.rules)
    ]
    default = None
    if form.has_default:
        value = reader.read("default", lambda text: value_of(flag.kind, text), form.default)
        default = Given(value)
    if reader.faults:
        return None, reader.faults
    whole = tuple(rule for rule in rules if rule is not None)
    return FlagState(form.is_enabled, default, whole), []


def _rule(reader: _Reader, form: RuleForm, at: str, flag: Flag) -> Rule | None:
    before = len(reader.faults)
    held = _members(reader, form, at, flag)
    if len(reader.faults) > before:
        return None
    try:
        return load_rules([held])[0]
    except ValidationError as wrong:
        for item in wrong.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(str(part) for part in item["loc"][2:])
            reader.faults.append(Fault(f"{at}.{path}" if path else at, item["msg"]))
        return None


def _members(reader: _Reader, form: RuleForm, at: str, flag: Flag) -> dict[str, Any]:
    fields, shown = form.fields, SHOWN[form.type]
    held = reader.read(f"{at}.rest", lambda text: _rest(text, shown), fields["rest"]) or {}
    held |= {"id": form.id, "type": form.type, "description": fields["description"]}
    held["is_enabled"] = bool(fields["is_enabled"])
    held["condition"] = _condition(reader, form, at)
    held["schedule"] = _schedule(reader, form, at)
    held["saved_groups"] = [
        {"match": row["match"], "groups": [str(key) for key in list_of(row["groups"])]}
        for row in form.rows["saved_groups"]
    ]
    held["prerequisites"] = [
        {
            "flag": row["flag"].strip(),
            "condition": reader.read(f"{at}.prerequisites.{i}.value", _wanted, row["value"]),
            "is_gate": bool(row["is_gate"]),
        }
        for i, row in enumerate(form.rows["prerequisites"])
    ]
    return held | _own(reader, form, at, flag)


def _own(reader: _Reader, form: RuleForm, at: str, flag: Flag) -> dict[str, Any]:
    fields, shown = form.fields, SHOWN[form.type]
    held: dict[str, Any] = {
        name: fields[name].strip() for name in ("unit", "seed", "key", "name") if name in shown
    }
    for name in ("share", "coverage"):
        if name in shown:
            held[name] = reader.read(f"{at}.{name}", share_of, fields[name])
    if "value" in shown:
        held["value"] = _value(reader, flag, f"{at}.value", fields["value"])
    if "variations" in shown:
        held["variations"] = [
            {
                "key": row["key"].strip(),
                "name": row["name"],
                "value": _value(reader, flag, f"{at}.variations.{i}.value", row["value"]),
                "share": reader.read(f"{at}.variations.{i}.share", share_of, row["share"]),
                "is_passthrough": bool(row["is_passthrough"]),
            }
            for i, row in enumerate(form.rows["variations"])
        ]
    return held


def _value(reader: _Reader, flag: Flag, where: str, text: str) -> Any:
    return reader.read(where, lambda held: value_of(flag.kind, held), text)


def _rest(text: str, shown: Iterable[str]) -> dict[str, Any]:
    held = _object(text)
    double = sorted(set(held) & set(shown))
    if double:
        raise ValueError(f"{', '.join(double)} has a field of its own above")
    return held


def _condition(reader: _Reader, form: RuleForm, at: str) -> dict[str, Any] | None:
    rest = reader.read(f"{at}.condition", _object, form.fields["condition"])
    for place, row in enumerate(form.rows["tests"]):
        if row["value"].strip() and not row["attribute"].strip():
            reader.faults.append(Fault(f"{at}.tests.{place}.attribute", "name the attribute"))
    return condition_of(form.rows["tests"], rest or {})


def _object(text: str) -> dict[str, Any]:
    held = json_of(text) if text.strip() else {}
    if not isinstance(held, dict):
        raise ValueError("this must be an object, in braces")
    return held


def _wanted(text: str) -> dict[str, Any]:
    if text.strip().startswith("{"):
        return _object(text)
    return {"value": scalar_of(text)}


def _schedule(reader: _Reader, form: RuleForm, at: str) -> dict[str, Any] | None:
    ends = {
        name: reader.read(f"{at}.schedule.{name}", _moment, form.fields[f"schedule.{name}"])
        for name in ("starts_at", "ends_at")
    }
    return ends if any(ends.values()) else None


def _moment(text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("type a day and a time, such as 2026-05-15T07:00, in UTC") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def beside(form: Form, faults: Iterable[Fault]) -> dict[str, list[str]]:
    """Faults by the field they stand beside; one without a field stands with its rule."""
    names = {name for name, _ in form.flat()} | {"is_enabled", "has_default", "reason"}
    names |= {f"rules.{index}" for index in range(len(form.rules))}
    found: dict[str, list[str]] = {}
    for fault in faults:
        where = fault.where.removeprefix(f"environments.{form.environment}.")
        found.setdefault(_field(form, where, names), []).append(fault.problem)
    return found


def _field(form: Form, where: str, names: set[str]) -> str:
    where = _row_of(form, where)
    parts = where.split(".")
    while parts and ".".join(parts) not in names:
        parts.pop()
    return ".".join(parts) or "form"


def _row_of(form: Form, where: str) -> str:
    """A fault of a condition stands beside the row that made it, if one did."""
    parts = where.split(".")
    if parts[0] != "rules" or "condition" not in parts[2:]:
        return where
    if parts[2] == "prerequisites":
        return ".".join([*parts[:4], "value"])
    rows = form.rules[int(parts[1])].rows["tests"]
    path = ".".join(parts[3:])
    for place, row in enumerate(rows):
        name = row["attribute"].strip()
        if name and (path == name or path.startswith(name + ".")):
            return ".".join([*parts[:2], "tests", str(place), "value"])
    return where
