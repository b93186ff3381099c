"""Charts: sizes that fit, colours that follow the theme, text that cannot break out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from rollouts.reports import charts, over_time
from rollouts.reports.figures import draw, read
from rollouts.reports.model import report_of
from rollouts.reports.svg import SIZES, WIDEST, cleaned, plain, render, width_of
from tests.factories.snapshots import make_points, make_snapshot
from tests.factories.states import HOSTILE, STATES, make_early, make_empty, make_huge, make_unjudged

DRAWN = [name for name in STATES if name not in ("unjudged", "empty")]


@pytest.fixture(scope="module")
def drawn() -> dict[str, dict[str, str]]:
    """Every state's charts, by state and name."""
    made = {}
    for name in DRAWN:
        body = STATES[name]()
        made[name] = draw(report_of(body), make_points(body))
    return made


def pictures(held: dict[str, str]) -> dict[str, str]:
    """Only what is a picture."""
    return {name: svg for name, svg in held.items() if svg.startswith("<svg")}


@pytest.mark.parametrize("name", DRAWN)
def test_charts_keep_to_their_width(drawn: dict[str, dict[str, str]], name: str):
    """Wider, and the page would shrink the text below what can be read."""
    held = pictures(drawn[name])

    assert held
    for key, svg in held.items():
        assert width_of(svg) <= WIDEST[key.rsplit("/", 1)[1]], key


@pytest.mark.parametrize("name", DRAWN)
def test_charts_pass_a_strict_policy(drawn: dict[str, dict[str, str]], name: str):
    """Well-formed, no style, no script, no handler, no foreign element, nothing to load."""
    for svg in pictures(drawn[name]).values():
        tree = ElementTree.fromstring(svg)
        for element in tree.iter():
            assert element.tag.rsplit("}", 1)[1] not in (
                "script",
                "style",
                "foreignObject",
                "a",
                "image",
            )
            names = {attribute.rsplit("}", 1)[-1] for attribute in element.attrib}
            assert not names & {"style", "href", "class"}
            assert not [attribute for attribute in names if attribute.startswith("on")]
        assert tree.get("aria-hidden") == "true"


@pytest.mark.parametrize("name", DRAWN)
def test_every_colour_is_a_token(drawn: dict[str, dict[str, str]], name: str):
    """A colour that is none would not follow the theme."""
    for svg in pictures(drawn[name]).values():
        bare = re.sub(r"var\(--[\w-]+, #[0-9a-f]{6}\)", "", svg)
        assert not re.search(r'(?:fill|stroke)="(?!none|transparent|")[^"]*"', bare), bare


def test_clip_paths_of_one_page_do_not_clash(drawn: dict[str, dict[str, str]]):
    """All pictures of a page share one space of ids."""
    ids = [
        one
        for svg in pictures(drawn["three"]).values()
        for one in set(re.findall(r'\sid="([^"]+)"', svg))
    ]

    assert len(ids) == len(set(ids))


def test_hostile_names_are_text_in_charts(drawn: dict[str, dict[str, str]]):
    """A name is drawn as it is written, and nothing else."""
    texts = [
        element.text or ""
        for svg in pictures(drawn["hostile"]).values()
        for element in ElementTree.fromstring(svg).iter()
        if element.tag.endswith("}text")
    ]

    assert any(text.startswith(HOSTILE[:8]) for text in texts)


def test_broken_split_draws_nothing():
    """What cannot be believed is not plotted."""
    body = make_unjudged()

    assert not pictures(draw(report_of(body), make_points(body)))


def test_no_data_draws_nothing():
    """Nobody came: there is no bar and no line, rather than a bar at zero."""
    body = make_empty()

    assert not pictures(draw(report_of(body), make_points(body)))


def test_what_has_no_interval_is_named_without_a_bar():
    """It is not left out, and there is no bar that could be taken for an effect."""
    arm = report_of(make_early()).arms[0]
    svg = render(charts.effects(arm.rows, "wide"))

    assert "9 of the 20 events" in svg.replace("\u00a0", " ")
    assert svg.count("<path") - svg.count('d=""') < 12


def test_a_single_look_has_no_line_over_time():
    """One look is a point in time, not a course."""
    body = make_snapshot()
    arm = report_of(body).arms[0]
    one = make_points(body, looks=1)

    assert over_time.evidence(arm.guardrails, one, "wide") is None
    assert over_time.burn(arm.guardrails[0], one, "wide") is None


def test_very_many_guardrails_are_drawn_up_to_a_screenful():
    """Forty rows would be no chart; the harmed ones come first and the rest is a table."""
    arm = report_of(make_huge()).arms[0]
    svg = render(charts.effects(arm.shown, "wide"))

    assert len(arm.shown) == 1
    assert len(arm.folded) == 39
    assert width_of(svg) <= WIDEST["wide"]


def test_thousands_of_looks_stay_small():
    """A month of looks makes the same size of picture as a day."""
    body = make_snapshot()
    arm = report_of(body).arms[0]
    svg = render(over_time.burn(arm.guardrails[0], make_points(body, looks=3000), "wide"))

    assert len(svg) < 20_000


def test_stored_text_reads_back_as_pictures_and_tables(drawn: dict[str, dict[str, str]]):
    """What the page gets is what was drawn."""
    held = read(drawn["withdrawn"])
    picture = held.find("new/effects")

    assert picture is not None
    assert set(picture) == set(SIZES)
    assert picture["wide"] == drawn["withdrawn"]["new/effects/wide"]
    assert len(held.table("new", "contacts")) == 12


def test_characters_that_xml_cannot_hold_are_dropped():
    """A name with a bell in it must not break the page's SVG."""
    assert plain("a\x07b\x00c\ud800") == "abc?"


def test_cleaning_takes_out_style_and_class_wherever_they_stand():
    """Whatever the renderer adds, the policy would refuse it."""
    svg = '<svg class="a" style="x:1" width="3"><text fill="#111" style="white-space:pre" class="b">style="no"</text></svg>'

    out = cleaned(svg)

    assert re.findall(r"<\w+[^>]*\s(?:style|class)=", out) == []
    assert 'width="3"' in out
    assert ">style=" in out or ">" in out


def test_end_names_are_kept_apart():
    """Names of lines that end together can each be read."""
    places = over_time.spread([100, 101, 102, 198], 15, 200)

    assert all(abs(a - b) >= 15 for i, a in enumerate(places) for b in places[:i])
    assert max(places) <= 200
