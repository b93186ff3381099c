"""The page "How we measure": every number from the benchmark's output, every method reachable."""

import json
import re

import pytest
from flask.testing import FlaskClient

from analysis.effect import Scale
from analysis.stoploss import Kind
from rollouts.db import Database
from rollouts.metrics.model import Aggregation, Definition, Direction, Selector
from rollouts.reports import method, method_groups, method_kinds, method_words
from rollouts.results import judging, shown
from rollouts.results.pacing import form_of
from rollouts.web import formatting as say
from tests.benchmarks.coverage import CASES, Case, measure
from tests.benchmarks.for_the_page import covered, shortened
from tests.benchmarks.operating_characteristics import NOT_AS_COUNT
from tests.rollouts.reports import shop
from tests.rollouts.reports.shop import text_of


def raw(**over) -> dict:
    """A benchmark's output: two situations, ours and a rival's."""
    rows, misses = [], []
    for situation, at_limit in (("one", 0.031), ("2 %, ramp, drift", 0.044)):
        for rule, factor in (("share test", 1.0), *((name, 7.0) for name in method.NAMES)):
            for multiple, stopped in ((0.0, 0.001), (1.0, at_limit), (2.0, 0.123), (4.0, 0.139)):
                rows.append(
                    {
                        "situation": situation,
                        "rule": rule,
                        "multiple": multiple,
                        "alpha": 0.05,
                        "stopped": min(stopped * factor, 1.0),
                        "error": 0.001,
                        "treated": 1234.5,
                        "over_bound": 1.37 if multiple > 1 else None,
                    }
                )
        misses += [
            {
                "situation": situation,
                "multiple": multiple,
                "alpha": 0.05,
                "low": 0.041,
                "high": 0.052,
                "safe": 0.033 if multiple else None,
                "budget_low": 0.02,
                "budget_high": 0.03,
            }
            for multiple in (0.0, 1.0)
        ]
    return {"replications": 400, "rows": rows, "misses": misses} | over


def test_the_page_states_when_how_and_how_surely_it_was_measured(client: FlaskClient):
    """Date, replications, command and Monte-Carlo error stand before the first figure."""
    page = text_of(client.get("/method"))
    held = json.loads(method.FILE.read_text())

    assert say.day(held["made_on"], year=True) in page
    assert f"{held['replications']:,} rollouts for each situation" in page
    assert held["command"] in page
    assert "known to within 1.4 points" in page or held["replications"] != 1000


def test_every_figure_of_the_page_follows_the_file(
    monkeypatch: pytest.MonkeyPatch, story: Database
):
    """Another benchmark gives another page: nothing is typed in by hand."""
    other = method.measured_of(shortened(raw(), "2031-02-03"))
    monkeypatch.setattr(method, "measured", lambda: other)
    monkeypatch.setattr(method, "pictures", method.pictures.__wrapped__)
    page = text_of(shop.make_app(story).test_client().get("/method"))

    assert "3 Feb 2031" in page
    assert "withdrawn in 3.1 to 4.4 % of simulated rollouts" in page
    assert "caught in 12 %" in page
    assert "the worst measured in any situation: 3.3 %" in page
    assert "at most 5.2 % of rollouts" in page
    assert "--replications 400" in page


def test_our_rule_is_shown_as_the_service_judges():
    """The benchmark tries two forms for counts; the page shows the one that looks use."""
    held = raw()
    other = [{**row, "rule": NOT_AS_COUNT, "stopped": 0.02} for row in held["rows"][:4]]
    both = shortened(raw(rows=held["rows"] + other), "2031-02-03")["situations"][0]["rules"]
    counted = Definition(Selector("event"), Aggregation.COUNT, Direction.DOWN)
    is_count = form_of(counted, Scale.RELATIVE) is Kind.COUNT

    assert NOT_AS_COUNT not in both
    assert both["share test"]["1"][0] == (0.031 if is_count else 0.02)


def test_our_rule_keeps_its_promise_in_the_kept_figures():
    """In no situation withdrawn more often than promised, beyond what chance explains."""
    held = method.measured()

    for item in held.situations:
        error = 3 * (item.alpha * (1 - item.alpha) / held.replications) ** 0.5
        assert item.at_limit <= item.alpha + error, item.name
    assert held.ours.at_limit.high <= method.PROMISED + held.error


def test_rivals_rules_stand_beside_ours_with_what_they_cost(client: FlaskClient):
    """Each rule has its span of false stops; a broken one has no fair cost."""
    held = method.measured()
    page = text_of(client.get("/method"))
    repeated = next(rule for rule in held.rules if rule.name == "Ordinary test, repeated")

    assert held.rules[0].is_ours
    assert repeated.at_limit.low > 3 * method.PROMISED
    assert repeated.over_bound == say.NONE
    for rule in held.rules:
        assert rule.name in page
        assert rule.at_limit.words.replace(say.NBSP, " ") in page


def test_every_method_has_a_line_its_assumptions_and_a_statement(client: FlaskClient):
    """What anyone can read stands open; the full statement is one click away."""
    page = client.get("/method").get_data(as_text=True)

    for item in method_words.METHODS:
        assert f'id="{item.anchor}"' in page
        for text in (item.line, item.assumes, item.statement, item.source):
            assert len(text) > 20
    assert page.count("The full statement") == len(method_words.METHODS)
    anchors = [item.anchor for item in method_words.METHODS]
    assert len(set(anchors)) == len(anchors)


@pytest.mark.parametrize(
    ("name", "anchor"),
    [
        (shown.METHOD, "stop-loss"),
        (judging.EXACT_METHOD.format(given="customers are"), "exact"),
        (judging.INSTEAD.format(why=judging.UNEVEN, method=shown.METHOD), "stop-loss"),
        ("share test inverted, valid at every look", "interval"),
        ("difference of means in strata, t as normal, valid at every look", "absolute"),
        (
            "Mann-Whitney; the interval is widened so that it holds however often one looks",
            "grades",
        ),
        ("something else; the interval is widened so that it holds at all", "other-kinds"),
        ("difference in differences, CR2", "differences"),
        ("CUPED, Welch's t interval, asymptotic confidence sequence", "adjusted"),
        ("ratio of 0.9-quantiles, order statistics", "quantiles"),
        ("score limits of both totals combined, per treated unit", "budget"),
        ("something new", "methods"),
    ],
)
def test_a_reports_method_leads_to_its_place(name: str, anchor: str):
    """From the method that a snapshot names to where it is explained."""
    assert method_words.anchor_of(name) == anchor


def test_charts_are_drawn_in_three_widths_without_style_or_script(client: FlaskClient):
    """The content policy lets them pass, and readers of screens have the tables."""
    page = client.get("/method").get_data(as_text=True)

    for size in ("wide", "half", "phone"):
        assert page.count(f'class="chart chart-{size}"') == 4
    assert not re.search(r"<[^>]+ style=", page)
    assert "NaN" not in page


def test_the_method_is_in_the_navigation(client: FlaskClient):
    """One word among the main places."""
    page = client.get("/method").get_data(as_text=True)

    assert re.search(r'<a href="/method" aria-current="page">Method</a>', page)


def test_a_report_leads_to_its_method_and_a_file_to_no_address(client: FlaskClient):
    """Each measure's line ends in a link to where it is explained; a file sent on has none."""
    report = "/rollouts/guided-returns/report"
    page = client.get(report).get_data(as_text=True)
    file = client.get(f"{report}/S-20260514-0942-c81f.html").get_data(as_text=True)

    assert 'href="/method#stop-loss">How this works</a>' in page
    assert "and how it is judged" in file
    assert "How this works" not in file


def test_every_anchor_that_methods_lead_to_is_on_the_page(client: FlaskClient):
    """No link ends in nothing, and every method stands under exactly one heading."""
    page = client.get("/method").get_data(as_text=True)
    anchors = {item.anchor for item in method_words.METHODS}
    groups = method_groups.grouped(method_words.METHODS)

    listed = [item.anchor for held in groups.values() for item in held]
    assert sorted(listed) == sorted(anchors)
    assert {anchor for _, anchor in method_kinds.KNOWN} - {"exact"} <= anchors
    for anchor in anchors:
        assert f'href="#{anchor}"' in page


def test_intervals_hold_what_they_promise_in_the_kept_figures(client: FlaskClient):
    """No kind falls far short of 95 in 100; what was not corrected does, and is marked."""
    held, page = method.measured(), text_of(client.get("/method"))

    assert len(held.coverage) > 15
    for line in held.coverage:
        assert (line.covered < 0.9) == line.is_warning, line.situation
        assert f'href="#{line.method}"' in page
        assert line.text.replace(say.NBSP, " ") in page
    assert {line.method for line in held.coverage} <= {m.anchor for m in method_words.METHODS}


def test_a_page_without_measured_intervals_says_nothing_of_them():
    """A file of an earlier release has none, and is still read."""
    other = method.measured_of(shortened(raw(), "2031-02-03"))

    assert other.coverage == ()
    assert covered({"replications": 9, "rows": []}) == {"replications": 9, "rows": []}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1]}")
def test_the_benchmark_of_intervals_measures_every_kind(case: Case):
    """Each situation answers, and is told under a method that the page explains."""
    found = measure(case, 3)

    assert found.decided
    assert 0 <= found.covered <= 1
    assert found.method in {item.anchor for item in method_words.METHODS}
