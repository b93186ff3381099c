"""Costly sums are read seldom where there are many customers, and every time where there are few."""

from datetime import UTC, datetime, timedelta

from analysis.summary import PairSummary
from rollouts.results.kept import FEW, Kept

NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
CELLS = {(0, 0): PairSummary(3, 1.0, 2.5, 1.0, 4.0, 2.0), (1, 2): PairSummary(1, 7.0)}


def asked(kept: Kept) -> int:
    """How often the store was asked, of one question to it."""
    times = 0

    def find() -> dict:
        nonlocal times
        times += 1
        return CELLS

    assert kept.get("matured/1", find) == CELLS
    return times


def test_a_large_rollout_waits_in_proportion_to_its_size():
    """A hundred thousand customers: a hundred seconds; and a look at the end asks anew."""
    state: dict = {}
    units = 100_000
    assert asked(Kept(state, units, NOW, is_final=False)) == 1

    soon, later = NOW + timedelta(seconds=99), NOW + timedelta(seconds=101)
    assert asked(Kept(state, units, soon, is_final=False)) == 0
    assert asked(Kept(state, units, soon, is_final=True)) == 1
    assert asked(Kept(state, units, soon + timedelta(seconds=90), is_final=False)) == 0
    assert asked(Kept(state, units, later + timedelta(seconds=200), is_final=False)) == 1


def test_a_small_rollout_always_sees_what_is_there():
    """There it costs nothing."""
    state: dict = {}
    for _ in range(2):
        assert asked(Kept(state, FEW, NOW, is_final=False)) == 1
