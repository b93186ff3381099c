"""By which test a guardrail is judged at a look: the share test, or the exact one if asked for.

The exact test is exact only under conditions that data can refute. Where they do, the share test
takes over for good: a guardrail never loses its protection, and the report names which test
judged it and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.anytime import anytime_absolute
from analysis.effect import Undecided
from analysis.exact import exact_look, too_varied
from analysis.guardrail import Look, Rule, look
from analysis.stoploss import Kind, Stratum
from rollouts.results.shown import METHOD
from rollouts.results.split import always_p_value

BROKEN_SPLIT = 0.001
EXACT_METHOD = (
    "Exact test: a bet on which version the next event falls, against the limit. It stops a "
    "harmless change no more often than was promised, however often one looks and with no "
    "approximation, as long as {given}."
)
GIVEN = {
    Kind.PROPORTION: (
        "customers arrive as the plan set it and each counts once, at about the same time on "
        "either version"
    ),
    Kind.COUNT: (
        "customers arrive as the plan set it and events come by chance alone, no customer more "
        "prone to them than another"
    ),
}
INSTEAD = "Share test, in place of the exact one that the plan asks for: {why}. {method}"
UNEVEN = "customers did not arrive as the plan set it, on which the exact test relies"

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A look's answer on one guardrail, by which test, and what the next look needs.

    instead: why the share test judges what the plan wanted judged exactly; empty if it does not.
    """

    seen: Look
    method: str
    state: dict[str, Any]
    is_exact: bool = False
    instead: str = ""


def by_share_test(strata: Sequence[Stratum], rule: Rule, state: State, *, deadline: bool) -> Judged:
    """Judged by the stop-loss."""
    seen = look(strata, rule, state.get("look"), deadline=deadline)
    return Judged(seen, METHOD, {"look": seen.state})


def exactly(
    strata: Sequence[Stratum], rule: Rule, share: float, state: State, *, deadline: bool
) -> Judged:
    """Judged by the exact test, or by the share test once the exact one was seen not to apply.

    share: of treatment among the customers of both arms, as the plan set it.
    """
    levels = {"harm": rule.alpha, "safe": rule.false_safe}
    why = state.get("instead") or _why_not(strata, rule, share)
    if why:
        found = by_share_test(strata, rule, state, deadline=deadline)
        method = INSTEAD.format(why=why, method=METHOD)
        held = {**found.state, "exact": levels, "instead": why}
        return replace(found, method=method, state=held, instead=why)
    seen = exact_look(strata, rule, shares=[share] * len(strata))
    absolute, after = anytime_absolute(
        strata,
        rule.kind,
        rule.side,
        (state.get("look") or {}).get("absolute"),
        deadline,
        rule.planned_information,
    )
    seen = replace(seen, absolute=absolute, state={"absolute": after})
    method = EXACT_METHOD.format(given=GIVEN[Kind(rule.kind)])
    return Judged(seen, method, {"look": seen.state, "exact": levels}, is_exact=True)


def _why_not(strata: Sequence[Stratum], rule: Rule, share: float) -> str:
    """What the data say against the exact test; asked at every look."""
    units = [round(sum(x.n0 for x in strata)), round(sum(x.n1 for x in strata))]
    split = always_p_value(units, [1 - share, share])
    if not isinstance(split, Undecided) and split < BROKEN_SPLIT:
        return UNEVEN
    varied = too_varied(strata) if rule.kind is Kind.COUNT else None
    return varied.reason if varied is not None else ""
