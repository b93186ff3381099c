from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.duration import cumulative_arrivals, detectable_by_week, duration
from analysis.effect import Undecided
from analysis.history import ProportionHistory
from analysis.power import minimum_detectable_effect

days = st.lists(st.integers(1, 10_000), min_size=7, max_size=30)


def day(n):
    return timedelta(days=n)


def test_even_traffic_takes_units_over_traffic():
    """Nine thousand at a thousand a day: nine days, or two whole weeks."""
    assert duration(9000, [1000] * 7, whole_weeks=False).enrolment == day(9)
    assert duration(9000, [1000] * 7).enrolment == day(14)


def test_the_outcome_window_comes_on_top():
    """The last customer's fortnight has to pass as well."""
    assert duration(7000, [1000] * 7, window=day(14)).total == day(21)


def test_returning_customers_are_no_new_units():
    """Falling arrivals repeat their last week, not their first."""
    falling = [1000, 500, 300, 200, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100]

    assert duration(4000, falling, whole_weeks=False).enrolment == day(7 + 7 + 10)


def test_a_ramp_takes_in_less_at_first():
    """A tenth for two days, half for two, then all."""
    ramp = [(day(2), 0.1), (day(2), 0.5), (day(1), 1.0)]
    taken = cumulative_arrivals([100] * 7, 6, ramp=ramp)

    assert taken.tolist() == pytest.approx([10, 20, 70, 120, 220, 320])


def test_a_stage_may_end_within_a_day():
    """Twelve hours at a tenth and twelve at the whole make 55 of 100."""
    ramp = [(timedelta(hours=12), 0.1), (day(1), 1.0)]

    assert cumulative_arrivals([100] * 7, 2, ramp=ramp).tolist() == pytest.approx([55, 155])


def test_traffic_that_ends_or_creeps_is_told():
    """No date far in the future, but what would help."""
    for arrivals in ([5.0] * 7, [1000, *[0] * 7]):
        answer = duration(10**6, arrivals)
        assert isinstance(answer, Undecided)
        assert "traffic" in answer.needs


@given(days, st.integers(1, 10**6), st.integers(1, 5))
def test_more_units_or_less_traffic_take_no_less_time(arrivals, units, times):
    """Monotone in both, and enough have come by the day named."""
    plain = duration(units, arrivals, whole_weeks=False)
    more = duration(units * times, arrivals, whole_weeks=False)
    slower = duration(units, arrivals, ramp=[(day(1), 1 / times)], whole_weeks=False)

    if isinstance(plain, Undecided):
        assert isinstance(more, Undecided)
        return
    assert cumulative_arrivals(arrivals, plain.enrolment.days)[-1] >= units * (1 - 1e-9)
    for later in (more, slower):
        assert isinstance(later, Undecided) or later.enrolment >= plain.enrolment


def test_each_week_shows_smaller_changes():
    """The chart's points are the detectable effects of the units of each week's end."""
    history = ProportionHistory(0.05)
    weekly = detectable_by_week(history, [1000] * 7, 4, sign=-1)

    assert weekly[3] == minimum_detectable_effect(history, 28_000, sign=-1)
    assert np.all(np.diff(weekly) > 0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: duration(0, [1] * 7), "units"),
        (lambda: duration(10, [1] * 6), "arrivals"),
        (lambda: duration(10, [-1] * 7), "arrivals"),
        (lambda: duration(10, [1] * 7, ramp=[(day(1), 0.0)]), "ramp"),
        (lambda: duration(10, [1] * 7, ramp=[(day(-1), 0.5)]), "ramp"),
        (lambda: duration(10, [1] * 7, window=day(-1)), "window"),
        (lambda: detectable_by_week(ProportionHistory(0.1), [1] * 7, 0), "weeks"),
    ],
)
def test_mistakes_name_the_argument(make, name):
    """A plan that cannot be is refused at once."""
    with pytest.raises(ValueError, match=name):
        make()
