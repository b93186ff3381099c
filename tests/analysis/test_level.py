"""The stop-loss holds its level on simulated rollouts, in a reduced form of the benchmark.

In full: `python -m tests.benchmarks.operating_characteristics`.
"""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from analysis.eprocess import TwoByTwo
from analysis.gaussian import Moments, gaussian
from analysis.operating import bounds
from analysis.populations import counts, proportion
from tests.benchmarks.bound import divergence, fewest_treated
from tests.benchmarks.operating_characteristics import BY_RECIPE, OURS, main, run
from tests.benchmarks.rivals import log_two_by_two
from tests.benchmarks.situations import all_situations, looks

SITUATIONS = {situation.name: situation for situation in all_situations()}
REPLICATIONS = 250
REDUCED = [
    "proportion 2 %",
    "proportion 90 %, less is worse",
    "Poisson counts",
    "counts, 90:10",
    "money, 3 % pay",
    "ratio, unit is cluster",
    "counts, 10:90, few heavy only in control",
    "2 %, ramp, drift",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", REDUCED)
def test_false_stops_and_limits_hold_their_level(name):
    """Within Monte-Carlo error: false stops, false safes and each limit, at all looks at once."""
    situation = SITUATIONS[name]
    hundred = situation.steps.reshape(100, -1).sum(1)
    rows, misses = run(replace(situation, steps=hundred), REPLICATIONS, seed=77, groups=4)
    ours = {row.multiple: row for row in rows if row.rule == OURS}
    rival = next(row for row in rows if row.rule == "repeated z" and row.multiple == 1)

    def allowed(level):
        return level + 3.3 * sqrt(level * (1 - level) / REPLICATIONS)

    assert ours[1.0].stopped <= allowed(0.05)
    assert ours[0.0].stopped <= allowed(0.003)
    assert ours[2.0].stopped > 0.85
    assert misses[1].safe <= allowed(0.052)
    for miss in misses:
        assert max(miss.low, miss.high) <= allowed(0.07)
        assert max(miss.low_at_end, miss.high_at_end) <= allowed(0.05)
        assert max(miss.budget_low, miss.budget_high) <= allowed(0.065)
    assert rival.stopped > 0.15, "the same paths must be able to show a broken rule"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["proportion 2 %", "Poisson counts", "counts, dispersion 4"])
def test_harm_is_stopped_near_the_information_bound(name):
    """Mean stopping time over what no rule can beat: at most 1.45, and the bound is not beaten."""
    rows, _ = run(SITUATIONS[name], REPLICATIONS, seed=78, groups=4, multiples=(2.0, 4.0))
    ours = {row.multiple: row.over_bound for row in rows if row.rule == OURS}

    for multiple in (2.0, 4.0):
        assert 1.0 < ours[multiple] < 1.45 + 0.12  # Monte-Carlo error of the mean


@pytest.mark.slow
@pytest.mark.parametrize("name", ["proportion 2 %", "counts, dispersion 4"])
def test_alpha_spent_sooner_spares_customers(name):
    """On the same paths fewer are treated until the stop than at the recipe's pace."""
    rows, _ = run(SITUATIONS[name], REPLICATIONS, seed=79, groups=4, multiples=(2.0, 4.0))
    treated = {(row.rule, row.multiple): row.treated for row in rows}

    for multiple in (2.0, 4.0):
        assert treated[OURS, multiple] < treated[BY_RECIPE, multiple]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_gaussian_form_holds_its_level(share):
    """Skewed values that may be negative, harm exactly at an absolute tolerance, 60 looks."""
    rng, replications, per_look = np.random.default_rng(9), 4000, 60
    n1 = round(per_look * share)
    n = np.array([per_look - n1, n1])
    s, q, r, information = np.zeros((2, replications)), np.zeros((2, replications)), [], []
    for look in range(1, 61):
        for arm, shift in enumerate((0.0, -0.3)):
            values = rng.gamma(1.0, 1.0, (replications, n[arm])) - 0.8 + shift
            s[arm] += values.sum(1)
            q[arm] += (values**2).sum(1)
        units = np.full((2, replications, 1), 1.0) * (n * look)[:, None, None]
        centred = q[..., None] - s[..., None] ** 2 / units
        found = gaussian(
            Moments(
                units[0], s[0][:, None], centred[0], units[0] - 1,
                units[1], s[1][:, None], centred[1], units[1] - 1,
            ),
            sign=-1,
            tolerance=0.3,
        )  # fmt: skip
        r.append(found.r)
        information.append(found.information)
    ready = np.repeat((n.min() * np.arange(1, 61) >= 30)[:, None], replications, axis=1)
    limit = bounds(np.array(information), ready, alpha=0.05, planned=float(information[-1][0]))

    false_stops = (np.array(r) > limit).any(0).mean()

    assert false_stops <= 0.05 + 3.3 * sqrt(0.05 * 0.95 / replications)


def test_the_benchmark_runs_and_writes_its_figures(tmp_path, capsys):
    """One situation, few replications: a table on the screen and figures for charts in a file."""
    target = tmp_path / "figures.json"

    main(["--replications", "20", "--only", "irregular", "--json", str(target)])

    assert "share test" in capsys.readouterr().out
    assert '"over_bound"' in target.read_text()


def test_the_bound_of_a_proportion_by_hand():
    """Even split, known rates: the nearest tolerated pair is searched on a fine grid."""
    situation = SITUATIONS["proportion 2 %"]
    control, treatment = proportion(0.02), proportion(0.02 * 1.5)
    grid = np.linspace(0.018, 0.026, 4001)
    nearest = min(
        divergence(control, proportion(x)) + divergence(treatment, proportion(1.25 * x))
        for x in grid
    )
    needed = 0.9 * np.log(0.9 / 0.05) + 0.1 * np.log(0.1 / 0.95)

    assert fewest_treated(situation, 2.0, 0.9) == pytest.approx(needed / nearest, rel=1e-4)


def test_divergence_of_counts_is_the_poisson_formula():
    assert divergence(counts(0.3), counts(0.4)) == pytest.approx(
        0.3 * np.log(0.3 / 0.4) + 0.1, rel=1e-6
    )


def test_the_benchmarks_two_by_two_is_the_product():
    """Written for arrays in the benchmark, look by look in the product: the same evidence."""
    situation = SITUATIONS["2 %, ramp, drift"]
    n, s, test = [], [], TwoByTwo(1, 0.25, 0.05)
    before = (0, 0, 0, 0)
    for sums in looks(situation, 1.4, 2, seed=3):
        n.append((sums.units0, sums.units1))
        s.append((sums.events0, sums.events1))
        now = (int(sums.units0), int(sums.events0[1]), int(sums.units1), int(sums.events1[1]))
        new = [a - b for a, b in zip(now, before, strict=True)]
        test = test.advance(units0=new[0], events0=new[1], units1=new[2], events1=new[3])
        before = now
    n0, n1 = np.array(n).T
    s0, s1 = np.moveaxis(np.array(s), 1, 0)

    found = log_two_by_two(situation, n0, s0, n1, s1)

    assert found[-1, 1] == pytest.approx(test.log_evidence, rel=1e-9)
