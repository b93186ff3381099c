"""What tests of flags share: a caller of the HTTP API."""

from __future__ import annotations

import pytest
from flask import Flask

from rollouts import first_start
from rollouts.runtime import Runtime
from tests.conftest import ADMIN_KEY
from tests.rollouts.flags.calling import Caller


@pytest.fixture
def api(parts: Runtime, app: Flask) -> Caller:
    """The HTTP API, called by an administrator."""
    first_start.prepare(parts)
    return Caller(app.test_client(), ADMIN_KEY)
