"""What earlier rules of a test have spent of its chance of a false stop, after a change of plan.

A new rule asks something else of the same sums, so its test begins anew. Both may stop the change,
and either may do so wrongly: what the first had spent is taken off what the second may spend, and
the sum stays what the plan promised, for changes that are blind to how the events split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.guardrail import SAFE_LEVEL
from analysis.spending import PRIMARY
from rollouts.words import percent

LEAST = 0.1  # of a rule's own level, whatever was spent: no change of plan ends the protection
ANEW = (
    "A new plan changed the rule of this test, which began anew then. What earlier rules had spent "
    "of the chance of a false stop is taken off: {left} are left of {whole}."
)
ON_TOP = (
    "A new plan changed the rule of this test, which began anew then. Earlier rules had spent the "
    "chance of a false stop; {left} are given on top of {whole}, so that the test goes on."
)

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Charge:
    """What is left to a rule. harm, safe: its chances to call either wrongly."""

    alpha: float
    spent: float = 0.0
    spent_on_safe: float = 0.0
    is_anew: bool = False

    @property
    def harm(self) -> float:
        """Of a false stop."""
        return _left(self.alpha, self.spent)

    @property
    def safe(self) -> float:
        """Of a false *safe*."""
        return _left(self.alpha, self.spent_on_safe)

    @property
    def note(self) -> str:
        """What the report says of it; empty for a rule that nobody changed."""
        if not self.is_anew:
            return ""
        whole = percent(self.alpha)
        is_over = self.spent > (1 - LEAST) * self.alpha
        return (ON_TOP if is_over else ANEW).format(left=percent(self.harm), whole=whole)


def charge(states: dict[str, State], name: str, test: str, mark: list[Any], alpha: float) -> Charge:
    """What this look's rule may spend; remembers which rule it was, under the guardrail's name.

    name: of the guardrail of an arm. test: the state of the test that judges it now. mark: all
    that may not change under a test.
    """
    key = f"{name}/rule"
    held = states.get(key) or _earlier(states, test, mark)
    if [held["test"], held["mark"]] != [test, mark]:
        before = states.get(held["test"], {})
        held = {
            "test": test,
            "mark": mark,
            "spent": held["spent"] + spent_of(before, "harm"),
            "spent_on_safe": held["spent_on_safe"] + spent_of(before, "safe") / SAFE_LEVEL,
            "is_anew": True,
        }
    states[key] = held
    return Charge(alpha, held["spent"], held["spent_on_safe"], held["is_anew"])


def _earlier(states: Mapping[str, State], test: str, mark: list[Any]) -> State:
    """A guardrail's first look, or its first since releases that did not keep this."""
    state = states.get(test, {})
    held = state.get("mark", mark)
    is_anew = bool(state.get("is_renewed"))
    return {"test": test, "mark": held, "spent": 0.0, "spent_on_safe": 0.0, "is_anew": is_anew}


def spent_of(state: Mapping[str, Any], side: str) -> float:
    """The most that a test may have spent of its level on one side; 0 before it could speak."""
    if state.get("exact") and not state.get("instead"):
        return float(state["exact"][side])  # an e-process may use all of it at any look
    held = (state.get("look") or {}).get(side)
    if not held or not held["looks"]:
        return float((state.get("exact") or {}).get(side, 0.0))
    reserve = 1 - PRIMARY if held["planned"] is not None else 1.0
    return float(held["spent"] + reserve * held["alpha"])


def _left(alpha: float, spent: float) -> float:
    return max(alpha - spent, LEAST * alpha)
