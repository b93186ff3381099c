"""What tests of alerts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollouts.config import Settings
from rollouts.notify.sealing import Seal

from .receiver import Receiver, receiving

SECRET = "k" * 40


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as held:
        yield held


@pytest.fixture
def seal() -> Seal:
    return Seal(SECRET)


@pytest.fixture
def settings() -> Settings:
    return Settings(secret_key=SECRET, outbound_allow="127.0.0.0/8")
