"""The split's test holds its level at every look, and sees gross faults at once."""

import numpy as np
import pytest

from analysis.effect import Undecided
from rollouts.results.split import always_p_value


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.5, 0.3, 0.2)])
def test_a_sound_split_is_seldom_called_broken_at_any_look(shares: tuple[float, ...]):
    """Of 400 sound rollouts with 60 looks each, at most 5 % ever fall below 0.05."""
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(400):
        totals = rng.multinomial(80, shares, size=60).cumsum(axis=0)
        found = [always_p_value([int(n) for n in row], shares) for row in totals]
        alarms += min(p for p in found if isinstance(p, float)) < 0.05

    assert alarms <= 0.05 * 400


@pytest.mark.parametrize(
    ("counts", "shares"),
    [([45, 5], (0.5, 0.5)), ([600, 250], (0.5, 0.5)), ([51_000, 49_000], (0.5, 0.5))],
)
def test_faults_of_any_size_are_seen(counts: list[int], shares: tuple[float, ...]):
    """Gross ones among fifty customers, slight ones among a hundred thousand."""
    found = always_p_value(counts, shares)

    assert isinstance(found, float)
    assert found < 0.001


def test_nobody_says_nothing():
    """There is no split of nobody."""
    assert isinstance(always_p_value([0, 0], [0.5, 0.5]), Undecided)
