"""The catalogue from the command line: a file in, a file out, and what differs shown first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from rollouts import first_start
from rollouts.cli import cli
from rollouts.config import Settings
from rollouts.errors import Invalid, RolloutsError
from rollouts.flags.yaml_text import dumps
from rollouts.metrics import as_code, service
from rollouts.metrics.model import Definition
from rollouts.runtime import Runtime
from rollouts.supervisor import to_environment

Run = Callable[..., Result]

FILE = """
rollouts: metrics/1
metrics:
  contacts:
    name: Contacts to support
    event: support_contact
    channels: [phone, chat]
    aggregation: count
    good: down
    window_seconds: 604800
    harm_unit: contacts
  slow:
    name: Slowest tenth of all waits
    event: wait
    value_property: seconds
    aggregation: average
    statistic: quantile
    quantile: 0.9
    per: event
    good: down
  happy:
    name: Happy
    event: answer
    aggregation: average
    statistic: top_box
    top_from: 4
    survey: {lowest: 1, highest: 5, asked: {event: asked}}
    good: up
  complaints:
    name: Complaints per contact
    event: complaint
    aggregation: ratio
    numerator_aggregation: count
    denominator: {event: contact, aggregation: count}
    good: down
"""


@pytest.fixture
def run(parts: Runtime, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command run on the store of this test."""
    first_start.prepare(parts)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, said: str = "", status: int = 0) -> Result:
        found = CliRunner().invoke(cli, ["metrics", *words], input=said)
        assert found.exit_code == status, (found.output, found.exception)
        return found

    return run


def test_a_file_makes_the_catalogue_and_comes_back(run: Run, tmp_path: Path):
    """Every kind is made; what is written out again changes nothing, and says the same."""
    file, again = tmp_path / "metrics.yaml", tmp_path / "again.yaml"
    file.write_text(FILE)

    assert "+ metric slow" in run("apply", str(file), said="n\n", status=1).output
    assert "contacts" not in run("list").output
    assert "Changed 4 metrics." in run("apply", str(file), "--yes").output
    assert "Nothing to change." in run("apply", str(file)).output
    run("export", str(again))
    assert "Nothing to change." in run("apply", str(again)).output
    told, kept = as_code.parse(FILE), as_code.parse(again.read_text())
    assert {key: body.to_domain() for key, body in told.items()} == {
        key: body.to_domain() for key, body in kept.items()
    }
    assert "contacts" in run("list", "--search", "support").output
    assert "quantile: 0.9" in run("show", "slow").output


def test_another_definition_is_shown_and_makes_another_version(
    run: Run, parts: Runtime, tmp_path: Path
):
    """And words alone make none."""
    file = tmp_path / "metrics.yaml"
    file.write_text(FILE)
    run("apply", str(file), "--yes")
    file.write_text(FILE.replace("604800", "86400").replace("name: Happy", "name: Very happy"))

    shown = run("apply", str(file), "--yes", "--reason", "a day is enough").output

    assert "window_seconds: 604800.0 -> 86400.0" in shown
    assert 'name: "Happy" -> "Very happy"' in shown
    with parts.db.reading() as session:
        versions = [service.get_metric(session, key).version for key in ("contacts", "happy")]
    assert versions == [2, 1]


def test_an_archived_metric_does_not_come_back_by_file(run: Run, tmp_path: Path):
    file = tmp_path / "metrics.yaml"
    file.write_text(FILE)
    run("apply", str(file), "--yes")
    assert "off the catalogue" in run("archive", "slow", "--reason", "nobody asked").output

    refused = run("apply", str(file), "--yes", status=1)

    assert "archived" in str(refused.exception)
    assert "slow" not in run("list").output


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("rollouts: flags/1", "rollouts"),
        ("rollouts: metrics/1\nmetrics: []", "metrics"),
        ("rollouts: metrics/1\nmetrics: {}\nflags: {}", "flags"),
        ("rollouts: metrics/1\nmetrics: {a: 7}", "metrics.a"),
        (FILE.replace("quantile: 0.9", "quantile: 9"), "metrics.slow.quantile"),
        (FILE.replace("    event: wait\n", ""), "metrics.slow.event"),
        (FILE.replace("  slow:", "  'slow one':"), "metrics.slow one.key"),
        (FILE.replace("    good: up", "    good: up\n    key: x"), "metrics.happy.key"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, where: str):
    with pytest.raises(Invalid) as refused:
        as_code.parse(text)

    assert where in [fault.where for fault in refused.value.faults]


def test_a_definition_that_does_not_fit_is_named_by_metric(run: Run, tmp_path: Path):
    """A top box without its grade: nothing at all is made."""
    file = tmp_path / "metrics.yaml"
    file.write_text(FILE.replace("    top_from: 4\n", ""))

    refused = run("apply", str(file), "--yes", status=1).exception

    assert isinstance(refused, Invalid)
    assert refused.faults[0].where == "metrics.happy.top_from"
    assert "contacts" not in run("list").output


@given(st.text(max_size=300))
def test_any_text_is_refused_in_words(text: str):
    """No file that says anything else is taken for a catalogue."""
    with pytest.raises(RolloutsError) as refused:
        as_code.parse(dumps({"rollouts": text, "metrics": {text: text}}))

    assert refused.value.detail


def test_a_body_means_the_definition_it_was_made_of():
    """Through the file's form and back, each definition is the same."""
    for body in as_code.parse(FILE).values():
        held: Definition = body.to_domain()
        written = as_code._body("n", "", "", held)
        assert written.to_domain() == held
