"""Sealed values open with their secret, for their row, and in no other case."""

from __future__ import annotations

import multiprocessing
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.config import Settings
from rollouts.errors import SettingWrong
from rollouts.notify.sealing import Seal, SealBroken

ours, theirs = Seal("a" * 40), Seal("b" * 40)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text("abc:0", max_size=20))
def test_a_sealed_value_opens_as_it_was(value: str, about: str) -> None:
    """Whatever went in comes out, and it cannot be seen in the sealed bytes."""
    sealed = ours.seal(value, about=about)

    assert ours.open(sealed, about=about) == value
    assert len(value) < 6 or value.encode() not in sealed


def test_two_seals_of_one_value_differ() -> None:
    """Equal secrets cannot be told from their sealed forms."""
    assert ours.seal("same", about="row") != ours.seal("same", about="row")


def test_a_value_moved_to_another_row_does_not_open() -> None:
    """What it is about is authenticated with it."""
    sealed = ours.seal("token", about="destination:1")

    with pytest.raises(SealBroken, match="moved"):
        ours.open(sealed, about="destination:2")


def test_another_secret_is_named_as_the_cause() -> None:
    """The operator learns that the secret was changed, not that data is corrupt."""
    with pytest.raises(SealBroken, match="another ROLLOUTS_SECRET_KEY"):
        theirs.open(ours.seal("token", about="row"), about="row")


def test_no_changed_byte_goes_unseen() -> None:
    """Flipping any one byte breaks the seal."""
    sealed = ours.seal("token", about="row")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            ours.open(bytes(changed), about="row")
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            ours.open(sealed[:length], about="row")


def test_a_new_secret_takes_over_without_opening_values() -> None:
    """After rotation the new secret opens, the old one no longer does."""
    renewed = theirs.rewrap(ours.seal("token", about="row"), about="row", former=ours)

    assert theirs.has_sealed(renewed)
    assert theirs.open(renewed, about="row") == "token"
    with pytest.raises(SealBroken):
        ours.open(renewed, about="row")


def test_keys_for_different_purposes_differ_and_stay() -> None:
    """Every label has its own key, the same at every start, of another secret another."""
    again = Seal("a" * 40)

    assert again.unit_key == ours.unit_key != theirs.unit_key
    assert again.derive("x") == ours.derive("x") != ours.derive("y")
    assert len(ours.unit_key) == 32


def test_the_embedded_store_keeps_its_secret_in_a_private_file(tmp_path: Path) -> None:
    """Made once, mode 600, the same at the next start; a file left open is closed."""
    settings = replace(Settings(), var_dir=tmp_path / "var")
    first = Seal.from_settings(settings)
    path = tmp_path / "var" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.chmod(0o644)
    assert Seal.from_settings(settings).unit_key == first.unit_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["secret.key"]


def _unit_key(folder: str) -> bytes:
    return Seal.from_settings(replace(Settings(), var_dir=Path(folder))).unit_key


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    """Web and worker may both be first."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        keys = pool.map(_unit_key, [str(tmp_path)] * 8, chunksize=1)

    assert len(set(keys)) == 1


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    """Nothing is ever sealed under an empty secret."""
    (tmp_path / "secret.key").write_text("")

    with pytest.raises(SettingWrong, match="holds no secret"):
        Seal.from_settings(replace(Settings(), var_dir=tmp_path))


def test_a_set_secret_wins_and_postgresql_needs_one(tmp_path: Path) -> None:
    """Several hosts cannot share a file that one of them made up."""
    held = replace(Settings(), var_dir=tmp_path, secret_key="s" * 32)
    assert Seal.from_settings(held).unit_key == Seal("s" * 32).unit_key
    assert list(tmp_path.iterdir()) == []

    with pytest.raises(SettingWrong, match="ROLLOUTS_SECRET_KEY"):
        Seal.from_settings(Settings(database_url="postgresql://localhost/rollouts"))
