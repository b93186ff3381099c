"""The colours can be read by everyone (WCAG 2.2 AA)."""

from __future__ import annotations

import pytest

from rollouts.web.theme import contrast, tokens

TEXT = ("ink", "ink-2", "ink-3", "harm", "safe", "unknown", "hold")
MARKS = ("edge", "focus", "arm-new")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", TEXT)
def test_text_stands_out_from_every_paper_it_is_on(theme: str, name: str):
    """At least 4.5 to 1, tints included."""
    colours = tokens(theme)
    papers = ["bg", "surface"] + ([f"{name}-tint"] if f"{name}-tint" in colours else [])
    if name in ("ink", "ink-2"):
        papers += ["sunk", "harm-tint", "safe-tint", "unknown-tint", "hold-tint"]

    assert min(contrast(colours[name], colours[paper]) for paper in papers) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", MARKS)
def test_edges_and_marks_stand_out(theme: str, name: str):
    """At least 3 to 1 for what is not text."""
    colours = tokens(theme)

    assert min(contrast(colours[name], colours[paper]) for paper in ("bg", "surface")) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_on_dark_buttons_can_be_read(theme: str):
    """The main button is ink with its own text colour."""
    colours = tokens(theme)

    assert contrast(colours["on-ink"], colours["ink"]) >= 7


def test_each_chart_colour_is_its_own():
    """Charts turn colours back into tokens, so no two light values may be alike."""
    light = tokens()

    assert len(set(light.values())) == len(light)


def test_contrast_of_black_and_white_is_the_published_one():
    """WCAG: 21 to 1."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
