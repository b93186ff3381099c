from hypothesis import given
from hypothesis import strategies as st

from rollouts.words import MINUS, NBSP, count, figures, percent, plural


@given(st.floats(-1e9, 1e9))
def test_numbers_never_show_a_hyphen_or_an_exponent(value):
    """Typography is part of being believed."""
    for text in (figures(value), count(value), percent(value / 1e9, signed=True)):
        assert "-" not in text
        assert "e" not in text


@given(st.floats(0.0001, 9))
def test_percent_is_read_back_within_its_two_figures(share):
    """What is shown is what was computed, rounded."""
    shown = float(percent(share).replace(NBSP, "").replace("%", "").replace(",", ""))

    assert abs(shown / 100 - share) <= 0.051 * share


def test_words_for_people():
    """Counts with commas, true minus, one contact and two contacts."""
    assert count(-1234.4) == f"{MINUS}1,234"
    assert plural(1, "contacts") == "1 contact"
    assert plural(0, "contact") == "0 contacts"
    assert figures(0) == "0"
