"""A question of a file, answered as plain data: what JSON, text and page are made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.tables import opened
from rollouts.errors import Invalid
from rollouts.reports.one_off import command, designs, grouped, randomised
from rollouts.reports.one_off.question import Question, Setup
from rollouts.reports.one_off.reading import read_question

LOCKED = {
    True: (
        "Limits and goals came with the question, not before the data: whoever set them may have "
        "seen the result. Nobody locked them."
    ),
    False: (
        "Nobody wrote limits down before these data were seen, so nothing here is called safe or "
        "harmful."
    ),
}
ONE_LOOK = "The intervals are for one look; looking again as rows are added widens the error."
CANNOT_TELL = {
    Setup.RANDOMISED: "Whether each customer was followed for equally long after the first exposure.",
    Setup.CLUSTER: "Whether the groups were really drawn by lot: the file only says who got what.",
    Setup.SWITCHBACK: "Whether the order of the versions was really drawn by lot.",
    Setup.DIFFERENCES: "Whether something else came to one side only, at the same time.",
    Setup.SYNTHETIC: "Whether the change reached the other groups, or something else hit this one.",
    Setup.INTERRUPTED: "Whether anything else changed on the same day: it would be in the effect.",
}
NOT_RANDOMISED = (
    "This was not randomised. The effect stands or falls with the assumptions below, and no size of "
    "file cures a wrong one."
)


def answer_file(given: Mapping[str, Any], *, file: Path, name: str) -> dict[str, Any]:
    """Read, understand and answer. given: the options, by name. Raises Invalid."""
    try:
        with opened(file) as table:
            question = read_question(table, given, file=file, name=name)
            return answer(table, question)
    except ValueError as wrong:
        raise Invalid(f"This file does not fit the question: {wrong}.") from None
    except ArithmeticError:
        raise Invalid(
            "This file's numbers are too large or too small to be compared: use another unit, such "
            "as thousands."
        ) from None


def answer(table: Any, question: Question) -> dict[str, Any]:
    """The report as plain data. Raises Invalid and ValueError for what does not fit."""
    study = {
        Setup.RANDOMISED: randomised.answer,
        Setup.CLUSTER: grouped.answer,
        Setup.SWITCHBACK: grouped.answer,
    }.get(question.setup, designs.answer)
    found = study(table, question)
    _caution(found)
    return {
        "schema": 1,
        "file": question.name,
        "unit": question.unit,
        "variation": question.variation,
        "control": question.control,
        "level": question.level,
        "correction": question.correction.value,
        "design": _design(question, found),
        **found,
        "cannot_tell": [LOCKED[question.is_judged], ONE_LOOK, CANNOT_TELL[question.setup]],
        "command": command.spelt(question),
    }


def _caution(found: Mapping[str, Any]) -> None:
    """A recommendation to ship is no better than the evidence under it."""
    grade = found["grade"]["grade"]
    is_poor = grade in ("weak", "none")
    for decision in found["decisions"]:
        is_ship = decision["outcome"] == "ship"
        decision["caution"] = f"the evidence is {grade}" if is_poor and is_ship else None


def _design(question: Question, found: Mapping[str, Any]) -> dict[str, Any]:
    """How the comparison came about, what it rests on, and what of that was looked at."""
    effects = [effect for metric in found["metrics"] for effect in metric["effects"]]
    held = next(
        (e["absolute"] or e["relative"] for e in effects if e["absolute"] or e["relative"]), None
    )
    return {
        "name": question.setup.design.value,
        "is_randomised": question.setup.is_randomised,
        "says": None if question.setup.is_randomised else NOT_RANDOMISED,
        "assumptions": list(held["assumptions"]) if held else [],
        "checked": [check["name"] for check in found["checks"] if check["state"] != "unknown"],
        "not_checked": [check["name"] for check in found["checks"] if check["state"] == "unknown"],
    }
