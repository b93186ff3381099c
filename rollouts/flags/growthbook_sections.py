"""Sections of GrowthBook's payload that no flag of ours holds, passed on as they were imported.

`experiments` are those of its visual editor and its redirects, which SDKs run in pages;
`contextualBandits` are weights by context, which rules of flags refer to. Only the conditions in
them are looked at, since they refer to saved groups, which each connection gets in its own form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.errors import Fault
from rollouts.flags.growthbook_conditions import ConditionReader
from rollouts.flags.growthbook_members import Raw, Tell, Unreadable, items, refuse
from rollouts.flags.value_checks import json_problem

EXPERIMENTS, BANDITS = "experiments", "contextualBandits"
MOST_ITEMS = 500


def read_sections(
    raw: Mapping[str, Any], conditions: ConditionReader, faults: list[Fault], notes: list[str]
) -> dict[str, Any]:
    """The sections that the payload has, empty ones too: they say that there are none."""
    read: dict[str, Any] = {}
    try:
        if raw.get(EXPERIMENTS) is not None:
            read[EXPERIMENTS] = list(_experiments(raw[EXPERIMENTS], conditions, notes.append))
        if raw.get(BANDITS) is not None:
            read[BANDITS] = dict(_bandits(raw[BANDITS], conditions, notes.append))
    except Unreadable as refusal:
        faults.append(Fault(refusal.member, refusal.problem))
    if read.get(EXPERIMENTS):
        notes.append(
            f"{len(read[EXPERIMENTS])} experiments of a visual editor or redirects are passed on to"
            " plain and encrypted connections; they are not evaluated, counted or edited here."
        )
    notes.extend(
        f"The contextual bandit {key!r} keeps the weights it has: nothing here learns."
        for key in read.get(BANDITS, ())
    )
    return read


def _experiments(raw: Any, conditions: ConditionReader, tell: Tell) -> Iterator[Raw]:
    if not isinstance(raw, list) or len(raw) > MOST_ITEMS:
        refuse(EXPERIMENTS, f"must be a list of at most {MOST_ITEMS}")
    for at, item in enumerate(raw):
        where = f"{EXPERIMENTS}.{at}"
        read = _with_condition(_object(item, where), where, conditions, tell)
        parents = items(read, "parentConditions", where)
        if parents:
            read["parentConditions"] = [
                _parent(parent, f"{where}.parentConditions.{n}", conditions, tell)
                for n, parent in enumerate(parents)
            ]
        yield read


def _parent(raw: Any, where: str, conditions: ConditionReader, tell: Tell) -> Raw:
    parent = _object(raw, where)
    if not isinstance(parent.get("id"), str):
        refuse(where, "must name a flag")
    return _with_condition(parent, where, conditions, tell)


def _bandits(raw: Any, conditions: ConditionReader, tell: Tell) -> Iterator[tuple[str, Raw]]:
    if not isinstance(raw, dict) or len(raw) > MOST_ITEMS:
        refuse(BANDITS, f"must be an object of at most {MOST_ITEMS}")
    for key, item in raw.items():
        where = f"{BANDITS}.{key}"
        read = dict(_object(item, where))
        contexts = items(read, "contexts", where)
        if contexts:
            read["contexts"] = [
                _with_condition(_object(part, f"{where}.contexts.{n}"), where, conditions, tell)
                for n, part in enumerate(contexts)
            ]
        yield key, read


def _object(raw: Any, where: str) -> Raw:
    if not isinstance(raw, dict):
        refuse(where, "must be an object")
    problem = json_problem(raw)
    if problem is not None:
        refuse(where, problem)
    return raw


def _with_condition(raw: Raw, where: str, conditions: ConditionReader, tell: Tell) -> Raw:
    if not raw.get("condition"):
        return dict(raw)
    read = conditions.read(raw["condition"], f"{where}.condition", tell)
    return {**raw, "condition": read}
