"""The exact option for a guardrail: findings, inverted interval, and where it is refused."""

import json

import pytest

from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.exact import Method, exact_look
from analysis.guardrail import Rule
from analysis.stoploss import Kind, Stratum
from tests.analysis.test_stoploss import proportions

RULE = Rule(Kind.PROPORTION, 1, 0.1)


def counted(n0, s0, n1, s1, dispersion=1.0):
    """Counts of this variance over mean."""
    return Stratum(n0, s0, s0 * dispersion + s0 * s0 / n0, n1, s1, s1 * dispersion + s1 * s1 / n1)


@pytest.mark.parametrize(
    ("events", "finding"),
    [((45, 110), Finding.HARM), ((400, 280), Finding.SAFE), ((50, 52), Finding.UNKNOWN)],
)
@pytest.mark.parametrize("method", list(Method))
def test_the_three_findings(events, finding, method):
    state = None
    for part in (1, 2, 3, 4):  # looks, so that two by two has something to bet from
        sums = [proportions(500 * part, events[0] * part // 2, 500 * part, events[1] * part // 2)]
        found = exact_look(sums, RULE, shares=[0.5], method=method, state=state)
        state = json.loads(json.dumps(found.state))

    assert found.finding is finding
    assert (found.share_of_boundary >= 1) == (finding is Finding.HARM)


def test_the_interval_is_the_bet_inverted():
    """A ratio just outside the interval is rejected by the bet against it, one just inside not."""
    sums, shares = [proportions(900, 45, 900, 110), proportions(300, 9, 700, 50)], [0.5, 0.7]
    effect = exact_look(sums, RULE, shares=shares).relative

    def rejects(tolerance):
        rule = Rule(Kind.PROPORTION, 1, tolerance)
        return exact_look(sums, rule, shares=shares).finding is Finding.HARM

    assert effect.low <= effect.estimate <= effect.high
    assert rejects(effect.low - 1e-6)
    assert not rejects(effect.low + 1e-6)


def test_poisson_counts_are_judged():
    found = exact_look([counted(500, 150, 500, 260)], Rule(Kind.COUNT, 1, 0.1), shares=[0.5])

    assert found.finding is Finding.HARM
    assert isinstance(found.relative, Effect)


def test_counts_that_vary_more_are_refused():
    """On overdispersed counts the bet would stop falsely, so it is not made."""
    found = exact_look(
        [counted(500, 150, 500, 260, dispersion=3.0)], Rule(Kind.COUNT, 1, 0.1), shares=[0.5]
    )

    assert found.finding is Finding.UNKNOWN
    assert "differ more" in found.reason


def test_no_events_in_control_still_stops():
    found = exact_look([proportions(900, 0, 900, 40)], RULE, shares=[0.5])

    assert found.finding is Finding.HARM
    assert isinstance(found.relative, Undecided)


def test_nothing_yet_is_an_answer():
    assert "nobody" in exact_look([], RULE).reason
    assert "no events" in exact_look([proportions(9, 0, 9, 0)], RULE, shares=[0.5]).reason


@pytest.mark.parametrize(
    ("rule", "more", "name"),
    [
        (Rule(Kind.OTHER, 1, 0.1), {"shares": [0.5]}, "kind"),
        (Rule(Kind.COUNT, 1, 0.1), {"method": Method.TWO_BY_TWO}, "kind"),
        (Rule(Kind.PROPORTION, 1, 0.1, Scale.ABSOLUTE), {"shares": [0.5]}, "tolerance_scale"),
        (RULE, {"shares": []}, "shares"),
    ],
)
def test_where_it_would_not_be_exact_it_is_refused(rule, more, name):
    with pytest.raises(ValueError, match=name):
        exact_look([proportions(900, 45, 900, 60)], rule, **more)


def test_a_state_of_another_rule_is_refused():
    sums = [proportions(900, 45, 900, 60)]
    state = exact_look(sums, RULE, method=Method.TWO_BY_TWO).state

    with pytest.raises(ValueError, match="another tolerance"):
        exact_look(sums, Rule(Kind.PROPORTION, 1, 0.2), method=Method.TWO_BY_TWO, state=state)
    with pytest.raises(ValueError, match="fewer"):
        exact_look(sums[:0] or [proportions(1, 1, 1, 1)], RULE, method=Method.TWO_BY_TWO,
                   state={"seen": [[0] * 4] * 2})  # fmt: skip
