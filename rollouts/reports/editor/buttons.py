"""What the form's buttons do: move, add and remove. Each returns the field to go on at."""

from __future__ import annotations

from rollouts.flags.changes import new_rule_id
from rollouts.flags.model import Flag, FlagKind
from rollouts.reports.editor.form import FIELDS, KINDS, MOST_ROWS, MOST_RULES, ROWS, Form, RuleForm
from rollouts.reports.editor.texts import Row, text_of


def press(form: Form, flag: Flag, do: str) -> str:
    """Do what a button says, such as "up:2"; a button that is none of ours does nothing."""
    name, *places = do.split(":")
    if name == "add" and places[:1] and places[0] in KINDS and len(form.rules) < MOST_RULES:
        form.rules.append(_new_rule(flag, places[0]))
        return f"rules.{len(form.rules) - 1}.description"
    index = _number(places, 0, len(form.rules))
    if index is None:
        return ""
    if name in ("up", "down"):
        return _move(form, index, -1 if name == "up" else 1)
    if form.rules[index].is_locked:
        return ""
    if name == "remove":
        del form.rules[index]
        return "add.force"
    return _change_rows(form.rules[index], index, name, places[1:], flag)


def _number(places: list[str], at: int, below: int) -> int | None:
    text = places[at] if len(places) > at else ""
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return int(text) if is_number and int(text) < below else None


def _move(form: Form, index: int, by: int) -> str:
    """Focus follows the rule, so that pressing again moves it further."""
    goal = index + by
    if not 0 <= goal < len(form.rules):
        return ""
    form.rules.insert(goal, form.rules.pop(index))
    end = 0 if by < 0 else len(form.rules) - 1
    way = ("down" if by < 0 else "up") if goal == end else ("up" if by < 0 else "down")
    return f"{way}.{goal}"


def _change_rows(rule: RuleForm, index: int, name: str, places: list[str], flag: Flag) -> str:
    kind = places[0] if places and places[0] in ROWS else None
    if kind is None:
        return ""
    rows = rule.rows[kind]
    if name == "row" and len(rows) < MOST_ROWS:
        rows.append(_new_row(kind, flag, len(rows)))
        return f"rules.{index}.{kind}.{len(rows) - 1}.{ROWS[kind][0]}"
    place = _number(places, 1, len(rows))
    if name == "drop" and place is not None:
        del rows[place]
        return f"row.{index}.{kind}"
    return ""


def _new_row(kind: str, flag: Flag, n: int) -> Row:
    row = dict.fromkeys(ROWS[kind], "")
    match kind:
        case "tests":
            row["operator"] = "is"
        case "saved_groups":
            row["match"] = "any"
        case "prerequisites":
            row["value"] = "true"
        case "variations":
            row |= {"key": str(n), "value": text_of(flag.kind, flag.default), "share": "0"}
    return row


def _new_rule(flag: Flag, kind: str) -> RuleForm:
    rule = RuleForm(new_rule_id(), kind, dict.fromkeys(FIELDS, ""))
    rule.fields |= {"is_enabled": "on", "unit": "id"}
    other = text_of(flag.kind, not flag.default if flag.kind is FlagKind.BOOLEAN else flag.default)
    rule.fields["value"] = other
    rule.fields |= {"share": "10", "coverage": "100"}
    if kind == "experiment":
        values = (text_of(flag.kind, flag.default), other)
        rule.rows["variations"] = [
            {"key": key, "name": "", "value": value, "share": "50", "is_passthrough": ""}
            for key, value in zip(("control", "new"), values, strict=True)
        ]
    return rule
