from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import mean
from analysis.decision import (
    MetricEvidence,
    Outcome,
    Risks,
    Role,
    corrected_levels,
    decide,
    sizing_plan,
)
from analysis.effect import Undecided
from analysis.summary import Summary

WON = MetricEvidence("orders", Role.SUCCESS, better=0.001, worse=0.999)
KEPT = MetricEvidence("complaints", Role.GUARDRAIL, not_worse=0.002, worse=0.4)
WATCHED = MetricEvidence("refunds", Role.DETERIORATION, worse=0.6)
SOUND = MetricEvidence("SRM", Role.QUALITY, broken=0.7)
ALL = [WON, KEPT, WATCHED, SOUND]
RISKS = Risks(n_success=1, n_guardrail=1, n_deterioration=1, n_quality=1)


def changed(**changes):
    """The four metrics, one of them changed: name=p-value name and value."""
    return [replace(m, **changes[m.name]) if m.name in changes else m for m in ALL]


def test_guardrails_need_power_not_alpha():
    """The paper's rule: alpha over success metrics, beta over guardrails and one."""
    levels = corrected_levels(
        Risks(n_success=2, n_guardrail=3, alpha=0.05, beta=0.2, alpha_worse=1e-12)
    )

    assert (levels.better, levels.not_worse) == (0.025, 0.05)
    assert levels.beta == pytest.approx(0.05)


def test_false_alarms_are_taken_off_beta():
    """Deterioration and quality tests may each stop a good change once in a hundred."""
    levels = corrected_levels(RISKS)

    assert levels.beta == pytest.approx((0.2 - 0.02) / 2)
    assert levels.worse == pytest.approx(0.01 / 3)
    assert levels.broken == 0.01


def test_a_rollout_may_only_have_to_do_no_harm():
    """Without success metrics all guardrails decide, and share beta."""
    risks = Risks(n_success=0, n_guardrail=4, alpha_worse=0.04)

    assert corrected_levels(risks).beta == pytest.approx(0.04)
    kept = [replace(KEPT, name=name) for name in "abcd"]
    assert decide(kept, risks, complete=True).outcome is Outcome.SHIP


def test_sizes_follow_the_corrected_levels():
    """What is planned with is what is tested with, one-sided."""
    risks = Risks(n_success=2, n_guardrail=1)
    levels = corrected_levels(risks)

    assert sizing_plan(risks, Role.SUCCESS).alpha == levels.better
    assert sizing_plan(risks, Role.GUARDRAIL).power == pytest.approx(1 - levels.beta)
    with pytest.raises(ValueError, match="role"):
        sizing_plan(risks, Role.QUALITY)


def test_all_four_conditions_ship():
    """Better, kept, not worse and sound."""
    decision = decide(ALL, RISKS, complete=True)

    assert decision.outcome is Outcome.SHIP
    assert decision.reasons == ("orders is better", "every guardrail stays within its tolerance")


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"SRM": {"broken": 0.001}}, Outcome.INVALID, "SRM: the comparison cannot be trusted"),
        ({"refunds": {"worse": 0.003}}, Outcome.HARM, "refunds has become worse"),
        ({"orders": {"better": 0.2}}, Outcome.NOT_SHOWN, "no success metric was shown"),
        ({"complaints": {"not_worse": 0.06}}, Outcome.NOT_SHOWN, "complaints was not shown"),
        ({"orders": {"better": Undecided("too few")}}, Outcome.UNDECIDED, "orders: too few"),
        ({"complaints": {"not_worse": None}}, Outcome.UNDECIDED, "complaints: not tested"),
        ({"SRM": {"broken": Undecided("no shares")}}, Outcome.UNDECIDED, "SRM: no shares"),
    ],
)
def test_one_failed_condition_decides(changes, outcome, reason):
    """The worst finding decides, and is the reason given."""
    decision = decide(changed(**changes), RISKS, complete=True)

    assert decision.outcome is outcome
    assert decision.reasons[0].startswith(reason)


def test_before_the_end_only_harm_and_breakage_decide():
    """A benefit seen early is not yet a benefit shown."""
    early = decide(ALL, RISKS, complete=False)
    harm = decide(changed(refunds={"worse": 1e-6}), RISKS, complete=False)

    assert early.outcome is Outcome.UNDECIDED
    assert harm.outcome is Outcome.HARM


def test_a_broken_comparison_outranks_harm():
    """Numbers that cannot be trusted show no harm either."""
    both = changed(SRM={"broken": 0.0}, refunds={"worse": 0.0})

    assert decide(both, RISKS, complete=True).outcome is Outcome.INVALID


def test_evidence_is_read_off_an_interval():
    """At the interval's own level the p-values and its limits agree."""
    effect = mean.difference(Summary.of([1, 2, 3, 4] * 50), Summary.of([2, 3, 4, 4] * 50))
    success = MetricEvidence.of_effect("a", Role.SUCCESS, effect, higher_is_better=True)
    guarded = MetricEvidence.of_effect(
        "a", Role.GUARDRAIL, effect, higher_is_better=False, margin=effect.high
    )

    assert success.better < 0.025
    assert success.worse == pytest.approx(1 - success.better)
    assert guarded.not_worse == pytest.approx(0.025)
    with pytest.raises(ValueError, match="role"):
        MetricEvidence.of_effect("a", Role.QUALITY, effect, higher_is_better=True)


p_values = st.floats(0, 1)


@given(p_values, p_values, p_values, p_values, st.permutations(range(4)))
def test_order_and_stronger_evidence(better, not_worse, worse, broken, order):
    """Order changes nothing, and a stronger benefit never unships."""
    held = changed(
        orders={"better": better},
        complaints={"not_worse": not_worse},
        refunds={"worse": worse},
        SRM={"broken": broken},
    )
    first = decide(held, RISKS, complete=True)
    turned = decide([held[i] for i in order], RISKS, complete=True)
    stronger = [replace(held[0], better=better / 2), *held[1:]]

    assert turned.outcome is first.outcome
    if first.outcome is Outcome.SHIP:
        assert decide(stronger, RISKS, complete=True).outcome is Outcome.SHIP


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Risks(n_success=0), "n_success"),
        (lambda: Risks(n_quality=-1), "n_quality"),
        (lambda: Risks(alpha=0), "alpha"),
        (lambda: Risks(beta=0.01), "beta"),
        (lambda: decide([WON], RISKS, complete=True), "0 guardrail metrics where 1"),
        (lambda: decide(changed(orders={"better": 2}), RISKS, complete=True), "orders"),
    ],
)
def test_mistakes_are_named(make, name):
    """A plan that cannot be, or a metric nobody planned."""
    with pytest.raises(ValueError, match=name):
        make()


def ship_rate(success, guardrails, risks, sizing_beta, correlation, rounds=4000):
    """How often the rule ships, each metric sized for `sizing_beta` at its own level.

    success, guardrails: true effects, in units of the planned benefit and of the tolerance.
    """
    levels, rng = corrected_levels(risks), np.random.default_rng(29)
    k = len(success) + len(guardrails)
    noise = rng.normal(size=(rounds, k)) * (1 - correlation) ** 0.5
    noise += rng.normal(size=(rounds, 1)) * correlation**0.5
    z_beta = stats.norm.isf(sizing_beta)
    gains = stats.norm.isf(levels.better) + z_beta
    margins = stats.norm.isf(levels.not_worse) + z_beta
    shipped = 0
    for row in noise:
        up = np.array(success) * gains + row[: len(success)]
        down = np.array(guardrails) * margins + row[len(success) :]
        held = [
            MetricEvidence(f"s{i}", Role.SUCCESS, better=stats.norm.sf(z), worse=stats.norm.cdf(z))
            for i, z in enumerate(up)
        ] + [
            MetricEvidence(
                f"g{i}",
                Role.GUARDRAIL,
                not_worse=stats.norm.sf(margins - z),
                worse=stats.norm.sf(z),
            )
            for i, z in enumerate(down)
        ]
        shipped += decide(held, risks, complete=True).outcome is Outcome.SHIP
    return shipped / rounds


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_decision_keeps_its_power(correlation):
    """With one benefit and four harmless guardrails at least 80 % of decisions ship."""
    risks = Risks(n_success=2, n_guardrail=4)
    beta = corrected_levels(risks).beta
    rate = ship_rate([1, 0], [0] * 4, risks, beta, correlation, 1500)

    assert rate >= 0.8 - 2 * (0.16 / 1500) ** 0.5


@pytest.mark.slow
def test_without_the_correction_power_is_lost():
    """Sized for 80 % each, five independent tests pass together a third of the time."""
    rate = ship_rate([1], [0] * 4, Risks(n_guardrail=4), 0.2, 0.0, 1500)

    assert rate == pytest.approx(0.8**5, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(("success", "guardrails"), [([0, 0, 0], [0]), ([2, 2, 2], [1, 0])])
def test_the_decision_ships_wrongly_at_most_alpha(success, guardrails):
    """No benefit at all, or harm right at a tolerance beside great benefits."""
    risks = Risks(n_success=3, n_guardrail=len(guardrails))
    rate = ship_rate(success, guardrails, risks, corrected_levels(risks).beta, 0.0, 1500)

    assert rate <= 0.05 + 3 * (0.05 * 0.95 / 1500) ** 0.5
