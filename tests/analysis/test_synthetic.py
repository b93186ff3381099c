import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from analysis.effect import Undecided
from analysis.quality import State
from analysis.synthetic import synthetic_control


def groups(rng, n=19, periods=40, noise=0.2):
    """Groups that each follow three common waves in shares of their own."""
    waves = np.cumsum(rng.normal(size=(3, periods)), axis=1)
    return [rng.dirichlet([1, 1, 1]) @ waves + rng.normal(0, noise, periods) for _ in range(n + 1)]


def study(rng, effect=0.0, start=30, **options):
    own, *rest = groups(rng)
    own = own + effect * (np.arange(40) >= start)
    return synthetic_control(own, {f"g{i}": row for i, row in enumerate(rest)}, start, **options)


def test_a_blend_without_noise_is_found_again():
    """Weights 0.2, 0.3 and 0.5 are recovered, and the effect to the digit."""
    rng = np.random.default_rng(191)
    rest = {f"g{i}": np.cumsum(rng.normal(size=40)) for i in range(10)}
    own = 0.2 * rest["g0"] + 0.3 * rest["g4"] + 0.5 * rest["g7"]
    own = own + 1e-6 * rng.normal(size=40) + 3.0 * (np.arange(40) >= 30)
    found = synthetic_control(own, rest, 30)

    assert found.weights["g7"] == pytest.approx(0.5, abs=1e-5)
    assert found.weights["g1"] == pytest.approx(0.0, abs=1e-5)
    assert found.effect.estimate == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize("shift", [True, False])
def test_weights_solve_the_quadratic_programme(shift):
    """Agrees with a general solver under the same constraints."""
    rng = np.random.default_rng(193)
    own, *rest = groups(rng, n=6)
    pool, past = np.array(rest), slice(0, 30)
    found = synthetic_control(
        own, {str(i): row for i, row in enumerate(rest)}, 30, shift=shift, level=0.8
    )
    moves = pool[:, past] - shift * pool[:, past].mean(axis=1, keepdims=True)
    target = own[past] - shift * own[past].mean()
    solved = optimize.minimize(
        lambda w: np.sum((target - w @ moves) ** 2),
        np.full(6, 1 / 6),
        bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )

    assert list(found.weights.values()) == pytest.approx(solved.x, abs=2e-4)
    assert sum(found.weights.values()) == pytest.approx(1)


def test_a_clear_effect_ranks_first():
    """Of twenty groups the treated one is the most extreme: one in twenty, by either measure."""
    found = study(np.random.default_rng(197), effect=4.0)

    assert found.effect.p_value == pytest.approx(1 / 20)
    assert found.ratio_p_value == pytest.approx(1 / 20)
    assert found.effect.low < 4 < found.effect.high
    assert (found.effect.n_control, found.effect.n_treatment) == (19, 1)
    assert len(found.placebos) == 19
    assert len(found.expected) == 40


def test_the_interval_inverts_the_placebo_test():
    """An effect at the edge is just not rejected; one beyond it is."""
    rng = np.random.default_rng(199)
    own, *rest = groups(rng)
    rest = {f"g{i}": row for i, row in enumerate(rest)}
    since = np.arange(40) >= 30
    found = synthetic_control(own, rest, 30).effect

    for edge, sign in ((found.low, 1), (found.high, -1)):
        inside = synthetic_control(own - (edge + sign * 1e-6) * since, rest, 30)
        outside = synthetic_control(own - (edge - sign * 1e-6) * since, rest, 30)
        assert inside.effect.p_value > 0.1
        assert outside.effect.p_value <= 0.1 + 1e-12


@settings(max_examples=15)
@given(st.integers(0, 30), st.sampled_from([1e-3, 1.0, 1e4]), st.floats(-20, 20), st.randoms())
def test_unit_level_and_order_are_no_matter(seed, times, shift, random):
    """Scaling scales, an own level is compared away, and groups may come in any order."""
    own, *rest = groups(np.random.default_rng(seed), n=9)
    names = [f"g{i}" for i in range(9)]
    plain = synthetic_control(own, dict(zip(names, rest, strict=True)), 30)
    order = random.sample(range(9), 9)
    moved = synthetic_control(times * (own + shift), {names[i]: times * rest[i] for i in order}, 30)

    assert moved.effect.estimate == pytest.approx(
        times * plain.effect.estimate, rel=1e-3, abs=1e-4 * times
    )
    assert moved.effect.p_value == plain.effect.p_value


def test_the_pretended_start_finds_little():
    """The past alone, with a change pretended in it, shows a gap within the noise."""
    found = study(np.random.default_rng(211), effect=10.0)

    assert abs(found.before.gap) < 1
    assert found.fit.state is State.FINE


def test_a_group_that_goes_its_own_way_warns():
    """When the blend explains nothing of its movement, the fit says so."""
    rng = np.random.default_rng(223)
    _, *rest = groups(rng)
    own = rng.normal(0, 5, 40)
    found = synthetic_control(own, {f"g{i}": r for i, r in enumerate(rest)}, 30)

    assert found.fit.state is State.WARNING


def test_studies_without_an_answer():
    """Too few others, too short a past, too high a level, or a copy of the group."""
    rng = np.random.default_rng(227)
    own, *rest = groups(rng)
    others = {f"g{i}": row for i, row in enumerate(rest)}

    assert isinstance(synthetic_control(own, {"a": rest[0]}, 30), Undecided)
    assert isinstance(synthetic_control(own, {}, 30), Undecided)
    assert isinstance(synthetic_control(own, others, 7), Undecided)
    assert isinstance(synthetic_control(own, others, 30, level=0.99), Undecided)
    assert isinstance(synthetic_control(rest[0], others, 30), Undecided)
    assert isinstance(synthetic_control(own * 0, others, 30), Undecided) is False
    constant = {name: row * 0 + 1 for name, row in others.items()}
    assert synthetic_control(own, constant, 30).fit.state is State.WARNING
    assert isinstance(synthetic_control(own * 0, constant, 30), Undecided)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"start": 0}, "start"),
        ({"start": 40}, "start"),
        ({"treated": [float("nan")] * 40}, "treated"),
        ({"others": {"a": [1.0]}}, "others"),
        ({"others": {"a": [float("inf")] * 40}}, "others"),
        ({"level": 1}, "level"),
    ],
)
def test_mistakes_name_the_argument(change, name):
    """What does not fit is refused by name."""
    own, *rest = groups(np.random.default_rng(229))
    others = {f"g{i}": row for i, row in enumerate(rest)}
    with pytest.raises(ValueError, match=name):
        synthetic_control(**({"treated": own, "others": others, "start": 30} | change))


@pytest.mark.slow
def test_the_interval_holds_and_the_test_keeps_its_level():
    """With groups that could be exchanged: coverage 0.9 and false alarms at most 0.1."""
    rng, rounds, hits, alarms = np.random.default_rng(233), 200, 0, 0
    for _ in range(rounds):
        effect = study(rng, effect=1.0).effect
        hits += effect.low <= 1 <= effect.high
        alarms += study(rng).effect.p_value <= 0.1

    assert hits / rounds >= 0.9 - 2.5 * (0.09 / rounds) ** 0.5
    assert alarms / rounds <= 0.1 + 2.5 * (0.09 / rounds) ** 0.5
