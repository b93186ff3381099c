"""The blueprint that all pages of this room share."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from rollouts.accounts.model import Role
from rollouts.reports import advice, answered, beside, rule_words, segments, words
from rollouts.web.context import current_actor

bp = Blueprint("reports", __name__, template_folder="templates")


@bp.context_processor
def _words() -> dict[str, Any]:
    return {
        "STATES": words.STATES,
        "EVENTS": words.EVENTS,
        "CHECKS": words.CHECKS,
        "FINDINGS": words.FINDINGS,
        "LOOKS": words.LOOKS,
        "segments_of": segments.segments_of,
        "beside_of": beside.beside_of,
        "matured_axis": beside.matured_axis,
        "surveys_of": answered.surveys_of,
        "chances_of": advice.chances_of,
        "grade_of": advice.grade_of,
        "advice_of": advice.advice_of,
        "odds": advice.odds,
        "is_editor": lambda: current_actor().role.includes(Role.EDITOR),
    }


@bp.app_template_filter("condition")
def _condition(held: Any) -> str:
    return rule_words.condition(held)


@bp.app_template_filter("flag_value")
def _flag_value(held: Any) -> str:
    return rule_words.value(held)


@bp.app_template_filter("rule_words")
def _rule_words(rule: Any) -> rule_words.RuleWords:
    return rule_words.rule_words(rule)


@bp.app_template_filter("field_words")
def _field_words(name: str) -> str:
    return words.field_words(name)


@bp.app_template_filter("unit_hash")
def _unit_hash(unit: int) -> str:
    return f"{unit & 0xFFFFFFFFFFFFFFFF:016x}"
