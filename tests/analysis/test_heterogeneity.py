import numpy as np
import pytest
from scipy import stats

from analysis.effect import Undecided
from analysis.estimate import Estimate
from analysis.heterogeneity import by_dimension, by_segment
from analysis.multiplicity import holm


def segments(values, errors=None, n=None):
    errors = errors or [0.1] * len(values)
    names = [f"s{i}" for i in range(len(values))]
    return {
        name: Estimate(name, v, e, n_control=n, n_treatment=n)
        for name, v, e in zip(names, values, errors, strict=True)
    }


def test_two_segments_reduce_to_a_z_test():
    """Q of two is the square of their difference over its error."""
    found = by_segment(segments([0.5, 0.1]))
    expected = 2 * stats.norm.sf(0.4 / 0.02**0.5)

    assert found.p_value == pytest.approx(expected)
    assert found.segments[0].p_value == pytest.approx(expected * 2)  # Holm over both


def test_a_segment_that_stands_out_is_named():
    """Nine alike and one far off."""
    found = by_segment(segments([0.1] * 9 + [0.9]))

    assert found.differs
    assert [segment.name for segment in found.segments if segment.differs] == ["s9"]
    assert found.reading.endswith("s9 stands out")


def test_no_segment_is_named_while_the_dimension_shows_nothing():
    """The best of ten that merely scatter is not called better."""
    found = by_segment(segments([0.1, -0.1, 0.05, 0.2, 0, -0.05, 0.15, 0.1, -0.12, 0.08]))

    assert not found.differs
    assert not any(segment.differs for segment in found.segments)
    assert found.reading.startswith("no evidence that segments differ")


def test_segments_keep_their_order():
    """Never a ranking, whatever came out on top."""
    names = [s.name for s in by_segment(segments([0.3, 0.9, 0.1])).segments]

    assert names == ["s0", "s1", "s2"]


def test_many_dimensions_pay_for_each_other():
    """The interaction tests are corrected over the dimensions looked at."""
    lone = segments([0.30, 0.0])
    dimensions = {"device": lone} | {f"d{i}": segments([0.0, 0.0]) for i in range(9)}
    raw = by_segment(lone).interaction.p_value
    found = by_dimension(dimensions)

    assert by_segment(lone).differs
    assert not found["device"].differs
    assert found["device"].p_value == pytest.approx(holm([raw] + [1.0] * 9)[0])


def test_the_raw_effect_and_the_shrunken_one_stand_side_by_side():
    """Raw is the segment's own normal interval; shrunken lies nearer to the others."""
    found = by_segment(segments([0.5, 0.1, 0.2, 0.1], [0.2] * 4), level=0.9)
    first = found.segments[0]

    assert first.raw.high == pytest.approx(0.5 + stats.norm.isf(0.05) * 0.2)
    assert found.overall.estimate == pytest.approx(0.225)
    assert 0.1 < first.shrunken.value < 0.5


def test_segments_without_an_answer_are_listed():
    """Left out with the reason, not silently."""
    held = segments([0.5, 0.1]) | {"tablet": Undecided("no customers yet")}
    small = segments([0.3], n=12)["s0"]
    found = by_segment(held | {"tv": small})

    assert found.left_out == {
        "tablet": "no customers yet",
        "tv": "fewer than 30 customers in a variation",
    }
    assert len(found.segments) == 2


def test_too_few_segments_are_undecided():
    """One usable segment cannot differ from anything."""
    assert isinstance(by_segment({}), Undecided)
    assert isinstance(by_segment(segments([0.5])), Undecided)
    with pytest.raises(ValueError, match="alpha"):
        by_segment(segments([0.1, 0.2]), alpha=0)
    with pytest.raises(ValueError, match="level"):
        by_segment(segments([0.1, 0.2]), level=2)


@pytest.mark.slow
def test_alike_segments_are_seldom_called_different():
    """Any false claim over five dimensions of eight segments: at most alpha."""
    rng, rounds = np.random.default_rng(41), 100
    alarms = 0
    for _ in range(rounds):
        dimensions = {f"d{d}": segments(rng.normal(0.2, 0.1, 8).tolist()) for d in range(5)}
        alarms += any(found.differs for found in by_dimension(dimensions).values())

    assert alarms / rounds <= 0.05 + 2.5 * (0.05 * 0.95 / rounds) ** 0.5
