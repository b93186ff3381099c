"""Passwords: what is taken, how it is kept, and what a guess costs."""

from __future__ import annotations

import threading
import time
from statistics import median

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from rollouts.accounts import passwords, sessions
from rollouts.accounts.model import Role
from rollouts.accounts.people import get_user
from rollouts.db import Database
from rollouts.errors import Invalid, Unavailable

from .doors import PASSWORD, START, make_settings, make_user


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a lamp beside the stairs",
        "ünïcödé wörds hère",
        "849201746395",
        "x" * 11 + "yz" * 58,
        "            spaced out",
    ],
)
def test_length_and_rarity_are_enough(password: str) -> None:
    """No rule asks for digits or signs."""
    passwords.check(password)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "x" * 129,
        "password1234",
        "Password!2026",
        "123456123456",
        "aaaaaaaaaaaa",
        "monkeymonkey",
        "1qaz2wsx3edc",
        "qwerty qwerty qwerty",
        "rollouts-2026",
        "ourshop12345",
        "PRIYAPRIYA1234",
    ],
)
def test_what_anybody_would_try_is_refused(password: str) -> None:
    """Too short, too long, common, padded or repeated, or the names of person and place."""
    with pytest.raises(Invalid) as refusal:
        passwords.check(password, names=["rollouts", "ourshop", "priya"])

    assert refusal.value.faults[0].where == "new"


def test_three_thousand_common_passwords_are_known() -> None:
    """The shipped list is the size the standard asks for."""
    assert len(passwords.common()) >= 3000
    assert {"123456", "password", "qwerty"} <= passwords.common()


def test_passwords_are_kept_by_argon2id_at_full_cost() -> None:
    """64 MiB and three passes; a different salt each time."""
    kept = passwords.hash_password(PASSWORD)
    parameters = extract_parameters(kept)

    assert parameters.type is Type.ID
    assert (parameters.memory_cost, parameters.time_cost) == (65_536, 3)
    assert passwords.hash_password(PASSWORD) != kept
    assert passwords.is_right(PASSWORD, kept)
    assert not passwords.is_right(PASSWORD + " ", kept)
    assert not passwords.needs_rehash(kept)


def test_an_unknown_person_costs_as_much_as_a_wrong_password() -> None:
    """Time does not tell who has an account."""
    kept = passwords.hash_password(PASSWORD)
    passwords.is_right("warm", None)

    def cost(given: str | None) -> float:
        start = time.process_time()
        passwords.is_right("wrong", given)
        return time.process_time() - start

    known, unknown = [], []
    for _ in range(5):
        known.append(cost(kept))
        unknown.append(cost(None))

    assert 0.5 < median(unknown) / median(known) < 2


def test_two_hashes_at_once_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of sign-ins waits its turn instead of taking the memory."""
    running = most = 0
    lock = threading.Lock()
    inside = PasswordHasher(1, 64, 1)

    class Counting:
        def hash(self, password: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return inside.hash(password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    threads = [threading.Thread(target=passwords.hash_password, args=("x",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == passwords.HASHES_AT_ONCE == 2


def test_who_waits_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy is an answer with a status of its own, not a request that hangs."""
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    with passwords._Turn(), passwords._Turn(), pytest.raises(Unavailable):
        passwords.hash_password("x")

    passwords.hash_password("x")


def test_a_weaker_hash_is_renewed_at_the_next_sign_in(db: Database) -> None:
    """Parameters grow over the years; the password is only known at sign-in."""
    make_user(db, role=Role.READER)
    weak = PasswordHasher(1, 64, 1).hash(PASSWORD)
    with db.transaction() as session:
        get_user(session, "ana").password_hash = weak

    visitor = sessions.Visitor("127.0.0.1", "test")
    sessions.sign_in(db, "ana", PASSWORD, visitor, make_settings(), now=START)

    with db.reading() as session:
        kept = get_user(session, "ana").password_hash
    assert kept is not None
    assert kept != weak
    assert not passwords.needs_rehash(kept)
    assert passwords.is_right(PASSWORD, kept)
