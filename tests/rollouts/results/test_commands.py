"""The forecast in a terminal."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from rollouts.errors import Invalid, NotFound
from rollouts.results.commands import forecast
from rollouts.runtime import Runtime
from tests.factories.story import Story

Run = Callable[..., Result]


@pytest.fixture
def store_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One kind of store is enough here: what is read is proven through the API."""
    shutil.copy(sqlite_template, tmp_path / "rollouts.db")
    return f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def run(api: FlaskClient, parts: Runtime) -> Run:
    """The command, on a store with a drafted plan."""
    Story(api).set_up()
    return lambda *words: CliRunner().invoke(forecast, words, obj=lambda: nullcontext(parts))


def test_the_table_has_a_row_for_each_true_harm(run: Run):
    """Chance, customers and cost, at once to be read."""
    found = run("guided", "--level", "contacts=0.2:1.2", "--per-day", "500")

    assert found.exit_code == 0, found.exception
    assert "Contacts" in found.output
    rows = [line for line in found.output.splitlines() if "\u00a0%" in line and "│" in line]
    assert len(rows) == 5
    assert "caught in only" in found.output


def test_without_a_level_it_says_what_is_missing(run: Run):
    """The reason instead of a table."""
    assert "nobody knows its level today" in run("guided").output


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("guided", "--level", "contacts"), Invalid),
        (("guided", "--level", "contacts=many"), Invalid),
        (("guided", "--level", "contacts=-1"), Invalid),
        (("guided", "--level", "nothing=0.1"), Invalid),
        (("nothing",), NotFound),
    ],
)
def test_a_wrong_question_is_a_refusal(run: Run, words: tuple[str, ...], refusal: type):
    """A sentence, never a traceback."""
    assert isinstance(run(*words).exception, refusal)
