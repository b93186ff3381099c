"""`rollouts impact` in a terminal."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rollouts.errors import NotFound
from rollouts.results.past_commands import impact
from rollouts.runtime import Runtime
from tests.factories.past import make_past
from tests.rollouts.reports import shop

Run = Callable[..., Result]


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One kind of store is enough here: what is read is proven through the API."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def run(parts: Runtime) -> Run:
    """The command, on a shop that has ended five rollouts, of which two were shipped."""
    shop.make_catalogue(parts.db)
    ratios = [1.0, 0.9, 1.15, 0.97, 1.3]
    make_past(parts.db, shop.make_draft(), ratios, shipped=[r < 0.98 for r in ratios])
    return lambda *words: CliRunner().invoke(impact, words, obj=lambda: nullcontext(parts))


def test_claim_and_correction_and_every_rollout(run: Run):
    """The sum, what it is worth a day, what rollouts usually do, and a row for each."""
    found = run("contacts")
    said = found.output.replace("\u00a0", " ")

    assert found.exit_code == 0, found.exception
    assert "2 changes shipped, together −" in said
    assert "events per 1,000 customers" in said
    assert "customers a day, as in Past change 3" in said
    assert "5 past effects" in said
    assert said.count("past-00") == 5


def test_a_period_without_rollouts_says_why(run: Run):
    """No figure, and what would give one; an unknown metric is refused."""
    found = run("contacts", "--from", "2030-01-01")

    assert "Not known: no change has stayed yet" in found.output
    assert isinstance(run("none").exception, NotFound)
    assert run("contacts", "--from", "soon").exit_code == 2
