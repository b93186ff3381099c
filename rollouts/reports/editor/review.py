"""Before saving: what changes, in words and to the last member, and what it may do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rollouts.flags.cautions import Caution, cautions
from rollouts.flags.differences import Difference, differences
from rollouts.flags.evaluation.disagreements import sdk_disagreements
from rollouts.flags.model import Flag, FlagState, RolloutRule, Rule
from rollouts.flags.rule_json import dump_flag
from rollouts.reports.rule_words import rule_words, value

Line = tuple[str, str]
LEAVE = (
    "Whoever it concerns leaves the rollout’s comparison, from every version. Put it below the "
    "rollout’s rule, unless you mean that."
)
_SIGNS = {"+ ": "add", "- ": "del", "  ": "ctx"}


@dataclass(frozen=True, slots=True)
class Review:
    """What a person sees before they say why."""

    lines: tuple[Line, ...]
    places: tuple[Difference, ...]
    warnings: tuple[tuple[str, str], ...]  # what, and what to do

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.places


def review(before: Flag, after: Flag, environments: Sequence[str], now: datetime) -> Review:
    """The difference between two states of a flag."""
    lines: list[Line] = []
    for environment in environments:
        told = _told(before, environment), _told(after, environment)
        if told[0] != told[1]:
            lines += [("at", environment), *_compared(*told)]
    found = differences(dump_flag(before), dump_flag(after))
    served = cautions(after, now)
    warnings = [
        warning
        for environment in environments
        for warning in _warnings(
            before.state(environment),
            after.state(environment),
            [item for item in served if item.environment == environment],
        )
    ]
    return Review(tuple(lines), tuple(found), tuple(dict.fromkeys(warnings)))


def _compared(before: list[str], after: list[str]) -> list[Line]:
    return [
        (_SIGNS[line[:2]], line[2:])
        for line in difflib.ndiff(before, after, charjunk=None)
        if line[:2] in _SIGNS
    ]


def _told(flag: Flag, environment: str) -> list[str]:
    state = flag.state(environment)
    switch = "switched on" if state.is_enabled else f"switched off: {value(flag.off_value)} for all"
    rules = [_one_line(_rule(rule)) for rule in state.rules]
    return [switch, *rules, _one_line(f"everyone else → {value(flag.default_in(environment))}")]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _rule(rule: Rule) -> str:
    words = rule_words(rule)
    name = rule.rollout if isinstance(rule, RolloutRule) else rule.description
    off = "" if words.is_on else "(off) "
    return f"{off}{name + ': ' if name else ''}{words.asks} → {words.serves}"


def _warnings(
    before: FlagState, after: FlagState, served: Sequence[Caution]
) -> list[tuple[str, str]]:
    held = {rule.id: rule for rule in before.rules}
    found: list[tuple[str, str]] = []
    for place, rule in enumerate(after.rules):
        is_old = held.get(rule.id) == rule
        if isinstance(rule, RolloutRule) or not rule.is_enabled:
            continue
        newly = _above(after, rule) - (_above(before, rule) if is_old else frozenset())
        found += [(f"Rule {place + 1} stands above the live rollout {n}", LEAVE) for n in newly]
        if not is_old:
            disagree = f"Languages disagree on rule {place + 1}"
            texts = [item.text for item in served if item.rule == rule.id]
            texts += sdk_disagreements(rule.condition or {})  # also of rules that wait
            found += [(disagree, text) for text in dict.fromkeys(texts)]
    return found


def _above(state: FlagState, rule: Rule) -> frozenset[str]:
    """Live rollouts whose rules stand somewhere below this one."""
    ids = [item.id for item in state.rules]
    below = state.rules[ids.index(rule.id) + 1 :] if rule.id in ids else ()
    return frozenset(
        item.rollout for item in below if isinstance(item, RolloutRule) and item.decided is None
    )
