"""A guardrail judged by an exact e-process: a named option for proportions and Poisson counts.

It holds its level with no approximation and no plan, at the price of more customers than the
share test needs. It is refused wherever it would not be exact.

Sources: as of `eprocess`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from math import exp, log, sqrt
from typing import Any

from analysis.effect import Effect, Finding, Scale, Undecided, Validity
from analysis.eprocess import EventShare, TwoByTwo
from analysis.guardrail import MORE, Look, Rule, in_words, waiting
from analysis.limits import edge
from analysis.stoploss import Kind, Stratum, observed_ratio, to_arms, usable_strata, why_no_units

SURELY = 4.0  # standard errors of a Poisson's dispersion above 1 at which counts are refused


class Method(StrEnum):
    """Which bet is made."""

    EVENT_SHARE = "event share"  # on the arm of the next event; needs the assigned shares
    TWO_BY_TWO = "two by two"  # on both proportions; needs no shares, gives no interval


def exact_look(
    strata: Sequence[Stratum],
    rule: Rule,
    *,
    shares: Sequence[float] = (),
    method: Method = Method.EVENT_SHARE,
    state: dict[str, Any] | None = None,
) -> Look:
    """Judge one guardrail on all sums so far, exactly.

    strata: in the order in which they were begun, sums so far; one more may follow at a later
    look. shares: the assigned probability of treatment in each, for the event share. method: event share, or two by two. rule: its
    kind must be proportion (one event per unit at most) or count (Poisson; refused where the
    counts vary more). state: of the look before, which only two by two needs.
    `evidence` is the e-process's logarithm, and log(1 / alpha) stops.
    Raises ValueError naming an impossible argument.

    >>> rule = Rule(Kind.PROPORTION, 1, 0.1)
    >>> found = exact_look([Stratum(900, 45, 45, 900, 110, 110)], rule, shares=[0.5])
    >>> found.finding.value, round(found.relative.low, 2)
    ('harm', 0.46)
    """
    _check(strata, rule, shares, method)
    blocked = _why_not(strata, rule)
    if blocked is not None:
        return waiting(blocked, state or {})
    if method is Method.TWO_BY_TWO:
        return _two_by_two(strata, rule, state or {})
    return _event_share(strata, rule, shares)


def _check(strata: Sequence[Stratum], rule: Rule, shares: Sequence[float], method: Method) -> None:
    allowed = {Kind.PROPORTION} if method is Method.TWO_BY_TWO else {Kind.PROPORTION, Kind.COUNT}
    if rule.share_kind not in allowed:
        raise ValueError(f"kind {rule.kind} has no exact test by {method.value}")
    if rule.tolerance_scale is not Scale.RELATIVE:
        raise ValueError("tolerance_scale must be relative for an exact test")
    if method is Method.EVENT_SHARE and len(shares) != len(strata):
        raise ValueError(f"shares has {len(shares)} values for {len(strata)} strata")


def _why_not(strata: Sequence[Stratum], rule: Rule) -> Undecided | None:
    kept = usable_strata(strata, rule.share_kind)
    if not kept:
        return Undecided(*why_no_units(strata))
    if sum(x.s0 + x.s1 for x in kept) <= 0:
        return Undecided("nothing has happened yet: no events in either arm", "first events")
    return too_varied(kept) if rule.share_kind is Kind.COUNT else None


def too_varied(strata: Sequence[Stratum]) -> Undecided | None:
    """Why counts are no Poisson counts: a variance over the mean that is surely above 1.

    None where they may be, and without any event.
    strata: sums of both arms, per stretch of constant allocation. Returns an Undecided, or None.

    >>> too_varied([Stratum(500, 150, 495, 500, 150, 495)]).needs
    'the share test'
    >>> too_varied([Stratum(500, 150, 195, 500, 150, 195)]) is None
    True
    """
    kept = usable_strata(strata, Kind.COUNT)
    arms = to_arms(kept, Kind.COUNT)
    events, units = float(arms.events.sum()), float(arms.n0.sum() + arms.n1.sum())
    if events <= 0:
        return None
    dispersion = float(arms.nv0.sum() + arms.nv1.sum()) / events
    if dispersion <= 1 + SURELY * sqrt(2 / units + 1 / events):
        return None
    return Undecided(
        "customers differ more in their counts than chance alone explains, so the exact test does"
        " not apply",
        "the share test",
    )


def exact_evidence(
    strata: Sequence[Stratum], *, sign: int, ratio: float, shares: Sequence[float]
) -> float:
    """Logarithm of the bet against "no worse than this ratio", by the event share.

    sign: +1 bets that the true ratio is larger, -1 that it is smaller. ratio: treatment over
    control, above 0. Only the events count: `strata` may be sums that are foreseen.

    >>> sums = [Stratum(900, 45, 45, 900, 110, 110)]
    >>> round(exact_evidence(sums, sign=1, ratio=1.1, shares=[0.5]), 2)
    9.03
    """
    test = EventShare(sign, sign * (ratio - 1), 0.5)
    for stratum, share in zip(strata, shares, strict=True):
        events0, events1 = int(stratum.s0), int(stratum.s1)
        test = test.advance(events0=events0, events1=events1, share=share)
    return test.log_evidence


def _event_share(strata: Sequence[Stratum], rule: Rule, shares: Sequence[float]) -> Look:
    def evidence(sign: int, ratio: float) -> float:
        return exact_evidence(strata, sign=sign, ratio=ratio, shares=shares)

    ratio = 1 + rule.sign * rule.tolerance
    limits = {rule.sign: -log(rule.alpha), -rule.sign: -log(rule.false_safe)}
    harm, safe = evidence(rule.sign, ratio), evidence(-rule.sign, ratio)
    relative = _relative(
        strata,
        rule,
        lambda x: evidence(1, exp(x)) - limits[1],
        lambda x: evidence(-1, exp(x)) - limits[-1],
    )
    return _judged(rule, harm, safe, relative, {})


def _relative(
    strata: Sequence[Stratum],
    rule: Rule,
    more: Callable[[float], float],
    less: Callable[[float], float],
) -> Effect | Undecided:
    arms = to_arms(usable_strata(strata, rule.share_kind), rule.share_kind)
    estimate = observed_ratio(arms)
    if not 0 < estimate < float("inf"):
        return Undecided("an arm has had no events, so there is no ratio", "more events")
    start = log(estimate)
    low, high = (edge(passes, start, start, way) for passes, way in ((more, -1), (less, 1)))
    if low is None or high is None:
        return Undecided("an arm has too few events for a percentage", "more events")
    return Effect(
        estimate=estimate - 1,
        low=min(exp(low), estimate) - 1,
        high=max(exp(high), estimate) - 1,
        scale=Scale.RELATIVE,
        validity=Validity.ANYTIME,
        level=rule.level,
        n_control=round(float(arms.m0)),
        n_treatment=round(float(arms.m1)),
        method="event-share e-process inverted, exact at every look",
        assumptions=("one event per customer at most, or Poisson counts",),
    )


def _two_by_two(strata: Sequence[Stratum], rule: Rule, state: dict[str, Any]) -> Look:
    """Both bets carried on by the units that are new since the look before."""
    seen = state.get("seen", [])
    if len(seen) > len(strata):
        raise ValueError("strata must not be fewer than at the look before")
    harm = _resumed(state.get("harm"), rule, rule.sign)
    safe = _resumed(state.get("safe"), rule, -rule.sign)
    totals = [[int(x.n0), int(x.s0), int(x.n1), int(x.s1)] for x in strata]
    for now, before in zip(totals, [*seen, *[[0] * 4] * (len(strata) - len(seen))], strict=True):
        units0, events0, units1, events1 = (a - b for a, b in zip(now, before, strict=True))
        new = {"units0": units0, "events0": events0, "units1": units1, "events1": events1}
        harm, safe = harm.advance(**new), safe.advance(**new)
    held = {"seen": totals, "harm": harm.to_dict(), "safe": safe.to_dict()}
    relative = Undecided("this exact test gives no interval", "the share test")
    return _judged(rule, harm.log_evidence, safe.log_evidence, relative, held)


def _resumed(held: dict[str, Any] | None, rule: Rule, sign: int) -> TwoByTwo:
    """The bet so far; the mirrored one asks whether the treatment is better than tolerated."""
    ratio = 1 + rule.sign * rule.tolerance
    alpha = rule.alpha if sign == rule.sign else rule.false_safe
    fresh = TwoByTwo(sign, sign * (ratio - 1), alpha)
    if held is None:
        return fresh
    test = TwoByTwo.from_dict(held)
    if (test.sign, test.tolerance, test.alpha) != (fresh.sign, fresh.tolerance, fresh.alpha):
        raise ValueError("state belongs to a rule with another tolerance, alpha or beta")
    return test


def _judged(
    rule: Rule,
    harm: float,
    safe: float,
    relative: Effect | Undecided,
    state: dict[str, Any],
) -> Look:
    bound = -log(rule.alpha)
    finding = Finding.UNKNOWN
    if harm >= bound:
        finding = Finding.HARM
    elif safe >= -log(rule.false_safe):
        finding = Finding.SAFE
    share = max(harm, 0.0) / bound
    return Look(
        finding=finding,
        reason=in_words(finding, share),
        needs=MORE if finding is Finding.UNKNOWN else "",
        evidence=harm,
        boundary=bound,
        reserve=bound,
        share_of_boundary=share,
        relative=relative,
        absolute=Undecided("this exact test speaks of percentages only", "the share test"),
        shrunken=None,
        information=None,
        state=state,
    )
