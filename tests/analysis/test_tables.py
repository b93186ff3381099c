"""Files as tables: numbers written as text, words that are words, what cannot be read."""

from __future__ import annotations

from pathlib import Path

import ibis
import pytest

from analysis.tables import indicators, is_text, numeric, opened, values_of


def test_a_file_is_read_once_and_let_go(tmp_path: Path):
    """Deleting it afterwards is possible, and its name may hold a quote."""
    file = tmp_path / "it's.csv"
    file.write_text("a,b\n1,yes\n2,no\n")
    with opened(file) as table:
        file.unlink()
        assert table.select("a", "b", "*").to_pyarrow().to_pylist() == [
            {"a": 1, "b": "yes", "*": 1.0},
            {"a": 2, "b": "no", "*": 1.0},
        ]


def test_text_after_many_numbers_makes_a_column_of_words(tmp_path: Path):
    """The first rows are only a guess."""
    file = tmp_path / "t.csv"
    file.write_text("a\n" + "1\n" * 25_000 + "x\n")
    with opened(file) as table:
        assert is_text(table, "a")
        with pytest.raises(ValueError, match="text such as 'x'"):
            numeric(table, ["a"])


def test_numbers_in_words():
    """Yes and no, spaces around, and what stands for nothing."""
    table = ibis.memtable({"a": ["yes", " No ", "true", "N/A", "", "-", " 2.5 ", "1e3", None]})

    assert not is_text(table, "a")
    found = numeric(table, ["a"]).to_pyarrow()["a"].to_pylist()
    assert found == [1.0, 0.0, 1.0, None, None, None, 2.5, 1000.0, None]


def test_an_attribute_becomes_indicators_without_its_commonest():
    """A missing value is none of them."""
    table = ibis.memtable({"plan": ["free", "paid", "free", None, "team"]})
    found, names = indicators(table, "plan")

    assert names == ["plan=paid", "plan=team"]
    assert found.to_pyarrow()["plan=paid"].to_pylist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="more than 1 values"):
        values_of(table, "plan", most=1)
