"""Exact e-processes: expectation at most 1 by enumeration, published forms, never stop falsely."""

import json
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar

from analysis.eprocess import TILTS, EventShare, TwoByTwo, nearest_tolerated

rates = st.floats(0.02, 0.98)


@given(st.floats(0.05, 0.95), st.floats(0.0, 1.0), st.sampled_from([1, -1]), st.floats(0, 0.8))
def test_one_event_is_a_fair_bet_at_most(share, smaller, sign, tolerance):
    """Enumerated: under every tolerated ratio the next event wins at most 1 on average."""
    c = 1 + sign * tolerance
    true = c * smaller if sign > 0 else c / max(smaller, 1e-3)  # on the tolerated side of c
    p = true * share / (1 - share + true * share)
    test = EventShare(sign, tolerance, 0.05)

    won = exp(test.advance(events0=0, events1=1, share=share).log_evidence)
    lost = exp(test.advance(events0=1, events1=0, share=share).log_evidence)

    assert p * won + (1 - p) * lost <= 1 + 1e-9


@given(
    st.integers(1, 6), st.integers(1, 6), rates, rates, rates, st.sampled_from([1, -1]),
    st.floats(0, 0.5),
)  # fmt: skip
def test_one_batch_is_a_fair_bet_at_most(units0, units1, bet0, bet1, rate0, sign, tolerance):
    """Enumerated: under every tolerated pair of rates a batch wins at most 1 on average."""
    c = 1 + sign * tolerance
    rate1 = min(c * rate0, 1.0) if sign > 0 else min(c * rate0 * 1.3, 1.0)
    past = 1000
    test = TwoByTwo(sign, tolerance, 0.05, past, round(past * bet0), past, round(past * bet1))
    mean = 0.0
    for events0, events1 in product(range(units0 + 1), range(units1 + 1)):
        chance = stats.binom.pmf(events0, units0, rate0) * stats.binom.pmf(events1, units1, rate1)
        after = test.advance(units0=units0, events0=events0, units1=units1, events1=events1)
        mean += chance * exp(after.log_evidence)

    assert mean <= 1 + 1e-9


@given(rates, rates, st.floats(0.4, 2.0), st.integers(1, 500), st.integers(1, 500))
def test_the_nearest_tolerated_rates_are_nearest(rate0, rate1, ratio, units0, units1):
    """The closed form is where a numerical search finds the smallest divergence."""

    def divergence(x):
        pairs = ((units0, rate0, x), (units1, rate1, ratio * x))
        return sum(n * (p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))) for n, p, q in pairs)

    top = min(1.0, 1 / ratio)
    found = nearest_tolerated(rate0, rate1, ratio, units0, units1)
    searched = minimize_scalar(divergence, bounds=(1e-9, top * (1 - 1e-9)), method="bounded")

    assert found[1] == pytest.approx(ratio * found[0])
    assert divergence(found[0]) <= searched.fun + 1e-7


def test_event_share_is_the_mean_of_likelihood_ratios():
    """Its value is the average over tilts of binomial likelihoods against the tolerated share."""
    test = EventShare(1, 0.2, 0.05)
    for s0, s1 in ((5, 9), (7, 12)):
        test = test.advance(events0=s0, events1=s1, share=0.5)
    q = 1.2 / 2.2

    ratios = []
    for tilt in TILTS:
        p = q * exp(tilt) / (1 - q + q * exp(tilt))
        ratios.append((p / q) ** 21 * ((1 - p) / (1 - q)) ** 12)

    assert exp(test.log_evidence) == pytest.approx(np.mean(ratios), rel=1e-10)


@pytest.mark.parametrize("kind", ["proportion", "poisson"])
def test_false_stops_stay_below_alpha(kind):
    """Seeded: at the tolerance, over 60 looks, at most alpha of paths are ever stopped."""
    rng = np.random.default_rng(11)
    stopped_share = stopped_two = 0
    for _ in range(400):
        share, two = EventShare(1, 0.25, 0.1), TwoByTwo(1, 0.25, 0.1)
        for _ in range(60):
            if kind == "poisson":
                s0, s1 = rng.poisson(8), rng.poisson(10)
            else:
                s0, s1 = rng.binomial(100, 0.08), rng.binomial(100, 0.1)
                two = two.advance(units0=100, events0=s0, units1=100, events1=s1)
            share = share.advance(events0=int(s0), events1=int(s1), share=0.5)
            if share.is_stopped or two.is_stopped:
                break
        stopped_share += share.is_stopped
        stopped_two += two.is_stopped

    assert stopped_share / 400 < 0.1
    assert stopped_two / 400 < 0.1


def test_states_go_on_through_json():
    share = EventShare(-1, 0.2, 0.05).advance(events0=9, events1=3, share=0.3)
    two = TwoByTwo(-1, 0.2, 0.05).advance(units0=90, events0=9, units1=50, events1=1)

    assert EventShare.from_dict(json.loads(json.dumps(share.to_dict()))) == share
    assert TwoByTwo.from_dict(json.loads(json.dumps(two.to_dict()))) == two


def test_no_events_change_nothing():
    assert EventShare(1, 0.1, 0.05).advance(events0=0, events1=0, share=0.5).log_evidence == (
        pytest.approx(0.0)
    )
    assert TwoByTwo(1, 0.1, 0.05).advance(units0=0, events0=0, units1=0, events1=0) == TwoByTwo(
        1, 0.1, 0.05
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: EventShare(0, 0.1, 0.05), "sign"),
        (lambda: EventShare(1, 0.1, 1.0), "alpha"),
        (lambda: EventShare(1, 0.1, 0.05, (0.0,)), "gains"),
        (lambda: EventShare(1, 0.1, 0.05).advance(events0=-1, events1=0, share=0.5), "events0"),
        (lambda: EventShare(1, 0.1, 0.05).advance(events0=1, events1=0, share=1.0), "share"),
        (lambda: TwoByTwo(-1, 1.0, 0.05), "tolerance"),
        (
            lambda: TwoByTwo(1, 0.1, 0.05).advance(units0=1, events0=2, units1=1, events1=0),
            "events0",
        ),
    ],
)
def test_impossible_arguments_are_refused(call, name):
    with pytest.raises(ValueError, match=name):
        call()
